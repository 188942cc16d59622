// Package likelyinjection recognises text that reads like an order to the model, by
// weights that were learnt from attacks and from ordinary texts.
package likelyinjection

import (
	_ "embed"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/learned"
)

//go:embed doc.md
var doc string

// Withheld stands in the place of what was taken out.
const Withheld = "[content withheld by Gatehouse: likely-injection]"

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:       "likely-injection",
	Title:    "Text that reads like an order to the model (learned)",
	Severity: rule.High,
	Surfaces: rule.FromServer,
	Refs:     []string{"OWASP-MCP06:2025", "OWASP-MCP03:2025", "SAFE-T1102", "SAFE-T1001", "CWE-1427"},
	Doc:      doc,
	Detect:   detect,
}

// forModels are the surfaces on which text is meant for a model. An order is what
// stands there; which orders are none of the server's business only other rules can say.
const forModels = rule.Instructions | rule.PromptDefinition | rule.PromptMessages | rule.ClientRequest

// fewWords is the number of words below which a text is too short to be sure of: what
// surrounds it is unknown, and a single word decides.
const fewWords = 16

// uncertain is how sure the rule is at most where it cannot be certain.
const uncertain = 0.7

// bound is how sure the rule can be of so many words of a text. Strings of one message one
// after another are no text that anybody wrote.
func bound(subject *rule.Subject, words int) float64 {
	instructions := subject.Surface == rule.Other && subject.Key == "instructions" // of initialize, judged by admission
	if subject.Surface&forModels != 0 || instructions || subject.Joined || words < fewWords {
		return uncertain
	}
	return 1
}

func detect(subject rule.Subject) ([]rule.Match, error) {
	var matches []rule.Match
	for _, s := range learned.Find(&subject) {
		m := rule.Match{Confidence: min(s.Confidence, bound(&subject, s.Words)), Mention: s.Mention, Detail: "reads like an order to the model"}
		if m.Mention {
			m.Detail = "quotes an attack: " + m.Detail
		}
		m.Start, m.End = place(&subject, s.From, s.To)
		if m.Start >= m.End || len(matches) > 0 && m.Start < matches[len(matches)-1].End {
			continue
		}
		if subject.Surface&rule.Definitions == 0 {
			m.Action, m.Replacement = rule.Redact, Withheld
		}
		matches = append(matches, m)
	}
	return matches, nil
}
