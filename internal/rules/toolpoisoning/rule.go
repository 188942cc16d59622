// Package toolpoisoning recognises definitions that give a model orders which
// have nothing to do with using the tool.
package toolpoisoning

import (
	_ "embed"
	"strings"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/wording"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:       "tool-poisoning",
	Title:    "Orders to the model in a definition",
	Severity: rule.Critical,
	Surfaces: rule.Definitions,
	Refs:     []string{"OWASP-MCP03:2025", "SAFE-T1001", "SAFE-T1501", "CWE-1427"},
	Doc:      doc,
	Literals: []*rule.Literals{phrases.Literals},
	Detect:   detect,
}

var phrases = rule.NewPhrases(wording.Orders, wording.Foreign, own)

func detect(subject rule.Subject) ([]rule.Match, error) {
	var matches []rule.Match
	evidence := phrases.Find(&subject)
	if len(evidence) == 0 {
		return nil, nil
	}
	folded := subject.Folded()
	for _, e := range evidence {
		if e.Weight < rule.Enough {
			continue
		}
		start, end := folded.Span(e.Start, e.End)
		m := rule.Match{Start: start, End: end, Detail: strings.Join(e.Details, "; ")}
		if rule.Mentioned(folded.Text, e.Start, e.End) {
			m.Severity, m.Detail = rule.Medium, "quotes an attack: "+m.Detail
		}
		matches = append(matches, m)
	}
	return matches, nil
}
