package checks

import (
	"bytes"
	"fmt"
	"strings"

	"gatehouse/internal/check"
)

// Page is docs/checks.md: every check with what it looks for.
func Page(all []check.Check) []byte {
	var out bytes.Buffer
	out.WriteString("# Checks\n\nWhat `gatehouse scan` looks for. This page is written by `go generate ./internal/checks`.\n\n| check | severity | what is wrong |\n|---|---|---|\n")
	for _, c := range all {
		fmt.Fprintf(&out, "| [%s](#%s) | %s | %s |\n", c.ID, c.ID, c.Severity, c.Title)
	}
	for _, c := range all {
		_, body, _ := strings.Cut(c.Doc, "\n")
		fmt.Fprintf(&out, "\n## %s\n\n%s.\n%s", c.ID, c.Title, strings.ReplaceAll(body, "\n## ", "\n### "))
		for _, r := range c.References {
			fmt.Fprintf(&out, "\n- %s", r)
		}
		out.WriteString("\n")
	}
	return out.Bytes()
}
