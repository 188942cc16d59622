package check

import (
	"errors"
	"fmt"

	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
)

// Case is one package that a server runs.
type Case struct {
	Server inventory.Server
	Entry  client.Entry
	Source inventory.Source
	Package
}

// Named is the package with the version that would run.
func (c Case) Named() string {
	if c.Version == "" {
		return c.Source.Package
	}
	return c.Source.Package + " " + c.Version
}

// Finding is a finding about the package: severity, reason and remedy are to be added.
func (c Case) Finding(why, fix string, evidence ...string) Finding {
	f := About(c.Server, c.Entry)
	f.Why, f.Fix = why, fix
	f.Evidence = Bind(append([]string{string(c.Source.Kind), c.Source.Package, c.Version}, evidence...)...)
	return f
}

// NotAsked says why no registry told anything about a package; it is empty if one did. It
// is for Packages.
func NotAsked(p Package) string {
	if p.Registry || p.Silent != "" {
		return p.Silent
	}
	return "no registry was asked; scan --online asks"
}

// Packages judges every package of npm and PyPI that servers run. What is not known of
// one is Unchecked; so is one in which nothing was found, if missing says why that is no
// answer. Packages with the same reason are counted together.
func (scene *Scene) Packages(missing func(Package) string, judge func(Case) (Finding, bool)) (r Result) {
	if scene.Facts.Package == nil {
		return Result{Unchecked: []Unchecked{{Why: "packages were not looked up"}}}
	}
	counts, reasons := map[string]int{}, []string{}
	for _, s := range scene.Servers {
		for e, source := range Each(s) {
			if source.Kind != inventory.NPM && source.Kind != inventory.PyPI {
				continue
			}
			p, err := scene.Facts.Package(source)
			if err != nil {
				r.Unchecked = append(r.Unchecked, NotKnown(s, fmt.Sprintf("%s: %v", source.Package, err)))
				continue
			}
			if f, found := judge(Case{s, e, source, p}); found {
				r.Findings = append(r.Findings, f)
			} else if why := missing(p); why != "" {
				if counts[why] == 0 {
					reasons = append(reasons, why)
				}
				counts[why]++
			}
		}
	}
	for _, why := range reasons {
		of := "1 package"
		if n := counts[why]; n > 1 {
			of = fmt.Sprintf("%d packages", n)
		}
		r.Unchecked = append(r.Unchecked, Unchecked{Why: of + ": " + why})
	}
	return r
}

// Advised is a server with the advisories of what it runs.
type Advised struct {
	Server     inventory.Server
	Entry      client.Entry
	Source     inventory.Source
	Name       string // of the package, or of the file that is part of one
	Advisories []Advisory
}

// Finding is a finding about some of the advisories.
func (a Advised) Finding(list []Advisory) Finding {
	f := About(a.Server, a.Entry)
	facts := []string{string(a.Source.Kind), a.Source.Package}
	for _, one := range list {
		facts = append(facts, one.ID, one.Package, one.Version)
		f.Refers = append(f.Refers, one.ID)
	}
	f.Evidence = Bind(facts...)
	return f
}

// Advised judges the advisories of every server that comes from somewhere. A Partial error
// is said once.
func (scene *Scene) Advised(judge func(Advised) []Finding) (r Result) {
	if scene.Facts.Advisories == nil {
		return Result{Unchecked: []Unchecked{{Why: "advisories were not looked up"}}}
	}
	said := map[string]bool{}
	for _, s := range scene.Servers {
		for e, source := range Each(s) {
			if source.Kind == inventory.Remote || source.Kind == inventory.BuiltIn {
				continue
			}
			list, err := scene.Facts.Advisories(source)
			if len(list) > 0 {
				r.Findings = append(r.Findings, judge(Advised{s, e, source, scene.nameOf(source), list})...)
			}
			var partial Partial
			switch {
			case err == nil || said[err.Error()]:
			case errors.As(err, &partial):
				said[err.Error()] = true
				r.Unchecked = append(r.Unchecked, Unchecked{Why: err.Error()})
			default:
				r.Unchecked = append(r.Unchecked, NotKnown(s, err.Error()))
			}
		}
	}
	return r
}

// nameOf is the package that a source is, or that a file which it names is part of.
func (scene *Scene) nameOf(source inventory.Source) string {
	if scene.Facts.Package != nil {
		if p, err := scene.Facts.Package(source); err == nil && p.Name != "" {
			return p.Name
		}
	}
	return source.Package
}
