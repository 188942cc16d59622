package client

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"gatehouse/internal/config"
)

// State says what became of a file that is there.
type State string

const (
	Parsed  State = "parsed"  // everything in it was understood
	Partial State = "partial" // some of it was not; Problems says what
	Failed  State = "failed"  // it could not be read or understood
	Skipped State = "skipped" // it was not read: a pipe, a device, too large
)

// File is one file of clients.
type File struct {
	Path     string   `json:"path"`
	Clients  []string `json:"clients"` // their IDs
	Scope    Scope    `json:"scope"`
	Home     string   `json:"home,omitempty"`
	State    State    `json:"state"`
	Problems []string `json:"problems,omitempty"`
	Mode     string   `json:"mode,omitempty"` // as rw-r--r--; empty where the system has none
	Access   Access   `json:"access,omitzero"`
	Project  string   `json:"project,omitempty"` // the folder whose file it is
	Entries  []Entry  `json:"-"`
	Settings []Set    `json:"settings,omitempty"`
	// Projects are folders that the file speaks of.
	Projects []string `json:"-"`

	place Place
}

// Access is what other people on this machine may do with a file. Modes of the folders
// above it count; lists beyond the modes are not read.
type Access struct {
	Read  Who `json:"read,omitempty"`
	Write Who `json:"write,omitempty"`
	// Replace is who may put another file in its place, in Folder or at its path.
	Replace Who    `json:"replace,omitempty"`
	Folder  string `json:"folder,omitempty"`
}

// Who are other people than the owner of a file.
type Who string

const (
	Nobody    Who = ""
	Group     Who = "group" // of the file, where that is not the owner's alone
	Everybody Who = "everybody"
)

// and is who may do both of two things.
func (w Who) and(other Who) Who {
	switch {
	case w == Nobody || other == Nobody:
		return Nobody
	case w == Group || other == Group:
		return Group
	}
	return Everybody
}

// over reports whether these are more people than others.
func (w Who) over(other Who) bool { return w != other && (w == Everybody || other == Nobody) }

// Set is a setting of a client that decides whether people are asked.
type Set struct {
	Key   string   `json:"key"`
	Value []string `json:"value"`
	Line  int      `json:"line"`
}

// Complete reports whether all of the file was understood.
func (f File) Complete() bool { return f.State == Parsed }

// Read reads a file that Find found. It never fails as a whole: State and Problems
// say what could not be read.
func Read(id string, found Found, prints *Fingerprints) File {
	f := File{Path: found.Path, Clients: []string{id}, Scope: found.Place.Scope, Home: found.Home, Project: found.Project, place: found.Place}
	if found.Err != nil {
		return f.not(Failed, found.Err)
	}
	d, err := config.ReadDocument(found.Path, found.Place.Format)
	switch {
	case errors.Is(err, config.ErrNotRegular), errors.Is(err, config.ErrTooLarge):
		return f.not(Skipped, err)
	case err != nil:
		return f.not(Failed, err)
	}
	f.take(d, prints)
	if d.Mode != 0 && found.System != Windows {
		f.Mode = d.Mode.Perm().String()[1:]
		if f.Access, err = access(found); err != nil {
			f.problem("who else may use it cannot be told: %v", err)
		}
	}
	return f
}

func (f File) not(state State, err error) File {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err // the path stands beside it
	}
	f.State = state
	f.Problems = []string{strings.TrimPrefix(err.Error(), f.Path+" ")}
	return f
}

const (
	// maxEntries bounds the servers of one file.
	maxEntries = 2000
	// maxFileProblems bounds what is said about one file.
	maxFileProblems = 20
)

// take fills in what a document says.
func (f *File) take(d *config.Document, prints *Fingerprints) {
	f.State = Parsed
	for _, p := range d.Problems {
		f.problem("line %d: %s", p.Line, p.Message)
	}
	if !d.Root.Exists() {
		if len(d.Problems) > 0 {
			f.State = Failed
		}
		return
	}
	if !d.Root.IsMapping() {
		f.State = Failed
		f.problem("line %d: found %s, expected a mapping", d.Root.Line(), d.Root.Kind())
		return
	}
	r := &reading{file: f, document: d, prints: prints}
	for _, at := range f.containers(d.Root) {
		r.container(at)
	}
	f.settings(d.Root)
	f.projects(d.Root)
}

func (f *File) problem(format string, args ...any) {
	if f.State == Parsed {
		f.State = Partial
	}
	if len(f.Problems) < maxFileProblems {
		f.Problems = append(f.Problems, fmt.Sprintf(format, args...))
	}
}

// once says something a single time, however often it is met.
func (f *File) once(format string, args ...any) {
	if !slices.Contains(f.Problems, fmt.Sprintf(format, args...)) {
		f.problem(format, args...)
	}
}

// container is a value that holds servers, and the keys that lead to it.
type container struct {
	path  []string
	value config.Value
}

func (f *File) containers(root config.Value) []container {
	var out []container
	for _, keys := range f.place.Servers {
		out = append(out, along(container{nil, root}, keys)...)
	}
	if len(out) == 0 && f.place.Flat && isFlat(root) {
		out = []container{{nil, root}}
	}
	return out
}

// along follows keys, of which "*" is any.
func along(from container, keys []string) []container {
	if len(keys) == 0 {
		return []container{from}
	}
	var out []container
	if keys[0] != "*" {
		if next := from.value.Get(keys[0]); next.Exists() {
			return along(container{append(slices.Clone(from.path), keys[0]), next}, keys[1:])
		}
		return nil
	}
	for name, next := range from.value.Members() {
		out = append(out, along(container{append(slices.Clone(from.path), name), next}, keys[1:])...)
	}
	return out
}

// isFlat reports whether a file is a mapping of servers with nothing around it. One
// member that can be told for a server is enough: the others do not hide it.
func isFlat(root config.Value) bool {
	for _, v := range root.Members() {
		if slices.ContainsFunc(slices.Concat(config.URLKeys, commandKeys), func(key string) bool { return v.Get(key).Exists() }) {
			return true
		}
	}
	return false
}

// maxSettingValues bounds how much of a list is repeated. People who allow single
// commands come to some hundred.
const maxSettingValues = 2000

func (f *File) settings(root config.Value) {
	for _, keys := range f.place.Settings {
		for _, c := range along(container{nil, root}, keys) {
			set := Set{Key: strings.Join(c.path, "."), Line: c.value.Line()}
			if value, ok := c.value.Text(); ok {
				set.Value = []string{config.RedactValue("", value)}
			}
			for v := range c.value.List() {
				if len(set.Value) == maxSettingValues {
					f.problem("line %d: %s has more than %d values; the others are not read", set.Line, set.Key, maxSettingValues)
					break
				}
				if value, ok := v.Text(); ok {
					set.Value = append(set.Value, config.RedactValue("", value))
				}
			}
			if len(set.Value) > 0 {
				f.Settings = append(f.Settings, set)
			}
		}
	}
}

// maxProjects bounds the projects that are taken from one file.
const maxProjects = 500

// projects takes the folders under a key of a client's file that are projects: what
// stands for "*" behind "projects".
func (f *File) projects(root config.Value) {
	for _, keys := range f.place.Servers {
		if len(keys) < 2 || keys[0] != "projects" || keys[1] != "*" {
			continue
		}
		for name := range root.Get("projects").Members() {
			if len(f.Projects) == maxProjects {
				f.problem("more than %d projects; the others are not looked at", maxProjects)
				return
			}
			f.Projects = append(f.Projects, name)
		}
	}
}
