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
	Detect:   wording.Room("fake-markup", wording.Markup),
}
