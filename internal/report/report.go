// Package report is what a scan says, whatever the form: findings grouped for people,
// what could not be checked, what of it somebody has accepted, and what is new since
// the last scan. The packages below it write it to a terminal, as SARIF, as CycloneDX
// and as a page.
package report

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

// Schema names the form of the JSON. In one schema, names keep their meaning; new ones
// may come. docs/scan.schema.json describes it.
const Schema = "gatehouse.scan/2"

// Scope says where was looked.
type Scope string

const (
	Machine Scope = "machine" // homes, the machine's own files, and projects
	Project Scope = "project" // the files of projects only
)

// Report is everything that a scan says. Its texts come from files and may be hostile:
// whoever writes them somewhere escapes them there.
type Report struct {
	Schema    string             `json:"schema"`
	Program   Program            `json:"program"`
	Time      time.Time          `json:"time"`
	System    string             `json:"system"` // linux, macos or windows
	Scope     Scope              `json:"scope"`
	Summary   Summary            `json:"summary"`
	Findings  []Finding          `json:"findings"` // the worst first
	Unchecked []check.Unchecked  `json:"unchecked"`
	Changes   *Changes           `json:"changes,omitempty"` // since the last scan, if it was asked for
	Unused    []Suppression      `json:"unusedSuppressions"`
	Checks    []Check            `json:"checks"`
	Servers   []inventory.Server `json:"servers"`
	Files     []File             `json:"files"`

	Home string `json:"-"` // of whoever scans; paths below it are shown short
	Root string `json:"-"` // the project; empty if there are several
}

// Program is what made the report.
type Program struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Summary counts. What is not in Parsed was not understood as a whole.
type Summary struct {
	Complete   bool     `json:"complete"`           // every file was understood and every fact that was asked for is known
	Problems   []string `json:"problems,omitempty"` // why facts are not known
	Places     int      `json:"places"`             // looked at
	Found      int      `json:"found"`              // files that are there
	Parsed     int      `json:"parsed"`
	Partial    int      `json:"partial"`
	Failed     int      `json:"failed"`
	Skipped    int      `json:"skipped"`
	Incomplete int      `json:"incomplete"` // partial, failed and skipped
	Clients    int      `json:"clients"`    // that have servers
	Servers    int      `json:"servers"`
	Risky      int      `json:"risky"`     // servers with a finding that is not suppressed
	Checks     int      `json:"checks"`    // that were run
	Unchecked  int      `json:"unchecked"` // answers that a check could not give
	Findings   Counts   `json:"findings"`  // without those that are suppressed
	Suppressed int      `json:"suppressed"`
	Lapsed     int      `json:"lapsed"` // findings whose suppression no longer holds
}

// Counts is how many findings there are of each severity.
type Counts struct {
	Critical int `json:"critical"`
	High     int `json:"high"`
	Medium   int `json:"medium"`
	Low      int `json:"low"`
	Info     int `json:"info"`
}

// Of is where findings of a severity are counted.
func (c *Counts) Of(s rule.Severity) *int {
	switch s {
	case rule.Critical:
		return &c.Critical
	case rule.High:
		return &c.High
	case rule.Medium:
		return &c.Medium
	case rule.Low:
		return &c.Low
	}
	return &c.Info
}

// Total is how many there are.
func (c Counts) Total() int { return c.Critical + c.High + c.Medium + c.Low + c.Info }

// Check is one check that was run.
type Check struct {
	ID         string        `json:"id"`
	Title      string        `json:"title"`
	Severity   rule.Severity `json:"severity"` // where a finding says none
	References []string      `json:"references,omitempty"`
	Outcome    Outcome       `json:"outcome"`
	Findings   int           `json:"findings"`
	Unchecked  int           `json:"unchecked"`

	Doc string `json:"-"` // Markdown
}

// Outcome is what came of a check.
type Outcome string

const (
	Pass  Outcome = "pass"  // it was made everywhere and found nothing
	Fail  Outcome = "fail"  // it found something
	Error Outcome = "error" // it found nothing, and could not be made everywhere
)

// File is one file of clients, with how many servers stand in it.
type File struct {
	client.File
	Servers int `json:"servers"`
}

// Finding is one thing that is wrong with one server or file, in however many places it
// stands.
type Finding struct {
	Check       string        `json:"check"`
	Title       string        `json:"title"`
	Severity    rule.Severity `json:"severity"`
	Server      string        `json:"server,omitempty"` // id; empty if it is about a file
	Name        string        `json:"name"`             // of the server, or the path of the file
	Clients     []string      `json:"clients"`
	Why         string        `json:"why"`
	Fix         string        `json:"fix"`
	Protect     bool          `json:"protect"` // gatehouse protect mends it
	References  []string      `json:"references,omitempty"`
	Evidence    string        `json:"evidence"`    // changes with the facts
	Fingerprint string        `json:"fingerprint"` // of check, subject and evidence
	Places      []Place       `json:"places"`
	Change      Change        `json:"change,omitempty"`
	Suppressed  *Suppression  `json:"suppressed,omitempty"`
	Lapsed      *Suppression  `json:"lapsed,omitempty"` // was accepted and no longer is
}

// Place is where a finding stands.
type Place struct {
	Clients []string `json:"clients,omitempty"`
	File    string   `json:"file,omitempty"`
	Line    int      `json:"line,omitempty"`
	Path    []string `json:"path,omitempty"` // the keys that lead to it
}

// Input is what a report is made of.
type Input struct {
	Version  string // of the program
	System   string
	Scope    Scope
	Root     string
	Looked   int // places
	Scene    *check.Scene
	Checks   []check.Check // that were run
	Result   check.Result
	Problems []string // facts that were asked for and are not known
}

// New makes a report. Nothing in it is suppressed or compared yet.
func New(in Input) *Report {
	r := &Report{
		Schema: Schema, Program: Program{"gatehouse", in.Version}, Time: in.Scene.Now.UTC().Truncate(time.Second),
		System: in.System, Scope: in.Scope, Home: in.Scene.Home, Root: in.Root,
		Servers: notNil(in.Scene.Servers), Files: []File{}, Unchecked: notNil(in.Result.Unchecked), Unused: []Suppression{},
	}
	for _, f := range in.Scene.Files {
		r.Files = append(r.Files, File{f, len(f.Entries)})
	}
	titles := map[string]string{}
	for _, c := range in.Checks {
		titles[c.ID] = c.Title
	}
	r.Findings = r.group(in.Result.Findings, titles)
	r.Checks = []Check{}
	for _, c := range in.Checks {
		r.Checks = append(r.Checks, r.checkOf(c))
	}
	r.Summary.Places, r.Summary.Problems = in.Looked, in.Problems
	r.summarise()
	return r
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (r *Report) checkOf(c check.Check) Check {
	out := Check{ID: c.ID, Title: c.Title, Severity: c.Severity, References: c.References, Doc: c.Doc, Outcome: Pass}
	for _, f := range r.Findings {
		if f.Check == c.ID {
			out.Findings++
		}
	}
	for _, u := range r.Unchecked {
		if u.Check == c.ID {
			out.Unchecked++
		}
	}
	switch {
	case out.Findings > 0:
		out.Outcome = Fail
	case out.Unchecked > 0:
		out.Outcome = Error
	}
	return out
}

// summarise counts anew.
func (r *Report) summarise() {
	s := Summary{Problems: r.Summary.Problems, Places: r.Summary.Places, Found: len(r.Files), Servers: len(r.Servers), Checks: len(r.Checks), Unchecked: len(r.Unchecked)}
	states := map[client.State]*int{client.Parsed: &s.Parsed, client.Partial: &s.Partial, client.Failed: &s.Failed, client.Skipped: &s.Skipped}
	users := map[string]bool{}
	for _, f := range r.Files {
		*states[f.State]++
		for _, e := range f.Entries {
			for _, id := range e.Clients {
				users[id] = true
			}
		}
	}
	risky := map[string]bool{}
	for _, f := range r.Findings {
		if f.Lapsed != nil {
			s.Lapsed++
		}
		if f.Suppressed != nil {
			s.Suppressed++
			continue
		}
		*s.Findings.Of(f.Severity)++
		if f.Server != "" {
			risky[f.Server] = true
		}
	}
	s.Clients, s.Risky, s.Incomplete = len(users), len(risky), s.Found-s.Parsed
	s.Complete = s.Incomplete == 0 && len(s.Problems) == 0
	r.Summary = s
}

// Reaches reports whether a finding that nobody accepted is at least this severe.
func (r *Report) Reaches(least rule.Severity) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Suppressed == nil && f.Severity >= least })
}

// Worst is the severity of the worst finding of a server that nobody accepted, and
// rule.Unrated if there is none.
func (r *Report) Worst(server string) (worst rule.Severity) {
	for _, f := range r.Findings {
		if f.Server == server && f.Suppressed == nil {
			worst = max(worst, f.Severity)
		}
	}
	return worst
}

// Short is a path as people of this machine write it: ~/ for their home.
func (r *Report) Short(path string) string {
	if rest, ok := below(r.Home, path); ok {
		return "~/" + rest
	}
	return path
}

// At is a place as people of this machine write it, with its line.
func (r *Report) At(p Place) string {
	if p.Line > 0 {
		return fmt.Sprintf("%s:%d", r.Short(p.File), p.Line)
	}
	return r.Short(p.File)
}

// Relative is a path below the project, slash-separated.
func (r *Report) Relative(path string) (string, bool) { return below(r.Root, path) }

func below(dir, path string) (string, bool) {
	if dir == "" {
		return "", false
	}
	rest, err := filepath.Rel(dir, path)
	if err != nil || rest == "." || rest == ".." || strings.HasPrefix(rest, ".."+string(filepath.Separator)) {
		return "", false
	}
	return filepath.ToSlash(rest), true
}

// Subject is what a finding is about: the id of a server, or a path.
func (f Finding) Subject() string { return cmp.Or(f.Server, f.Name) }

// Count says how many there are of something.
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Runs says in a few words what a server is.
func Runs(s inventory.Server) string {
	words := []string{string(s.Kind)}
	if s.Kind != inventory.BuiltIn {
		words = append(words, s.Package)
	}
	switch {
	case s.Pin == inventory.Newest:
		words = append(words, "(newest)")
	case s.Pin != inventory.Without && s.Pinned():
		words = append(words, s.Version)
	case s.Pin != inventory.Without:
		words = append(words, s.Version, "(not fixed)")
	}
	if s.Disabled {
		words = append(words, "(off)")
	}
	return strings.Join(words, " ")
}
