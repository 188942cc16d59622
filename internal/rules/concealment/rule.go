// Package concealment recognises requests to keep something from the user.
package concealment

import (
	_ "embed"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/wording"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:       "concealment",
	Title:    "A request to keep something from the user",
	Severity: rule.High,
	Surfaces: rule.FromServer,
	Refs:     []string{"OWASP-MCP06:2025", "OWASP-MCP03:2025", "SAFE-T1404", "CWE-451"},
	Doc:      doc,
	Literals: []*rule.Literals{wording.Shared.Literals},
	Detect:   wording.Room("concealment", wording.Concealment),
}
