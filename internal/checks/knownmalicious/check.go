// Package knownmalicious finds packages that were published to do harm.
package knownmalicious

import (
	_ "embed"
	"fmt"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "known-malicious",
	Title:      "A server, or a part of it, is known to be malicious",
	Severity:   rule.Critical,
	References: []string{"CWE-506: Embedded Malicious Code", "OWASP MCP Top 10, MCP04: Software Supply Chain Attacks", "SAFE-T1003"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) check.Result {
	return scene.Advised(func(c check.Advised) []check.Finding {
		var out []check.Finding
		for _, a := range c.Advisories {
			if !a.Malware {
				continue
			}
			f := c.Finding([]check.Advisory{a})
			what := c.Name + " " + a.Version
			if a.Package != "" {
				what = fmt.Sprintf("%s, on which %s depends,", a.Package, c.Name)
			}
			f.Why = fmt.Sprintf("%s is malicious (%s): %s", strings.TrimSpace(what), a.ID, check.Shown(a.Summary))
			f.Fix = "take the server out of every client now; change all secrets that it could read, and look at what it did"
			out = append(out, f)
		}
		return out
	})
}
