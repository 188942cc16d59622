//go:build amd64 || arm64

package install

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/command"
	"gatehouse/internal/egress"
	"gatehouse/internal/profile"
	"gatehouse/test/registry"
)

// house is an installer with an empty store, and what was told to it.
type house struct {
	Installer
	mu       sync.Mutex
	recorded []Record
	reached  []egress.Event
}

func newHouse(t *testing.T) *house {
	t.Helper()
	t.Setenv("HOME", t.TempDir()) // nobody's settings
	h := &house{}
	h.Store = InState(t.TempDir())
	h.Record = func(r Record) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.recorded = append(h.recorded, r)
		return nil
	}
	h.Reached = func(e egress.Event) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.reached = append(h.reached, e)
		return nil
	}
	return h
}

// npm sets npm up for a registry.
func (h *house) npm(t *testing.T, packages ...registry.Package) *registry.NPM {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			missing(t, err)
		}
	}
	r := registry.NewNPM(t, packages)
	t.Setenv("NPM_CONFIG_REGISTRY", r.URL)
	return r
}

// pypi sets pip up for an index.
func (h *house) pypi(t *testing.T, wheels ...registry.Wheel) *registry.PyPI {
	t.Helper()
	if _, err := findPython(t.Context(), ""); err != nil {
		missing(t, err)
	}
	r := registry.NewPyPI(t, wheels...)
	t.Setenv("PIP_INDEX_URL", r.URL)
	return r
}

func request(t *testing.T, line string) command.Request {
	t.Helper()
	r, launches, err := command.Launches(strings.Fields(line))
	if err != nil || !launches {
		t.Fatalf("%s: %v", line, err)
	}
	return r
}

func (h *house) ensure(t *testing.T, line string) Record {
	t.Helper()
	rec, _, err := h.Ensure(t.Context(), request(t, line))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// output runs what a request starts, outside of any sandbox.
func (h *house) output(t *testing.T, line string) string {
	t.Helper()
	start, err := h.Store.Start(request(t, line))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(start.Command[0], start.Command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", start.Command, err, out)
	}
	return strings.TrimSpace(string(out))
}

// The scripts of this package would leave a file behind.
var greeter = registry.Package{
	Name: "@made/up", Version: "1.0.0",
	Manifest: map[string]any{
		"bin": map[string]string{"up": "up.js", "other": "./other.cjs"}, "dependencies": map[string]string{"helper": "^1.0.0"},
		"scripts": map[string]string{"preinstall": "node script.js", "install": "node script.js", "postinstall": "node script.js"},
	},
	Files: map[string]string{
		"up.js":     "#!/usr/bin/env node\nconsole.log('up', require('helper'), process.argv.slice(2).join(' '))\n",
		"other.cjs": "console.log('other')\n",
		"script.js": "require('fs').writeFileSync(__dirname + '/ran', 'x')\n",
	},
}

var helper = registry.Package{Name: "helper", Version: "1.1.0", Manifest: map[string]any{"main": "main.js"}, Files: map[string]string{"main.js": "module.exports = 'helped'\n"}}

func Test_a_package_of_npm_is_installed_once_and_its_scripts_do_not_run(t *testing.T) {
	h := newHouse(t)
	r := h.npm(t, greeter, helper)
	const line = "npx -y @made/up@1.0.0 a b"
	rec := h.ensure(t, line)
	if got := h.output(t, line); got != "up helped a b" {
		t.Errorf("it says %q", got)
	}
	if got := h.output(t, "npx --package=@made/up@1.0.0 other"); got != "other" {
		t.Errorf("the other program says %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(h.Store.Path(rec), "node_modules/@made/up/ran")); len(left) > 0 {
		t.Error("a script was run")
	}
	if diff := cmp.Diff([]string{"@made/up@1.0.0"}, rec.Scripts); diff != "" || rec.Packages != 2 || rec.Version != "1.0.0" || !strings.HasPrefix(rec.Integrity, "sha512-") {
		t.Errorf("the record is %+v", rec)
	}
	if len(h.recorded) != 1 || len(h.reached) == 0 || h.reached[0].Kind != egress.Opened {
		t.Errorf("recorded: %v, reached: %v", h.recorded, h.reached)
	}
	asked := r.Asked()
	if again := h.ensure(t, line); again.Tree != rec.Tree || r.Asked() != asked || len(h.recorded) != 1 {
		t.Errorf("the second start asked the registry %d times and recorded %d", r.Asked()-asked, len(h.recorded)-1)
	}
	info, err := os.Stat(filepath.Join(h.Store.Path(rec), "package.json"))
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("its files are %v (%v)", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(h.Store.Dir, ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func Test_a_package_of_python_is_installed_once_from_wheels_only(t *testing.T) {
	h := newHouse(t)
	r := h.pypi(t,
		registry.Wheel{Name: "made_up", Version: "1.0", Needs: []string{"helper>=1"}, Scripts: map[string]string{"made-up": "made_up:main"}, Files: map[string]string{"made_up.py": "import helper, sys\ndef main(): print('up', helper.word, *sys.argv[1:])\n"}},
		registry.Wheel{Name: "helper", Version: "1.5", Files: map[string]string{"helper.py": "word = 'helped'\n"}},
		registry.Wheel{Name: "to_build", Version: "1.0", Source: true, Files: map[string]string{"setup.py": "raise SystemExit('it ran')\n"}},
	)
	const line = "uvx Made_Up==1.0 a b"
	rec := h.ensure(t, line)
	if got := h.output(t, line); got != "up helped a b" {
		t.Errorf("it says %q", got)
	}
	if rec.Package != "made-up" || rec.Version != "1.0" || rec.Packages != 2 || !strings.HasPrefix(rec.Integrity, "sha256:") {
		t.Errorf("the record is %+v", rec)
	}
	lock, err := os.ReadFile(filepath.Join(h.Store.Path(rec), pipLockName))
	if err != nil || digestOf(lock) != rec.Lock || strings.Count(string(lock), " --hash=sha256:") != 2 {
		t.Errorf("the lock is %s (%v)", lock, err)
	}
	asked := r.Asked()
	if h.ensure(t, line); r.Asked() != asked || len(h.recorded) != 1 {
		t.Errorf("the second start asked the index %d times", r.Asked()-asked)
	}
	_, _, err = h.Ensure(t.Context(), request(t, "uvx to-build"))
	if err == nil || strings.Contains(err.Error(), "it ran") || !strings.Contains(err.Error(), "to-build") {
		t.Errorf("a package that has to be built: %v", err)
	}
}

// Where Python has no pip, uv does the same.
func Test_uv_installs_where_there_is_no_pip(t *testing.T) {
	h := newHouse(t)
	uv, err := program("uv")
	if err != nil {
		t.Skip(err) // make tools does not install it; pip is what most machines have
	}
	python, err := findPython(t.Context(), "")
	if err != nil {
		missing(t, err)
	}
	index := registry.NewPyPI(t,
		registry.Wheel{Name: "made_up", Version: "1.0", Needs: []string{"helper>=1"}, Scripts: map[string]string{"made-up": "made_up:main"}, Files: map[string]string{"made_up.py": "import helper, sys\ndef main(): print('up', helper.word, *sys.argv[1:])\n"}},
		registry.Wheel{Name: "helper", Version: "1.5", Files: map[string]string{"helper.py": "word = 'helped'\n"}},
		registry.Wheel{Name: "to_build", Version: "1.0", Source: true, Files: map[string]string{"setup.py": "raise SystemExit('it ran')\n"}},
	)
	t.Setenv("UV_DEFAULT_INDEX", index.URL)
	// An environment of its own has no pip, and says which interpreter it is made of.
	bare := t.TempDir()
	if err := errors.Join(exec.Command(python.python, "-m", "venv", "--without-pip", bare).Run(), os.Symlink(uv, filepath.Join(bare, "bin", "uv"))); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Join(bare, "bin"))
	const line = "uvx made-up==1.0 a b"
	rec := h.ensure(t, line)
	if got := h.output(t, line); got != "up helped a b" {
		t.Errorf("it says %q", got)
	}
	if rec.Packages != 2 || rec.Version != "1.0" || !strings.HasPrefix(rec.Integrity, "sha256:") || !strings.HasPrefix(rec.Installer, "uv ") {
		t.Errorf("the record is %+v", rec)
	}
	if _, _, err := h.Ensure(t.Context(), request(t, "uvx to-build")); err == nil || strings.Contains(err.Error(), "it ran") {
		t.Errorf("a package that has to be built: %v", err)
	}
}

func Test_the_lock_of_uv_has_digests(t *testing.T) {
	for text, want := range map[string]string{
		"a==1.0 \\\n    --hash=sha256:11\nb==2 \\\n    --hash=sha256:22 \\\n    --hash=sha256:33\n": "",
		"a==1.0\nb==2 \\\n    --hash=sha256:22\n":                                                   "no digest of a",
		"a==1.0 \\\n    --hash=sha256:11\nb==2\n":                                                   "no digest of b",
		"a==1.0 \\\n    --hash=sha256:11\nb @ https://h.example/b\n":                                "does not come from an index",
		"a==1.0 \\\n    --hash=md5:11\n":                                                            "does not come from an index",
		"b==1.0 \\\n    --hash=sha256:11\n":                                                         "no package a",
		"":                                                                                          "no package a",
	} {
		file := filepath.Join(t.TempDir(), pipLockName)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var rec Record
		err := rec.readUVLock(file, "a")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if want == "" && (rec.Packages != 2 || rec.Integrity != "sha256:11") {
			t.Errorf("the record is %+v", rec)
		}
	}
}

func Test_what_was_changed_does_not_start(t *testing.T) {
	h := newHouse(t)
	h.npm(t, greeter, helper)
	const line = "npx -y @made/up"
	rec := h.ensure(t, line)
	folder := h.Store.Path(rec)
	file := filepath.Join(folder, "node_modules/helper/main.js")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(folder, "node_modules/.bin/up")
	for name, change := range map[string]struct{ do, undo func() error }{
		"content": {func() error { return os.WriteFile(file, []byte("module.exports = 'harmed'\n"), 0o644) }, func() error { return os.WriteFile(file, content, 0o644) }},
		"rights":  {func() error { return os.Chmod(file, 0o644) }, func() error { return os.Chmod(file, 0o755) }},
		"added":   {func() error { return os.WriteFile(file+"on", nil, 0o644) }, func() error { return os.Remove(file + "on") }},
		"folder":  {func() error { return os.Mkdir(file+".d", 0o755) }, func() error { return os.Remove(file + ".d") }},
		"link":    {func() error { return errors.Join(os.Remove(link), os.Symlink("../helper/main.js", link)) }, func() error { return errors.Join(os.Remove(link), os.Symlink("../@made/up/up.js", link)) }},
		"out":     {func() error { return os.Symlink("/etc/passwd", link+"2") }, func() error { return os.Remove(link + "2") }},
		"removed": {func() error { return os.Rename(folder, folder+"x") }, func() error { return os.Rename(folder+"x", folder) }},
	} {
		if err := change.do(); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Store.Start(request(t, line)); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: %v", name, err)
		}
		if err := change.undo(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Store.Start(request(t, line)); err != nil {
		t.Errorf("everything is as it was, and it does not start: %v", err)
	}
	// Installing again mends it, and keeps what was changed for who wants to look.
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Install(t.Context(), request(t, line)); err != nil {
		t.Fatal(err)
	}
	if got := h.output(t, line); got != "up helped" {
		t.Errorf("it says %q", got)
	}
}

// What was compared once is compared by the times of its inodes, which nobody can put back.
func Test_a_change_is_seen_though_its_time_was_put_back(t *testing.T) {
	h := newHouse(t)
	h.npm(t, greeter, helper)
	const line = "npx -y @made/up"
	rec := h.ensure(t, line)
	folder := h.Store.Path(rec)
	settle := func() { // the clock of the file system must have gone on
		tick := time.NewTicker(settled / 20)
		defer tick.Stop()
		for stampOf(folder) == "" {
			<-tick.C
		}
	}
	settle()
	if _, err := h.Store.Start(request(t, line)); err != nil {
		t.Fatal(err)
	}
	if known, seen := verified.Load(folder); !seen || known != [2]string{rec.Tree, stampOf(folder)} {
		t.Fatalf("what was compared is not known: %v", known)
	}
	file := filepath.Join(folder, "node_modules/helper/main.js")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(file, []byte("module.exports = 'harmed'\n"), 0o644), os.Chtimes(file, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	settle()
	if _, err := h.Store.Start(request(t, line)); !errors.Is(err, ErrChanged) {
		t.Errorf("%v", err)
	}
}

func Test_another_version_is_another_installation(t *testing.T) {
	h := newHouse(t)
	r := h.npm(t, greeter, helper)
	const newest = "npx -y @made/up@latest"
	first := h.ensure(t, newest)
	next := greeter
	next.Version = "2.0.0"
	r.Publish(next)
	if rec := h.ensure(t, newest); rec.Version != "1.0.0" {
		t.Errorf("a start brought version %s", rec.Version)
	}
	rec, err := h.Install(t.Context(), request(t, newest))
	if err != nil || rec.Version != "2.0.0" || len(h.recorded) != 2 {
		t.Errorf("installed %s, recorded %d times (%v)", rec.Version, len(h.recorded), err)
	}
	if err := h.Store.Verify(first); err != nil {
		t.Errorf("what may still run is not there: %v", err)
	}
	if fixed := h.ensure(t, "npx -y @made/up@1.0.0"); fixed.Version != "1.0.0" || len(h.recorded) != 3 {
		t.Errorf("the fixed version is %s, recorded %d times", fixed.Version, len(h.recorded))
	}
	all, err := h.Store.List()
	if err != nil || len(all) != 2 {
		t.Errorf("%d installations are listed (%v)", len(all), err)
	}
}

func Test_what_is_not_recorded_does_not_start(t *testing.T) {
	h := newHouse(t)
	h.npm(t, greeter, helper)
	full := errors.New("the disk is full")
	h.Record = func(Record) error { return full }
	if _, _, err := h.Ensure(t.Context(), request(t, "npx @made/up")); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	if _, err := h.Store.Start(request(t, "npx @made/up")); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("%v", err)
	}
}

func Test_two_that_install_at_once_install_once(t *testing.T) {
	h := newHouse(t)
	h.npm(t, greeter, helper)
	r := request(t, "npx @made/up")
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if _, _, err := h.Ensure(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	if both.Wait(); len(h.recorded) != 1 {
		t.Errorf("installed %d times", len(h.recorded))
	}
	unlock, err := h.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	late, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	if _, err := h.Install(late, r); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while another one installs: %v", err)
	}
}

func Test_an_installer_reaches_the_registry_only(t *testing.T) {
	h := newHouse(t)
	var asked int
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(elsewhere.Close)
	needs := func(name, url string) registry.Package {
		return registry.Package{Name: name, Version: "1.0.0", Manifest: map[string]any{"bin": "x.js", "dependencies": map[string]string{"far": url}}, Files: map[string]string{"x.js": ""}}
	}
	h.npm(t, needs("near", elsewhere.URL+"/far.tgz"), needs("straying", "https://far.example/far.tgz"))
	if _, _, err := h.Ensure(t.Context(), request(t, "npx near")); err == nil || asked > 0 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	if _, _, err := h.Ensure(t.Context(), request(t, "npx straying")); err == nil || !strings.Contains(err.Error(), "far.example (name-not-allowed)") || !strings.Contains(err.Error(), "install.network") {
		t.Errorf("a name that nobody allowed: %v", err)
	}
	place := strings.TrimPrefix(elsewhere.URL, "http://")
	d, err := profile.ParseDestination(place)
	if err != nil {
		t.Fatal(err)
	}
	h.Network = []profile.Destination{d}
	if _, _, _ = h.Ensure(t.Context(), request(t, "npx near")); asked == 0 {
		t.Error("a place that is named is not reached")
	}
}

func Test_an_installation_is_bounded(t *testing.T) {
	h := newHouse(t)
	r := h.npm(t, greeter, helper)
	h.Bytes = 100
	if _, _, err := h.Ensure(t.Context(), request(t, "npx @made/up")); !errors.Is(err, errTooLarge) {
		t.Errorf("too large: %v", err)
	}
	h.Bytes = 0
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) { <-request.Context().Done() }))
	t.Cleanup(slow.Close)
	t.Setenv("NPM_CONFIG_REGISTRY", slow.URL)
	h.Time = 2 * time.Second
	if _, _, err := h.Ensure(t.Context(), request(t, "npx @made/up")); err == nil || !strings.Contains(err.Error(), "longer than 2s") {
		t.Errorf("too slow: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(h.Store.Dir, ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if _, err := h.Store.Find(request(t, "npx @made/up")); !errors.Is(err, ErrNotInstalled) || r.Asked() == 0 {
		t.Errorf("something is installed: %v", err)
	}
}

func Test_what_was_broken_off_is_removed(t *testing.T) {
	h := newHouse(t)
	h.npm(t, greeter, helper)
	left := filepath.Join(h.Store.Dir, beginning+"left")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	h.ensure(t, "npx @made/up")
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// Nobody but the registry is trusted with what is read here: the installer works in a
// sandbox, which refuses to start where it is not whole.
func Test_without_a_sandbox_nothing_is_installed(t *testing.T) {
	h := newHouse(t)
	h.npm(t, greeter, helper)
	h.Hidden = []string{"/etc/hosts"} // which every sandbox has
	if _, _, err := h.Ensure(t.Context(), request(t, "npx @made/up")); err == nil || !strings.Contains(err.Error(), "does not hold what the profile asks for") {
		t.Errorf("%v", err)
	}
}

func Test_records_are_read_strictly(t *testing.T) {
	h := newHouse(t)
	r := request(t, "npx @made/up")
	if _, err := h.Store.Find(r); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("an empty store: %v", err)
	}
	if err := os.MkdirAll(filepath.Dir(h.Store.recordPath(r)), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", "{}", `{"schema":2}`, `{"schema":1,"kind":"npm","request":["other"],"folder":"npm/x"}`, `{"schema":1,"kind":"npm","request":["@made/up"],"folder":"../x"}`,
		`{"schema":1,"kind":"npm","request":["@made/up"],"folder":"/x"}`, `{"schema":1,"kind":"npm","request":["@made/up"],"folder":"npm/x","programs":{"up":"../../x"}}`,
	} {
		if err := os.WriteFile(h.Store.recordPath(r), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if rec, err := h.Store.Find(r); err == nil || errors.Is(err, ErrNotInstalled) {
			t.Errorf("%s is %+v, %v", text, rec, err)
		}
	}
}

func Test_the_lock_of_npm_has_digests_from_registries(t *testing.T) {
	const good = `"node_modules/a": {"version": "1.0.0", "resolved": "https://r.example/a.tgz", "integrity": "sha512-x"}`
	for text, want := range map[string]string{
		`{"packages": {"": {}, ` + good + `}}`:                                                                                 "",
		`{"packages": {` + good + `, "node_modules/b": {"version": "1.0.0", "inBundle": true}}}`:                               "",
		`{"packages": {` + good + `, "node_modules/b": {"link": true, "resolved": "x"}}}`:                                      "node_modules/b does not come from a registry",
		`{"packages": {` + good + `, "node_modules/b": {"resolved": "git+ssh://h.example/b.git#x", "integrity": "sha512-x"}}}`: "node_modules/b does not come from a registry",
		`{"packages": {` + good + `, "node_modules/b": {"resolved": "file:../b.tgz", "integrity": "sha512-x"}}}`:               "node_modules/b does not come from a registry",
		`{"packages": {` + good + `, "node_modules/b": {"integrity": "sha512-x"}}}`:                                            "node_modules/b does not come from a registry",
		`{"packages": {` + good + `, "node_modules/b": {"resolved": "https://r.example/b.tgz"}}}`:                              "no digest of node_modules/b",
		`{"packages": {}}`: "no package a",
		`{`:                "reading package-lock.json",
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, npmLockName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var rec Record
		err := rec.readNPMLock(folder, "a")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func Test_programs_are_those_that_npx_starts(t *testing.T) {
	for _, test := range []struct{ bin, own, programs string }{
		{`"./a.js"`, "p", "p=node_modules/@s/p/a.js"},
		{`{"x": "a.js"}`, "x", "x=node_modules/@s/p/a.js"},
		{`{"x": "a.js", "p": "b.js"}`, "p", "p=node_modules/@s/p/b.js x=node_modules/@s/p/a.js"},
		{`{"x": "a.js", "y": "b.js"}`, "", "x=node_modules/@s/p/a.js y=node_modules/@s/p/b.js"},
		{`{"x": "../../../../etc/passwd"}`, "x", "x=node_modules/@s/p/etc/passwd"},
		{`[]`, "", "error"},
	} {
		folder := t.TempDir()
		at := filepath.Join(folder, "node_modules/@s/p")
		if err := errors.Join(os.MkdirAll(at, 0o700), os.WriteFile(filepath.Join(at, "package.json"), []byte(`{"bin": `+test.bin+`}`), 0o600)); err != nil {
			t.Fatal(err)
		}
		programs, own, err := programsOf(folder, "@s/p")
		var list []string
		for _, name := range []string{"p", "x", "y"} {
			if programs[name] != "" {
				list = append(list, name+"="+programs[name])
			}
		}
		if err != nil {
			list = []string{"error"}
		}
		if got := strings.Join(list, " "); got != test.programs || own != test.own {
			t.Errorf("%s: %q, own %q; want %q, %q", test.bin, got, own, test.programs, test.own)
		}
	}
}

// The advice asks for the same as the command that could not start.
func Test_advice_installs_what_is_missing(t *testing.T) {
	store := InState("/state")
	for _, line := range []string{"npx -y @made/up@1.0.0 x", "npx -p a@1.0.0 -p b c", "uvx made-up==1.0", "uvx --python 3.11 --with a<2,b made-up", "uvx --from a[x]>=1 c d"} {
		r := request(t, line)
		advice := strings.Fields(strings.ReplaceAll(store.Advice(r), "'", ""))
		if strings.Join(advice[:4], " ") != "gatehouse install --state /state" {
			t.Fatal(advice)
		}
		got, err := command.NewRequest(advice[len(advice)-1])
		if advice[4] == "--" {
			got, _, err = command.Launches(advice[5:])
		}
		if err != nil || key(got) != key(r) {
			t.Errorf("%s: %q asks for %+v (%v)", line, advice, got, err)
		}
	}
}

func Test_registries_are_places(t *testing.T) {
	for raw, want := range map[string]string{
		"https://registry.npmjs.org/":     "registry.npmjs.org 443 tls 0",
		"https://npm.corp.example:8443/x": "npm.corp.example 8443 tls 5",
		"http://localhost:4873":           "localhost 4873 http 0",
		"http://127.0.0.1/":               "127.0.0.1 80 http 0",
		"https://10.0.0.5/":               "10.0.0.5 443 tls 0",
		"http://npm.corp.example/":        "plain http",
		"ftp://npm.corp.example/":         "not set up",
		"undefined":                       "not set up",
		"":                                "not set up",
	} {
		p, err := registry0(raw)
		got := p
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
	if got := withoutSecret("https://user:password@pypi.corp.example/simple"); got != "https://pypi.corp.example/simple" {
		t.Error(got)
	}
}

func Benchmark_start(b *testing.B) {
	folder := os.Getenv("GATEHOUSE_TEST_PACKAGE") // any installed package
	if folder == "" {
		b.Skip("no package named")
	}
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if _, err := measure(folder, command.PyPI); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("stamp", func(b *testing.B) {
		for b.Loop() {
			stampOf(folder)
		}
	})
}
