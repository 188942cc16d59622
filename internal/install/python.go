package install

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/command"
	"gatehouse/internal/statefile"
)

func digestOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// pythonSettings is what Python and pip are set up for on this machine.
type pythonSettings struct {
	python  string   // the interpreter itself, not one of a virtual environment
	library []string // what the interpreter is made of besides its program
	runner  string   // the part of pip that installs into another environment; "" without pip
	version string   // of pip
	index   string
	extra   []string
	cert    string
}

// about is a program in Python that says what we need to know.
const about = `import json, os, sys, sysconfig
base = getattr(sys, "_base_executable", sys.executable) or sys.executable
about = {"python": base, "library": sorted({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})}
try:
    import pip
    runner = os.path.join(list(pip.__path__)[0], "__pip-runner__.py")
    if os.path.isfile(runner):
        about.update(runner=runner, version=pip.__version__)
except ImportError:
    pass
print(json.dumps(about))
`

// findPython finds an interpreter of the version that is asked for, the first that has
// pip if one has.
func findPython(ctx context.Context, version string) (pythonSettings, error) {
	var without pythonSettings // the first that has no pip
	names := []string{"python3", "python"}
	if version != "" {
		names = []string{"python" + version}
	}
	var why error
	for _, name := range names {
		found, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		answer, err := ask(ctx, found, "-I", "-c", about)
		if err != nil {
			why = err
			continue
		}
		var says struct {
			Python, Runner, Version string
			Library                 []string
		}
		if err := json.Unmarshal([]byte(answer), &says); err != nil {
			why = fmt.Errorf("%s does not say what it is: %w", found, err)
			continue
		}
		s := pythonSettings{python: says.Python, library: says.Library, runner: says.Runner, version: says.Version, index: defaultIndex}
		if s.runner != "" {
			return s, s.readPip(ctx)
		}
		if without.python == "" {
			without = s
		}
	}
	if without.python != "" {
		return without, nil
	}
	if why != nil {
		return without, why
	}
	return without, fmt.Errorf("packages of Python need %s, which is not found; install it, or set PATH", names[0])
}

const defaultIndex = "https://pypi.org/simple"

// readPip asks pip for its settings. Lines are like global.index-url='https://…'; those
// of the environment come last and win.
func (s *pythonSettings) readPip(ctx context.Context) error {
	out, err := ask(ctx, s.python, "-m", "pip", "--disable-pip-version-check", "config", "list")
	if err != nil {
		return err
	}
	values := map[string]string{}
	for _, from := range []string{"global.", "install.", ":env:."} {
		for line := range strings.Lines(out) {
			name, value, found := strings.Cut(strings.TrimSpace(line), "=")
			if name, is := strings.CutPrefix(name, from); is && found {
				values[name] = strings.Trim(value, `'"`)
			}
		}
	}
	if values["index-url"] != "" {
		s.index = values["index-url"]
	}
	s.extra = strings.Fields(strings.ReplaceAll(values["extra-index-url"], `\n`, " "))
	s.cert = values["cert"]
	return nil
}

const (
	pipReport   = ".report.json"
	pipLockName = "requirements.lock"
)

func (i *Installer) pypi(ctx context.Context, r command.Request, folder string, rec *Record) error {
	s, err := findPython(ctx, r.Python)
	if err != nil {
		return err
	}
	uv := ""
	if s.runner == "" {
		if uv, err = program("uv"); err != nil {
			return fmt.Errorf("%s has no pip of version 23 or later, and there is no uv; install one of them, on Debian with apt-get install python3-pip", s.python)
		}
	}
	// The environment is made of the interpreter alone; nothing is fetched for it.
	if _, err := ask(ctx, s.python, "-I", "-m", "venv", "--without-pip", "--symlinks", folder); err != nil {
		return fmt.Errorf("making a virtual environment: %w", err)
	}
	if uv != "" {
		return i.uv(ctx, uv, s, r, folder, rec)
	}
	t := tool{folder: folder, read: []string{filepath.Dir(s.runner)}}
	t.args = []string{
		filepath.Join(folder, "bin", "python"), s.runner, "install", "--isolated", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--progress-bar", "off", "--quiet",
		"--only-binary", ":all:", "--report", filepath.Join(folder, pipReport), "--retries", "1", "--timeout", "30", "--index-url", s.index,
	}
	if err := i.pypiPlaces(s, &t); err != nil {
		return err
	}
	t.args = append(append(t.args, "--"), r.Specs...)
	if err := i.run(ctx, t); err != nil {
		return err
	}
	rec.Registry, rec.Installer, rec.Interpreter = withoutSecret(s.index), "pip "+s.version, s.python
	if err := rec.readReport(folder, r.Name()); err != nil {
		return err
	}
	return rec.pythonPrograms(folder, r)
}

// pypiPlaces lets pip reach the indexes that it is set up for.
func (i *Installer) pypiPlaces(s pythonSettings, t *tool) error {
	for n, index := range append([]string{s.index}, s.extra...) {
		p, err := registryPlace(index, i.UnsafeAddresses)
		if err != nil {
			return fmt.Errorf("the index of pip: %w", err)
		}
		if t.places = append(t.places, p); p.rule.Host == "pypi.org" {
			files := p
			files.rule.Host = "files.pythonhosted.org"
			t.places = append(t.places, files)
		}
		if n > 0 {
			t.args = append(t.args, "--extra-index-url", index)
		}
	}
	for _, d := range i.Network {
		t.places = append(t.places, further(d, i.UnsafeAddresses))
	}
	if s.cert != "" {
		t.read = append(t.read, s.cert)
		t.args = append(t.args, "--cert", s.cert)
	}
	env, files := passed()
	t.env, t.read = append(t.env, env...), append(t.read, files...)
	return nil
}

// readReport refuses what did not come from an index with a digest, and writes the
// digests down as pip reads them.
func (rec *Record) readReport(folder, name string) error {
	file := filepath.Join(folder, pipReport)
	raw, err := statefile.Read(file, maxLock)
	if err != nil {
		return err
	}
	var report struct {
		Install []struct {
			Download struct {
				URL     string `json:"url"`
				Archive *struct {
					Hashes map[string]string `json:"hashes"`
				} `json:"archive_info"`
			} `json:"download_info"`
			IsDirect bool `json:"is_direct"`
			Metadata struct {
				Name    string `json:"name"`
				Version string `json:"version"`
			} `json:"metadata"`
		} `json:"install"`
	}
	if err := json.Unmarshal(raw, &report); err != nil {
		return fmt.Errorf("reading the report of pip: %w", err)
	}
	var lines []string
	for _, p := range report.Install {
		archive, named := p.Download.Archive, p.Metadata.Name
		if archive == nil || p.IsDirect || !strings.HasPrefix(p.Download.URL, "http") {
			return fmt.Errorf("%s does not come from an index", named)
		}
		sum := archive.Hashes["sha256"]
		if sum == "" {
			return fmt.Errorf("the index has no digest of %s", named)
		}
		lines = append(lines, fmt.Sprintf("%s==%s --hash=sha256:%s\n", named, p.Metadata.Version, sum))
		if (command.Request{Kind: command.PyPI, Specs: []string{named}}).Name() == name {
			rec.Package, rec.Version, rec.Integrity = name, p.Metadata.Version, "sha256:"+sum
		}
	}
	if rec.Package == "" {
		return fmt.Errorf("pip installed no package %s", name)
	}
	slices.Sort(lines)
	lock := []byte(strings.Join(lines, ""))
	rec.Packages, rec.Lock = len(lines), digestOf(lock)
	if err := os.WriteFile(filepath.Join(folder, pipLockName), lock, 0o644); err != nil {
		return err
	}
	return os.Remove(file)
}

// pythonPrograms finds the programs of the environment. The server's package says
// itself which are its own.
func (rec *Record) pythonPrograms(folder string, r command.Request) error {
	entries, err := os.ReadDir(filepath.Join(folder, "bin"))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.Type().IsRegular() && !strings.HasPrefix(strings.ToLower(name), "activate") {
			rec.Programs[name] = path.Join("bin", name)
		}
	}
	own, err := ownPrograms(folder, rec.Package)
	if err != nil {
		return err
	}
	for _, name := range own {
		if (command.Request{Kind: command.PyPI, Specs: []string{name}}).Name() == rec.Package {
			rec.Program = name
		}
	}
	if rec.Program == "" && len(own) == 1 {
		rec.Program = own[0]
	}
	return nil
}

// ownPrograms are the programs in the list of files of an installed package (PEP 376).
func ownPrograms(folder, name string) ([]string, error) {
	lists, err := filepath.Glob(filepath.Join(folder, "lib", "python3*", "site-packages", "*.dist-info", "RECORD"))
	if err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for _, list := range lists {
		dist, _, _ := strings.Cut(filepath.Base(filepath.Dir(list)), "-")
		if (command.Request{Kind: command.PyPI, Specs: []string{dist}}).Name() != name {
			continue
		}
		raw, err := statefile.Read(list, maxLock)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		rows, err := csv.NewReader(bufio.NewReader(bytes.NewReader(raw))).ReadAll()
		if err != nil {
			return nil, fmt.Errorf("reading the files of %s: %w", name, err)
		}
		for _, row := range rows {
			if program, is := strings.CutPrefix(row[0], "../../../bin/"); is {
				own[program] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(own)), nil
}

// withoutSecret is a URL without the password that it may hold.
func withoutSecret(raw string) string {
	before, rest, found := strings.Cut(raw, "://")
	host, _, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(host, '@'); found && at >= 0 {
		return before + "://" + rest[at+1:]
	}
	return raw
}
