// Package imitatedpackage finds packages whose names are made to be taken for those of
// well-known servers.
package imitatedpackage

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
	"gatehouse/internal/rule/names"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "imitated-package",
	Title:      "A package has nearly the name of a well-known server",
	Severity:   rule.High,
	References: []string{"CWE-1357: Reliance on Insufficiently Trustworthy Component", "CWE-1007: Insufficient Visual Distinction of Homoglyphs Presented to User", "OWASP MCP Top 10, MCP04: Software Supply Chain Attacks"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		source := inventory.Of(e)
		severity, why, known := judge(source)
		if why == "" {
			continue
		}
		fix := fmt.Sprintf("if you mean %s, write that; otherwise look at who publishes %s", known, source.Package)
		r.Findings = append(r.Findings, check.About(s, e).Says(severity, why, fix, string(source.Kind), source.Package))
	}
	return r
}

func judge(source inventory.Source) (severity rule.Severity, why, known string) {
	list, there := wellKnown[source.Kind]
	name := strings.ToLower(source.Package)
	if !there || slices.Contains(list, name) {
		return rule.Unrated, "", ""
	}
	scope, base := split(name)
	for _, known := range list {
		knownScope, knownBase := split(known)
		switch {
		case names.Skeleton(source.Package) == names.Skeleton(known) && plain(name) == plain(known):
			return rule.High, fmt.Sprintf("%s differs from %s in its separators only", source.Package, known), known
		case names.Skeleton(source.Package) == names.Skeleton(known):
			return rule.High, fmt.Sprintf("%s looks like %s and is written with other letters", source.Package, known), known
		case scope == knownScope && len(base) >= shortest && near(base, knownBase):
			return rule.High, fmt.Sprintf("%s is one letter away from %s", source.Package, known), known
		case scope != "" && base == knownBase && len(knownScope) >= shortest && (near(scope, knownScope) || names.Skeleton(scope) == names.Skeleton(knownScope)):
			return rule.High, fmt.Sprintf("the owner of %s is one letter away from that of %s", source.Package, known), known
		case base == knownBase && scope != knownScope && len(base) >= distinct:
			return rule.Medium, fmt.Sprintf("%s has the name of %s and another owner", source.Package, known), known
		}
	}
	return elsewhere(source, name)
}

// elsewhere finds names of servers that are well known in another registry only: there
// anybody may publish under them.
func elsewhere(source inventory.Source, name string) (rule.Severity, string, string) {
	if source.Kind != inventory.NPM && source.Kind != inventory.PyPI {
		return rule.Unrated, "", ""
	}
	other := inventory.NPM
	if source.Kind == inventory.NPM {
		other = inventory.PyPI
	}
	if slices.Contains(wellKnown[other], name) && len(name) >= distinct {
		return rule.Medium, fmt.Sprintf("%s is well known on %s and asked for on %s, where it may be somebody else's", source.Package, other, source.Kind), string(other) + " " + name
	}
	return rule.Unrated, "", ""
}

const (
	// shortest is how long a name must be to have no neighbours by chance.
	shortest = 8
	// distinct is how long a name must be to be chosen by two people only on purpose.
	distinct = 12
)

func split(name string) (scope, base string) {
	if strings.HasPrefix(name, "@") || strings.Contains(name, "/") {
		at := strings.LastIndexByte(name, '/')
		return strings.TrimPrefix(name[:max(at, 0)], "@"), name[at+1:]
	}
	return "", name
}

func plain(name string) string {
	return strings.NewReplacer("-", "", "_", "", ".", "", "@", "", "/", "").Replace(name)
}

func near(a, b string) bool {
	return a != b && (names.OneEdit(a, b) || names.Exchanged(a, b))
}
