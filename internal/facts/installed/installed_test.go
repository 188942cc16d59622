package installed

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/advisory"
	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
)

// write makes files below a folder.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func looker(home string) Looker {
	return Looker{Home: home, Getenv: func(string) string { return "" }, Global: []string{}}
}

func find(t *testing.T, l Looker, words ...string) (Found, error) {
	t.Helper()
	e := client.Entry{Words: words, Shown: words}
	return l.Find(e, inventory.Of(e))
}

const npxFolder = ".npm/_npx/0123456789abcdef/"

func npx(version, spec string) map[string]string {
	return map[string]string{
		npxFolder + "package.json":                           `{"dependencies": {"notes-server": "^1"}, "_npx": {"packages": ["` + spec + `"]}}`,
		npxFolder + "node_modules/notes-server/package.json": `{"name": "notes-server", "version": "` + version + `", "scripts": {"postinstall": "node setup.js", "test": "x"}, "repository": {"url": "https://git.example/notes"}, "bin": {"notes-server": "./dist/cli.js"}, "dependencies": {"small": "1"}}`,
		npxFolder + "node_modules/notes-server/dist/cli.js":  ``,
		npxFolder + "node_modules/small/package.json":        `{"name": "small", "version": "1.0.1"}`,
		npxFolder + "node_modules/stranger/package.json":     `{"name": "stranger", "version": "9.9.9"}`,
		npxFolder + "node_modules/.package-lock.json":        `{"lockfileVersion": 3, "packages": {"node_modules/notes-server": {"version": "` + version + `", "deprecated": "use others", "hasInstallScript": true, "dependencies": {"small": "1"}}, "node_modules/small": {"version": "1.0.1", "hasInstallScript": true, "dependencies": {"notes-server": "1"}}, "node_modules/stranger": {"version": "9.9.9", "hasInstallScript": true}}}`,
	}
}

func Test_what_npx_keeps(t *testing.T) {
	home := t.TempDir()
	write(t, home, npx("1.2.3", "notes-server@1.2.3"))
	l := looker(home)
	f, err := find(t, l, "npx", "-y", "notes-server@1.2.3", "/srv")
	if err != nil {
		t.Fatal(err)
	}
	if f.Ecosystem != advisory.NPM || f.Name != "notes-server" || f.Version != "1.2.3" || f.Deprecated != "use others" || f.Repository != "https://git.example/notes" || !f.ScriptsKnown {
		t.Errorf("%+v", f)
	}
	if want := []string{"postinstall: node setup.js", "small@1.0.1, which it depends on, has an install script"}; !slices.Equal(f.Scripts, want) {
		t.Errorf("scripts %q, want %q", f.Scripts, want)
	}
	if want := []Dependency{{"small", "1.0.1"}}; !slices.Equal(f.Dependencies, want) {
		t.Errorf("dependencies %v, want %v", f.Dependencies, want)
	}
	start, err := f.Start("")
	if want := filepath.Join(home, filepath.FromSlash(npxFolder), "node_modules", "notes-server", "dist", "cli.js"); err != nil || !slices.Equal(start, []string{"node", want}) {
		t.Errorf("started by %q, %v", start, err)
	}
	for _, other := range []string{"notes-server@1.2.4", "notes-server@^2", "notes-server@beta", "other", "../notes-server", "stranger/../notes-server"} {
		if f, err := find(t, l, "npx", "-y", other); !errors.Is(err, ErrNotInstalled) {
			t.Errorf("%s: %+v, %v", other, f, err)
		}
	}
	for _, same := range []string{"notes-server", "notes-server@latest", "notes-server@^1.0.0"} {
		if f, err := find(t, l, "npx", "-y", same); err != nil || f.Version != "1.2.3" {
			t.Errorf("%s: %+v, %v", same, f, err)
		}
	}
}

func Test_what_uv_and_pipx_keep(t *testing.T) {
	for _, place := range []string{
		".local/share/uv/tools/notes-server/lib/python3.12/site-packages/",
		".local/share/pipx/venvs/notes-server/lib/python3.12/site-packages/",
		".cache/uv/archive-v0/abcdef/lib/python3.12/site-packages/",
		".cache/uv/archive-v0/abcdef/",
	} {
		home := t.TempDir()
		write(t, home, map[string]string{
			place + "notes_server-1.2.3.dist-info/METADATA":         "Metadata-Version: 2.4\nName: notes-server\nVersion: 1.2.3\nProject-URL: Source, https://git.example/notes\nRequires-Dist: small>=1; python_version > '3'\nRequires-Dist: extra-part; extra == 'all'\n\nName: of-the-readme\n",
			place + "notes_server-1.2.3.dist-info/RECORD":           "notes_server/__init__.py,,\nnotes_server.pth,,\n",
			place + "notes_server-1.2.3.dist-info/entry_points.txt": "[console_scripts]\nnotes-server = notes_server:main\n",
			place + "notes_server.pth":                              "import notes_server.spy\n",
			place + "Small-2.0.dist-info/METADATA":                  "Name: Small\nVersion: 2.0\nRequires-Dist: setuptools\n\n",
			place + "Small-2.0.dist-info/RECORD":                    "coverage.pth,,\npaths.pth,,\n",
			place + "setuptools-70.0.dist-info/METADATA":            "Name: setuptools\nVersion: 70.0\n\n",
			place + "setuptools-70.0.dist-info/RECORD":              "distutils-precedence.pth,,\n",
			place + "coverage.pth":                                  "import spy\n",
			place + "paths.pth":                                     "/somewhere\n",
			place + "distutils-precedence.pth":                      "import os\n",
		})
		f, err := find(t, looker(home), "uvx", "Notes.Server==1.2.3")
		if err != nil {
			t.Errorf("%s: %v", place, err)
			continue
		}
		if f.Name != "notes-server" || f.Version != "1.2.3" || f.Repository != "https://git.example/notes" || !f.ScriptsKnown ||
			!f.DependenciesKnown || !slices.Equal(f.Dependencies, []Dependency{{"small", "2.0"}, {"setuptools", "70.0"}}) ||
			!slices.Equal(f.Scripts, []string{"notes_server.pth runs whenever Python starts", "small 2.0, which it depends on: coverage.pth runs whenever Python starts"}) {
			t.Errorf("%s: %+v", place, f)
		}
		if f, err := find(t, looker(home), "uvx", "notes-server==1.2.4"); !errors.Is(err, ErrNotInstalled) {
			t.Errorf("%s: another version: %+v, %v", place, f, err)
		}
	}
}

// What cannot be read could say anything.
func Test_records_and_starters_that_cannot_be_read(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"no record":       {},
		"broken record":   {"notes-1.0.dist-info/RECORD": "notes.py,,\n\"x\ny"},
		"a large starter": {"notes-1.0.dist-info/RECORD": "notes.pth,,\n", "notes.pth": "import spy\n" + strings.Repeat("#", maxManifest)},
	} {
		home := t.TempDir()
		place := ".local/share/uv/tools/notes/lib/python3.12/site-packages/"
		write(t, home, map[string]string{place + "notes-1.0.dist-info/METADATA": "Name: notes\nVersion: 1.0\n\n"})
		for file, content := range files {
			write(t, home, map[string]string{place + file: content})
		}
		if f, err := find(t, looker(home), "uvx", "notes"); err != nil || f.ScriptsKnown {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func Test_files_and_programs_of_packages(t *testing.T) {
	home := t.TempDir()
	write(t, home, npx("1.2.3", "x"))
	script := filepath.Join(home, filepath.FromSlash(npxFolder), "node_modules", "notes-server", "dist", "cli.js")
	if f, err := find(t, looker(home), "node", script); err != nil || f.Name != "notes-server" || len(f.Dependencies) != 1 {
		t.Errorf("a script: %+v, %v", f, err)
	}
	link := filepath.Join(home, "notes")
	if err := os.Symlink(script, link); err == nil {
		if f, err := find(t, looker(home), link); err != nil || f.Name != "notes-server" {
			t.Errorf("a link to it: %+v, %v", f, err)
		}
	}
	own := filepath.Join(home, "own", "server.js")
	write(t, home, map[string]string{"own/server.js": "", "bin/tool": "\x7fELF nothing"})
	if f, err := find(t, looker(home), "node", own); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("a script of nobody: %+v, %v", f, err)
	}
	f, err := find(t, looker(home), filepath.Join(home, "bin", "tool"))
	if err != nil || len(f.SHA256) != 64 || f.Ecosystem != "" {
		t.Errorf("a program: %+v, %v", f, err)
	}
}

func Test_a_program_of_go_names_its_modules(t *testing.T) {
	program, err := filepath.Abs(filepath.Join("..", "..", "..", "test", ".tools", "bin", "everything-server"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("the program is not installed; make tools installs it")
	}
	f, err := find(t, looker(t.TempDir()), program)
	if err != nil || f.Ecosystem != advisory.Go || f.Name == "" || len(f.SHA256) != 64 {
		t.Errorf("%+v, %v", f, err)
	}
	all := append(f.Dependencies, Dependency{f.Name, f.Version})
	if !slices.ContainsFunc(all, func(d Dependency) bool { return d.Name == "github.com/modelcontextprotocol/go-sdk" && d.Version != "" }) {
		t.Errorf("dependencies %v", f.Dependencies)
	}
}

// Real packages, as npm and pip installed them for the other tests.
func Test_real_packages(t *testing.T) {
	node, wide := filepath.Join("..", "..", "..", "test", "node"), filepath.Join("..", "..", "..", "test", ".tools", "wide")
	script, err := filepath.Abs(filepath.Join(node, "node_modules", "@modelcontextprotocol", "server-filesystem", "dist", "index.js"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(script); err != nil {
		t.Skip("the packages are not installed; make tools installs them")
	}
	f, err := find(t, looker(t.TempDir()), "node", script, "/srv")
	if err != nil || f.Name != "@modelcontextprotocol/server-filesystem" || f.Version == "" || !f.ScriptsKnown || len(f.Scripts) > 0 {
		t.Errorf("%+v, %v", f, err)
	}
	if !slices.ContainsFunc(f.Dependencies, func(d Dependency) bool { return d.Name == "@modelcontextprotocol/sdk" }) {
		t.Errorf("it depends on %v", f.Dependencies)
	}
	project := client.Entry{Words: []string{"npx", "-y", "@modelcontextprotocol/server-filesystem"}, Dir: filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(script)))))}
	if here, err := looker(t.TempDir()).Find(project, inventory.Of(project)); err != nil || here.Version != f.Version {
		t.Errorf("in the project: %+v, %v", here, err)
	}
	python, err := filepath.Abs(filepath.Join(wide, "python", "bin", "python"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		t.Skip("the packages of Python are not installed")
	}
	for _, words := range [][]string{{python, "-m", "mcp_server_git"}, {filepath.Join(filepath.Dir(python), "mcp-server-git")}} {
		f, err := find(t, looker(t.TempDir()), words...)
		if err != nil || f.Name != "mcp-server-git" || f.Ecosystem != advisory.PyPI || f.Version == "" {
			t.Errorf("%q: %+v, %v", words, f, err)
		}
		if !slices.ContainsFunc(f.Dependencies, func(d Dependency) bool { return d.Name == "gitpython" }) {
			t.Errorf("%q depends on %v", words, f.Dependencies)
		}
	}
}

func Test_hostile_folders(t *testing.T) {
	home := t.TempDir()
	base := filepath.FromSlash(npxFolder)
	write(t, home, map[string]string{
		npxFolder + "node_modules/broken/package.json":   `{"name": `,
		npxFolder + "node_modules/nameless/package.json": `{"version": "1.0.0"}`,
		npxFolder + "node_modules/odd/package.json":      `{"name": "odd", "version": "1.0.0", "scripts": {"install": 7, "postinstall": ["x"]}, "repository": 3, "bin": "../../../../etc/passwd"}`,
		npxFolder + "node_modules/.package-lock.json":    `{"packages": {"node_modules/odd": {"version": "1.0.0", "deprecated": false, "dependencies": {"odd": "1", "../../x": "1"}}}}`,
		npxFolder + "node_modules/large/package.json":    `{"name": "large", "version": "1.0.0", "x": "` + strings.Repeat("x", maxManifest) + `"}`,
	})
	if err := os.MkdirAll(filepath.Join(home, base, "node_modules", "loop"), 0o755); err != nil {
		t.Fatal(err)
	}
	_ = os.Symlink("package.json", filepath.Join(home, base, "node_modules", "loop", "package.json"))
	pipe := filepath.Join(home, base, "node_modules", "pipe")
	if err := os.MkdirAll(pipe, 0o755); err != nil {
		t.Fatal(err)
	}
	_ = exec.Command("mkfifo", filepath.Join(pipe, "package.json")).Run() // where there is none, the file is missing
	for _, name := range []string{"broken", "nameless", "large", "loop", "pipe"} {
		if f, err := find(t, looker(home), "npx", name); !errors.Is(err, ErrNotInstalled) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	f, err := find(t, looker(home), "npx", "odd")
	if err != nil || len(f.Scripts) > 0 || f.Deprecated != "" || len(f.Dependencies) > 0 {
		t.Errorf("odd: %+v, %v", f, err)
	}
	if start, err := f.Start(""); err == nil {
		t.Errorf("a command outside of its package: %q", start)
	}
}

// Fuzz_lock: no lock file makes a package that is not in it, and dependencies are bounded.
func Fuzz_lock(f *testing.F) {
	f.Add([]byte(npx("1.0.0", "x")[npxFolder+"node_modules/.package-lock.json"]))
	f.Add([]byte(`{"packages": {"node_modules/a": {"dependencies": {"b": "1"}}, "node_modules/a/node_modules/b": {"dependencies": {"a": "1", "b": "1"}}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var l lock
		if json.Unmarshal(raw, &l) != nil {
			return
		}
		for at := range l.Packages {
			var found Found
			found.addDependencies(l.Packages, at)
			if len(found.Dependencies) > len(l.Packages) {
				t.Fatal(fmt.Sprint(len(found.Dependencies), " dependencies of ", len(l.Packages), " packages"))
			}
		}
	})
}
