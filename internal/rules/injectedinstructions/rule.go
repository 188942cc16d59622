// Package injectedinstructions recognises text in what a server returns that
// speaks to the model instead of answering the request.
package injectedinstructions

import (
	_ "embed"
	"strings"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/wording"
)

//go:embed doc.md
var doc string

// Withheld stands in the place of a paragraph that was taken out.
const Withheld = "[content withheld by Gatehouse: injected-instructions]"

// maxParagraph bounds how far a match is widened to either side, in bytes. More
// would let one sentence take a whole document away.
const maxParagraph = 2000

// maxDetail bounds what a match says of itself, in bytes.
const maxDetail = 300

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:       "injected-instructions",
	Title:    "Instructions to the model in what a server returns",
	Severity: rule.High,
	Surfaces: rule.FromServer &^ rule.Definitions,
	Refs:     []string{"OWASP-MCP06:2025", "SAFE-T1102", "CWE-1427"},
	Doc:      doc,
	Literals: []*rule.Literals{phrases.Literals},
	Detect:   detect,
}

var phrases = rule.NewPhrases(wording.Orders, wording.Foreign, own)

func detect(subject rule.Subject) ([]rule.Match, error) {
	var matches, mentions []rule.Match
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
		detail := strings.Join(e.Details, "; ")
		if rule.Mentioned(folded.Text, e.Start, e.End) {
			mentions = append(mentions, rule.Match{Start: start, End: end, Severity: rule.Medium, Detail: "quotes an attack: " + detail})
			continue
		}
		m := rule.Match{Detail: detail, Action: rule.Redact, Replacement: Withheld}
		m.Start, m.End = widen(subject.Text, start, end)
		matches = append(matches, m)
	}
	return append(merge(matches), mentions...), nil
}
