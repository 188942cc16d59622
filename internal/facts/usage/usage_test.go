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
	if use := u.Of(server("traced", "vscode")); use.Calls != 0 || use.Since.UTC().Format(time.RFC3339) != "2026-01-01T08:00:00Z" {
		t.Errorf("traced: %+v", use)
	}
	for _, name := range []string{"quiet", "lately", "never-started"} {
		if use := u.Of(server(name, "vscode")); use.Known || !slices.Equal(use.Blind, []string{"vscode"}) {
			t.Errorf("%s: %+v, want no evidence", name, use)
		}
	}
}

// A client that has written nothing lately may write elsewhere; one of whose files cannot
// be read, or whose form is not known, may have written anything.
func Test_what_shows_no_lack_of_use(t *testing.T) {
	line := `{"timestamp":"2026-01-20T00:00:00Z","name":"mcp__other__read"}` + "\n"
	old := now.Add(-recent - time.Hour)
	for name, c := range map[string]struct {
		files  map[string]string
		at     time.Time
		client string
		since  string // empty if nothing may be known
	}{
		"recent":           {map[string]string{".claude/projects/a/x.jsonl": line}, now, "claude-code", "2026-01-20"},
		"old":              {map[string]string{".claude/projects/a/x.jsonl": line}, old, "claude-code", ""},
		"packed":           {map[string]string{".codex/sessions/2026/rollout-x.jsonl.zst": "x"}, now, "codex", ""},
		"archived":         {map[string]string{".codex/archived_sessions/rollout-x.jsonl": line}, now, "codex", "2026-01-20"},
		"kept for a week":  {map[string]string{".claude/projects/a/x.jsonl": line, ".claude/settings.json": `{"cleanupPeriodDays": 7}`}, now, "claude-code", "2026-05-25"},
		"kept for a year":  {map[string]string{".claude/projects/a/x.jsonl": line, ".claude/settings.json": `{"cleanupPeriodDays": 365}`}, now, "claude-code", "2026-01-20"},
		"broken settings":  {map[string]string{".claude/projects/a/x.jsonl": line, ".claude/settings.json": `{`}, now, "claude-code", "2026-06-01"},
		"a time inside":    {map[string]string{".claude/projects/a/x.jsonl": `{"result":{"timestamp":"2020-01-01T00:00:00Z"},"timestamp":"2026-05-20T00:00:00Z"}` + "\n"}, now, "claude-code", "2026-05-20"},
		"logs of Cursor":   {map[string]string{".config/Cursor/logs/1/window1/exthost/anysphere.cursor-mcp/MCP user-notes.log": "2026-01-20 00:00:00.000 [info] {\"method\":\"initialize\"}\n"}, now, "cursor", ""},
		"VS Code Insiders": {map[string]string{".config/Code - Insiders/logs/1/window1/mcpServer.mcp.config.ws0.notes.log": "2026-01-20 00:00:00.000 [debug] {\"method\":\"initialize\"}\n"}, now, "vscode", "2026-01-20"},
		"another name":     {map[string]string{".config/Code/logs/1/window1/mcpServer.mcp.config.usrlocal.my.notes.log": "2026-01-20 00:00:00.000 [debug] {\"method\":\"initialize\"}\n"}, now, "vscode", ""},
	} {
		home := t.TempDir()
		for file, content := range c.files {
			write(t, home, file, content, c.at)
		}
		use := reader(home).Read().Of(server("notes", c.client))
		since := ""
		if use.Known {
			since = use.Since.UTC().Format(time.DateOnly)
		}
		if use.Calls > 0 || since != c.since || use.Known == (len(use.Blind) > 0) {
			t.Errorf("%s: %+v, want since %q", name, use, c.since)
		}
	}
}

func Test_more_folders_than_are_looked_at(t *testing.T) {
	home := t.TempDir()
	write(t, home, ".claude/projects/a/x.jsonl", `{"timestamp":"2026-01-20T00:00:00Z"}`+"\n", now)
	for i := range maxFolders {
		if err := os.MkdirAll(filepath.Join(home, ".claude", "projects", fmt.Sprint("z", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if use := reader(home).Read().Of(server("notes", "claude-code")); use.Known {
		t.Errorf("%+v", use)
	}
}

// Names as clients change them: what is not recognised would look unused.
func Test_names_in_transcripts(t *testing.T) {
	home := t.TempDir()
	line := func(file, payload string) {
		write(t, home, file, `{"timestamp":"2026-05-20T00:00:00Z",`+payload+"}\n", now)
	}
	line(".claude/projects/a/1.jsonl", `"name":"mcp__plugin_office_notes__read"`)
	line(".claude/projects/a/2.jsonl", `"name":"mcp__tail___read"`)
	line(".claude/projects/a/3.jsonl", `"name":"mcp__my_notes__read"`)
	line(".codex/sessions/1.jsonl", `"payload":{"type":"function_call","name":"read","namespace":"mcp__my_notes"}`)
	line(".codex/sessions/2.jsonl", `"payload":{"type":"mcp_tool_call_end","invocation":{"server":"ended","tool":"x"}}`)
	u := reader(home).Read()
	for _, c := range []struct {
		name, client string
		calls        int
	}{
		{"notes", "claude-code", 1}, {"tail_", "claude-code", 1}, {"my-notes", "claude-code", 1}, {"otes", "claude-code", 0},
		{"my-notes", "codex", 1}, {"ended", "codex", 1},
	} {
		if use := u.Of(server(c.name, c.client)); use.Calls != c.calls || !use.Known {
			t.Errorf("%s in %s: %+v, want %d calls", c.name, c.client, use, c.calls)
		}
	}
	if use := u.Of(server("заметки", "claude-code")); use.Known || len(use.Blind) == 0 {
		t.Errorf("a name that is not kept: %+v", use)
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
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	f, err := os.OpenFile(files[0], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("damage\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if use := r.Read().Of(s); use.Known {
		t.Errorf("a damaged log: %+v", use)
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
