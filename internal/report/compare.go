package report

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/rule"
)

// Change is how a finding stands to the last scan.
type Change string

const (
	IsNew     Change = "new"
	IsChanged Change = "changed" // the same check of the same server, with other facts
	IsSame    Change = "unchanged"
)

// Changes is what came and went since the last scan of the same places.
type Changes struct {
	First     bool       `json:"first"` // there was none
	Since     *time.Time `json:"since,omitempty"`
	New       int        `json:"new"`
	Changed   int        `json:"changed"`
	Unchanged int        `json:"unchanged"`
	Fixed     []Kept     `json:"fixed"`
	// Unknown were found then, and could not be looked for now.
	Unknown []Kept `json:"unknown"`
}

// Kept is what is kept of a finding for the next scan.
type Kept struct {
	Fingerprint string        `json:"fingerprint"`
	Identity    string        `json:"identity"`
	Check       string        `json:"check"`
	Severity    rule.Severity `json:"severity"`
	Server      string        `json:"server,omitempty"`
	Name        string        `json:"name"`
	Clients     []string      `json:"clients,omitempty"`
	Why         string        `json:"why"`
	Files       []string      `json:"files,omitempty"`
}

// Last is a scan as the next one sees it.
type Last struct {
	Schema   string    `json:"schema"`
	Time     time.Time `json:"time"`
	Findings []Kept    `json:"findings"`
}

const lastSchema = "gatehouse.last-scan/1"

// Last is what is kept of this report. What could not be looked for is kept as it was.
func (r *Report) Last() Last {
	l := Last{Schema: lastSchema, Time: r.Time, Findings: []Kept{}}
	for _, f := range r.Findings {
		k := Kept{Fingerprint: f.Fingerprint, Identity: f.identity(), Check: f.Check, Severity: f.Severity, Server: f.Server, Name: f.Name, Clients: f.Clients, Why: f.Why}
		for _, p := range f.Places {
			k.Files = with(k.Files, p.File)
		}
		l.Findings = append(l.Findings, k)
	}
	if r.Changes != nil {
		l.Findings = append(l.Findings, r.Changes.Unknown...)
	}
	return l
}

// Compare says what changed since the last scan of the same places; nil if there was
// none. What is gone only because it could not be read or judged is not called fixed.
func (r *Report) Compare(last *Last) {
	c := &Changes{First: last == nil, Fixed: []Kept{}, Unknown: []Kept{}}
	r.Changes = c
	var before []Kept // and not found again yet
	if last != nil {
		c.Since, before = &last.Time, slices.Clone(last.Findings)
	}
	// gone takes the first that fits out of what is not found again.
	gone := func(fits func(Kept) bool) bool {
		i := slices.IndexFunc(before, fits)
		if i >= 0 {
			before = slices.Delete(before, i, i+1)
		}
		return i >= 0
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if gone(func(k Kept) bool { return k.Fingerprint == f.Fingerprint }) {
			f.Change, c.Unchanged = IsSame, c.Unchanged+1
		}
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		switch {
		case f.Change != "":
		case gone(func(k Kept) bool { return k.Identity == f.identity() }):
			f.Change, c.Changed = IsChanged, c.Changed+1
		default:
			f.Change, c.New = IsNew, c.New+1
		}
	}
	for _, k := range before {
		if r.looked(k) {
			c.Fixed = append(c.Fixed, k)
		} else {
			c.Unknown = append(c.Unknown, k)
		}
	}
}

// looked reports whether this scan would have found it again: its files could be read, or
// are not there, and its check could be made.
func (r *Report) looked(k Kept) bool {
	ran := slices.ContainsFunc(r.Checks, func(c Check) bool { return c.ID == k.Check })
	open := slices.ContainsFunc(r.Unchecked, func(u check.Unchecked) bool {
		return u.Check == k.Check && (u.Server == "" || u.Server == k.Server)
	})
	unread := slices.ContainsFunc(r.Files, func(f File) bool {
		return f.State != client.Parsed && slices.ContainsFunc(k.Files, func(path string) bool { return covers(f.Path, path) })
	})
	return ran && !open && !unread
}

// covers reports whether what could not be read may be, or hold, the file: where a
// folder could not be looked through, a pattern stands in the place of its files.
func covers(unread, path string) bool {
	before, _, pattern := strings.Cut(unread, "*")
	return unread == path || pattern && strings.HasPrefix(path, before)
}

// ForgetChanges takes out what Compare said, for a report in which nobody asked for it.
func (r *Report) ForgetChanges() {
	r.Changes = nil
	for i := range r.Findings {
		r.Findings[i].Change = ""
	}
}
