// Package credentialharvest recognises requests for credentials, addressed to
// the model or to the user.
package credentialharvest

import (
	_ "embed"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/wording"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:       "credential-harvest",
	Title:    "A request for credentials",
	Severity: rule.High,
	Surfaces: rule.FromServer,
	Refs:     []string{"OWASP-MCP01:2025", "SAFE-T1502", "SAFE-T1503", "SAFE-T1504", "CWE-522"},
	Doc:      doc,
	Literals: []*rule.Literals{wording.Shared.Literals},
	Detect:   wording.Room("credential-harvest", wording.Secrets),
}
