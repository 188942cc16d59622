package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/internal/check"
	"gatehouse/internal/config"
)

// Suppression is one finding that somebody accepted.
type Suppression struct {
	Check    string `json:"check"`
	Server   string `json:"server,omitempty"`
	File     string `json:"file,omitempty"`
	Evidence string `json:"evidence"`
	Reason   string `json:"reason"`
	Author   string `json:"author"`
	Expires  string `json:"expires"`          // a day, the first on which it no longer holds
	Lapsed   Lapse  `json:"lapsed,omitempty"` // why it does not hold
	From     string `json:"from"`             // the file in which it stands
	Line     int    `json:"line"`
}

// Lapse is why a suppression no longer holds.
type Lapse string

const (
	Expired Lapse = "expired"
	Changed Lapse = "changed" // the facts are others than those that were accepted
)

// Suppress marks the findings that a file of suppressions accepts, and those that it no
// longer accepts. A suppression that is about nothing in the report is listed as unused.
func (r *Report) Suppress(from string, all []config.CheckSuppression, now time.Time) {
	for _, c := range all {
		s := Suppression{
			Check: c.Check, Server: c.Server, File: c.File, Evidence: c.Evidence, Reason: c.Reason, Author: c.Author,
			Expires: c.Expires.Format(time.DateOnly), From: from, Line: c.Line,
		}
		expired := !now.Before(c.Expires)
		used := false
		for i := range r.Findings {
			f := &r.Findings[i]
			if f.Check != s.Check || f.Subject() != subject(s) {
				continue
			}
			used = true
			f.judge(s, expired)
		}
		if !used {
			r.Unused = append(r.Unused, s)
		}
	}
	r.summarise()
}

func subject(s Suppression) string {
	if s.Server != "" {
		return s.Server
	}
	return s.File
}

// judge applies a suppression of the same check and server. One that holds counts,
// whatever others say of it.
func (f *Finding) judge(s Suppression, expired bool) {
	switch {
	case f.Suppressed != nil:
		return
	case f.Evidence != s.Evidence:
		s.Lapsed = Changed
	case expired:
		s.Lapsed = Expired
	default:
		f.Suppressed, f.Lapsed = &s, nil
		return
	}
	// That the very same facts were accepted once says more than that others were.
	if f.Lapsed == nil || s.Lapsed == Expired {
		f.Lapsed = &s
	}
}

// Baseline is a file of suppressions for everything that is found and not suppressed
// yet. dir is the folder in which it will stand.
func (r *Report) Baseline(dir, reason, author string, expires time.Time) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Findings of gatehouse scan that were accepted on %s.\n# Each one ends when the facts change, and on its day.\nsuppressions:\n", r.Time.Format(time.DateOnly))
	for _, f := range r.Findings {
		if f.Suppressed != nil {
			continue
		}
		fmt.Fprintf(&out, "  - check: %s\n", quoted(f.Check))
		if f.Server != "" {
			fmt.Fprintf(&out, "    server: %s\n", quoted(f.Server))
			if name := clip(f.Name, maxShownName); strings.TrimSpace(name) != "" {
				fmt.Fprintf(&out, "    name: %s\n", quoted(name))
			}
		} else {
			path := f.Name
			if rest, ok := below(dir, path); ok {
				path = rest
			}
			fmt.Fprintf(&out, "    file: %s\n", quoted(filepath.ToSlash(path)))
		}
		fmt.Fprintf(&out, "    evidence: %s\n    reason: %s\n    author: %s\n    expires: %s\n", quoted(f.Evidence), quoted(reason), quoted(author), expires.Format(time.DateOnly))
	}
	if r.Summary.Findings.Total() == 0 {
		out.WriteString("  []\n")
	}
	return out.Bytes()
}

// maxShownName bounds the name that stands beside the id of a server, in bytes.
const maxShownName = 100

func clip(s string, most int) string {
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// quoted is a text as YAML and JSON both write it.
func quoted(s string) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("report: internal error: " + err.Error()) // texts always encode
	}
	return strings.TrimSpace(out.String())
}

// identity is the same for one check of one server or file, whatever the facts.
func (f Finding) identity() string { return check.Bind(f.Check, f.Subject()) }
