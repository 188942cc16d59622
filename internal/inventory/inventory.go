// Package inventory says what the servers of clients are: which package in which
// version, what runs it, which folders it is given. The same server is there once,
// however many clients name it. Nothing is run or fetched: everything is read from
// the words of the command.
package inventory

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"gatehouse/internal/client"
	"gatehouse/internal/command"
	"gatehouse/internal/config"
)

// What a command says of a server is the vocabulary of package command.
type (
	Kind   = command.Kind
	Pin    = command.Pin
	Source = command.Source
	Mount  = command.Mount
)

const (
	NPM     = command.NPM
	PyPI    = command.PyPI
	OCI     = command.OCI
	Go      = command.Go
	Git     = command.Git
	Script  = command.Script
	Binary  = command.Binary
	Remote  = command.Remote
	BuiltIn = command.BuiltIn
	Shell   = command.Shell

	Digest  = command.Digest
	Exact   = command.Exact
	Tag     = command.Tag
	Range   = command.Range
	Newest  = command.Newest
	Without = command.Without
)

// Program is the name of a program without folder and ending, in lower case.
func Program(word string) string { return command.Program(word) }

// Server is one server and who names it.
type Server struct {
	// ID tells servers apart from one scan to the next. It is made of what is shown of
	// them, without secrets and versions.
	ID   string `json:"id"`
	Name string `json:"name"` // the most used of its names
	Source
	Transport client.Transport `json:"transport"`
	Versions  []string         `json:"versions,omitempty"` // all that are asked for
	Clients   []string         `json:"clients"`
	Env       []string         `json:"env,omitempty"`     // names
	Headers   []string         `json:"headers,omitempty"` // names
	Disabled  bool             `json:"disabled"`          // everywhere
	Entries   []client.Entry   `json:"entries"`
}

// Servers makes the inventory. Entries are the same server when the same thing runs
// with the same arguments; its version and what wraps it may differ.
func Servers(entries []client.Entry) []Server {
	byKey := map[string]*Server{}
	var order []string
	for _, e := range entries {
		source := Of(e)
		key := identity(e, source)
		s := byKey[key]
		if s == nil {
			s = &Server{ID: shownID(e, source), Name: e.Name, Source: source, Transport: e.Transport, Disabled: true}
			byKey[key], order = s, append(order, key)
		}
		s.add(e, source)
	}
	out := make([]Server, 0, len(order))
	for _, key := range order {
		out = append(out, *byKey[key])
	}
	slices.SortStableFunc(out, func(a, b Server) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Package, b.Package))
	})
	return out
}

// identity tells servers apart. It is made of the words as written, secrets included,
// and never leaves this package.
func identity(e client.Entry, s Source) string {
	switch s.Kind {
	case BuiltIn:
		return strings.Join(append([]string{"builtin", e.Name}, e.Clients...), "\x00")
	case Remote:
		return "url\x00" + strings.TrimRight(e.URL, "/")
	case Shell:
		return "shell\x00" + strings.Join(e.Words, "\x00")
	}
	return strings.Join(append([]string{string(s.Kind), s.Package}, argsOf(e)...), "\x00")
}

// shownID is the ID of a server. Servers that differ in secrets only have the same one.
func shownID(e client.Entry, s Source) string {
	words := append([]string{string(s.Kind), s.Package}, s.Args...)
	if s.Kind == BuiltIn {
		words = append([]string{string(s.Kind), e.Name}, e.Clients...)
	}
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return hex.EncodeToString(sum[:8])
}

func (s *Server) add(e client.Entry, source Source) {
	s.Entries = append(s.Entries, e)
	s.Disabled = s.Disabled && e.Disabled
	for _, c := range e.Clients {
		s.Clients = with(s.Clients, c)
	}
	if source.Version != "" {
		s.Versions = with(s.Versions, source.Version)
	}
	if weaker(source.Pin, s.Pin) {
		s.Pin, s.Version = source.Pin, source.Version
	}
	for _, v := range e.Env {
		s.Env = with(s.Env, v.Name)
	}
	for _, v := range e.Headers {
		s.Headers = with(s.Headers, v.Name)
	}
	s.Protected = s.Protected && source.Protected
}

// weaker orders pins: a server is as firmly pinned as its weakest entry.
func weaker(a, b Pin) bool {
	order := []Pin{Newest, Range, Tag, Without, Exact, Digest}
	return slices.Index(order, a) < slices.Index(order, b)
}

func with(list []string, item string) []string {
	if slices.Contains(list, item) {
		return list
	}
	list = append(list, item)
	slices.Sort(list)
	return list
}

// Of says what an entry runs.
func Of(e client.Entry) Source {
	switch {
	case e.URL != "":
		return Source{Kind: Remote, Package: e.ShownURL, Pin: Without}
	case len(e.Words) == 0:
		return Source{Kind: BuiltIn, Package: e.Name, Pin: Without}
	}
	source := command.Parse(e.Words)
	source.Args = config.RedactWords(source.Args)
	source.Options = config.RedactWords(source.Options)
	source.Package = config.RedactValue("", source.Package)
	source.Roots = config.RedactWords(source.Roots)
	return source
}

func argsOf(e client.Entry) []string { return command.Parse(e.Words).Args }

// Command is what an entry starts in the end, as written: without what wraps it.
func Command(e client.Entry) []string { return command.Unwrapped(e.Words) }

// Arguments are those of the server itself, as written. Where the launcher is told a
// package apart from the command in it, as by uvx --from, the command comes first.
func Arguments(e client.Entry) []string { return argsOf(e) }
