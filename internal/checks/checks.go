// Package checks lists the checks and runs them. Each check stands in a folder of its
// own; the list is written by go generate, so that adding a check edits no other file
// by hand.
package checks

import (
	"cmp"
	"slices"

	"gatehouse/internal/check"
)

//go:generate go run gatehouse/internal/checks/gen list
//go:generate go run gatehouse/internal/checks/gen page

// Run runs every check on a scene. Findings come worst first.
func Run(scene *check.Scene) check.Result {
	var all check.Result
	for _, c := range All() {
		r := c.Judge(scene)
		all.Findings = append(all.Findings, r.Findings...)
		all.Unchecked = append(all.Unchecked, r.Unchecked...)
	}
	slices.SortStableFunc(all.Findings, func(a, b check.Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Check, b.Check))
	})
	return all
}
