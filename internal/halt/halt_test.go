package halt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var since = time.Date(2026, 12, 14, 9, 0, 0, 0, time.UTC)

func halt(t Target) Halt { return Halt{Target: t, Reason: "incident 42", By: "ann", Since: since} }

func add(t testing.TB, path string, h Halt) {
	t.Helper()
	if err := Add(path, h); err != nil {
		t.Fatal(err)
	}
}

func Test_what_each_halt_stops(t *testing.T) {
	call := func(edit func(*Call)) *Call {
		c := &Call{Principal: "user:idp/ann", Teams: []string{"finance", "ops"}, Server: "files", Kind: "tool", Name: "write_file"}
		if edit != nil {
			edit(c)
		}
		return c
	}
	resource := func(uri string) *Call { return call(func(c *Call) { c.Kind, c.Name = "resource", uri }) }
	whole := call(func(c *Call) { c.Kind, c.Name = "", "" })
	tests := []struct {
		target Target
		call   *Call
		want   bool
	}{
		{Target{What: All}, call(nil), true},
		{Target{What: All}, &Call{}, true},
		{Target{Server, "files", ""}, call(nil), true},
		{Target{Server, "files", ""}, whole, true},
		{Target{Server, "pay", ""}, call(nil), false},
		{Target{Tool, "files", "write_file"}, call(nil), true},
		{Target{Tool, "files", "write_file"}, whole, false},
		{Target{Tool, "files", "write"}, call(nil), false},
		{Target{Tool, "pay", "write_file"}, call(nil), false},
		{Target{Prompt, "files", "write_file"}, call(nil), false},
		{Target{Prompt, "files", "hello"}, call(func(c *Call) { c.Kind, c.Name = "prompt", "hello" }), true},
		{Target{Resource, "files", "file:///etc/"}, resource("file:///etc/passwd"), true},
		{Target{Resource, "files", "file:///etc/"}, resource("file:///%65tc/passwd"), true},
		{Target{Resource, "files", "file:///etc/"}, resource("file:///%2565tc/passwd"), true},
		{Target{Resource, "files", "file:///etc/"}, resource("FILE:///ETC/passwd"), true},
		{Target{Resource, "files", "file:///a b/"}, resource("file:///a%20b/c"), true},
		{Target{Resource, "files", "file:///etc/"}, resource("file:///home/ann"), false},
		{Target{Resource, "files", "file:///etc/"}, call(func(c *Call) { c.Kind, c.Name = "template", "file:///etc/{name}" }), true},
		{Target{Resource, "files", "write"}, call(nil), false},
		{Target{Principal, "", "user:idp/ann"}, call(nil), true},
		{Target{Principal, "", "user:idp/an"}, call(nil), false},
		{Target{Team, "", "ops"}, call(nil), true},
		{Target{Team, "", "op"}, call(nil), false},
	}
	for _, test := range tests {
		path := filepath.Join(t.TempDir(), "halts.json")
		add(t, path, halt(test.target))
		h, got := Open(path, nil).Refuses(test.call)
		if got != test.want || got && h.Target != test.target {
			t.Errorf("%s: %+v is stopped %v by %v, want %v", test.target, *test.call, got, h.Target, test.want)
		}
		if _, stops := (Change{Began: []Halt{halt(test.target)}}).Stops(test.call); stops != test.want {
			t.Errorf("%s: the change says %v", test.target, stops)
		}
	}
}

func Test_nothing_is_halted_without_a_file(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "halts.json"), nil)
	if _, stopped := s.Refuses(&Call{Server: "files"}); stopped || len(s.Halts()) > 0 {
		t.Error("something is halted")
	}
}

// A file that cannot be understood as a whole halts everything: it may hold a halt.
func Test_a_file_that_cannot_be_read_halts_everything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "halts.json")
	add(t, path, halt(Target{Server, "files", ""}))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	one := `{"what":"server","server":"files","reason":"r","by":"b","since":"2026-12-14T09:00:00Z"}`
	files := map[string]string{
		"empty": "", "no JSON": "halt", "null": "null", "a list": "[]", "no list": `{"version":1}`, "null list": `{"version":1,"halts":null}`, "no version": `{"halts":[]}`, "another version": `{"version":2,"halts":[]}`,
		"unknown field": `{"version":1,"halts":[],"note":1}`, "twice": `{"version":1,"halts":[` + one + `],"halts":[]}`, "another case": `{"version":1,"Halts":[]}`, "another case within": `{"version":1,"halts":[` + strings.Replace(one, `"server":`, `"Server":`, 1) + `]}`,
		"unknown kind":     `{"version":1,"halts":[` + strings.Replace(one, `"what":"server"`, `"what":"host"`, 1) + `]}`,
		"no server":        `{"version":1,"halts":[` + strings.Replace(one, `"server":"files",`, ``, 1) + `]}`,
		"no reason":        `{"version":1,"halts":[` + strings.Replace(one, `"r"`, `" "`, 1) + `]}`,
		"no time":          `{"version":1,"halts":[` + strings.Replace(one, `"2026-12-14T09:00:00Z"`, `"today"`, 1) + `]}`,
		"something behind": string(good) + "{}",
	}
	for cut := 1; cut < len(good)-1; cut++ {
		files[fmt.Sprintf("cut to %d bytes", cut)] = string(good[:cut])
	}
	for name, content := range files {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		h, stopped := Open(path, nil).Refuses(&Call{Server: "other"})
		if !stopped || h.What != All || !strings.Contains(h.Sentence(), "everything is halted: the halts cannot be read; a person must mend or remove the file") {
			t.Errorf("%s: stopped %v, %s", name, stopped, h.Sentence())
		}
		if err := Add(path, halt(Target{What: All})); err == nil {
			t.Errorf("%s: it was overwritten", name)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		add(t, path, halt(Target{Server, "files", ""}))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, stopped := Open(path, nil).Refuses(&Call{}); !stopped {
		t.Error("a folder in its place: not halted")
	}
}

func Test_a_running_switch_sees_changes_within_a_second(t *testing.T) {
	path := filepath.Join(t.TempDir(), "halts.json")
	synctest.Test(t, func(t *testing.T) {
		s := Open(path, nil)
		var mu sync.Mutex
		var told []string
		s.Watch(func(c Change) {
			mu.Lock()
			defer mu.Unlock()
			for _, h := range c.Began {
				told = append(told, "+"+h.Target.String())
			}
			for _, h := range c.Ended {
				told = append(told, "-"+h.Target.String())
			}
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx) }()
		defer func() { stop(); <-done }()
		files := &Call{Server: "files"}
		soon := func(want bool, why string) {
			t.Helper()
			time.Sleep(time.Second)
			if _, stopped := s.Refuses(files); stopped != want {
				t.Errorf("%s: stopped %v, want %v", why, stopped, want)
			}
		}
		short := halt(Target{Server, "files", ""})
		short.Since = time.Now()
		add(t, path, short)
		soon(true, "halted by another process")
		if _, err := Remove(path, short.Target, time.Now()); err != nil {
			t.Fatal(err)
		}
		soon(false, "resumed by another process")
		if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		soon(true, "damaged")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		soon(false, "removed")
		short.Since, short.Until = time.Now(), time.Now().Add(time.Minute)
		add(t, path, short)
		time.Sleep(59 * time.Second)
		if _, stopped := s.Refuses(files); !stopped {
			t.Error("it ended early")
		}
		time.Sleep(time.Second)
		if _, stopped := s.Refuses(files); stopped {
			t.Error("it did not end to the moment")
		}
		soon(false, "ended by itself")
		if len(s.Halts()) > 0 {
			t.Errorf("still halted: %v", s.Halts())
		}
		mu.Lock()
		defer mu.Unlock()
		want := []string{"+server files", "-server files", "+everything", "-everything", "+server files", "-server files"}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("watchers were told (-want +got):\n%s", diff)
		}
	})
}

func Test_halting_in_the_process_needs_no_file(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	s := Open(filepath.Join(dir, "halts.json"), nil)
	all := Target{What: All}
	if err := s.Halt(Halt{Target: all, Reason: "signal", By: "SIGUSR1"}); err == nil {
		t.Error("it says that the halt is kept")
	}
	if _, stopped := s.Refuses(&Call{}); !stopped {
		t.Error("it is not halted")
	}
	s.Reload()
	if _, stopped := s.Refuses(&Call{}); !stopped {
		t.Error("a reload resumed it")
	}
	if err := s.Resume(all); err != nil {
		t.Fatal(err)
	}
	if _, stopped := s.Refuses(&Call{}); stopped {
		t.Error("it is not resumed")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Halt(Halt{Target: all, Reason: "signal", By: "SIGUSR1"}); err != nil {
		t.Fatal(err)
	}
	if _, stopped := Open(s.path, nil).Refuses(&Call{}); !stopped {
		t.Error("it does not outlive the process")
	}
	var began []Halt
	s.Watch(func(c Change) { began = c.Began })
	if len(began) != 1 || began[0].What != All {
		t.Errorf("who begins to watch is told %v", began)
	}
	if err := s.Resume(Target{Server, "x", ""}); !errors.Is(err, ErrNotHalted) {
		t.Errorf("got %v", err)
	}
}

func Test_only_what_makes_sense_can_be_halted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "halts.json")
	for want, edit := range map[string]func(*Halt){
		"cannot be halted":              func(h *Halt) { h.What = "host" },
		"needs a server, and nothing":   func(h *Halt) { h.Name = "x" },
		"needs a server and a name":     func(h *Halt) { h.What = Tool },
		"needs a name, and no server":   func(h *Halt) { h.What, h.Name = Team, "x" },
		"needs neither server nor name": func(h *Halt) { h.What = All },
		"a reason must be given":        func(h *Halt) { h.Reason = "\t" },
		"in at most 300 bytes":          func(h *Halt) { h.Reason = strings.Repeat("x", 301) },
		"who halts must be named":       func(h *Halt) { h.By = "" },
		"since when":                    func(h *Halt) { h.Since = time.Time{} },
		"would end before it begins":    func(h *Halt) { h.Until = h.Since },
		"text on one line":              func(h *Halt) { h.Reason = "a\nb" },
		"a name has more than":          func(h *Halt) { h.Server = strings.Repeat("x", 2049) },
		"names and reasons are text on": func(h *Halt) { h.Server = "\xff" },
	} {
		h := halt(Target{Server, "files", ""})
		edit(&h)
		if err := Add(path, h); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("something was written")
	}
}

func Test_many_processes_halt_at_once(t *testing.T) {
	path := filepath.Join(t.TempDir(), "halts.json")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() { add(t, path, halt(Target{Server, fmt.Sprintf("s%d", i), ""})) })
	}
	all.Wait()
	list, err := List(path, since)
	if err != nil || len(list) != 20 {
		t.Errorf("%d halts, %v", len(list), err)
	}
	add(t, path, Halt{Target: Target{Server, "s1", ""}, Reason: "again", By: "bob", Since: since})
	if list, _ = List(path, since); len(list) != 20 || list[1].Reason != "again" {
		t.Errorf("halted again: %+v", list)
	}
}

// Whatever a file holds: it is understood and says the same when written again, or
// everything is halted.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version":1,"halts":[{"what":"tool","server":"files","name":"x","reason":"r","by":"b","since":"2026-12-14T09:00:00Z","until":"2027-12-14T09:00:00Z"}]}`))
	f.Add([]byte(`{"version":1,"halts":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := parse(raw)
		if err != nil {
			return
		}
		again, err := encode(list)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := parse(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(list, back); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkRefuses(b *testing.B) {
	call := &Call{Principal: "user:idp/ann", Teams: []string{"finance"}, Server: "files", Kind: "tool", Name: "read"}
	path := filepath.Join(b.TempDir(), "halts.json")
	b.Run("nothing", func(b *testing.B) {
		s := Open(path, nil)
		for b.Loop() {
			if _, stopped := s.Refuses(call); stopped {
				b.Fatal("stopped")
			}
		}
	})
	for i := range 100 {
		add(b, path, halt(Target{Server, fmt.Sprintf("s%d", i), ""}))
	}
	b.Run("others", func(b *testing.B) {
		s := Open(path, nil)
		for b.Loop() {
			if _, stopped := s.Refuses(call); stopped {
				b.Fatal("stopped")
			}
		}
	})
}
