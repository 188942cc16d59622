package identity

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/config"
)

const (
	// maxGroups bounds the groups of one principal; identity providers put no more
	// into a token and refer to an API of theirs beyond that.
	maxGroups = 500
	// maxName bounds a subject, a group and the like, in bytes. OpenID Connect Core,
	// section 2: sub "MUST NOT exceed 255 ASCII characters".
	maxName = 255
)

// membership says which teams principals are in.
type membership struct {
	byID    map[string][]string // principal → teams
	byGroup map[string][]string // SOURCE/GROUP → teams
}

func newMembership(teams []config.Team) membership {
	m := membership{map[string][]string{}, map[string][]string{}}
	for _, t := range teams {
		for _, id := range t.Users {
			m.byID[id] = append(m.byID[id], t.Name)
		}
		for _, name := range t.Keys {
			m.byID["key:"+name] = append(m.byID["key:"+name], t.Name)
		}
		for _, group := range t.Groups {
			m.byGroup[group] = append(m.byGroup[group], t.Name)
		}
	}
	return m
}

// join puts a principal into its teams. A group is a team by itself, named after its
// source: names of teams hold no slash, so that no issuer can name one of ours.
func (m membership) join(p *Principal, groups ...string) *Principal {
	teams := slices.Concat(p.Teams, m.byID[p.ID], groups)
	for _, group := range groups {
		teams = append(teams, m.byGroup[group]...)
	}
	slices.Sort(teams)
	p.Teams = slices.Compact(teams)
	return p
}

// groupsOf names groups after their source and leaves out what cannot be a name.
func groupsOf(source string, names []string) []string {
	var out []string
	for _, name := range names[:min(len(names), maxGroups)] {
		if isName(name) {
			out = append(out, source+"/"+name)
		}
	}
	return out
}

// isName reports whether a text can name a principal: what a person reads in a log
// or a policy is then all there is.
func isName(text string) bool {
	return text != "" && len(text) <= maxName && utf8.ValidString(text) && strings.TrimSpace(text) == text &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}
