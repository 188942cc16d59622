// Package hiddentext recognises text that a person does not see and a model
// reads.
package hiddentext

import (
	_ "embed"
	"slices"
	"strings"

	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:        "hidden-text",
	Title:     "Text hidden from people",
	Severity:  rule.High,
	Surfaces:  rule.FromServer,
	Refs:      []string{"OWASP-MCP03:2025", "SAFE-T1001", "SAFE-T1402", "CWE-451", "CWE-1007", "CWE-150"},
	Doc:       doc,
	AsWritten: true,
	Detect:    detect,
}

func detect(subject rule.Subject) ([]rule.Match, error) {
	definition := subject.Surface&rule.Definitions != 0
	var matches []rule.Match
	classes := subject.Classes()
	if classes.Control || classes.NonASCII && strings.Contains(subject.Text, controlSequence) {
		matches = terminal(subject.Text, definition)
	}
	if classes.NonASCII {
		matches = append(matches, invisible(subject.Text, definition)...)
	}
	matches = append(matches, markup(&subject, definition)...)
	if definition {
		matches = append(matches, offScreen(subject.Text)...)
	}
	slices.SortStableFunc(matches, func(a, b rule.Match) int { return a.Start - b.Start })
	return matches, nil
}

// removed is a match whose span disappears, so that what can be seen is kept.
// In a definition nothing is rewritten: the server is quarantined.
func removed(start, end int, detail string, definition bool) rule.Match {
	m := rule.Match{Start: start, End: end, Detail: detail}
	if !definition {
		m.Action = rule.Redact
	}
	return m
}
