// Package deprecatedpackage finds packages that nobody looks after.
package deprecatedpackage

import (
	_ "embed"
	"fmt"
	"time"

	"gatehouse/internal/check"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "deprecated-package",
	Title:      "Nobody looks after a package any more",
	Severity:   rule.Medium,
	References: []string{"CWE-1104: Use of Unmaintained Third Party Components", "OWASP MCP Top 10, MCP04: Software Supply Chain Attacks"},
	Doc:        doc,
	Run:        run,
}

// abandoned is how long a package may be without a new version. Protocol revisions of MCP
// come twice a year.
const abandoned = 2 * 365 * 24 * time.Hour

func run(scene *check.Scene) check.Result {
	return scene.Packages(missing, func(c check.Case) (check.Finding, bool) { return judge(c, scene.Now) })
}

func missing(p check.Package) string {
	if why := check.NotAsked(p); why != "" || !p.Exists || !p.LatestAt.IsZero() {
		return why
	}
	return "the registry does not say when its newest version was published"
}

func judge(c check.Case, now time.Time) (f check.Finding, found bool) {
	switch {
	case c.Deprecated != "":
		return c.Finding(fmt.Sprintf("%s is deprecated: %s", c.Named(), check.Shown(c.Deprecated)),
			"use what replaces it; faults that are found in it now stay", c.Deprecated), true
	case c.Registry && !c.LatestAt.IsZero() && now.Sub(c.LatestAt) > abandoned:
		f = c.Finding(fmt.Sprintf("the newest version of %s is of %s: faults that are found in it now stay", c.Source.Package, c.LatestAt.Format(time.DateOnly)),
			"look whether its authors still answer, or use another server", c.Latest)
		f.Severity = rule.Low
		return f, true
	}
	return f, false
}
