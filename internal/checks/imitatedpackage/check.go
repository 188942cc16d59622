// Package imitatedpackage finds packages whose names are made to be taken for those of
// well-known servers.
package imitatedpackage

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

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
		severity, why, meant := judge(source)
		if why == "" {
			continue
		}
		fix := fmt.Sprintf("if you mean %s, write that; otherwise look at who publishes %s", meant, source.Package)
		r.Findings = append(r.Findings, check.About(s, e).Says(severity, why, fix, string(source.Kind), source.Package))
	}
	return r
}

func judge(source inventory.Source) (severity rule.Severity, why, meant string) {
	list, there := prepared()[source.Kind]
	name := strings.TrimPrefix(strings.ToLower(source.Package), "docker.io/")
	if !there || slices.Contains(wellKnown[source.Kind], name) {
		return rule.Unrated, "", ""
	}
	scope, base := split(name)
	letters := plain(name)
	skeleton := names.Skeleton(letters)
	for _, k := range list {
		switch {
		case letters == k.letters:
			return rule.High, fmt.Sprintf("%s differs from %s in its separators only", source.Package, k.name), k.name
		case skeleton == k.skeleton:
			return rule.High, fmt.Sprintf("%s looks like %s and is written with other letters", source.Package, k.name), k.name
		case scope == k.scope && len(base) >= shortest && near(base, k.base):
			return rule.High, fmt.Sprintf("%s is one letter away from %s", source.Package, k.name), k.name
		case scope != "" && base == k.base && len(k.scope) >= shortest && near(scope, k.scope):
			return rule.High, fmt.Sprintf("the owner of %s is one letter away from that of %s", source.Package, k.name), k.name
		case base == k.base && scope != k.scope && len(base) >= distinct:
			return rule.Medium, fmt.Sprintf("%s has the name of %s and another owner", source.Package, k.name), k.name
		}
	}
	return elsewhere(source, name)
}

// known is a well-known name, taken apart.
type known struct{ name, scope, base, letters, skeleton string }

var prepared = sync.OnceValue(func() map[inventory.Kind][]known {
	all := map[inventory.Kind][]known{}
	for kind, list := range wellKnown {
		for _, name := range list {
			scope, base := split(name)
			letters := plain(name)
			all[kind] = append(all[kind], known{name, scope, base, letters, names.Skeleton(letters)})
		}
	}
	return all
})

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

var separators = strings.NewReplacer("-", "", "_", "", ".", "", "@", "", "/", "")

func plain(name string) string { return separators.Replace(name) }

// near reports whether one slip leads from one name to the other. Where the words that
// half of all servers have in their names leave too little, it is another name: exa and
// era, git and gist.
func near(a, b string) bool {
	if a == b || !names.OneEdit(a, b) && !names.Exchanged(a, b) {
		return false
	}
	const least, inCommonWord = 5, 3
	one, other := len(own(a)), len(own(b))
	return min(one, other) >= least || max(one, other)-min(one, other) >= inCommonWord
}

// own is a name without the words that half of all servers have in theirs.
func own(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "mcp" || w == "server" || w == "the" }), "")
}
