// Package unusedserver finds servers that nobody uses.
package unusedserver

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/check"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "unused-server",
	Title:      "A server is not used",
	Severity:   rule.Low,
	References: []string{"CWE-1125: Excessive Attack Surface", "OWASP MCP Top 10, MCP09: Shadow MCP Servers"},
	Doc:        doc,
	Run:        run,
}

// unused is how long a server may be without a call.
const unused = 30 * 24 * time.Hour

func run(scene *check.Scene) (r check.Result) {
	if scene.Facts.Used == nil {
		return check.Result{Unchecked: []check.Unchecked{{Why: "transcripts and logs were not read"}}}
	}
	var silent []string
	for _, s := range scene.Servers {
		if s.Disabled {
			continue
		}
		use := scene.Facts.Used(s.ID)
		since := scene.Now.Add(-unused)
		switch {
		case use.Last.After(since):
		case !use.Known:
			silent = append(silent, s.Name)
		case len(use.Blind) > 0:
			r.Unchecked = append(r.Unchecked, check.NotKnown(s, "it may be in use in "+strings.Join(use.Blind, ", ")+", of which nothing was found that would show it"))
		case use.Since.After(since):
			r.Unchecked = append(r.Unchecked, check.NotKnown(s, "what its clients wrote down begins on "+use.Since.Format(time.DateOnly)+", less than 30 days ago"))
		default:
			r.Findings = append(r.Findings, finding(s, use))
		}
	}
	if len(silent) > 0 {
		r.Unchecked = append(r.Unchecked, check.Unchecked{Why: "nothing was found in which the clients of these servers write down what they use: " + strings.Join(silent, ", ")})
	}
	return r
}

func finding(s inventory.Server, use check.Use) check.Finding {
	f := check.About(s, s.Entries[0])
	f.Clients = s.Clients
	if use.Last.IsZero() {
		f.Why = fmt.Sprintf("none of its tools was called since %s at least", use.Since.Format(time.DateOnly))
	} else {
		f.Why = fmt.Sprintf("it was last used on %s (%s)", use.Last.Format(time.DateOnly), use.From)
	}
	f.Fix = "take it out of its clients, or switch it off there: it starts with each of them, and its tools stand in every conversation"
	f.Evidence = check.Bind(s.ID, use.Last.Format(time.DateOnly))
	return f
}
