// Package memorypoisoning recognises orders that are to be kept in a memory, a
// preference or a file of standing instructions.
package memorypoisoning

import (
	_ "embed"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/wording"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:       "memory-poisoning",
	Title:    "An order that is to outlast the conversation",
	Severity: rule.High,
	Surfaces: rule.FromServer,
	Refs:     []string{"OWASP-MCP06:2025", "SAFE-T1204", "SAFE-T2106", "CWE-1427"},
	Doc:      doc,
	Literals: []*rule.Literals{wording.Shared.Literals},
	Detect:   wording.Room("memory-poisoning", wording.Memory),
}
