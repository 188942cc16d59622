// Package toolpoisoning recognises definitions that give a model orders which
// have nothing to do with using the tool.
package toolpoisoning

import (
	_ "embed"

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
	Literals: []*rule.Literals{wording.Shared.Literals, phrases.Literals},
	Detect:   detect,
}

// phrases are those that are orders only here.
var phrases = rule.NewPhrases(own)

func detect(subject rule.Subject) ([]rule.Match, error) {
	return wording.Together(&subject, "tool-poisoning", phrases), nil
}
