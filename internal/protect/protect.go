// Package protect changes the files of clients so that their servers run through
// Gatehouse, and changes them back. What it changed is on record, sealed, before any
// file is touched: whatever interrupts it, the next run knows what stands where.
package protect

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/client"
	"gatehouse/internal/command"
	"gatehouse/internal/config"
	"gatehouse/internal/credential"
	"gatehouse/internal/inventory"
	"gatehouse/internal/secret"
	"gatehouse/internal/statefile"
)

// Options say what is changed and how. The zero value confines every server and
// leaves secrets where they are.
type Options struct {
	Program string // absolute path of gatehouse, as clients are to start it
	Home    string // of the person whose files these are
	State   string // folder that Gatehouse keeps for the servers; no server may have it

	Clients []string       // only these, by ID; all if empty
	Servers []string       // only these, by the name in the file; all if empty
	Scopes  []client.Scope // only files of these scopes; User if empty

	// UnsafeNoSandbox starts servers with the rights of the person.
	UnsafeNoSandbox bool
	// Version says which version of a package is installed, and how that is known; empty
	// if it is not. A nil function knows nothing.
	Version func(client.Entry, inventory.Source) (version, from string)
	Pins    map[string]string // versions by package, before Version
	Extra   map[string]Grants // what a server is granted besides, by its name
	Read    []string          // names of servers whose folders are for reading only
	Narrow  map[string]string // by name of a server: the folder in the place of those that are too broad
	Store   secret.Store      // where secrets go; nil leaves them
}

// Plan is what would be changed.
type Plan struct{ Files []FilePlan }

// FilePlan is the plan for one file.
type FilePlan struct {
	Path    string   `json:"path"`
	Clients []string `json:"clients"`
	Servers []Server `json:"servers"`
	// Problem says why nothing can be done in this file.
	Problem string `json:"problem,omitempty"`

	file   client.File
	target string // the file itself, links resolved
	raw    []byte
}

// What is done with a server.
type What string

const (
	Change  What = "change"  // it will run through Gatehouse
	Already What = "already" // it does
	Left    What = "left"    // it stays as it is; Why says so
)

// Server is the plan for one server of one file. Nothing in it is secret.
type Server struct {
	Name   string   `json:"name"`
	Line   int      `json:"line"`
	Keys   []string `json:"keys"` // that lead to it in the file
	What   What     `json:"what"`
	Why    string   `json:"why,omitempty"`
	Before []string `json:"before,omitempty"` // command
	After  []string `json:"after,omitempty"`
	Pinned *Pinned  `json:"pinned,omitempty"`
	Grants *Grants  `json:"grants,omitempty"` // nil: no sandbox
	Moved  []Moved  `json:"moved,omitempty"`
	Notes  []string `json:"notes,omitempty"` // what a person should know
	// Request is the package that Gatehouse installs before the first start.
	Request *command.Request `json:"-"`

	// Broad are folders for which it stays as it is, until they are narrowed.
	Broad []string `json:"broad,omitempty"`
	// Unknown says that it holds a credential and which places it needs is not known.
	Unknown bool `json:"unknownNetwork,omitempty"`

	entry   client.Entry
	source  inventory.Source
	change  client.Change // what the entry shall say
	before  client.Change // what it says
	secrets map[string]string
}

// Pinned is a version that was fixed.
type Pinned struct {
	Package string `json:"package"`
	Version string `json:"version"`
	From    string `json:"from"` // how it is known
}

// Moved is a secret that leaves the file.
type Moved struct {
	Variable  string `json:"variable"`
	Reference string `json:"reference"`

	name string
}

// maxFile bounds a client's file, as package config does when it reads one.
const maxFile = 16 << 20

// New plans what to do with files. It changes nothing.
func New(files []client.File, o Options) Plan {
	var p Plan
	ids := newNames(files)
	for _, f := range files {
		if !o.wants(f) {
			continue
		}
		plan := FilePlan{Path: f.Path, Clients: f.Clients, file: f}
		if err := plan.read(); err != nil {
			plan.Problem = err.Error()
		}
		for _, e := range f.Entries {
			if len(o.Servers) > 0 && !slices.Contains(o.Servers, e.Name) {
				continue
			}
			s := Server{Name: e.Name, Line: e.Line, Keys: e.Path, What: Change, Before: e.Shown, entry: e, source: inventory.Of(e)}
			if plan.Problem != "" {
				s.leave("%s", plan.Problem)
			} else {
				s.plan(&plan, ids, o)
			}
			plan.Servers = append(plan.Servers, s)
		}
		if len(plan.Servers) > 0 || plan.Problem != "" {
			p.Files = append(p.Files, plan)
		}
	}
	return p
}

func (o Options) wants(f client.File) bool {
	scopes := o.Scopes
	if len(scopes) == 0 {
		scopes = []client.Scope{client.User}
	}
	if !slices.Contains(scopes, f.Scope) {
		return false
	}
	return len(o.Clients) == 0 || slices.ContainsFunc(f.Clients, func(id string) bool { return slices.Contains(o.Clients, id) })
}

// Changes counts the servers that the plan changes.
func (p Plan) Changes() (n int) {
	for _, f := range p.Files {
		n += f.changes()
	}
	return n
}

func (f FilePlan) changes() (n int) {
	for _, s := range f.Servers {
		if s.What == Change {
			n++
		}
	}
	return n
}

// read reads the file itself: what the plan is made for.
func (f *FilePlan) read() error {
	if f.file.State == client.Failed || f.file.State == client.Skipped {
		return fmt.Errorf("it could not be read: %s", strings.Join(f.file.Problems, "; "))
	}
	target, err := filepath.EvalSymlinks(f.Path)
	if err != nil {
		return err
	}
	f.target = target
	f.raw, err = readFile(target)
	return err
}

// readFile reads a client's file.
func readFile(path string) ([]byte, error) { return statefile.Read(path, maxFile) }

func (s *Server) leave(format string, args ...any) {
	s.What, s.Why = Left, fmt.Sprintf(format, args...)
}

func (s *Server) note(format string, args ...any) {
	s.Notes = append(s.Notes, fmt.Sprintf(format, args...))
}

func (s *Server) plan(f *FilePlan, ids *names, o Options) {
	if s.refused(o) {
		return
	}
	said, ok := f.file.Said(f.raw, s.entry.Path)
	if !ok || !slices.Equal(said.Words, s.entry.Words) {
		s.leave("%v", client.ErrChanged)
		return
	}
	s.before = client.Change{Path: s.entry.Path, Command: said.Words, Env: map[string]string{}}
	s.change = client.Change{Path: s.entry.Path, Env: map[string]string{}}
	words := s.pin(said.Words, o)
	flags, words := s.confine(words, said, o)
	if s.What != Change {
		return
	}
	id := ids.of(s.entry, s.source)
	s.move(f, id, said, o)
	s.change.Command = slices.Concat([]string{o.Program, "run", "--id", id}, flags, s.variables(), []string{"--"}, words)
	s.After = config.RedactWords(s.change.Command)
	if _, err := f.file.Rewrite(f.raw, []client.Change{s.change}); err != nil {
		s.leave("%v", err)
	}
}

// refused leaves what runs through Gatehouse already, and what cannot.
func (s *Server) refused(o Options) bool {
	e := s.entry
	switch {
	case s.source.Protected || len(e.Words) > 0 && (e.Words[0] == o.Program || command.Program(e.Words[0]) == "gatehouse"):
		s.What = Already
	case e.Transport == client.HTTP || e.Transport == client.SSE:
		s.leave("it is reached over HTTP; put it behind `gatehouse serve`, and its address at the gateway here")
	case e.Transport == client.BuiltIn || len(e.Words) == 0:
		s.leave("it is part of the client, which starts it without a command of its own")
	case s.source.Kind == inventory.Shell:
		s.leave("a shell reads its command, so it cannot be told what runs; write the program as command and its arguments as args")
	case slices.ContainsFunc(s.source.Wrappers, func(w string) bool { return w == "sudo" || w == "doas" }):
		s.leave("it runs with the rights of the administrator, through %s", s.source.Wrappers[0])
	}
	return s.What != Change
}

// variables are the flags that hand over what the entry sets.
func (s *Server) variables() (flags []string) {
	seen := map[string]bool{}
	for _, v := range s.entry.Env {
		if v.Name == "" || seen[v.Name] || strings.ContainsAny(v.Name, "=,\"\x00\n") {
			continue
		}
		seen[v.Name] = true
		if _, moved := s.change.Env[v.Name]; moved || secret.IsReference(v.Reference) {
			flags = append(flags, "--resolve-env", v.Name)
		} else {
			flags = append(flags, "--pass-env", v.Name)
		}
	}
	return flags
}

// move plans to take the secrets of an entry out of the file.
func (s *Server) move(f *FilePlan, id string, said client.Said, o Options) {
	s.secrets = map[string]string{}
	found := credential.Of(s.entry)
	for _, v := range s.entry.Env {
		holds := v.Secret || slices.ContainsFunc(found, func(c credential.Credential) bool { return c.Place == credential.Variable && c.Name == v.Name })
		if _, planned := s.change.Env[v.Name]; v.Kind != client.Literal || !holds || planned {
			continue
		}
		name := secretName(id, v.Name, f.target, s.entry.Path)
		switch value, single := said.Env[v.Name]; {
		case o.Store == nil:
			s.note("%s stays in the file as it is", v.Name)
		case !single || secret.CheckName(name) != nil || strings.ContainsAny(v.Name, "=,"):
			s.note("%s stays in the file: it does not stand there as one name with one value", v.Name)
		case strings.Contains(value, "$"):
			s.note("%s stays in the file: the client may fill in what follows its $", v.Name)
		default:
			reference := o.Store.Reference(name)
			s.change.Env[v.Name], s.before.Env[v.Name], s.secrets[name] = reference, value, value
			s.Moved = append(s.Moved, Moved{Variable: v.Name, Reference: reference, name: name})
		}
	}
	if slices.ContainsFunc(found, func(c credential.Credential) bool { return c.Place == credential.Argument }) || !slices.Equal(s.entry.Shown, s.entry.Words) {
		s.note("an argument looks like a secret; it stays, and every program of this machine sees it. Give it by a variable, if the server takes one")
	}
}

// secretName is the name of a secret in the store: one for each place at which one
// stands, so that none is ever put over another.
func secretName(id, variable, file string, path []string) string {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{file}, path...), "\x00")))
	return id + "/" + variable + "-" + hex.EncodeToString(sum[:4])
}

// digest names the bytes of a file.
func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// ErrNothing says that there is nothing on record to take back.
var ErrNothing = errors.New("nothing is protected")
