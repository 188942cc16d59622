package usage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/client"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func write(t *testing.T, home, name, content string, at time.Time) string {
	t.Helper()
	path := filepath.Join(home, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
	return path
}

func reader(home string) Reader {
	return Reader{Home: home, Getenv: func(string) string { return "" }, Now: now}
}

func server(name string, clients ...string) client.Entry {
	return client.Entry{Name: name, Clients: clients, Words: []string{name}}
}

func Test_transcripts_and_logs(t *testing.T) {
	home := t.TempDir()
	write(t, home, ".claude/projects/shop/a.jsonl", `{"type":"user","timestamp":"2026-03-01T00:00:00.000Z","message":{"content":"hello"}}
{"type":"assistant","timestamp":"2026-04-02T10:00:00.000Z","message":{"content":[{"type":"tool_use","name":"mcp__my_notes__read_file","input":{"path":"x"}}]}}
{"type":"assistant","timestamp":"2026-04-03T10:00:00.000Z","message":{"content":[{"type":"text","text":"mcp__other__tool was not called"}]}}
{"type":"assistant","timestamp":"2026-05-02T10:00:00.000Z","message":{"content":[{"type":"tool_use","name":"mcp__my_notes__read_file","input":{}}]}}
not JSON
`, now)
	write(t, home, ".codex/sessions/2026/05/rollout.jsonl", `{"timestamp":"2026-05-01T00:00:00Z","type":"response_item","payload":{"type":"function_call","name":"docs__search","arguments":"{}"}}
{"timestamp":"2026-05-03T00:00:00Z","type":"event_msg","payload":{"type":"mcp_tool_call_begin","invocation":{"server":"docs","tool":"search"}}}
{"timestamp":"2026-05-04T00:00:00Z","type":"response_item","payload":{"type":"function_call","name":"shell","arguments":"a__b"}}
`, now)
	write(t, home, ".config/Claude/logs/mcp-server-mail.log", `2026-05-01T08:00:00.000Z [mail] [info] Initializing server...
2026-05-05T08:00:00.000Z [mail] [info] Message from client: {"method":"tools/call","params":{"name":"send"},"jsonrpc":"2.0","id":4}
2026-05-06T08:00:00.000Z [mail] [info] Message from client: {"method":"tools/list","params":{},"jsonrpc":"2.0","id":5}
`, now)
	write(t, home, ".config/Code/logs/20260501T080000/window1/mcpServer.mcp.config.usrlocal.web.log", "2026-05-01 08:00:00.000 [info] Starting server web\n2026-05-07 08:00:00.000 [trace] [editor -> server] {\"jsonrpc\":\"2.0\",\"method\":\"tools/call\"}\n", now)
	u := reader(home).Read()
	for _, c := range []struct {
		server client.Entry
		last   string
		calls  int
		since  string
	}{
		{server("my notes", "claude-code"), "2026-05-02T10:00:00Z", 2, "2026-03-01T00:00:00Z"},
		{server("other", "claude-code"), "", 0, "2026-03-01T00:00:00Z"},
		{server("docs", "codex"), "2026-05-03T00:00:00Z", 2, "2026-05-01T00:00:00Z"},
		{server("mail", "claude-desktop"), "2026-05-05T08:00:00Z", 1, "2026-05-01T08:00:00Z"},
		{server("web", "vscode"), "2026-05-07T08:00:00Z", 1, "2026-05-01T08:00:00Z"},
	} {
		use := u.Of(c.server)
		last := ""
		if !use.Last.IsZero() {
			last = use.Last.UTC().Format(time.RFC3339)
		}
		if !use.Known || last != c.last || use.Calls != c.calls || use.Since.UTC().Format(time.RFC3339) != c.since || len(use.Blind) > 0 {
			t.Errorf("%s: %+v, want last %q, %d calls, since %s", c.server.Name, use, c.last, c.calls, c.since)
		}
	}
	if use := u.Of(server("my notes", "claude-code", "zed")); !slices.Equal(use.Blind, []string{"zed"}) || use.Calls != 2 {
		t.Errorf("a client that writes nothing: %+v", use)
	}
	if use := u.Of(server("x", "zed")); use.Known {
		t.Errorf("nothing was read of the only client: %+v", use)
	}
}

// A log in which calls would not stand shows no use and no lack of it.
func Test_logs_that_tell_nothing(t *testing.T) {
	home := t.TempDir()
	dir := ".config/Code/logs/20260401T080000/window1/mcpServer.mcp.config.usrlocal."
	write(t, home, dir+"quiet.log", "2026-01-01 08:00:00.000 [info] Starting server quiet\n2026-05-01 08:00:00.000 [info] Discovered 3 tools\n", now)
	write(t, home, dir+"traced.log", "2026-01-01 08:00:00.000 [trace] [editor -> server] {\"jsonrpc\":\"2.0\",\"method\":\"initialize\"}\n", now)
	write(t, home, strings.Replace(dir, "2026", "2025", 1)+"lately.log", "2026-01-01 08:00:00.000 [trace] {\"method\":\"initialize\"}\n", now.Add(-50*24*time.Hour))
	write(t, home, dir+"lately.log", "2026-05-01 08:00:00.000 [info] Starting server lately\n", now)
	u := reader(home).Read()
	for name, want := range map[string]string{"quiet": now.Format(time.RFC3339), "traced": "2026-01-01T08:00:00Z", "lately": now.Format(time.RFC3339)} {
		if use := u.Of(server(name, "vscode")); use.Calls != 0 || use.Since.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s: %+v, want evidence since %s", name, use, want)
		}
	}
	if use := u.Of(server("never-started", "vscode")); use.Known || !slices.Equal(use.Blind, []string{"vscode"}) {
		t.Errorf("a server without a log: %+v", use)
	}
}

func Test_names_with_two_underscores_are_not_called_unused(t *testing.T) {
	home := t.TempDir()
	write(t, home, ".claude/projects/a/x.jsonl", `{"timestamp":"2026-05-20T00:00:00Z","name":"mcp__my__notes__read"}`+"\n", now)
	if use := reader(home).Read().Of(server("my__notes", "claude-code")); use.Calls != 1 {
		t.Errorf("%+v", use)
	}
}

// What was not read must not look like a time without calls.
func Test_evidence_reaches_no_further_than_what_was_read(t *testing.T) {
	home := t.TempDir()
	line := `{"timestamp":"2026-05-20T00:00:00Z","x":"` + strings.Repeat("x", 1000) + `"}` + "\n"
	old := `{"timestamp":"2026-01-01T00:00:00Z","message":{"content":[{"type":"tool_use","name":"mcp__notes__read","input":{}}]}}` + "\n"
	write(t, home, ".claude/projects/a/large.jsonl", old+strings.Repeat(line, maxFileBytes/len(line)+1), now)
	write(t, home, ".claude/projects/a/older.jsonl", old, now.Add(-100*24*time.Hour))
	use := reader(home).Read().Of(server("notes", "claude-code"))
	if want := "2026-05-20T00:00:00Z"; use.Calls != 0 || use.Since.UTC().Format(time.RFC3339) != want {
		t.Errorf("%+v, want since %s", use, want)
	}
}

func Test_hostile_files(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, ".claude", "projects", "a")
	write(t, home, ".claude/projects/a/long.jsonl", `{"name":"`+strings.Repeat("mcp__", 1<<20), now)
	write(t, home, ".claude/projects/a/binary.jsonl", "\x00\xff\xfe\n\n\n{\"timestamp\":\"9999-99-99T99:99:99Z\",\"name\":\"mcp__a__b\"}\n", now)
	write(t, home, ".claude/projects/a/good.jsonl", `{"timestamp":"2026-05-20T00:00:00Z","name":"mcp__notes__read"}`+"\n", now)
	_ = os.Symlink(dir, filepath.Join(dir, "loop"))
	_ = os.Symlink(filepath.Join(dir, "good.jsonl"), filepath.Join(dir, "link.jsonl"))
	_ = exec.Command("mkfifo", filepath.Join(dir, "pipe.jsonl")).Run()
	use := reader(home).Read().Of(server("notes", "claude-code"))
	if use.Calls != 1 || use.Last.IsZero() {
		t.Errorf("%+v", use)
	}
}

func Test_our_own_log(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, "state", "audit")
	log, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []audit.Record{
		{Kind: audit.Start}, {Kind: audit.Decided, Server: "notes", Decision: audit.Allow}, {Kind: audit.Decided, Server: "notes", Decision: audit.Deny},
	} {
		if err := log.Append(&r); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	r := reader(home)
	r.Audit, r.Now = dir, time.Now()
	s := server("anything", "zed")
	s.Words = []string{"gatehouse", "run", "--id", "notes", "--", "notes-server"}
	if use := r.Read().Of(s); !use.Known || use.Calls != 1 || use.Last.IsZero() {
		t.Errorf("%+v", use)
	}
}

// Fuzz_lines: whatever a line says, it is a use of a server only if the server is named
// in it.
func Fuzz_lines(f *testing.F) {
	f.Add([]byte(`{"timestamp":"2026-05-20T00:00:00Z","name":"mcp__notes__read"}`))
	f.Add([]byte(`{"payload":{"type":"function_call","name":"docs__search"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		u := &Uses{seen: map[named]*tally{}, reach: map[named]time.Time{}}
		for _, s := range sources("/home", func(string) string { return "" })[:2] {
			if s.counts(line) {
				s.take(u, file{at: now}, line, timeIn(line))
			}
		}
		for n := range u.seen {
			if n.server == "" || len(n.server) > len(line) {
				t.Fatalf("%q is used by %q", n.server, line)
			}
		}
	})
}

// Benchmark_transcripts reads what a heavy user leaves in some weeks: lines of a few
// kilobytes, one call of a server in a hundred.
func Benchmark_transcripts(b *testing.B) {
	home := b.TempDir()
	line := `{"type":"user","message":{"content":"` + strings.Repeat("the quick brown fox ", 150) + `"},"timestamp":"2026-05-20T00:00:00Z"}` + "\n"
	call := `{"type":"assistant","timestamp":"2026-05-20T00:00:00Z","message":{"content":[{"type":"tool_use","name":"mcp__notes__read","input":{}}]}}` + "\n"
	content := strings.Repeat(strings.Repeat(line, 100)+call, 50)
	dir := filepath.Join(home, ".claude", "projects", "a")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range 4 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i, ".jsonl")), []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(4 * len(content)))
	for b.Loop() {
		if use := reader(home).Read().Of(server("notes", "claude-code")); use.Calls != 200 {
			b.Fatal(use)
		}
	}
}
