// Package check is the vocabulary of judging a machine's servers: a Check looks at the
// clients' files and the inventory and answers with findings and with what it could not
// check. Checks run nothing and open no connection; what they need to know from elsewhere
// stands in Facts, filled before by whoever was allowed to ask. Judging is not deciding:
// reports, baselines and protect say what follows.
package check

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

// Check is one thing that is looked for.
type Check struct {
	ID         string // the name of its folder; never renamed: it stands in baselines and reports
	Title      string // what is wrong when it fires, as a sentence without a full stop
	Severity   rule.Severity
	References []string // CWE, OWASP MCP Top 10, a page of the specification
	Doc        string   // doc.md of its folder: what, why, how to fix, what it cannot see
	// Run judges. It must not keep or change the scene.
	Run func(*Scene) Result
}

// Judge runs the check and signs what it says: findings bear its ID, and its severity where
// they say none.
func (c Check) Judge(scene *Scene) Result {
	r := c.Run(scene)
	for i := range r.Findings {
		r.Findings[i].Check = c.ID
		if r.Findings[i].Severity == rule.Unrated {
			r.Findings[i].Severity = c.Severity
		}
	}
	for i := range r.Unchecked {
		r.Unchecked[i].Check = c.ID
	}
	return r
}

// Scene is everything that checks may look at.
type Scene struct {
	Now     time.Time
	Home    string // of whoever asks, for roots that are too broad
	Files   []client.File
	Servers []inventory.Server
	Facts   Facts
}

// Facts come from outside the files. A nil function means that nobody was asked: a check
// that needs it answers with Unchecked, never with silence.
type Facts struct {
	// Package says what its registry or this machine knows about a package.
	Package func(inventory.Source) (Package, error)
	// Advisories lists the known faults of a package in the version that would run. An
	// error may come together with some: they are known, and there may be more.
	Advisories func(inventory.Source) ([]Advisory, error)
	// Definitions are the tools of a server, by Server.ID.
	Definitions func(id string) ([]Tool, error)
	// Others is what else a server says of itself, by Server.ID: its instructions, prompts
	// and resources. It is there whenever Definitions is.
	Others func(id string) ([]Item, error)
	// Used is when a server was last seen in use, by Server.ID.
	Used func(id string) Use
	// Listening are the servers that answer on this machine now, whoever started them.
	Listening func() ([]Listener, error)
}

// Listener is a server that answers on this machine.
type Listener struct {
	Address string // on which it listens, such as 127.0.0.1:6277 or 0.0.0.0:8000
	URL     string // at which it was asked
	Open    bool   // it answers whoever asks, without credentials
	Public  bool   // it can be reached from other machines
	Name    string // what it calls itself; empty if it did not say
	Process string // that listens, such as "node (4711)"; empty if it cannot be seen
}

// Partial is an error about all packages alike, such as that advisories are old: a check
// says it once and not for each server.
type Partial struct{ Err error }

func (p Partial) Error() string { return p.Err.Error() }
func (p Partial) Unwrap() error { return p.Err }

// Package is what is known about a package and the version that would run.
type Package struct {
	// Registry says that its registry was asked. Without that, Exists is true if the package
	// is installed here, and what only a registry knows is empty: Published, First, Latest,
	// LatestAt, and often Deprecated.
	Registry       bool
	Silent         string // why its registry, which was asked, says nothing
	Exists         bool
	Version        string // that would run now
	Published      time.Time
	First          time.Time // the first version of the package
	Latest         string
	LatestAt       time.Time
	Deprecated     string   // what the registry says about it
	InstallScripts []string // what runs when it is installed, and of which dependency
	Scripts        bool     // InstallScripts is known
	Repository     string
	Name           string // as the package calls itself, where a file was named and not a package
	SHA256         string // of a program that is one file
	Source         string // where this is known from, for the report
}

// Advisory is a known fault of a package.
type Advisory struct {
	// Package is the dependency that has it, with its version; empty if it is the package
	// itself.
	Package  string
	Version  string   // that was judged
	ID       string   // as published, such as CVE-2025-6514 or MAL-2025-1
	Aliases  []string //
	Summary  string
	Severity rule.Severity
	Fixed    string // the first version without it; empty if there is none
	Malware  bool
}

// Tool is what a server says about one of its tools.
type Tool struct {
	Name, Title, Description string
	ReadOnly, Destructive    *bool  // claims of the server; nil if it says nothing
	OpenWorld                *bool  //
	Definition               []byte // JSON, as received
}

// Item is something that a server says of itself and that is not a tool.
type Item struct {
	Kind       string // instructions, prompt, resource or template
	Name       string
	Definition json.RawMessage
}

// Use is evidence of use. No evidence is not "unused": Known is false then.
type Use struct {
	Known bool // something was read that would show it
	Last  time.Time
	Calls int
	From  string    // where the evidence is from
	Since time.Time // how far back the evidence reaches
	// Blind are clients that have the server and write nothing that was found: it may be
	// in use there.
	Blind []string
}

// Result is what a check answers.
type Result struct {
	Findings  []Finding
	Unchecked []Unchecked
}

// Finding is one thing that is wrong, with what proves it.
type Finding struct {
	Check    string        `json:"check"`
	Severity rule.Severity `json:"severity"`
	Server   string        `json:"server,omitempty"`  // inventory.Server.ID; empty if it is about a file
	Name     string        `json:"name,omitempty"`    // of the server, for people
	Clients  []string      `json:"clients,omitempty"` //
	File     string        `json:"file,omitempty"`    //
	Line     int           `json:"line,omitempty"`    //
	Path     []string      `json:"path,omitempty"`    // the keys that lead to it
	Why      string        `json:"why"`               // one sentence with the facts, no secrets
	Fix      string        `json:"fix"`               // one sentence that says what to do
	Evidence string        `json:"evidence"`          // what a suppression is bound to: Bind of the facts
	Protect  bool          `json:"protect,omitempty"` // gatehouse protect mends it
	Refers   []string      `json:"refers,omitempty"`  // advisories and pages about this one
}

// Unchecked says what could not be judged. It is never counted as clean.
type Unchecked struct {
	Check  string `json:"check"`
	Server string `json:"server,omitempty"`
	Name   string `json:"name,omitempty"`
	Why    string `json:"why"` // and how it could be
}

// Bind is the evidence of a finding: when any of the facts changes, so does it, and a
// suppression made for the old facts no longer holds.
func Bind(facts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(facts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// Entries goes through every entry of every server, those that are switched off too.
func (s *Scene) Entries() iter.Seq2[inventory.Server, client.Entry] {
	return func(yield func(inventory.Server, client.Entry) bool) {
		for _, server := range s.Servers {
			for _, e := range server.Entries {
				if !yield(server, e) {
					return
				}
			}
		}
	}
}

// Homes says in whose home a file of a client stands. What stands in none, such as the file
// of a project, is of whoever asks.
func (s *Scene) Homes() func(file string) string {
	homes := map[string]string{}
	for _, f := range s.Files {
		homes[f.Path] = f.Home
	}
	return func(file string) string { return cmp.Or(homes[file], s.Home) }
}

// Running goes through the entries that a client would start or reach.
func (s *Scene) Running() iter.Seq2[inventory.Server, client.Entry] {
	return func(yield func(inventory.Server, client.Entry) bool) {
		for server, e := range s.Entries() {
			if !e.Disabled && !yield(server, e) {
				return
			}
		}
	}
}

// Set is what one client has at once: its own servers and, where there are any, those
// of one project.
type Set struct {
	Client  string // its ID
	Project string // folder; empty for the client's own
	Members []Member
}

// Member is one entry in a set.
type Member struct {
	Server inventory.Server
	Entry  client.Entry
}

// Sets lists what each client has at once, entries that are switched off left out.
// Servers that meet in no client are in no set together.
func (s *Scene) Sets() []Set {
	projects := map[string]string{}
	for _, f := range s.Files {
		projects[f.Path] = f.Project
	}
	own, of := map[string][]Member{}, map[[2]string][]Member{}
	for server, e := range s.Running() {
		project := projects[e.File]
		if project == "" && len(e.Path) > 2 && e.Path[0] == "projects" {
			project = e.Path[1] // a client that keeps the servers of projects in its own file
		}
		for _, id := range e.Clients {
			if project == "" {
				own[id] = append(own[id], Member{server, e})
			} else {
				at := [2]string{id, project}
				of[at] = append(of[at], Member{server, e})
			}
		}
	}
	var out []Set
	for id, members := range own {
		out = append(out, Set{Client: id, Members: members})
	}
	for at, members := range of {
		out = append(out, Set{at[0], at[1], slices.Concat(own[at[0]], members)})
	}
	slices.SortFunc(out, func(a, b Set) int {
		return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Project, b.Project))
	})
	return out
}

// Says completes a finding with why it matters and how to fix it. Without a severity it
// has that of its check. The evidence is made of the facts that would change if the
// thing were mended.
func (f Finding) Says(severity rule.Severity, why, fix string, facts ...string) Finding {
	f.Severity, f.Why, f.Fix, f.Evidence = severity, why, fix, Bind(facts...)
	return f
}

// maxShown bounds what a report repeats of a text that a server or a registry sent, in bytes.
const maxShown = 160

// Shown is such a text as a report repeats it: its beginning.
func Shown(text string) string {
	if len(text) <= maxShown {
		return text
	}
	return strings.ToValidUTF8(text[:maxShown], "") + "…"
}

// few is how many names a sentence bears.
const few = 4

// Few names the first of several things and counts the others, for a sentence.
func Few(names []string) string {
	switch n := len(names); {
	case n == 0:
		return ""
	case n == 1:
		return names[0]
	case n > few:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), n-few)
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// AboutFile is a finding about a file, without what is wrong with it.
func AboutFile(f client.File) Finding {
	return Finding{Clients: f.Clients, File: f.Path}
}

// About is a finding about one entry of a server, without what is wrong with it.
func About(s inventory.Server, e client.Entry) Finding {
	return Finding{Server: s.ID, Name: e.Name, Clients: e.Clients, File: e.File, Line: e.Line, Path: e.Path}
}

// Each yields what a server runs: entries that ask for the same thing in the same version
// are there once.
func Each(s inventory.Server) iter.Seq2[client.Entry, inventory.Source] {
	return func(yield func(client.Entry, inventory.Source) bool) {
		seen := map[string]bool{}
		for _, e := range s.Entries {
			source := inventory.Of(e)
			key := source.Version + "\x00" + source.Launcher
			if seen[key] {
				continue
			}
			seen[key] = true
			if !yield(e, source) {
				return
			}
		}
	}
}

// NotKnown is the answer of a check that could not look at a server.
func NotKnown(s inventory.Server, why string) Unchecked {
	return Unchecked{Server: s.ID, Name: s.Name, Why: why}
}

// ParseTool reads the definition of a tool as a server sent it.
func ParseTool(definition []byte) (Tool, error) {
	var d struct {
		Name, Title, Description string
		Annotations              struct {
			ReadOnlyHint, DestructiveHint, OpenWorldHint *bool
		}
	}
	if err := json.Unmarshal(definition, &d); err != nil {
		return Tool{}, fmt.Errorf("reading the definition of a tool: %w", err)
	}
	return Tool{
		Name: d.Name, Title: d.Title, Description: d.Description, Definition: definition,
		ReadOnly: d.Annotations.ReadOnlyHint, Destructive: d.Annotations.DestructiveHint, OpenWorld: d.Annotations.OpenWorldHint,
	}, nil
}
