package client

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Machine is where files are looked for.
type Machine struct {
	// Root is put before paths that begin at the root of the machine. Empty but in tests.
	Root     string
	System   System
	Homes    []Home
	Projects []string
	// ProjectsOnly leaves out everything but the files of projects.
	ProjectsOnly bool
	// Getenv reads the environment of whoever looks. It counts for the homes that are
	// Own only.
	Getenv func(string) string
}

// Home is one person's folder.
type Home struct {
	Dir    string
	System System // how it is laid out; in WSL, homes of Windows are there beside those of Linux
	Own    bool   // whose environment is at hand
}

// Found is a path at which a place says a file may be. Err is why a folder on the
// way to it could not be looked through.
type Found struct {
	Path  string
	Place Place
	Home  string // whose file it is; empty for projects and the machine
	// Project is the folder whose file it is; empty for people and the machine.
	Project string
	System  System // how what lies around it is laid out
	Root    string // above which nothing is looked at; empty but in tests
	Err     error
}

const (
	// maxFound bounds the files of one pattern. Plugins are counted in tens.
	maxFound = 500
	// maxFolders bounds the folders that one ** goes through.
	maxFolders = 2000
	// maxLevels bounds how deep ** goes. Plugins lie four levels deep.
	maxLevels = 6
)

// errTooMany is the error of a pattern that fits more than it may.
var errTooMany = errors.New("more folders or files than are looked at")

// Find lists the files of a place that are there, and what could not be looked
// through. Files that are not there are not listed.
func (m Machine) Find(p Place) []Found {
	var out []Found
	for _, b := range m.bases(p) {
		matches, err := glob(b.dir, b.rest)
		for _, match := range matches {
			out = append(out, m.found(p, b, match, nil))
		}
		if err != nil {
			out = append(out, m.found(p, b, filepath.Join(b.dir, filepath.FromSlash(b.rest)), err))
		}
	}
	return out
}

func (m Machine) found(p Place, b base, path string, err error) Found {
	return Found{Path: path, Place: p, Home: b.home, Project: b.project, System: b.system, Root: m.Root, Err: err}
}

// base is a folder and the pattern below it.
type base struct {
	dir, rest, home, project string
	system                   System
}

func (m Machine) bases(p Place) []base {
	root, rest, _ := strings.Cut(p.Path, "/")
	here := p.On == 0 || p.On&m.System != 0
	var out []base
	put := func(b base) {
		if b.dir == "" {
			return
		}
		if b.rest == "" {
			b.rest = rest
		}
		out = append(out, b)
	}
	add := func(dir, home string) { put(base{dir: dir, home: home, system: m.System}) }
	switch root {
	case ".":
		for _, project := range m.Projects {
			put(base{dir: project, project: project, system: m.System})
		}
	case "~", "$APP", "$LOCALAPP":
		for _, home := range m.Homes {
			if p.On == 0 || p.On&home.System != 0 {
				put(base{dir: m.folder(home, root), home: home.Dir, system: home.System})
				if dir, below := m.moved(home, p.Path); dir != "" {
					put(base{dir: dir, rest: below, home: home.Dir, system: home.System})
				}
			}
		}
	case "":
		if here {
			add(m.Root+"/", "")
		}
	case "$PROGRAMDATA":
		if here {
			add(m.Root+m.env("ProgramData", `C:\ProgramData`, "/ProgramData"), "")
		}
	case "$PROGRAMFILES":
		if here {
			add(m.Root+m.env("ProgramFiles", `C:\Program Files`, "/Program Files"), "")
		}
	default:
		if here {
			add(m.env(strings.TrimPrefix(root, "$"), "", ""), m.ownHome())
		}
	}
	return out
}

// env is the folder in a variable. Where a machine stands below another root, its
// variables mean nothing and a fixed folder is used.
func (m Machine) env(name, otherwise, below string) string {
	if m.Root != "" && below != "" {
		return below
	}
	if m.Getenv != nil {
		if value := m.Getenv(name); filepath.IsAbs(value) {
			return value
		}
	}
	return otherwise
}

// moved is where else what stands in ~/.config may be: in the folder that
// XDG_CONFIG_HOME names. Clients differ in whether they ask it, so both count.
func (m Machine) moved(home Home, path string) (dir, below string) {
	below, config := strings.CutPrefix(path, "~/.config/")
	if !config || !home.Own {
		return "", ""
	}
	if dir = m.env("XDG_CONFIG_HOME", "", ""); filepath.Clean(dir) == filepath.Join(home.Dir, ".config") {
		return "", ""
	}
	return dir, below
}

func (m Machine) ownHome() string {
	for _, home := range m.Homes {
		if home.Own {
			return home.Dir
		}
	}
	return ""
}

// folder is a folder of one person.
func (m Machine) folder(home Home, root string) string {
	own := func(name string, otherwise ...string) string {
		if home.Own && m.Getenv != nil {
			if value := m.Getenv(name); filepath.IsAbs(value) {
				return value
			}
		}
		return filepath.Join(append([]string{home.Dir}, otherwise...)...)
	}
	switch {
	case root == "~":
		return home.Dir
	case root == "$LOCALAPP" && home.System == Windows:
		return own("LOCALAPPDATA", "AppData", "Local")
	case root == "$LOCALAPP":
		return ""
	case home.System == Windows:
		return own("APPDATA", "AppData", "Roaming")
	case home.System == MacOS:
		return filepath.Join(home.Dir, "Library", "Application Support")
	}
	// XDG Base Directory Specification: "If $XDG_CONFIG_HOME is either not set or
	// empty, a default equal to $HOME/.config should be used."
	return own("XDG_CONFIG_HOME", ".config")
}

// glob lists what fits a slash-separated pattern below a folder, in order. What is
// not there fits nothing; what cannot be looked through is the error, beside what
// was found.
func glob(dir, pattern string) (found []string, err error) {
	w := &walker{seen: map[string]bool{}}
	w.walk(dir, strings.Split(pattern, "/"))
	slices.Sort(w.found)
	return slices.Compact(w.found), w.err
}

type walker struct {
	found   []string
	seen    map[string]bool // folders below **, by where they really are
	folders int
	err     error
}

func (w *walker) fail(err error) {
	if err != nil && w.err == nil && !absent(err) {
		w.err = err
	}
}

// absent reports whether an error says that there is nothing.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || isNotFolder(err)
}

func (w *walker) walk(dir string, pattern []string) {
	switch first := pattern[0]; {
	case first == "**":
		w.deep(dir, pattern[1:], maxLevels)
	case strings.ContainsAny(first, "*?["):
		for _, entry := range w.list(dir) {
			if fits, _ := path.Match(first, entry.Name()); fits {
				w.step(filepath.Join(dir, entry.Name()), pattern[1:])
			}
		}
	default:
		w.step(filepath.Join(dir, first), pattern[1:])
	}
}

func (w *walker) step(name string, rest []string) {
	if len(rest) > 0 {
		w.walk(name, rest)
		return
	}
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return // a folder of that name is not the client's file
	case len(w.found) >= maxFound:
		w.fail(errTooMany)
		return
	case err != nil && absent(err):
		if _, err := os.Lstat(name); err != nil {
			return
		}
		// A link that leads nowhere is reported when it is read.
	}
	w.found = append(w.found, name)
}

func (w *walker) list(dir string) []fs.DirEntry {
	if w.folders++; w.folders > maxFolders {
		w.fail(errTooMany)
		return nil
	}
	entries, err := os.ReadDir(dir)
	w.fail(err)
	return entries
}

// deep goes through folders, and through links to folders: a plugin that somebody works
// on is often one. Each is looked at once, so that circles end.
func (w *walker) deep(dir string, rest []string, levels int) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		w.fail(err)
		return
	}
	if w.seen[real] {
		return
	}
	w.seen[real] = true
	w.walk(dir, rest)
	if levels == 0 || w.folders > maxFolders {
		return
	}
	var links []string
	for _, entry := range w.list(dir) {
		name := filepath.Join(dir, entry.Name())
		switch {
		case entry.Name() == "node_modules":
		case entry.IsDir():
			w.deep(name, rest, levels-1)
		case entry.Type()&fs.ModeSymlink != 0:
			links = append(links, name) // last, so that a folder is found under its own name
		}
	}
	for _, name := range links {
		info, err := os.Stat(name)
		w.fail(err)
		if err == nil && info.IsDir() {
			w.deep(name, rest, levels-1)
		}
	}
}
