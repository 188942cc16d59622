// Package injectedinstructions recognises text in what a server returns that
// speaks to the model instead of answering the request.
package injectedinstructions

import (
	_ "embed"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/wording"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:       "injected-instructions",
	Title:    "Instructions to the model in what a server returns",
	Severity: rule.High,
	Surfaces: rule.FromServer &^ rule.Definitions,
	Refs:     []string{"OWASP-MCP06:2025", "SAFE-T1102", "CWE-1427"},
	Doc:      doc,
	Literals: []*rule.Literals{wording.Shared.Literals, phrases.Literals},
	Detect:   detect,
}

// phrases are those that are orders only here.
var phrases = rule.NewPhrases(own)

func detect(subject rule.Subject) ([]rule.Match, error) {
	return wording.Together(&subject, "injected-instructions", phrases), nil
}
