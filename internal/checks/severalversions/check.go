// Package severalversions finds servers that one client has more than once, in
// different versions.
package severalversions

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
	ID:         "several-versions",
	Title:      "One client has the same server in several versions",
	Severity:   rule.Low,
	References: []string{"CWE-1104: Use of Unmaintained Third Party Components"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	seen := map[string]bool{}
	for _, set := range scene.Sets() {
		first := map[string]check.Member{}
		for _, m := range set.Members {
			source := inventory.Of(m.Entry)
			key := string(source.Kind) + " " + source.Package
			other, there := first[key]
			if !there {
				first[key] = m
				continue
			}
			was := inventory.Of(other.Entry)
			if was.Version == source.Version || seen[m.Entry.File+m.Entry.Name+key] {
				continue
			}
			seen[m.Entry.File+m.Entry.Name+key] = true
			why := fmt.Sprintf("%s runs %s in the version %s, and %s in the version %s: a fault that is mended in one stays in the other", m.Entry.Name, source.Package, version(source), other.Entry.Name, version(was))
			r.Findings = append(r.Findings, check.About(m.Server, m.Entry).Says(rule.Unrated, why, "use one version", key, source.Version, was.Version))
		}
	}
	return r
}

func version(s inventory.Source) string {
	if s.Version == "" {
		return "that is newest"
	}
	return s.Version
}
