package approval

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/finding"
)

// ErrUsage is returned by Review for a server or name that does not exist.
var ErrUsage = errors.New("wrong usage")

// maxAnswer bounds one answer of a person.
const maxAnswer = 64

// Review shows what waits and lets a person decide.
type Review struct {
	Book   *Book
	Server string   // "": all
	Names  []string // of items of Server; none: all. A kind names the item without a name.

	List bool // one line per change, nothing else
	JSON bool // one object, nothing else
	Yes  bool // approve without asking

	In  io.Reader // nil: nobody can be asked
	Out io.Writer
	// Colour allows terminal colours in Out.
	Colour bool
	By     string // who approves
	// Approved is told what was approved, after it was. An error is returned by Run.
	Approved func([]Change) error
}

// Run shows, asks, approves, and returns how many changes still wait.
func (r Review) Run() (waiting int, err error) {
	changes, err := r.selected()
	if err != nil {
		return 0, err
	}
	if r.JSON {
		return r.runJSON(changes)
	}
	p := &printer{out: bufio.NewWriter(r.Out), colour: r.Colour, whole: len(r.Names) > 0}
	if len(changes) == 0 {
		p.line("Nothing waits for approval.")
		return 0, p.out.Flush()
	}
	var answers *bufio.Reader
	if r.In != nil {
		answers = bufio.NewReaderSize(r.In, maxAnswer)
	}
	for _, group := range byServer(changes) {
		if r.List {
			p.list(group)
			continue
		}
		p.server(group, r.Book.ServerFindings(group[0].Server))
		if err := r.decide(p, answers, group); err != nil {
			return 0, errors.Join(err, p.out.Flush())
		}
	}
	if err := p.out.Flush(); err != nil {
		return 0, err
	}
	return r.stillWaiting(), nil
}

// selected is what the command line names.
func (r Review) selected() ([]Change, error) {
	if r.Server != "" && !slices.Contains(r.Book.Servers(), r.Server) {
		return nil, fmt.Errorf("%w: there is no server %q in %s, and none waits", ErrUsage, Visible(r.Server), r.Book.LockPath())
	}
	changes := r.pending()
	for _, name := range r.Names {
		if !slices.ContainsFunc(changes, func(c Change) bool { return isNamed(c, name) }) {
			return nil, fmt.Errorf("%w: nothing of the name %q waits at server %q", ErrUsage, Visible(name), Visible(r.Server))
		}
	}
	return changes, nil
}

// pending is what waits of the selection. A source is always part of it, because
// nothing works before it is approved.
func (r Review) pending() []Change {
	return slices.DeleteFunc(r.Book.Pending(), func(c Change) bool {
		if r.Server != "" && c.Server != r.Server {
			return true
		}
		named := func(name string) bool { return isNamed(c, name) }
		return len(r.Names) > 0 && c.Kind != KindSource && !slices.ContainsFunc(r.Names, named)
	})
}

func isNamed(c Change, name string) bool {
	if c.Name == "" {
		return string(c.Kind) == name
	}
	return c.Name == name
}

func (r Review) stillWaiting() int {
	count := 0
	for _, c := range r.pending() {
		if c.Waits() {
			count++
		}
	}
	return count
}

func byServer(changes []Change) [][]Change {
	var groups [][]Change
	for i, c := range changes {
		if i == 0 || c.Server != changes[i-1].Server {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], c)
	}
	return groups
}

// decide approves a server's changes if the person, or Yes, says so.
func (r Review) decide(p *printer, answers *bufio.Reader, group []Change) error {
	server := group[0].Server
	if !r.Yes {
		if answers == nil {
			return nil
		}
		p.printf("Approve these changes of %s? [y/N] ", Visible(server))
		if err := p.out.Flush(); err != nil {
			return err
		}
		if !yes(answers) {
			p.line("Nothing approved.\n")
			return nil
		}
	}
	count, err := r.approve(group)
	if err != nil {
		return err
	}
	p.printf("Approved: %d.\n", count)
	if missing := offered(group) - count; missing > 0 {
		p.printf("Changed since they were shown, and still waiting: %d. Look again.\n", missing)
	}
	p.line("")
	return nil
}

func yes(answers *bufio.Reader) bool {
	line, err := answers.ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false // longer than an answer can be
	}
	answer := strings.ToLower(strings.TrimSpace(string(line)))
	return answer == "y" || answer == "yes"
}

// approve accepts exactly what was shown: a definition that arrived meanwhile has
// another digest and keeps waiting.
func (r Review) approve(displayed []Change) (int, error) {
	var chosen []Change
	count, err := r.Book.Approve(displayed[0].Server, func(c Change) bool {
		shown := slices.ContainsFunc(displayed, func(s Change) bool {
			return s.Kind == c.Kind && s.Name == c.Name && s.Old.Digest == c.Old.Digest && s.New.Digest == c.New.Digest
		})
		if shown {
			chosen = append(chosen, c)
		}
		return shown
	}, r.By)
	if err != nil || count == 0 || r.Approved == nil {
		return count, err
	}
	return count, r.Approved(chosen)
}

func offered(changes []Change) int {
	count := 0
	for _, c := range changes {
		if !c.Duplicate {
			count++
		}
	}
	return count
}

type reviewJSON struct {
	Approved int          `json:"approved"`
	Waiting  int          `json:"waiting"`
	Changes  []changeJSON `json:"changes"`
	// Findings are those about a server as a whole, by server.
	Findings map[string][]finding.Finding `json:"findings,omitempty"`
}

type changeJSON struct {
	Server      string            `json:"server"`
	Kind        Kind              `json:"kind"`
	Name        string            `json:"name,omitempty"`
	Change      string            `json:"change"`
	Quarantined bool              `json:"quarantined,omitempty"`
	Since       time.Time         `json:"since"`
	Versions    int               `json:"versions"`
	Old         *Item             `json:"old,omitempty"`
	New         *Item             `json:"new,omitempty"`
	Diff        []Line            `json:"diff"`
	Findings    []finding.Finding `json:"findings,omitempty"`
}

func (r Review) runJSON(changes []Change) (int, error) {
	report := reviewJSON{Changes: []changeJSON{}, Findings: map[string][]finding.Finding{}}
	for _, c := range changes {
		report.Changes = append(report.Changes, newChangeJSON(c))
	}
	for _, group := range byServer(changes) {
		if findings := r.Book.ServerFindings(group[0].Server); len(findings) > 0 {
			report.Findings[group[0].Server] = findings
		}
	}
	if r.Yes && !r.List {
		for _, group := range byServer(changes) {
			count, err := r.approve(group)
			if err != nil {
				return 0, err
			}
			report.Approved += count
		}
	}
	report.Waiting = r.stillWaiting()
	content, err := encode(report, "  ")
	if err != nil {
		return 0, err
	}
	_, err = r.Out.Write(content)
	return report.Waiting, err
}

func newChangeJSON(c Change) changeJSON {
	j := changeJSON{
		Server: c.Server, Kind: c.Kind, Name: c.Name, Change: c.What(), Quarantined: c.Quarantined,
		Since: c.Since, Versions: c.Versions, Diff: []Line{}, Findings: c.Findings,
	}
	if c.Old.Digest != "" {
		j.Old = &c.Old
	}
	if c.New.Digest != "" {
		j.New = &c.New
		j.Diff = Diff(c.Old.Definition, c.New.Definition)
	}
	return j
}
