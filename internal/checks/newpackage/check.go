// Package newpackage finds packages that nobody had the time to look at.
package newpackage

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
	ID:         "new-package",
	Title:      "A package is so new that nobody can know it",
	Severity:   rule.Medium,
	References: []string{"CWE-1357: Reliance on Insufficiently Trustworthy Component", "OWASP MCP Top 10, MCP04: Software Supply Chain Attacks", "SAFE-T1003"},
	Doc:        doc,
	Run:        run,
}

const (
	// young is how long a package has to be there. Most that are malicious are found within
	// days.
	young = 30 * 24 * time.Hour
	// fresh is the same for a version of a package that is known.
	fresh = 3 * 24 * time.Hour
)

func run(scene *check.Scene) check.Result {
	return scene.Packages(missing, func(c check.Case) (check.Finding, bool) { return judge(c, scene.Now) })
}

func missing(p check.Package) string {
	if why := check.NotAsked(p); why != "" || !p.Exists {
		return why
	}
	if p.First.IsZero() || p.Published.IsZero() {
		return "the registry does not say when it was published"
	}
	return ""
}

func judge(c check.Case, now time.Time) (f check.Finding, found bool) {
	switch {
	case !c.First.IsZero() && now.Sub(c.First) < young:
		return c.Finding(fmt.Sprintf("%s was first published %s ago", c.Source.Package, days(now.Sub(c.First))),
			"wait until others have looked at it, or read its source; name the version that you read", c.First.Format(time.DateOnly)), true
	case !c.Published.IsZero() && now.Sub(c.Published) < fresh:
		f = c.Finding(fmt.Sprintf("%s was published %s ago: versions of thieves of an account are mostly found within days", c.Named(), days(now.Sub(c.Published))),
			"stay with the version before for some days", c.Published.Format(time.DateOnly))
		f.Severity = rule.Low
		return f, true
	}
	return f, false
}

func days(d time.Duration) string {
	n := int(d.Hours() / 24)
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}
