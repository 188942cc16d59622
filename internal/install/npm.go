package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/command"
	"gatehouse/internal/statefile"
)

// npmSettings is what npm is set up for on this machine, as far as it matters here.
type npmSettings struct {
	node, npm string // programs
	version   string
	values    map[string]any
}

func (s npmSettings) text(name string) string {
	text, _ := s.values[name].(string)
	return text
}

// findNPM finds Node and npm behind whatever stands in for them, and asks npm for its
// settings.
func findNPM(ctx context.Context) (npmSettings, error) {
	var s npmSettings
	node, err := exec.LookPath("node")
	if err != nil {
		return s, errors.New("npm packages need Node.js with npm, which is not found; install it, or set PATH")
	}
	// What is found may be a script of a version manager.
	if s.node, err = ask(ctx, node, "-p", "process.execPath"); err != nil {
		return s, err
	}
	beside := filepath.Join(filepath.Dir(filepath.Dir(s.node)), "lib", "node_modules", "npm", "bin", "npm-cli.js")
	if s.npm, err = program("npm"); err != nil || filepath.Base(s.npm) != "npm-cli.js" {
		s.npm = beside
	}
	if _, err := os.Stat(s.npm); err != nil {
		return s, fmt.Errorf("npm is not found beside %s; install it, or set PATH", s.node)
	}
	if s.version, err = ask(ctx, s.node, s.npm, "--version"); err != nil {
		return s, err
	}
	settings, err := ask(ctx, s.node, s.npm, "config", "ls", "--json")
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(settings), &s.values); err != nil {
		return s, fmt.Errorf("reading the settings of npm: %w", err)
	}
	return s, nil
}

const (
	manifestName = "package.json"
	npmLockName  = "package-lock.json"
	cacheName    = ".cache"
)

func (i *Installer) npm(ctx context.Context, r command.Request, folder string, rec *Record) error {
	s, err := findNPM(ctx)
	if err != nil {
		return err
	}
	t := tool{folder: folder}
	t.args = []string{
		s.node, s.npm, "install", "--prefix", folder, "--cache", filepath.Join(folder, cacheName),
		"--ignore-scripts", "--global=false", "--workspaces=false", "--omit=dev", "--save-exact", "--package-lock=true", "--package-lock-only=false",
		"--omit-lockfile-registry-resolved=false", "--audit=false", "--fund=false", "--update-notifier=false", "--progress=false", "--loglevel=error", "--logs-max=0",
		"--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000", "--fetch-timeout=60000",
	}
	if rec.Registry, err = i.npmRegistries(s, r, &t); err != nil {
		return err
	}
	i.npmFiles(s, &t)
	t.args = append(append(t.args, "--"), r.Specs...)
	if err := os.WriteFile(filepath.Join(folder, manifestName), []byte("{\"private\": true}\n"), 0o644); err != nil {
		return err
	}
	if err := i.run(ctx, t); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(folder, cacheName)); err != nil {
		return err
	}
	rec.Installer, rec.Interpreter = "npm "+s.version, s.node
	if err := rec.readNPMLock(folder, r.Name()); err != nil {
		return err
	}
	return rec.npmPrograms(folder, r)
}

// npmRegistries lets npm reach the registries that it is set up for. It returns the one
// of the server's package.
func (i *Installer) npmRegistries(s npmSettings, r command.Request, t *tool) (string, error) {
	of := s.text("registry")
	urls := map[string]string{"registry": of}
	for name := range s.values {
		if strings.HasPrefix(name, "@") && strings.HasSuffix(name, ":registry") {
			urls[name] = s.text(name)
		}
	}
	if scope, _, scoped := strings.Cut(r.Name(), "/"); scoped && urls[scope+":registry"] != "" {
		of = urls[scope+":registry"]
	}
	for _, name := range slices.Sorted(maps.Keys(urls)) {
		p, err := registryPlace(urls[name], i.UnsafeAddresses)
		if err != nil {
			return "", fmt.Errorf("%s of npm: %w", name, err)
		}
		t.places = append(t.places, p)
		t.args = append(t.args, "--"+name+"="+urls[name])
	}
	for _, d := range i.Network {
		t.places = append(t.places, further(d, i.UnsafeAddresses))
	}
	return withoutSecret(of), nil
}

// variable is how a file of npm's settings names a variable of the environment.
var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\??\}`)

// maxSettings bounds a file of npm's settings.
const maxSettings = 1 << 20

// npmFiles lets npm read its own settings, in which the tokens for a registry stand,
// and who vouches for the registry.
func (i *Installer) npmFiles(s npmSettings, t *tool) {
	names := []string{"NODE_EXTRA_CA_CERTS"}
	for _, name := range []string{"userconfig", "globalconfig"} {
		file := s.text(name)
		raw, err := statefile.Read(file, maxSettings)
		if err != nil {
			t.args = append(t.args, "--"+name+"="+filepath.Join(t.folder, cacheName, "none")) // nobody's, and not one that the package brings
			continue
		}
		t.read = append(t.read, file)
		t.args = append(t.args, "--"+name+"="+file)
		for _, m := range variable.FindAllSubmatch(raw, -1) {
			names = append(names, string(m[1]))
		}
	}
	if file := s.text("cafile"); file != "" {
		if _, err := os.Stat(file); err == nil {
			t.read = append(t.read, file)
			t.args = append(t.args, "--cafile="+file)
		}
	}
	env, files := passed(names...)
	t.env, t.read = append(t.env, env...), append(t.read, files...)
	for _, variable := range os.Environ() {
		if strings.HasPrefix(strings.ToLower(variable), "npm_config_//") { // what npm shows to one registry
			t.env = append(t.env, variable)
		}
	}
	// Distributions keep what npm is made of in more than one folder.
	for _, folder := range []string{"/usr/share/nodejs", "/usr/share/node_modules"} {
		if _, err := os.Stat(folder); err == nil && strings.HasPrefix(s.npm, "/usr/share/") {
			t.read = append(t.read, folder)
		}
	}
}

// locked is one package in npm's file.
type locked struct {
	Version          string `json:"version"`
	Resolved         string `json:"resolved"`
	Integrity        string `json:"integrity"`
	HasInstallScript bool   `json:"hasInstallScript"`
	InBundle         bool   `json:"inBundle"`
	Link             bool   `json:"link"`
}

// maxLock bounds the file with the integrity of each package.
const maxLock = 32 << 20

// readNPMLock refuses what did not come from a registry with a digest.
func (rec *Record) readNPMLock(folder, name string) error {
	raw, err := statefile.Read(filepath.Join(folder, npmLockName), maxLock)
	if err != nil {
		return err
	}
	var lock struct {
		Packages map[string]locked `json:"packages"`
	}
	if err := json.Unmarshal(raw, &lock); err != nil {
		return fmt.Errorf("reading %s: %w", npmLockName, err)
	}
	for _, at := range slices.Sorted(maps.Keys(lock.Packages)) {
		p := lock.Packages[at]
		if at == "" {
			continue // the folder itself
		}
		if p.Link || !strings.HasPrefix(p.Resolved, "https://") && !strings.HasPrefix(p.Resolved, "http://") && !p.InBundle {
			return fmt.Errorf("%s does not come from a registry", at)
		}
		if !strings.HasPrefix(p.Integrity, "sha512-") && !strings.HasPrefix(p.Integrity, "sha1-") && !p.InBundle {
			return fmt.Errorf("the registry has no digest of %s", at)
		}
		if rec.Packages++; p.HasInstallScript {
			rec.Scripts = append(rec.Scripts, strings.TrimPrefix(at, "node_modules/")+"@"+p.Version)
		}
	}
	own, there := lock.Packages["node_modules/"+name]
	if !there {
		return fmt.Errorf("npm installed no package %s", name)
	}
	rec.Package, rec.Version, rec.Integrity = name, own.Version, own.Integrity
	rec.Lock = digestOf(raw)
	return nil
}

// npmPrograms finds the programs that npx would.
func (rec *Record) npmPrograms(folder string, r command.Request) error {
	for i := len(r.Specs) - 1; i >= 0; i-- { // the server's own come last and win
		name := command.Request{Kind: r.Kind, Specs: r.Specs[i:]}.Name()
		programs, own, err := programsOf(folder, name)
		if err != nil {
			return err
		}
		maps.Copy(rec.Programs, programs)
		rec.Program = own
	}
	if r.Program == "" || rec.Programs[r.Program] != "" {
		return nil
	}
	// --package with a program that a package brings along.
	real, err := filepath.EvalSymlinks(filepath.Join(folder, "node_modules", ".bin", filepath.Base(r.Program)))
	if err != nil {
		return nil // the caller says what there is
	}
	if root, err := filepath.EvalSymlinks(folder); err == nil {
		if rel, err := filepath.Rel(root, real); err == nil && filepath.IsLocal(rel) {
			rec.Programs[r.Program] = filepath.ToSlash(rel)
		}
	}
	return nil
}

// programsOf reads the programs of an installed package, and which of them starts
// when none is named.
func programsOf(folder, name string) (programs map[string]string, own string, err error) {
	at := path.Join("node_modules", name)
	raw, err := statefile.Read(filepath.Join(folder, filepath.FromSlash(at), manifestName), maxSettings)
	if err != nil {
		return nil, "", err
	}
	var manifest struct {
		Bin json.RawMessage `json:"bin"`
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return nil, "", fmt.Errorf("reading the %s of %s: %w", manifestName, name, err)
	}
	base, bin := path.Base(name), map[string]string{}
	var one string
	if json.Unmarshal(manifest.Bin, &one) == nil && one != "" {
		bin[base] = one
	} else if len(manifest.Bin) > 0 && json.Unmarshal(manifest.Bin, &bin) != nil {
		return nil, "", fmt.Errorf("%s does not say clearly which programs it has", name)
	}
	programs, files := map[string]string{}, map[string]bool{}
	for program, file := range bin {
		// npm takes a path in a package for one below its folder, whatever it says.
		file = path.Join(at, path.Join("/", file))
		programs[program], files[file] = file, true
		own = program
	}
	// npm-exec(1): the one program, or those that are the same one, or the one that is
	// called like the package without its scope.
	if len(files) != 1 {
		own = ""
	}
	if _, there := programs[base]; there {
		own = base
	}
	return programs, own, nil
}
