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
	out.WriteString("# Checks\n\nWhat `gatehouse scan` looks for. `gatehouse checks explain ID` prints the same pages.\n\n| severity | |\n|---|---|\n| critical | somebody else can run programs as you, or read your secrets, now |\n| high | a secret or the machine is one step away |\n| medium | what you should close; `gatehouse protect` does much of it |\n| low, info | advice |\n\n| check | severity | what is wrong |\n|---|---|---|\n")
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
