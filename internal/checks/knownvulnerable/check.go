// Package knownvulnerable compares versions with advisories.
package knownvulnerable

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "known-vulnerable",
	Title:      "A server has a known vulnerability",
	Severity:   rule.High,
	References: []string{"CWE-1395: Dependency on Vulnerable Third-Party Component", "OWASP MCP Top 10, MCP04: Software Supply Chain Attacks", "SAFE-T1002"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) check.Result {
	return scene.Advised(func(c check.Advised) []check.Finding {
		var own, below []check.Advisory
		for _, a := range c.Advisories {
			switch {
			case a.Malware: // another check
			case a.Package == "":
				own = append(own, a)
			default:
				below = append(below, a)
			}
		}
		var out []check.Finding
		if len(own) > 0 {
			out = append(out, ofServer(c, own))
		}
		if len(below) > 0 {
			out = append(out, ofDependencies(c, below))
		}
		return out
	})
}

// ofServer is about faults of the server itself.
func ofServer(c check.Advised, list []check.Advisory) check.Finding {
	worst := worst(list)
	f := c.Finding(list)
	f.Severity = rated(worst)
	f.Why = fmt.Sprintf("%s %s has %s: %s", c.Name, worst.Version, worst.ID, check.Shown(worst.Summary))
	if n := len(list) - 1; n > 0 {
		f.Why += fmt.Sprintf(" (and %d more)", n)
	}
	f.Fix = "no version is without it: take the server out, or hold it in a sandbox"
	if fixed := fixes(list); fixed != "" {
		f.Fix = "use " + fixed + " or later"
	}
	return f
}

// ofDependencies is about faults of what a server is made of. Whether they can be reached
// through it is not known, so they count for less.
func ofDependencies(c check.Advised, list []check.Advisory) check.Finding {
	worst := worst(list)
	f := c.Finding(list)
	f.Severity = rule.Low
	if worst.Severity == rule.Critical {
		f.Severity = rule.Medium
	}
	var packages []string
	for _, a := range list {
		if !slices.Contains(packages, a.Package) {
			packages = append(packages, a.Package)
		}
	}
	f.Why = fmt.Sprintf("%s depends on %s, which has %s: %s", c.Name, worst.Package, worst.ID, check.Shown(worst.Summary))
	if n := len(list) - 1; n > 0 {
		f.Why += fmt.Sprintf(" (%d known faults in what it depends on: %s)", n+1, check.Few(packages))
	}
	f.Fix = "use a version of the server that was published since, or install it anew"
	return f
}

func worst(list []check.Advisory) check.Advisory {
	return slices.MaxFunc(list, func(a, b check.Advisory) int {
		return cmp.Or(cmp.Compare(rated(a), rated(b)), cmp.Compare(b.ID, a.ID))
	})
}

// rated is how bad an advisory is. What nobody rated is not harmless.
func rated(a check.Advisory) rule.Severity { return cmp.Or(a.Severity, rule.Medium) }

// fixes names the versions from which on the faults are gone; empty if one of them stays.
func fixes(list []check.Advisory) string {
	var all []string
	for _, a := range list {
		if a.Fixed == "" {
			return ""
		}
		if !slices.Contains(all, a.Fixed) {
			all = append(all, a.Fixed)
		}
	}
	if len(all) > 1 {
		return "the newest of " + strings.Join(all, ", ")
	}
	return all[0]
}
