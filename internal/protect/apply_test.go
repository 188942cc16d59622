package protect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/clients"
	"gatehouse/internal/secret"
)

const two = `{
  // mine
  "mcpServers": {
    "a": {"command": "npx", "args": ["-y", "a@1.0.0"], "env": {"API_TOKEN": "secret-of-a-12345"}},
    "b": {"command": "uvx b@1.0.0"}, // last
  },
}
`

// bench is a home with a protected file.
type bench struct {
	*testing.T
	home, path string
	files      func() []client.File
	journal    Journal
	options    Options
	store      memory
}

func newBench(t *testing.T, text string) *bench {
	t.Helper()
	home, files := cursor(t, text)
	j, o, store := setup(t, home)
	return &bench{t, home, filepath.Join(home, ".cursor", "mcp.json"), files, j, o, store}
}

func (b *bench) protect() []Outcome {
	b.Helper()
	out, err := b.journal.Apply(New(b.files(), b.options), "memory")
	if err != nil {
		b.Fatal(err)
	}
	return out
}

func (b *bench) unprotect(sel Selection) []Back {
	b.Helper()
	out, err := b.journal.Unprotect(sel)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

func (b *bench) read() string {
	b.Helper()
	raw, err := os.ReadFile(b.path)
	if err != nil {
		b.Fatal(err)
	}
	return string(raw)
}

func (b *bench) write(text string) {
	b.Helper()
	write(b.T, b.path, []byte(text), 0o640)
}

// clean checks that nothing is left of protect: no record, no secret, no temporary file.
func (b *bench) clean() {
	b.Helper()
	if _, err := b.journal.PlanBack(Selection{}); !errors.Is(err, ErrNothing) {
		b.Errorf("something is still on record: %v", err)
	}
	for name := range b.store {
		if name != keyName {
			b.Errorf("the secret %s is left", name)
		}
	}
	for _, dir := range []string{filepath.Dir(b.path), b.journal.Dir} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range entries {
			if !slices.Contains([]string{"mcp.json", "lock", "record.json"}, e.Name()) {
				b.Errorf("%s is left in %s", e.Name(), dir)
			}
		}
	}
}

func Test_nothing_secret_stands_in_plain_text_anywhere(t *testing.T) {
	b := newBench(t, two)
	b.protect()
	for _, dir := range []string{b.home, b.options.State} {
		for name, text := range snapshot(t, dir) {
			if strings.Contains(text, "secret-of-a") {
				t.Errorf("%s holds the secret", name)
			}
		}
	}
	if raw, err := b.journal.Backup(b.path); err != nil || string(raw) != two {
		t.Errorf("the backup is %q, %v", raw, err)
	}
}

func Test_mode_stays_and_a_link_stays_a_link(t *testing.T) {
	b := newBench(t, two)
	real := filepath.Join(b.home, "dotfiles", "mcp.json")
	folder(t, filepath.Dir(real))
	if err := errors.Join(os.Rename(b.path, real), os.Symlink(real, b.path), os.Chmod(real, 0o604)); err != nil {
		t.Fatal(err)
	}
	check := func(want bool) {
		t.Helper()
		link, err := os.Readlink(b.path)
		if err != nil || link != real {
			t.Errorf("the link is %q, %v", link, err)
		}
		if info, err := os.Stat(real); err != nil || info.Mode().Perm() != 0o604 {
			t.Errorf("the mode is %v, %v", info.Mode(), err)
		}
		if strings.Contains(b.read(), program) != want {
			t.Errorf("protected is not %v:\n%s", want, b.read())
		}
	}
	b.protect()
	check(true)
	b.unprotect(Selection{})
	check(false)
	if b.read() != two {
		t.Errorf("%s", b.read())
	}
}

func Test_a_file_that_changed_after_it_was_read_is_not_touched(t *testing.T) {
	b := newBench(t, two)
	plan := New(b.files(), b.options)
	changed := strings.Replace(two, "mine", "changed", 1)
	b.write(changed)
	out, err := b.journal.Apply(plan, "memory")
	if err != nil || len(out) != 1 || !strings.Contains(out[0].Problem, client.ErrChanged.Error()) || len(out[0].Servers) > 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if b.read() != changed {
		t.Errorf("%s", b.read())
	}
	b.clean()
}

func Test_a_file_that_changed_before_it_was_planned_is_not_touched(t *testing.T) {
	b := newBench(t, two)
	files := b.files()
	b.write(strings.Replace(two, "a@1.0.0", "evil@1.0.0", 1))
	servers := New(files, b.options).Files[0].Servers
	if servers[0].What != Left || servers[0].Why != client.ErrChanged.Error() || servers[1].What != Change {
		t.Errorf("%+v", servers)
	}
}

func Test_a_record_that_could_not_be_read_again_is_not_written(t *testing.T) {
	b := newBench(t, two)
	b.protect()
	s, err := b.journal.open()
	if err != nil {
		t.Fatal(err)
	}
	defer s.unlock()
	s.record.Files[0].Path = strings.Repeat("x", maxRecord*3/4)
	if err := s.save(); err == nil || !strings.Contains(err.Error(), "bytes, of at most") {
		t.Errorf("got %v", err)
	}
}

// What another program writes while the file is replaced is what stands there afterwards.
func Test_what_others_write_at_the_same_time_is_not_lost(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("two files are exchanged in one step on Linux only")
	}
	dir := t.TempDir()
	path, other := filepath.Join(dir, "f"), filepath.Join(dir, "other")
	for i := range 150 {
		old := fmt.Appendf(nil, "old %d", i)
		write(t, path, old, 0o600)
		write(t, other, fmt.Appendf(nil, "theirs %d", i), 0o600)
		renamed := make(chan error)
		go func() { renamed <- os.Rename(other, path) }()
		err := replaceFile(path, old, fmt.Appendf(nil, "ours %d", i))
		if rerr := <-renamed; rerr != nil {
			t.Fatal(rerr)
		}
		now, rerr := os.ReadFile(path)
		if rerr != nil || string(now) != fmt.Sprintf("theirs %d", i) {
			t.Fatalf("round %d: it holds %q, %v, %v", i, now, err, rerr)
		}
	}
}

func Test_where_files_cannot_be_exchanged_they_are_compared(t *testing.T) {
	dir := t.TempDir()
	path, fresh := filepath.Join(dir, "f"), filepath.Join(dir, "fresh")
	write(t, path, []byte("theirs"), 0o600)
	write(t, fresh, []byte("ours"), 0o600)
	if err := swapWhereChecked(fresh, path, []byte("old")); !errors.Is(err, client.ErrChanged) {
		t.Errorf("%v", err)
	}
	if err := swapWhereChecked(fresh, path, []byte("theirs")); err != nil {
		t.Error(err)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != "ours" {
		t.Errorf("%q, %v", now, err)
	}
}

func Test_a_file_that_cannot_be_read_again_leaves_no_trace(t *testing.T) {
	b := newBench(t, two)
	plan := New(b.files(), b.options)
	plan.Files[0].target = filepath.Join(b.home, "gone", "mcp.json")
	out, err := b.journal.Apply(plan, "memory")
	if err != nil || out[0].Problem == "" {
		t.Errorf("%+v, %v", out, err)
	}
	b.clean()
}

// meddling is a store that lets somebody else write while it keeps a secret.
type meddling struct {
	memory
	meddle func()
}

func (m meddling) Set(name, value string) error {
	if name != keyName {
		m.meddle()
	}
	return m.memory.Set(name, value)
}

func Test_a_file_that_changes_while_secrets_are_kept_leaves_no_trace(t *testing.T) {
	b := newBench(t, two)
	plan := New(b.files(), b.options)
	theirs := strings.Replace(two, "mine", "theirs", 1)
	b.journal.Stores["memory"] = meddling{b.store, func() { b.write(theirs) }}
	out, err := b.journal.Apply(plan, "memory")
	if err != nil || !strings.Contains(out[0].Problem, client.ErrChanged.Error()) || len(out[0].Servers) > 0 || b.read() != theirs {
		t.Errorf("%+v, %v\n%s", out, err, b.read())
	}
	b.clean()
}

func Test_a_store_that_fails_leaves_no_trace(t *testing.T) {
	b := newBench(t, two)
	plan := New(b.files(), b.options)
	b.journal.Stores["memory"] = failing{b.store}
	out, err := b.journal.Apply(plan, "memory")
	if err != nil || !strings.Contains(out[0].Problem, "no room") || b.read() != two {
		t.Errorf("%+v, %v\n%s", out, err, b.read())
	}
	b.clean()
}

type failing struct{ memory }

func (f failing) Set(name, value string) error {
	if name == keyName {
		return f.memory.Set(name, value)
	}
	return errors.New("no room")
}

// A keyring that takes a secret and gives back another must not be trusted with it.
func Test_a_store_that_lies_is_not_used(t *testing.T) {
	b := newBench(t, two)
	plan := New(b.files(), b.options)
	b.journal.Stores["memory"] = lying{b.store}
	if out, err := b.journal.Apply(plan, "memory"); err != nil || out[0].Problem == "" || b.read() != two {
		t.Errorf("%+v, %v\n%s", out, err, b.read())
	}
}

type lying struct{ memory }

func (l lying) Set(name, value string) error {
	if name == keyName {
		return l.memory.Set(name, value)
	}
	return l.memory.Set(name, value[:3])
}

// The record as it is between any two steps, with the file as it was and as it is to be.
func Test_a_crash_between_two_steps_is_recovered(t *testing.T) {
	for _, c := range []struct {
		state     state
		protected bool // what the file says
		remains   int  // servers on record afterwards
	}{{adding, false, 0}, {adding, true, 2}, {removing, true, 2}, {removing, false, 0}} {
		t.Run(fmt.Sprintf("%s/%v", c.state, c.protected), func(t *testing.T) {
			b := newBench(t, two)
			b.protect()
			protected := b.read()
			s, err := b.journal.open()
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range s.record.Files[0].Servers {
				r.State = c.state
			}
			if err := s.save(); err != nil {
				t.Fatal(err)
			}
			s.unlock()
			if !c.protected {
				b.write(two)
			}
			// What the crash left beside the file: copies, and somebody else's file.
			left := filepath.Join(filepath.Dir(b.path), ".gatehouse-1.tmp")
			write(t, left, []byte(map[bool]string{true: two, false: protected}[c.protected]), 0o600)
			theirs := filepath.Join(filepath.Dir(b.path), ".gatehouse-2.tmp")
			write(t, theirs, []byte("somebody else's"), 0o600)
			plan, err := b.journal.PlanBack(Selection{})
			if c.remains == 0 {
				if !errors.Is(err, ErrNothing) || len(b.store) != 1 {
					t.Errorf("%+v, %v, %d secrets", plan, err, len(b.store))
				}
			} else if err != nil || len(plan[0].Servers) != c.remains || !plan[0].Exact || len(b.store) != 2 {
				t.Errorf("%+v, %v, %d secrets", plan, err, len(b.store))
			}
			if _, err := os.Stat(left); err == nil {
				t.Error("a copy of the file is left")
			}
			if _, err := os.Stat(theirs); err != nil {
				t.Error("somebody else's file was removed")
			}
			os.Remove(theirs)
			b.protect()
			if b.read() != protected {
				t.Errorf("protected again it is\n%s", b.read())
			}
			b.unprotect(Selection{})
			if b.read() != two {
				t.Errorf("%s", b.read())
			}
			b.clean()
		})
	}
}

// TestMain lets Test_killed_at_any_moment run protect in a process that it can kill.
func TestMain(m *testing.M) {
	if home := os.Getenv("PROTECT_TEST_HOME"); home != "" {
		protectUntilKilled(home)
	}
	os.Exit(m.Run())
}

func diskJournal(home string) (Journal, Options) {
	state := filepath.Join(home, "state")
	store := secret.Age{Dir: filepath.Join(state, "secrets"), Identity: filepath.Join(home, "identity.txt")}
	j := Journal{Dir: filepath.Join(state, "protect"), Stores: map[string]secret.Store{"age": store}, Default: "age"}
	return j, Options{Program: program, Home: home, State: state, Store: store}
}

func homeFiles(home string) []client.File {
	m := client.Machine{Root: home, System: client.Linux, Homes: []client.Home{{Dir: home, System: client.Linux, Own: true}}}
	return clients.Discover(m, prints).Files
}

func protectUntilKilled(home string) {
	j, o := diskJournal(home)
	fmt.Println("ready")
	for {
		if _, err := j.Apply(New(homeFiles(home), o), "age"); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if _, err := j.Unprotect(Selection{}); err != nil && !errors.Is(err, ErrNothing) {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}

func Test_killed_at_any_moment(t *testing.T) {
	home := t.TempDir()
	paths := []string{".cursor/mcp.json", ".kiro/settings/mcp.json", ".lmstudio/mcp.json"}
	for _, p := range paths {
		write(t, filepath.Join(home, p), []byte(two), 0o600)
	}
	j, o := diskJournal(home)
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	states := map[int]int{}
	for i := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PROTECT_TEST_HOME="+home)
		var out bytes.Buffer
		cmd.Stderr = &out
		pipe, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pipe.Read(make([]byte, 6)); err != nil {
			t.Fatal(err)
		}
		timer := time.NewTimer(time.Duration(i*1337%17_000) * time.Microsecond)
		<-timer.C
		cmd.Process.Kill()
		cmd.Wait() // it was killed
		protected := 0
		for _, p := range paths {
			raw, err := os.ReadFile(filepath.Join(home, p))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(raw), program) {
				protected++
			} else if string(raw) != two {
				t.Fatalf("round %d: %s is neither protected nor as it was:\n%s", i, p, raw)
			}
		}
		states[protected]++
		// The next run goes on from there, in either direction.
		if i%2 == 0 {
			if _, err := j.Apply(New(homeFiles(home), o), "age"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := j.Unprotect(Selection{}); err != nil && !errors.Is(err, ErrNothing) {
			t.Fatal(err)
		}
		for name, text := range snapshot(t, home) {
			rel, _ := filepath.Rel(home, name)
			switch {
			case slices.Contains(paths, filepath.ToSlash(rel)):
				if !strings.HasSuffix(text, "\n"+two) {
					t.Fatalf("round %d: %s is not as it was:\n%s", i, rel, text)
				}
			case strings.HasSuffix(rel, ".tmp") && strings.HasPrefix(rel, "state/"): // encrypted, and half written
			case strings.HasPrefix(rel, "state/secrets") && !strings.HasPrefix(rel, "state/secrets/protect"):
				t.Fatalf("round %d: the secret %s is left", i, rel)
			}
		}
	}
	t.Logf("files that were protected when it was killed: %v", states)
}

func Test_one_server_is_taken_back_by_itself(t *testing.T) {
	b := newBench(t, two)
	b.protect()
	back := b.unprotect(Selection{Servers: []string{"a"}})
	if len(back) != 1 || len(back[0].Servers) != 1 || back[0].Servers[0].How != Restored || back[0].Exact {
		t.Errorf("%+v", back)
	}
	if text := b.read(); !strings.Contains(text, `"a": {"command": "npx", "args": ["-y", "a@1.0.0"], "env": {"API_TOKEN": "secret-of-a-12345"}}`) || strings.Count(text, program) != 1 {
		t.Errorf("%s", text)
	}
	if back := b.unprotect(Selection{}); !back[0].Exact || b.read() != two {
		t.Errorf("%+v\n%s", back, b.read())
	}
	b.clean()
}

func Test_a_server_that_comes_later_is_protected_too(t *testing.T) {
	b := newBench(t, two)
	b.protect()
	more := strings.Replace(b.read(), "// last", `"c": {"command": "z"}`, 1)
	b.write(more)
	if out := b.protect(); len(out) != 1 || !slices.Equal(out[0].Servers, []string{"c"}) {
		t.Errorf("%+v", out)
	}
	b.unprotect(Selection{})
	if want := strings.Replace(two, "// last", `"c": {"command": "z"}`, 1); b.read() != want {
		t.Errorf("%s", b.read())
	}
	b.clean()
}

// Clients write their files anew, in their own way.
func Test_a_file_that_its_client_wrote_anew(t *testing.T) {
	b := newBench(t, two)
	b.protect()
	d := map[string]any{}
	clean := strings.NewReplacer("// mine", "", "// last", "", "},\n  },\n}", "}}}").Replace(b.read())
	clean = strings.NewReplacer("}, \n  },\n}", "}}}").Replace(clean)
	if err := json.Unmarshal([]byte(clean), &d); err != nil {
		t.Fatalf("%v in %s", err, clean)
	}
	d["theme"] = "dark"
	raw, err := json.MarshalIndent(d, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	b.write(string(raw))
	back := b.unprotect(Selection{})
	for _, s := range back[0].Servers {
		if s.How != Undone {
			t.Errorf("%+v", s)
		}
	}
	var now struct {
		Theme      string
		McpServers map[string]struct {
			Command string
			Args    []string
			Env     map[string]string
		}
	}
	if err := json.Unmarshal([]byte(b.read()), &now); err != nil {
		t.Fatal(err)
	}
	a := now.McpServers["a"]
	if now.Theme != "dark" || a.Command != "npx" || !slices.Equal(a.Args, []string{"-y", "a@1.0.0"}) || a.Env["API_TOKEN"] != "secret-of-a-12345" {
		t.Errorf("%+v", now)
	}
	if s := now.McpServers["b"]; s.Command != "uvx" || !slices.Equal(s.Args, []string{"b@1.0.0"}) {
		t.Errorf("%+v", s)
	}
	b.clean()
}

func Test_what_was_edited_meanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		old, fresh string
		how        How
		want       string // in the file afterwards
		kept       bool   // the secret
	}{
		"another version behind ours": {"a@1.0.0", "a@2.0.0", Undone, `"args": ["-y", "a@2.0.0"]`, false},
		"another token":               {"keyring:a/API_TOKEN", "plain-new-token", Undone, "plain-new-token", false},
		"another sandbox":             {`"--sandbox", "node"`, `"--sandbox", "nothing"`, Stays, `"--sandbox", "nothing"`, true},
		"ours taken out by hand":      {"", "", Gone, `"mine"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, two)
			b.protect()
			text := strings.Replace(b.read(), c.old, c.fresh, 1)
			if c.old == "" {
				text = `{"mcpServers": {"a": {"command": "mine"}}}`
			}
			b.write(text)
			back := b.unprotect(Selection{Servers: []string{"a"}})
			if s := back[0].Servers[0]; s.How != c.how || (s.Why == "" && c.how != Undone) {
				t.Errorf("%+v", s)
			}
			if !strings.Contains(b.read(), c.want) {
				t.Errorf("%s", b.read())
			}
			if kept := len(b.store) > 1; kept != c.kept {
				t.Errorf("the secret is kept: %v", kept)
			}
		})
	}
}

// A server that is gone keeps its secret even if what happens to the others fails.
func Test_a_file_that_cannot_be_put_back_keeps_every_secret(t *testing.T) {
	b := newBench(t, two)
	b.protect()
	protected := b.read()
	start, end := strings.Index(protected, `"a":`), strings.Index(protected, `"b":`)
	b.write(protected[:start] + protected[end:])
	s, err := b.journal.open()
	if err != nil {
		t.Fatal(err)
	}
	plan, err := s.planBack(Selection{})
	if err != nil || plan[0].Servers[0].How != Restored || plan[0].Servers[1].How != Gone {
		t.Fatalf("%+v, %v", plan, err)
	}
	b.write(b.read() + "\n// theirs\n")
	if err := s.restore(&plan[0]); err != nil || plan[0].Problem == "" {
		t.Errorf("%+v, %v", plan[0], err)
	}
	s.unlock()
	if len(b.store) != 2 {
		t.Errorf("%d secrets are left", len(b.store))
	}
	if again, err := b.journal.PlanBack(Selection{}); err != nil || len(again[0].Servers) != 2 {
		t.Errorf("%+v, %v", again, err)
	}
}

// After a crash the client has written its file, and its person has edited the command.
func Test_a_secret_is_kept_while_its_reference_stands_in_the_file(t *testing.T) {
	b := newBench(t, two)
	b.protect()
	s, err := b.journal.open()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.record.Files[0].Servers {
		r.State = adding
	}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	s.unlock()
	b.write(strings.Replace(b.read(), "a@1.0.0", "a@2.0.0", 1))
	if plan, err := b.journal.PlanBack(Selection{}); err != nil || len(plan[0].Servers) != 2 || len(b.store) != 2 {
		t.Errorf("%+v, %v, %d secrets", plan, err, len(b.store))
	}
}

func Test_a_file_that_became_a_link_stays_a_link(t *testing.T) {
	b := newBench(t, two)
	b.protect()
	real := filepath.Join(b.home, "dotfiles", "mcp.json")
	folder(t, filepath.Dir(real))
	if err := errors.Join(os.Rename(b.path, real), os.Symlink(real, b.path)); err != nil {
		t.Fatal(err)
	}
	b.unprotect(Selection{})
	if link, err := os.Readlink(b.path); err != nil || link != real || b.read() != two {
		t.Errorf("%q, %v\n%s", link, err, b.read())
	}
	b.clean()
}

func Test_files_and_servers_that_are_gone_are_forgotten_but_not_their_secrets(t *testing.T) {
	b := newBench(t, two)
	b.protect()
	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}
	back := b.unprotect(Selection{})
	for _, s := range back[0].Servers {
		if s.How != Gone || s.Name == "a" && len(s.Secrets) != 1 {
			t.Errorf("%+v", s)
		}
	}
	if len(b.store) != 2 {
		t.Errorf("%d secrets are left", len(b.store))
	}
	if _, err := b.journal.PlanBack(Selection{}); !errors.Is(err, ErrNothing) {
		t.Error(err)
	}
}

func Test_a_record_that_cannot_be_opened_stops_everything(t *testing.T) {
	b := newBench(t, two)
	b.protect()
	protected := b.read()
	name := filepath.Join(b.journal.Dir, "record.json")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	write(t, name, bytes.Replace(raw, []byte(recordSchema), []byte("gatehouse.protect-record/9"), 1), 0o600)
	if _, err := b.journal.Unprotect(Selection{}); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("a record of another form: %v", err)
	}
	write(t, name, raw, 0o600)
	delete(b.store, keyName)
	if _, err := b.journal.Unprotect(Selection{}); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("without its key: %v", err)
	}
	if _, err := b.journal.Apply(New(b.files(), b.options), "memory"); err == nil {
		t.Error("a record whose key is gone is replaced")
	}
	write(t, filepath.Join(b.journal.Dir, "record.json"), []byte("{"), 0o600)
	if _, err := b.journal.Unprotect(Selection{}); err == nil || errors.Is(err, ErrNothing) {
		t.Errorf("a damaged record: %v", err)
	}
	if b.read() != protected {
		t.Error("the file was changed")
	}
}

// Whatever is edited elsewhere in the file, taking back gives the file with these edits.
func FuzzUnprotect_is_the_inverse(f *testing.F) {
	f.Add("theme", "dark", uint8(0), true)
	f.Add("mcp", `x"\y`, uint8(3), false)
	f.Add("ü", "// no comment", uint8(200), true)
	f.Fuzz(func(t *testing.T, key, value string, at uint8, late bool) {
		quotedKey, err := json.Marshal("k" + key)
		if err != nil {
			t.Skip()
		}
		quotedValue, err := json.Marshal(value)
		if err != nil {
			t.Skip()
		}
		member := string(quotedKey) + ": " + string(quotedValue)
		places := []string{"{\n  // mine", `"mcpServers": {`, "// last\n", `"args": ["-y", "a@1.0.0"],`}
		place := places[int(at)%len(places)]
		edit := func(text string) string {
			switch place {
			case places[0]:
				return strings.Replace(text, place, "{ "+member+", // mine", 1)
			case places[1]:
				return strings.Replace(text, `  "mcpServers": {`, "  "+member+`, "mcpServers": {`, 1)
			case places[2]:
				return strings.Replace(text, place, "/* edited */ "+`"c": {"command": `+string(quotedValue)+"},\n", 1)
			}
			return strings.Replace(text, `"a": {`, `"a": {`+member+`, `, 1)
		}
		b := newBench(t, two)
		want := edit(two)
		if late {
			b.protect()
			b.write(edit(b.read()))
		} else {
			b.write(want)
			b.protect()
		}
		if _, err := b.journal.Unprotect(Selection{}); err != nil && !errors.Is(err, ErrNothing) {
			t.Fatal(err)
		}
		if got := b.read(); got != want {
			t.Errorf("have\n%s\nwant\n%s", got, want)
		}
	})
}
