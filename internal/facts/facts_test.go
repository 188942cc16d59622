package facts

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/advisory"
	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/facts/registry"
	"gatehouse/internal/inventory"
)

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// scene gathers for one server.
func scene(t *testing.T, o Options, words ...string) (*check.Scene, inventory.Source) {
	t.Helper()
	e := client.Entry{Name: "x", Clients: []string{"cursor"}, Words: words, Shown: words}
	s := &check.Scene{Now: now, Servers: inventory.Servers([]client.Entry{e})}
	if o.Home == "" {
		o.Home = t.TempDir()
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if err := Gather(context.Background(), o, s); err != nil {
		t.Fatal(err)
	}
	return s, inventory.Of(e)
}

func isPartial(err error) bool {
	var partial check.Partial
	return errors.As(err, &partial)
}

func ids(list []check.Advisory) (out []string) {
	for _, a := range list {
		out = append(out, strings.TrimSpace(a.Package+" "+a.ID))
	}
	return out
}

// snapshot fetches one with a single advisory of npm, changed on a day.
func snapshot(t *testing.T, state string, newest time.Time) {
	t.Helper()
	osv := fmt.Sprintf(`{"id":"GHSA-x","modified":%q,"affected":[{"package":{"ecosystem":"npm","name":"notes"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"2.0.0"}]}]}]}`, newest.Format(time.RFC3339))
	file := filepath.Join(t.TempDir(), "npm.zip")
	if err := os.WriteFile(file, zipped(t, osv), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (advisory.Update{From: file, Now: newest, Force: true}).Run(context.Background(), filepath.Join(state, AdvisoriesFile)); err != nil {
		t.Fatal(err)
	}
}

func Test_advisories_of_what_would_run(t *testing.T) {
	for _, c := range []struct {
		words   []string
		ids     string
		partial bool
		err     string
	}{
		{[]string{"npx", "-y", "mcp-remote@0.1.15", "https://x.example"}, "CVE-2025-6514", true, "came with this program"},
		{[]string{"npx", "-y", "mcp-remote@0.1.16"}, "", true, "came with this program"},
		{[]string{"npx", "-y", "mcp-remote"}, "", false, "which one would run is not known"},
		{[]string{"npx", "-y", "unheard-of"}, "", true, "came with this program"},
		{[]string{"uvx", "mcp-runcmd-server"}, "MAL-2025-191788", true, "came with this program"},
		{[]string{"go", "run", "github.com/github/github-mcp-server@v0.22.0"}, "CVE-2026-47427 CVE-2026-48529", true, "came with this program"},
		{[]string{"docker", "run", "image"}, "", false, "images are not looked into"},
		{[]string{"node", "/nowhere/server.js"}, "", false, "belongs to no package"},
		{[]string{"npx", "-y", "mcp-remote@banana"}, "", false, "which one would run is not known"},
	} {
		s, source := scene(t, Options{State: t.TempDir()}, c.words...)
		list, err := s.Facts.Advisories(source)
		if got := strings.Join(ids(list), " "); got != c.ids {
			t.Errorf("%q: %s, want %s", c.words, got, c.ids)
		}
		if err == nil || isPartial(err) != c.partial || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %v, want %q", c.words, err, c.err)
		}
	}
}

func Test_how_old_the_snapshot_is(t *testing.T) {
	words := []string{"npx", "-y", "notes@1.0.0"}
	for days, want := range map[int]string{1: "", 13: "", 15: "ends on 2026-11-16"} {
		state := t.TempDir()
		snapshot(t, state, now.AddDate(0, 0, -days))
		s, source := scene(t, Options{State: state}, words...)
		list, err := s.Facts.Advisories(source)
		if !slices.Equal(ids(list), []string{"GHSA-x"}) || (err == nil) != (want == "") || err != nil && !(isPartial(err) && strings.Contains(err.Error(), want)) {
			t.Errorf("%d days: %v, %v", days, ids(list), err)
		}
	}
	state := t.TempDir()
	snapshot(t, state, now)
	raw, err := os.ReadFile(filepath.Join(state, AdvisoriesFile))
	if err != nil {
		t.Fatal(err)
	}
	write(t, state, AdvisoriesFile, string(raw[:len(raw)-1]))
	s, source := scene(t, Options{State: state}, words...)
	if list, err := s.Facts.Advisories(source); len(list) > 0 || !isPartial(err) || !errors.Is(err, advisory.ErrDamaged) {
		t.Errorf("a damaged snapshot: %v, %v", ids(list), err)
	}
	snapshot(t, state, now)
	s, source = scene(t, Options{State: state}, "uvx", "notes==1.0.0")
	if _, err := s.Facts.Advisories(source); !isPartial(err) || !strings.Contains(err.Error(), "has nothing of PyPI") {
		t.Errorf("an ecosystem that it does not have: %v", err)
	}
}

func Test_what_a_server_depends_on_is_looked_at(t *testing.T) {
	home := t.TempDir()
	dir := ".npm/_npx/0123/"
	write(t, home, dir+"node_modules/notes/package.json", `{"name": "notes", "version": "2.1.0", "dependencies": {"@modelcontextprotocol/sdk": "1"}}`)
	write(t, home, dir+"node_modules/.package-lock.json", `{"packages": {"node_modules/notes": {"version": "2.1.0", "dependencies": {"@modelcontextprotocol/sdk": "1"}}, "node_modules/@modelcontextprotocol/sdk": {"version": "1.24.3"}}}`)
	s, source := scene(t, Options{Home: home}, "npx", "-y", "notes")
	list, err := s.Facts.Advisories(source)
	if want := []string{"@modelcontextprotocol/sdk 1.24.3 CVE-2026-0621", "@modelcontextprotocol/sdk 1.24.3 CVE-2026-25536"}; !slices.Equal(ids(list), want) || !isPartial(err) {
		t.Errorf("%q, %v, want %q", ids(list), err, want)
	}
}

// What nobody noted down is not known to be without faults.
func Test_dependencies_that_are_not_noted_are_not_fine(t *testing.T) {
	home, state := t.TempDir(), t.TempDir()
	snapshot(t, state, now)
	write(t, home, ".npm/_npx/0123/node_modules/notes/package.json", `{"name": "notes", "version": "2.1.0", "dependencies": {"@modelcontextprotocol/sdk": "1"}}`)
	s, source := scene(t, Options{Home: home, State: state}, "npx", "-y", "notes")
	if list, err := s.Facts.Advisories(source); len(list) > 0 || err == nil || !strings.Contains(err.Error(), "depends on") {
		t.Errorf("%v, %v", ids(list), err)
	}
	write(t, home, ".npm/_npx/0123/node_modules/.package-lock.json", `{"packages": {"node_modules/notes": {"version": "2.1.0"}}}`)
	s, source = scene(t, Options{Home: home, State: state}, "npx", "-y", "notes")
	if list, err := s.Facts.Advisories(source); len(list) > 0 || err != nil {
		t.Errorf("noted: %v, %v", ids(list), err)
	}
}

func Test_packages_here_and_in_the_registry(t *testing.T) {
	asked := 0
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/notes" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, `{"dist-tags": {"latest": "2.2.0"}, "time": {"created": "2026-11-20T00:00:00Z", "2.1.0": "2026-11-20T00:00:00Z", "2.2.0": "2026-11-30T00:00:00Z"}, "versions": {"2.1.0": {"deprecated": "old"}, "2.2.0": {}}}`)
	}))
	defer registry.Close()
	home := t.TempDir()
	write(t, home, ".npm/_npx/0123/node_modules/notes/package.json", `{"name": "notes", "version": "2.1.0", "scripts": {"install": "make"}}`)
	env := func(name string) string { return map[string]string{"NPM_CONFIG_REGISTRY": registry.URL}[name] }
	offline := Options{Home: home, Getenv: env, Client: registry.Client(), State: t.TempDir()}
	online := offline
	online.Online = true

	s, source := scene(t, offline, "npx", "-y", "notes")
	p, err := s.Facts.Package(source)
	if err != nil || p.Registry || !p.Exists || p.Version != "2.1.0" || !slices.Equal(p.InstallScripts, []string{"install: make"}) || asked > 0 {
		t.Errorf("offline: %+v, %v, asked %d times", p, err, asked)
	}
	s, source = scene(t, offline, "npx", "-y", "elsewhere")
	if p, err := s.Facts.Package(source); err == nil || asked > 0 {
		t.Errorf("offline, not installed: %+v, asked %d times", p, asked)
	}
	s, source = scene(t, online, "npx", "-y", "notes")
	p, err = s.Facts.Package(source)
	if err != nil || !p.Registry || !p.Exists || p.Version != "2.1.0" || p.Deprecated != "old" || p.Latest != "2.2.0" || !slices.Equal(p.InstallScripts, []string{"install: make"}) {
		t.Errorf("online: %+v, %v", p, err)
	}
	s, source = scene(t, online, "npx", "-y", "elsewhere")
	if p, err := s.Facts.Package(source); err != nil || p.Exists || !p.Registry {
		t.Errorf("online, nowhere: %+v, %v", p, err)
	}
}

func Test_a_registry_that_does_not_answer_is_a_problem(t *testing.T) {
	home := t.TempDir()
	write(t, home, ".npm/_npx/0123/node_modules/notes/package.json", `{"name": "notes", "version": "2.1.0"}`)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	env := func(name string) string { return map[string]string{"NPM_CONFIG_REGISTRY": gone.URL}[name] }
	o := Options{Home: home, Getenv: env, Client: http.DefaultClient, State: t.TempDir(), Online: true}
	words := []string{"npx", "-y", "notes"}
	s := &check.Scene{Now: now, Servers: inventory.Servers([]client.Entry{{Name: "x", Clients: []string{"c"}, Transport: client.Stdio, Words: words, Shown: words}})}
	if err := Gather(context.Background(), o, s); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	p, err := s.Facts.Package(inventory.Of(s.Servers[0].Entries[0]))
	if err != nil || p.Registry || p.Version != "2.1.0" || check.NotAsked(p) != p.Silent || !strings.Contains(p.Silent, "does not answer") {
		t.Errorf("%+v, %v", p, err)
	}
	if s.Facts.Advisories == nil || s.Facts.Used == nil {
		t.Error("what this machine tells is missing")
	}
}

// zipped is an archive with one file.
func zipped(t *testing.T, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.Create("x.json")
	if err == nil {
		_, err = io.WriteString(w, content)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func Test_what_one_person_does_says_nothing_about_another(t *testing.T) {
	ada, bob := t.TempDir(), t.TempDir()
	line := `{"timestamp":"2026-11-20T00:00:00Z","name":"mcp__notes__read"}` + "\n"
	write(t, ada, ".claude/projects/p/x.jsonl", line)
	write(t, bob, ".npm/_npx/0123/node_modules/notes/package.json", `{"name": "notes", "version": "2.1.0"}`)
	of := func(home string) client.Entry {
		words := []string{"npx", "-y", "notes"}
		return client.Entry{Name: "notes", Clients: []string{"claude-code"}, File: filepath.Join(home, ".claude.json"), Words: words, Shown: words}
	}
	for _, c := range []struct {
		homes     []string
		calls     int
		blind     bool
		installed bool
	}{{[]string{ada}, 1, false, false}, {[]string{bob}, 0, true, true}, {[]string{ada, bob}, 1, true, false}} {
		var entries []client.Entry
		s := &check.Scene{Now: now}
		for _, home := range c.homes {
			entries = append(entries, of(home))
			s.Files = append(s.Files, client.File{Path: of(home).File, Home: home})
		}
		s.Servers = inventory.Servers(entries)
		if err := Gather(context.Background(), Options{Home: ada, Getenv: func(string) string { return "" }}, s); err != nil {
			t.Fatal(err)
		}
		use := s.Facts.Used(s.Servers[0].ID)
		_, err := s.Facts.Package(s.Servers[0].Source)
		if use.Calls != c.calls || (len(use.Blind) > 0) != c.blind || (err == nil) != c.installed {
			t.Errorf("%d homes: %+v, %v", len(c.homes), use, err)
		}
	}
}
