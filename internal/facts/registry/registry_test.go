package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/check"
	"gatehouse/internal/inventory"
)

const npmAnswer = `{"name": "@scope/notes", "dist-tags": {"latest": "1.1.0"},
	"time": {"created": "2025-01-02T03:04:05.000Z", "modified": "2026-01-01T00:00:00.000Z", "1.0.0": "2025-01-02T03:04:05.000Z", "1.1.0": "2026-02-03T00:00:00.000Z", "unpublished": {"name": "x"}},
	"versions": {"1.0.0": {"deprecated": "use 1.1.0", "scripts": {"postinstall": "node x.js", "test": "y"}}, "1.1.0": {"deprecated": false, "hasInstallScript": true}},
	"repository": {"type": "git", "url": "https://git.example/notes"}}`

const pypiAnswer = `{"info": {"version": "2.0", "classifiers": ["Development Status :: 5"], "project_urls": {"Source": "https://git.example/notes"}},
	"releases": {"1.0": [{"upload_time_iso_8601": "2024-01-01T00:00:00Z", "packagetype": "sdist"}],
	"1.5": [{"upload_time_iso_8601": "2024-06-01T00:00:00Z", "packagetype": "bdist_wheel", "yanked": true, "yanked_reason": "broken"}],
	"2.0": [{"upload_time_iso_8601": "2025-01-01T00:00:01Z", "packagetype": "sdist"}, {"upload_time_iso_8601": "2025-01-01T00:00:00Z", "packagetype": "bdist_wheel"}], "3.0": []}}`

// fake is a registry.
type fake struct {
	*httptest.Server
	asked atomic.Int32
	mu    sync.Mutex
	paths []string
}

func newFake(t *testing.T) *fake {
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		f.mu.Lock()
		f.paths = append(f.paths, r.URL.EscapedPath())
		f.mu.Unlock()
		switch r.URL.Path {
		case "/npm/@scope/notes":
			fmt.Fprint(w, npmAnswer)
		case "/pypi/notes/json":
			fmt.Fprint(w, pypiAnswer)
		case "/npm/private":
			w.WriteHeader(http.StatusUnauthorized)
		case "/npm/broken":
			fmt.Fprint(w, `{"versions": [`)
		case "/npm/strange":
			fmt.Fprint(w, `{"error": "no"}`)
		case "/npm/large":
			fmt.Fprint(w, npmAnswer)
			for range maxAnswer >> 20 {
				fmt.Fprint(w, strings.Repeat(" ", 1<<20))
			}
		case "/npm/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func (f *fake) registry(cache string) *Registry {
	env := map[string]string{"NPM_CONFIG_REGISTRY": f.URL + "/npm/", "PIP_INDEX_URL": f.URL + "/simple"}
	return &Registry{Home: "/nowhere", Getenv: func(n string) string { return env[n] }, Cache: cache, Client: f.Client(), Now: func() time.Time { return now }}
}

func npm(name string) inventory.Source { return inventory.Source{Kind: inventory.NPM, Package: name} }

func Test_what_registries_say(t *testing.T) {
	f := newFake(t)
	r := f.registry("")
	at := func(s string) time.Time {
		parsed, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for _, c := range []struct {
		source  inventory.Source
		version string
		want    check.Package
	}{
		{npm("@scope/notes"), "1.0.0", check.Package{Exists: true, Version: "1.0.0", Published: at("2025-01-02T03:04:05Z"), First: at("2025-01-02T03:04:05Z"), Latest: "1.1.0", LatestAt: at("2026-02-03T00:00:00Z"), Deprecated: "use 1.1.0", InstallScripts: []string{"postinstall: node x.js"}, Scripts: true}},
		{npm("@scope/notes"), "", check.Package{Exists: true, Version: "1.1.0", Published: at("2026-02-03T00:00:00Z"), First: at("2025-01-02T03:04:05Z"), Latest: "1.1.0", LatestAt: at("2026-02-03T00:00:00Z"), InstallScripts: []string{"install: builds itself (binding.gyp)"}, Scripts: true}},
		{npm("@scope/notes"), "9.0.0", check.Package{Exists: false, Version: "9.0.0", First: at("2025-01-02T03:04:05Z"), Latest: "1.1.0", LatestAt: at("2026-02-03T00:00:00Z")}},
		{npm("gone"), "", check.Package{}},
		{inventory.Source{Kind: inventory.PyPI, Package: "notes"}, "1.0", check.Package{Exists: true, Version: "1.0", Published: at("2024-01-01T00:00:00Z"), First: at("2024-01-01T00:00:00Z"), Latest: "2.0", LatestAt: at("2025-01-01T00:00:00Z"), InstallScripts: []string{"it is there as a source only, which runs its own code when it is built"}, Scripts: true}},
		{inventory.Source{Kind: inventory.PyPI, Package: "notes"}, "1.5", check.Package{Exists: true, Version: "1.5", Published: at("2024-06-01T00:00:00Z"), First: at("2024-01-01T00:00:00Z"), Latest: "2.0", LatestAt: at("2025-01-01T00:00:00Z"), Deprecated: "it was withdrawn: broken", Scripts: true}},
	} {
		got, err := r.Ask(context.Background(), c.source, c.version)
		if err != nil {
			t.Errorf("%s %s: %v", c.source.Package, c.version, err)
			continue
		}
		c.want.Registry, c.want.Source, c.want.Repository = true, strings.TrimPrefix(f.URL, "http://"), got.Repository
		if !equal(got, c.want) {
			t.Errorf("%s %s:\n%+v, want\n%+v", c.source.Package, c.version, got, c.want)
		}
	}
	if n := f.asked.Load(); n != 3 {
		t.Errorf("asked %d times about 3 packages", n)
	}
}

func equal(a, b check.Package) bool {
	times := a.Published.Equal(b.Published) && a.First.Equal(b.First) && a.LatestAt.Equal(b.LatestAt)
	lists := slices.Equal(a.InstallScripts, b.InstallScripts)
	return times && lists && a.Registry == b.Registry && a.Exists == b.Exists && a.Version == b.Version && a.Latest == b.Latest &&
		a.Deprecated == b.Deprecated && a.Scripts == b.Scripts && a.Source == b.Source
}

// No answer is never a good one.
func Test_what_is_not_known_is_an_error(t *testing.T) {
	f := newFake(t)
	for _, name := range []string{"private", "broken", "strange", "busy", "large"} {
		if p, err := f.registry("").Ask(context.Background(), npm(name), ""); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
	r := f.registry("")
	if p, err := r.Ask(context.Background(), inventory.Source{Kind: inventory.PyPI, Package: "gone"}, ""); err == nil {
		t.Errorf("an index that is not PyPI does not say what it has: %+v", p)
	}
	f.Close()
	for range 3 {
		if p, err := r.Ask(context.Background(), npm(fmt.Sprint("x", len(r.asked))), ""); err == nil {
			t.Errorf("a registry that is not there: %+v", p)
		}
	}
}

func Test_answers_are_kept_for_a_day(t *testing.T) {
	f, cache := newFake(t), filepath.Join(t.TempDir(), "registry")
	ask := func(at time.Time) {
		t.Helper()
		r := f.registry(cache)
		r.Now = func() time.Time { return at }
		if p, err := r.Ask(context.Background(), npm("@scope/notes"), "1.0.0"); err != nil || p.Deprecated == "" {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	ask(now)
	ask(now.Add(fresh - time.Second))
	if n := f.asked.Load(); n != 1 {
		t.Errorf("asked %d times within a day", n)
	}
	ask(now.Add(fresh))
	ask(now.Add(-time.Hour)) // an answer from the future is none
	if n := f.asked.Load(); n != 3 {
		t.Errorf("asked %d times, want 3", n)
	}
	files, err := filepath.Glob(filepath.Join(cache, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(files[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask(now)
	if n := f.asked.Load(); n != 4 {
		t.Errorf("a damaged answer was used")
	}
}

func Test_the_registry_that_npm_uses_is_asked(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".npmrc"), []byte("//x/:_authToken=secret\nregistry = \"https://user:secret@npm.example/all/?token=secret\"\n@own:registry=https://own.example\n@odd:registry=file:///etc\n@later:registry=${REGISTRY}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	r := &Registry{Home: home, Getenv: func(n string) string { return env[n] }}
	for name, want := range map[string]string{
		"notes": "https://npm.example/all/notes", "@own/notes": "https://own.example/@own%2Fnotes", "@other/notes": "https://npm.example/all/@other%2Fnotes",
	} {
		if got, _, err := r.place(npm(name)); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
	}
	// Nobody else is told the name of a package.
	for _, name := range []string{"@odd/notes", "@later/notes"} {
		if got, _, err := r.place(npm(name)); !errors.Is(err, errNoAddress) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	env["npm_config_registry"] = "http://127.0.0.1:4873"
	if got, _, _ := r.place(npm("notes")); got != "http://127.0.0.1:4873/notes" {
		t.Error(got)
	}
	for index, want := range map[string]string{"": "https://pypi.org/pypi/notes/json", "https://index.example/root/simple/": "https://index.example/root/pypi/notes/json"} {
		env["PIP_INDEX_URL"] = index
		if got, _, _ := r.place(inventory.Source{Kind: inventory.PyPI, Package: "notes"}); got != want {
			t.Errorf("%s: %s, want %s", index, got, want)
		}
	}
	if _, _, err := r.place(inventory.Source{Kind: inventory.OCI, Package: "x"}); err == nil {
		t.Error("a registry was found for an image")
	}
}

func Fuzz_read(f *testing.F) {
	f.Add([]byte(npmAnswer))
	f.Add([]byte(pypiAnswer))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, read := range []reader{readNPM, readPyPI} {
			d, err := read(raw)
			if err == nil && d.about("").Exists && len(d.Versions) == 0 {
				t.Fatal("a package without versions exists")
			}
		}
	})
}
