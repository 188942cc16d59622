package installed

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"deps.dev/util/semver"

	"gatehouse/internal/advisory"
	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/statefile"
)

// maxLock bounds a lock file. That of a large application has a few megabytes.
const maxLock = 64 << 20

// manifest is what is read of package.json.
type manifest struct {
	Name       string            `json:"name"`
	Version    string            `json:"version"`
	Scripts    map[string]any    `json:"scripts"`
	Repository json.RawMessage   `json:"repository"`
	Needs      map[string]string `json:"dependencies"`
}

// lock is what is read of a package-lock.json of the second or third form.
type lock struct {
	Packages map[string]locked `json:"packages"`
}

type locked struct {
	Name             string            `json:"name"`
	Version          string            `json:"version"`
	HasInstallScript bool              `json:"hasInstallScript"`
	Deprecated       json.RawMessage   `json:"deprecated"`
	Dependencies     map[string]string `json:"dependencies"`
	Optional         map[string]string `json:"optionalDependencies"`
	Peer             map[string]string `json:"peerDependencies"`
}

// tree is a folder with node_modules in it.
type tree struct{ dir, from string }

// npm looks where npx looks: in the project, in what is installed for everyone, and in
// its own cache.
func (l Looker) npm(e client.Entry, s inventory.Source) (Found, error) {
	if !properName(s.Package) {
		return Found{}, ErrNotInstalled
	}
	for _, t := range l.trees(e, s) {
		if s.Pin == inventory.Tag && asked(t.dir, s) == 0 {
			continue // what the tag means is known only where it was resolved
		}
		found, err := fromTree(t, s.Package)
		if err == nil && fits(semver.NPM, s, found.Version) {
			return found, nil
		}
	}
	return Found{}, ErrNotInstalled
}

// properName keeps a name from leading out of node_modules.
func properName(name string) bool {
	return name != "" && !strings.Contains(name, "..") && !strings.ContainsAny(name, "\\:*?\x00") && strings.Count(name, "/") <= 1 && filepath.IsLocal(name)
}

func (l Looker) trees(e client.Entry, s inventory.Source) []tree {
	var out []tree
	for dir, i := dirOf(e), 0; dir != "" && i < maxLevels; i++ {
		if isDir(filepath.Join(dir, "node_modules")) {
			out = append(out, tree{dir, "the project"})
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	for _, dir := range l.global() {
		out = append(out, tree{dir, "what npm installed for everyone"})
	}
	caches := newest(filepath.Join(quoted(l.npmCache()), "_npx", "*"))
	// npx keeps a folder for each way in which packages were asked for: the one for just
	// these words is the one that it takes.
	slices.SortStableFunc(caches, func(a, b string) int { return asked(b, s) - asked(a, s) })
	for _, dir := range caches {
		out = append(out, tree{dir, "the cache of npx"})
	}
	return out
}

// asked is 1 if npx made a folder for exactly what a source asks for.
func asked(dir string, s inventory.Source) int {
	var m struct {
		NPX struct {
			Packages []string `json:"packages"`
		} `json:"_npx"`
	}
	want := s.Package
	if s.Version != "" {
		want += "@" + s.Version
	}
	if readJSON(filepath.Join(dir, "package.json"), maxManifest, &m) == nil && len(m.NPX.Packages) == 1 && m.NPX.Packages[0] == want {
		return 1
	}
	return 0
}

// global lists the folders whose node_modules is for everyone.
func (l Looker) global() []string {
	if l.Global != nil {
		return l.Global
	}
	var out []string
	for _, name := range []string{"npm_config_prefix", "NPM_CONFIG_PREFIX"} {
		if prefix := l.Getenv(name); filepath.IsAbs(prefix) {
			out = append(out, filepath.Join(prefix, "lib"), prefix)
		}
	}
	out = append(out, filepath.Join(l.Home, ".npm-global", "lib"), filepath.Join(l.Home, ".npm-packages", "lib"))
	if roaming := l.Getenv("APPDATA"); filepath.IsAbs(roaming) {
		out = append(out, filepath.Join(roaming, "npm"))
	}
	out = append(out, newest(filepath.Join(quoted(l.Home), ".nvm", "versions", "node", "*", "lib"))...)
	return append(out, "/usr/local/lib", "/opt/homebrew/lib", "/usr/lib")
}

func (l Looker) npmCache() string {
	for _, name := range []string{"npm_config_cache", "NPM_CONFIG_CACHE"} {
		if dir := l.Getenv(name); filepath.IsAbs(dir) {
			return dir
		}
	}
	if local := l.Getenv("LOCALAPPDATA"); filepath.IsAbs(local) && isDir(filepath.Join(local, "npm-cache")) {
		return filepath.Join(local, "npm-cache")
	}
	return filepath.Join(l.Home, ".npm")
}

func fromTree(t tree, name string) (Found, error) {
	return fromPackage(filepath.Join(t.dir, "node_modules", filepath.FromSlash(name)), t)
}

// fromPackage reads the package in a folder, and from the lock of the tree around it what
// it depends on.
func fromPackage(dir string, t tree) (Found, error) {
	var m manifest
	if err := readJSON(filepath.Join(dir, "package.json"), maxManifest, &m); err != nil {
		return Found{}, err
	}
	if m.Name == "" || m.Version == "" {
		return Found{}, fmt.Errorf("%s names no package", filepath.Join(dir, "package.json"))
	}
	f := Found{Ecosystem: advisory.NPM, Name: m.Name, Version: m.Version, Place: dir, From: t.from, Repository: repositoryOf(m.Repository)}
	for _, kind := range []string{"preinstall", "install", "postinstall"} {
		if line, ok := m.Scripts[kind].(string); ok && line != "" {
			f.Scripts = append(f.Scripts, kind+": "+line)
		}
	}
	f.ScriptsKnown, f.DependenciesKnown = len(m.Needs) == 0, len(m.Needs) == 0
	if packages := lockOf(t.dir); packages != nil {
		if rel, err := filepath.Rel(t.dir, dir); err == nil {
			f.addDependencies(packages, filepath.ToSlash(rel))
		}
	}
	return f, nil
}

// lockOf is what npm noted about a tree, nil if it noted nothing that can be read.
func lockOf(dir string) map[string]locked {
	for _, name := range []string{filepath.Join("node_modules", ".package-lock.json"), "package-lock.json"} {
		var l lock
		if readJSON(filepath.Join(dir, name), maxLock, &l) == nil && len(l.Packages) > 0 {
			return l.Packages
		}
	}
	return nil
}

// addDependencies follows what a package needs, as Node finds it: in the nearest
// node_modules.
func (f *Found) addDependencies(packages map[string]locked, at string) {
	own, there := packages[at]
	if !there {
		return
	}
	f.ScriptsKnown, f.DependenciesKnown = true, true
	if own.HasInstallScript && len(f.Scripts) == 0 {
		f.Scripts = append(f.Scripts, "install: builds itself (binding.gyp)")
	}
	_ = json.Unmarshal(own.Deprecated, &f.Deprecated) // anything but a text says nothing
	seen := map[string]bool{at: true}
	queue := []string{at}
	for len(queue) > 0 && len(f.Dependencies) < maxDependencies {
		here := queue[0]
		queue = queue[1:]
		p := packages[here]
		for _, needs := range []map[string]string{p.Dependencies, p.Optional, p.Peer} {
			for _, name := range slices.Sorted(maps.Keys(needs)) {
				where, found := nearest(packages, here, name)
				if !found || seen[where] {
					continue // optional ones are not installed everywhere
				}
				seen[where] = true
				queue = append(queue, where)
				d := packages[where]
				if d.Name != "" {
					name = d.Name // installed under another name
				}
				f.Dependencies = append(f.Dependencies, Dependency{name, d.Version})
				if d.HasInstallScript {
					f.Scripts = append(f.Scripts, fmt.Sprintf("%s@%s, which it depends on, has an install script", name, d.Version))
				}
			}
		}
	}
	if len(queue) > 0 {
		f.ScriptsKnown, f.DependenciesKnown = false, false
	}
}

func nearest(packages map[string]locked, from, name string) (where string, found bool) {
	for {
		where = path.Join(from, "node_modules", name)
		if _, found = packages[where]; found {
			return where, true
		}
		if from == "" {
			return "", false
		}
		if up := strings.LastIndex(from, "node_modules/"); up >= 0 {
			from = strings.TrimSuffix(from[:up], "/")
		} else {
			from = ""
		}
	}
}

// repositoryOf reads "https://…", "owner/name" and {"url": …}.
func repositoryOf(raw json.RawMessage) string {
	var text string
	var object struct {
		URL string `json:"url"`
	}
	if json.Unmarshal(raw, &text) != nil && json.Unmarshal(raw, &object) == nil {
		text = object.URL
	}
	return text
}

func readJSON(name string, most int64, into any) error {
	raw, err := statefile.Read(name, most)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
