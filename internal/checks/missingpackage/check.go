// Package missingpackage finds packages whose names belong to nobody.
package missingpackage

import (
	_ "embed"
	"fmt"

	"gatehouse/internal/check"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "missing-package",
	Title:      "A package that a client asks for does not exist",
	Severity:   rule.High,
	References: []string{"CWE-427: Uncontrolled Search Path Element", "OWASP MCP Top 10, MCP04: Software Supply Chain Attacks", "SAFE-T1002"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) check.Result {
	return scene.Packages(check.NotAsked, judge)
}

func judge(c check.Case) (f check.Finding, found bool) {
	if !c.Registry || c.Exists {
		return f, false
	}
	if c.Latest != "" {
		f = c.Finding(fmt.Sprintf("%s has no version %s of %s: it was withdrawn, or never there", c.Package.Source, c.Version, c.Source.Package),
			fmt.Sprintf("find out why, and name another version; the newest is %s", c.Latest), c.Latest)
		f.Severity = rule.Medium
		return f, true
	}
	return c.Finding(fmt.Sprintf("%s has no package %s: whoever publishes one under that name decides what runs here", c.Package.Source, c.Source.Package),
		"take the server out, or write the name as its authors do"), true
}
