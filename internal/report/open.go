package report

import (
	"cmp"
	"slices"
	"strings"
)

// Open is one reason for which something could not be checked, told once for all the
// checks and servers that it is the reason for.
type Open struct {
	Why     string
	Checks  []string
	Servers []string // names; empty if it is about no server alone
}

// maxWhy bounds a reason, in bytes: some repeat all that a server printed when it ended.
const maxWhy = 300

// Open puts together what could not be checked for the same reason. A reason that names
// the package of its server is the same for all packages. Long ones are cut; Unchecked has
// all of them.
func (r *Report) Open() (out []Open) {
	packages := map[string]string{}
	for _, s := range r.Servers {
		packages[s.ID] = s.Package
	}
	at := map[string]int{}
	for _, u := range r.Unchecked {
		why := impersonal(u.Why, packages[u.Server])
		if short := clip(why, maxWhy); short != why {
			why = short + "…"
		}
		i, seen := at[why]
		if !seen {
			i, at[why] = len(out), len(out)
			out = append(out, Open{Why: why})
		}
		out[i].Checks = with(out[i].Checks, u.Check)
		if name := cmp.Or(u.Name, u.Server); name != "" {
			out[i].Servers = with(out[i].Servers, name)
		}
	}
	// What is about the most comes first.
	slices.SortStableFunc(out, func(a, b Open) int {
		return cmp.Compare(len(b.Checks)*max(1, len(b.Servers)), len(a.Checks)*max(1, len(a.Servers)))
	})
	return out
}

// impersonal is a reason without the name of the package that it is about.
func impersonal(why, name string) string {
	if name == "" {
		return why
	}
	if rest, ok := strings.CutPrefix(why, name+": "); ok {
		return rest
	}
	if rest, ok := strings.CutPrefix(why, name+" "); ok {
		return "its package " + rest
	}
	return why
}
