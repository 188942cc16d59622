// Package confusableservers finds different servers whose names people and models
// mistake for each other.
package confusableservers

import (
	_ "embed"
	"fmt"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
	"gatehouse/internal/rule/names"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "confusable-servers",
	Title:      "Two servers of one client have names that are taken for each other",
	Severity:   rule.Medium,
	References: []string{"CWE-1007: Insufficient Visual Distinction of Homoglyphs Presented to User", "OWASP MCP Top 10, MCP09: Shadow MCP Servers"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	seen := map[string]bool{}
	for _, set := range scene.Sets() {
		if n := len(set.Members); n > maxCompared {
			r.Unchecked = append(r.Unchecked, check.Unchecked{Why: fmt.Sprintf("%s has %d servers, whose names are too many to compare with each other", set.Client, n)})
			continue
		}
		members := named(set.Members)
		for i, a := range members {
			for _, b := range members[:i] {
				key := a.Entry.File + a.Entry.Name + b.Entry.File + b.Entry.Name
				severity, why := judge(a, b)
				if why == "" || seen[key] {
					continue
				}
				seen[key] = true
				r.Findings = append(r.Findings, check.About(a.Server, a.Entry).Says(severity, why, "rename one of them, or take it out", a.Server.ID, b.Server.ID, a.Entry.Name, b.Entry.Name))
			}
		}
	}
	return r
}

// maxCompared bounds the servers of a client that are compared with each other: the time
// that it takes grows with the square. Nobody has as many.
const maxCompared = 1000

// member is one of a set with its name as it is compared.
type member struct {
	check.Member
	name, skeleton string
	mixed          bool // letters of several alphabets
}

func named(members []check.Member) []member {
	all := make([]member, len(members))
	for i, m := range members {
		name := strings.ToLower(m.Entry.Name)
		all[i] = member{m, name, names.Skeleton(name), names.MixesScripts(m.Entry.Name)}
	}
	return all
}

func judge(a, b member) (rule.Severity, string) {
	if same(a.Server, b.Server) {
		return rule.Unrated, ""
	}
	switch {
	case a.name == b.name && a.Entry.Scope == client.Project && b.Entry.Scope != client.Project:
		return rule.Medium, fmt.Sprintf("the project has a server of its own under the name %s, which takes the place of yours and is another one", a.Entry.Name)
	case a.name == b.name:
		return rule.Low, fmt.Sprintf("another server has the name %s in %s: which of them a client starts depends on the order in which it reads", a.Entry.Name, b.Entry.File)
	case a.mixed || b.mixed:
		if a.skeleton == b.skeleton {
			return rule.High, fmt.Sprintf("%q and %q look the same and are written with other letters", a.Entry.Name, b.Entry.Name)
		}
	case a.skeleton == b.skeleton || near(a.name, b.name):
		return rule.Unrated, fmt.Sprintf("%s and %s are nearly the same name, of two different servers: the model calls one and means the other", a.Entry.Name, b.Entry.Name)
	}
	return rule.Unrated, ""
}

// same reports whether two entries run the same program, though perhaps with other
// arguments: two folders, two databases.
func same(a, b inventory.Server) bool {
	return a.ID == b.ID || a.Kind == b.Kind && a.Package == b.Package
}

// shortest is how long a name must be to have no neighbours by chance.
const shortest = 5

// near reports whether one slip leads from one name to the other. A digit more, or
// another one, is how people number things.
func near(a, b string) bool {
	letters := func(s string) string { return strings.TrimRight(s, "0123456789-_") }
	if min(len(a), len(b)) < shortest || letters(a) == letters(b) {
		return false
	}
	return names.OneEdit(a, b) || names.Exchanged(a, b)
}
