// Package clients lists the clients and looks for their files. Each client stands in
// a folder of its own; the list is written by go generate, so that adding a client
// edits no other file by hand.
package clients

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/client"
)

//go:generate go run gatehouse/internal/clients/gen list
//go:generate go run gatehouse/internal/clients/gen page

// Discovery is what was found on a machine.
type Discovery struct {
	Files []client.File // by path
	// Looked counts the places that were looked at, with files or without.
	Looked int
}

// Complete reports whether every file that is there was read and understood.
func (d Discovery) Complete() bool {
	return !slices.ContainsFunc(d.Files, func(f client.File) bool { return !f.Complete() })
}

// Entries are the servers of all files.
func (d Discovery) Entries() (all []client.Entry) {
	for _, f := range d.Files {
		all = append(all, f.Entries...)
	}
	return all
}

// Discover reads every file of every client on a machine. Folders that a client's
// file names as projects are looked at too, unless only the given ones are wanted. It
// runs nothing.
func Discover(m client.Machine, prints *client.Fingerprints) Discovery {
	s := &search{machine: m, prints: prints, files: map[string]*client.File{}}
	s.machine.Projects = unique(m.Projects)
	s.look(func(p client.Place) bool { return !m.ProjectsOnly || p.Path[0] == '.' })
	if more := s.projects(); len(more) > 0 && !m.ProjectsOnly {
		s.machine.Projects = more
		s.look(func(p client.Place) bool { return p.Path[0] == '.' })
	}
	out := Discovery{Looked: s.looked}
	for _, f := range s.files {
		out.Files = append(out.Files, *f)
	}
	slices.SortFunc(out.Files, func(a, b client.File) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

type search struct {
	machine client.Machine
	prints  *client.Fingerprints
	files   map[string]*client.File
	looked  int
}

func (s *search) look(wanted func(client.Place) bool) {
	for _, c := range All() {
		for _, p := range c.Places {
			if !wanted(p) {
				continue
			}
			s.looked++
			for _, found := range s.machine.Find(p) {
				s.add(c.ID, found)
			}
		}
	}
}

// add reads a file once. Where several clients read the same file, each is named.
func (s *search) add(id string, found client.Found) {
	known := s.files[found.Path]
	if known == nil {
		f := client.Read(id, found, s.prints)
		s.files[found.Path] = &f
		return
	}
	if slices.Contains(known.Clients, id) {
		return
	}
	known.Clients = append(known.Clients, id)
	for i := range known.Entries {
		known.Entries[i].Clients = known.Clients
	}
}

// projects are the folders that files name and that were not looked at.
func (s *search) projects() (more []string) {
	for _, f := range s.files {
		for _, project := range f.Projects {
			project = s.folder(project)
			if filepath.IsAbs(project) && !slices.Contains(s.machine.Projects, project) {
				more = append(more, project)
			}
		}
	}
	return unique(more)
}

// folder is where a project lies here. In WSL the disks of Windows are below /mnt.
func (s *search) folder(project string) string {
	if disk, rest, found := strings.Cut(project, ":"); found && len(disk) == 1 && s.machine.System == client.Linux {
		project = s.machine.Root + "/mnt/" + strings.ToLower(disk) + "/" + strings.ReplaceAll(rest, `\`, "/")
	}
	return filepath.Clean(project)
}

func unique(list []string) []string {
	list = slices.Clone(list)
	for i := range list {
		list[i] = filepath.Clean(list[i])
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// ByID finds a client by its identifier.
func ByID(id string) (client.Client, bool) {
	for _, c := range All() {
		if c.ID == id {
			return c, true
		}
	}
	return client.Client{}, false
}
