// Package installed says what of a server is on this machine: which version of its
// package, what runs when it is installed, what it depends on, which bytes. It reads
// files that package managers left and runs nothing. A package that is not here, or not
// in the version that is asked for, is an error: nothing is known of it.
package installed

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"deps.dev/util/semver"

	"gatehouse/internal/advisory"
	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
)

// ErrNotInstalled says that nothing on this machine tells which version would run.
var ErrNotInstalled = errors.New("it is not installed here, so nothing is known of what would run")

// Found is what is on this machine of one server.
type Found struct {
	Ecosystem advisory.Ecosystem // empty for a program that says nothing of its origin
	Name      string
	Version   string
	Place     string // the folder or file
	From      string // how it came here, for people: "the cache of npx"
	// Scripts run when it is installed, or whenever its interpreter starts. ScriptsKnown
	// says that none were overlooked.
	Scripts      []string
	ScriptsKnown bool
	Deprecated   string // what the registry said when it was installed
	Repository   string
	Dependencies []Dependency
	// DependenciesKnown says that none were overlooked.
	DependenciesKnown bool
	SHA256            string // of a program
}

// Dependency is a package without which it does not run.
type Dependency struct {
	Name, Version string
}

// Looker knows where package managers keep things.
type Looker struct {
	Home   string
	Getenv func(string) string
	// Global are the folders whose node_modules is for everyone; nil for the usual ones.
	Global []string
}

const (
	// maxFolders bounds the folders of one cache that are looked at, newest first.
	maxFolders = 500
	// maxLevels bounds how far up a file's package is looked for.
	maxLevels = 12
	// maxManifest bounds package.json and METADATA; readmes stand in both.
	maxManifest = 4 << 20
	// maxDependencies bounds what is kept of one server. Large ones have a thousand.
	maxDependencies = 5000
)

// Find looks for what an entry runs. The source is what inventory.Of says of the entry.
func (l Looker) Find(e client.Entry, s inventory.Source) (Found, error) {
	switch s.Kind {
	case inventory.NPM:
		return l.npm(e, s)
	case inventory.PyPI:
		return l.pypi(s)
	case inventory.Script:
		return l.script(e, s)
	case inventory.Binary:
		return l.binary(e, s)
	}
	return Found{}, ErrNotInstalled
}

// fits reports whether a version is one that a source asks for.
func fits(system semver.System, s inventory.Source, version string) bool {
	switch s.Pin {
	case inventory.Exact:
		return system.Compare(strings.TrimPrefix(s.Version, "v"), version) == 0
	case inventory.Range:
		c, err := system.ParseConstraint(s.Version)
		return err == nil && c.Match(version)
	}
	return true
}

// newest lists the folders that fit a pattern, the last changed first.
func newest(pattern string) []string {
	found, _ := filepath.Glob(pattern)
	type dated struct {
		path string
		at   int64
	}
	var list []dated
	for _, path := range found {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			list = append(list, dated{path, info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(list, func(a, b dated) int { return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(a.path, b.path)) })
	var out []string
	for _, d := range list[:min(len(list), maxFolders)] {
		out = append(out, d.path)
	}
	return out
}

// quoted makes a path safe to be part of a pattern.
func quoted(path string) string {
	return strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// dirOf is the folder in which a client starts a server, as far as it is known.
func dirOf(e client.Entry) string {
	switch {
	case filepath.IsAbs(e.Dir):
		return e.Dir
	case e.Scope == client.Project && e.File != "":
		return filepath.Dir(e.File)
	}
	return ""
}
