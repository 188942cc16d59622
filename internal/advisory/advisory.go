// Package advisory knows which versions of which packages have known faults, without
// asking anybody: a snapshot that comes with the program, about servers of MCP and what
// they are made of, and a snapshot that people fetch, of everything that is published in
// the OSV format.
//
// What a snapshot does not have is not clean: it may be older than the fault. Whoever
// asks is told how old the answer is.
package advisory

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"deps.dev/util/semver"

	"gatehouse/internal/rule"
)

// Ecosystem is a registry, as OSV names it.
type Ecosystem string

// The ecosystems in which servers are published.
const (
	NPM  Ecosystem = "npm"
	PyPI Ecosystem = "PyPI"
	Go   Ecosystem = "Go"
)

// Ecosystems lists them.
func Ecosystems() []Ecosystem { return []Ecosystem{NPM, PyPI, Go} }

var systems = map[Ecosystem]semver.System{NPM: semver.NPM, PyPI: semver.PyPI, Go: semver.Go}

// Advisory is one fault of one package.
type Advisory struct {
	ID       string        `json:"id"`
	Aliases  []string      `json:"aliases,omitempty"`
	Summary  string        `json:"summary,omitempty"`
	Severity rule.Severity `json:"severity,omitempty"` // Unrated if nobody said
	Malware  bool          `json:"malware,omitempty"`
	Ranges   []Range       `json:"ranges,omitempty"`
	Versions []string      `json:"versions,omitempty"` // besides those of the ranges
}

// Range is the versions from Introduced on, before Fixed or up to Last.
type Range struct {
	Introduced string `json:"from,omitempty"`  // empty: from the first
	Fixed      string `json:"fixed,omitempty"` // empty, like Last: to the newest
	Last       string `json:"last,omitempty"`
}

// every reports whether no version is without the fault.
func (r Range) every() bool { return r.Introduced == "" && r.Fixed == "" && r.Last == "" }

// AffectsAll reports whether every version has the fault.
func (a Advisory) AffectsAll() bool { return slices.ContainsFunc(a.Ranges, Range.every) }

// Affects reports whether a version has the fault. A version that cannot be compared is
// an error: "could not tell" is not "no".
func (a Advisory) Affects(e Ecosystem, version string) (bool, error) {
	if a.AffectsAll() {
		return true, nil
	}
	v, err := parse(e, version)
	if err != nil {
		return false, err
	}
	for _, listed := range a.Versions {
		if l, err := parse(e, listed); listed == version || err == nil && l.Compare(v) == 0 {
			return true, nil
		}
	}
	for _, r := range a.Ranges {
		in, err := r.holds(e, v)
		if err != nil {
			return false, fmt.Errorf("%s: %w", a.ID, err)
		}
		if in {
			return true, nil
		}
	}
	return false, nil
}

func (r Range) holds(e Ecosystem, v *semver.Version) (bool, error) {
	for _, bound := range []struct {
		text string
		out  func(order int) bool // of v and the bound
	}{
		{r.Introduced, func(order int) bool { return order < 0 }},
		{r.Fixed, func(order int) bool { return order >= 0 }},
		{r.Last, func(order int) bool { return order > 0 }},
	} {
		if bound.text == "" {
			continue
		}
		b, err := parse(e, bound.text)
		if err != nil {
			return false, err
		}
		if bound.out(v.Compare(b)) {
			return false, nil
		}
	}
	return true, nil
}

// FixedFor is the first version after this one that is without the fault; empty if none
// is known. Where accounts disagree, the fix of one may have the fault of another.
func (a Advisory) FixedFor(e Ecosystem, version string) string {
	v, err := parse(e, version)
	var fixes []string
	for _, r := range a.Ranges {
		f, bad := parse(e, r.Fixed)
		if bad != nil || err == nil && f.Compare(v) <= 0 {
			continue
		}
		if still, bad := a.Affects(e, r.Fixed); bad == nil && !still {
			fixes = append(fixes, r.Fixed)
		}
	}
	if len(fixes) == 0 {
		return ""
	}
	return slices.MinFunc(fixes, func(a, b string) int { return systems[e].Compare(canonical(e, a), canonical(e, b)) })
}

// maxVersionBytes bounds a version that is parsed. Real ones have less than fifty.
const maxVersionBytes = 200

func parse(e Ecosystem, version string) (*semver.Version, error) {
	system, known := systems[e]
	if !known || version == "" || len(version) > maxVersionBytes {
		return nil, fmt.Errorf("%q is no version of %s", clip(version, 40), e)
	}
	v, err := system.Parse(canonical(e, version))
	if err != nil {
		return nil, fmt.Errorf("%q is no version of %s", clip(version, 40), e)
	}
	return v, nil
}

// canonical writes a version as its system wants it: OSV leaves out the v of Go.
func canonical(e Ecosystem, version string) string {
	if e == Go {
		return "v" + strings.TrimPrefix(version, "v")
	}
	return version
}

var separators = regexp.MustCompile(`[-_.]+`)

// Name is the name under which a package is known: PEP 503 for PyPI, as it is for others.
func Name(e Ecosystem, name string) string {
	if e == PyPI {
		return separators.ReplaceAllString(strings.ToLower(strings.TrimSpace(name)), "-")
	}
	return name
}

// merge joins what several snapshots say: the same fault is there once, under whichever
// of its names. Where they disagree about versions, each is believed.
func merge(lists ...[]Advisory) []Advisory {
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(a, b Advisory) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.ID, b.ID))
	})
	var out []Advisory
	at := map[string]int{} // in out, by name
	for _, a := range all {
		names := append([]string{a.ID}, a.Aliases...)
		same := slices.IndexFunc(names, func(n string) bool { _, known := at[n]; return known })
		i := len(out)
		if same >= 0 {
			i = at[names[same]]
			out[i] = out[i].with(a)
		} else {
			out = append(out, a)
		}
		for _, n := range names {
			at[n] = i
		}
	}
	return out
}

// with is a with the versions and names of another account of the same fault.
func (a Advisory) with(b Advisory) Advisory {
	a.Malware = a.Malware || b.Malware
	a.Ranges = union(a.Ranges, b.Ranges)
	a.Versions = union(a.Versions, b.Versions)
	for _, n := range append([]string{b.ID}, b.Aliases...) {
		if n != a.ID {
			a.Aliases = union(a.Aliases, []string{n})
		}
	}
	return a
}

// union leaves its arguments as they are.
func union[T comparable](a, b []T) []T {
	out := slices.Clone(a)
	for _, one := range b {
		if !slices.Contains(out, one) {
			out = append(out, one)
		}
	}
	return out
}

// clip shortens a text to at most n bytes, at the border of a letter.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
