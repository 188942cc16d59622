// Package unpinned finds servers whose program is fetched anew in whatever version is
// newest at the start.
package unpinned

import (
	_ "embed"
	"fmt"

	"gatehouse/internal/check"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "unpinned",
	Title:      "A server runs whatever version is newest",
	Severity:   rule.Medium,
	References: []string{"CWE-1357: Reliance on Insufficiently Trustworthy Component", "CWE-494: Download of Code Without Integrity Check", "OWASP MCP Top 10, MCP04: Software Supply Chain Attacks"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for _, s := range scene.Servers {
		for _, e := range s.Entries {
			source := inventory.Of(e)
			if source.Pinned() || source.Kind == inventory.Shell {
				continue
			}
			f := check.About(s, e)
			f.Severity = severity(source.Pin)
			f.Why = why(source)
			f.Fix = "name one version, such as " + example(source)
			f.Evidence = check.Bind(string(source.Kind), source.Package, source.Version)
			if f.Protect = source.Kind != inventory.Git; f.Protect {
				f.Fix += "; `gatehouse protect` does it"
			}
			r.Findings = append(r.Findings, f)
		}
	}
	return r
}

// severity: a tag or a range moves within what its owner publishes under that name,
// which is less than everything.
func severity(p inventory.Pin) rule.Severity {
	if p == inventory.Newest {
		return rule.Medium
	}
	return rule.Low
}

func why(s inventory.Source) string {
	switch s.Pin {
	case inventory.Tag:
		return fmt.Sprintf("%s asks for %s, a name that its owner can move to other bytes", s.Package, s.Version)
	case inventory.Range:
		return fmt.Sprintf("%s asks for %s, which is any of several versions", s.Package, s.Version)
	}
	return fmt.Sprintf("%s is fetched in its newest version at each start: who takes over the package runs here the same day", s.Package)
}

func example(s inventory.Source) string {
	switch s.Kind {
	case inventory.PyPI:
		return s.Package + "==1.2.3"
	case inventory.OCI:
		return s.Package + "@sha256:…"
	case inventory.Git:
		return "a whole commit"
	}
	return s.Package + "@1.2.3"
}
