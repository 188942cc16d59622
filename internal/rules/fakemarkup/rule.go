// Package fakemarkup recognises marks that imitate those of a conversation: roles,
// turns, calls of tools, the end of a document.
package fakemarkup

import (
	_ "embed"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/wording"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:       "fake-markup",
	Title:    "Markup that imitates a conversation",
	Severity: rule.High,
	Surfaces: rule.FromServer,
	Refs:     []string{"OWASP-MCP06:2025", "SAFE-T1103", "SAFE-T1401", "CWE-74"},
	Doc:      doc,
	Literals: []*rule.Literals{wording.Shared.Literals},
	Detect:   detect,
}

// inDefinition is the least confidence of a mark in a definition, where no transcript and
// no template has any use. It still needs company.
const inDefinition = 0.8

var marks = wording.Room("fake-markup", wording.Markup)

func detect(subject rule.Subject) ([]rule.Match, error) {
	matches, err := marks(subject)
	if subject.Surface&rule.Definitions == 0 {
		return matches, err
	}
	for i := range matches {
		if m := &matches[i]; m.Confidence >= wording.Fair {
			m.Confidence = max(m.Confidence, inDefinition)
		}
	}
	return matches, err
}
