package config

import (
	"slices"
	"strings"
)

// Filter says which names, or URIs, of a server are shown and may be used. The
// zero Filter lets all of them pass.
type Filter struct {
	Allow []string // patterns; none: everything
	Deny  []string // patterns; they win over Allow
}

// Passes reports whether the filter lets the name pass.
func (f Filter) Passes(name string) bool {
	matches := func(pattern string) bool { return matchPattern(pattern, name) }
	return !slices.ContainsFunc(f.Deny, matches) && (len(f.Allow) == 0 || slices.ContainsFunc(f.Allow, matches))
}

// Empty reports whether the filter lets everything pass.
func (f Filter) Empty() bool { return len(f.Allow) == 0 && len(f.Deny) == 0 }

// Unmatched are the patterns that match none of the names: most likely they are
// mistyped, and then they guard nothing.
func (f Filter) Unmatched(names []string) []string {
	var out []string
	for _, pattern := range slices.Concat(f.Allow, f.Deny) {
		if !slices.ContainsFunc(names, func(name string) bool { return matchPattern(pattern, name) }) {
			out = append(out, pattern)
		}
	}
	return out
}

// matchPattern compares a whole name with a pattern in which * stands for any
// characters, none included. The first place where a piece fits is as good as any
// later one, so the time is linear in the name for each piece.
func matchPattern(pattern, name string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == name
	}
	name, fits := strings.CutPrefix(name, first)
	if !fits {
		return false
	}
	for {
		piece, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, piece)
		}
		at := strings.Index(name, piece)
		if at < 0 {
			return false
		}
		name, rest = name[at+len(piece):], after
	}
}

// maxPattern is longer than any tool name and nearly every URI.
const maxPattern = 512

func checkNamePattern(pattern string) string {
	return checkPattern(pattern, "?[]{}!,")
}

// checkURIPattern lets signs stand for themselves that URIs are made of.
func checkURIPattern(pattern string) string {
	return checkPattern(pattern, "[]{}")
}

// checkPattern refuses what means more than itself in other kinds of patterns. A
// person who writes it expects that meaning, and the pattern would match nothing.
func checkPattern(pattern, special string) string {
	switch {
	case pattern == "" || len(pattern) > maxPattern:
		return "expected a name in which * stands for any characters"
	case strings.ContainsAny(pattern, special+"\\ \t\r\n\x00"):
		return "only * has a meaning in a pattern; write several patterns instead"
	}
	return ""
}

func filter(name, doc string, to *Filter, check func(string) string) key {
	patterns := func(doc string) schema {
		return schema{"type": "array", "minItems": 1, "items": schema{"type": "string"}, "description": doc}
	}
	read := func(to *[]string) func(*reader, *node, string) {
		return func(r *reader, n *node, field string) {
			if n.kind == list && len(n.list) == 0 {
				r.refuse(n.pos, field, `an empty list says nothing; leave the key out, or deny ["*"]`)
				return
			}
			if n.kind == list && len(n.list) > maxArguments {
				r.refuse(n.pos, field, "found %d patterns, expected at most %d", len(n.list), maxArguments)
				return
			}
			*to = r.texts(n, field, "pattern", check)
		}
	}
	return section(name, doc,
		key{"allow", patterns("Patterns of what passes; everything if left out."), read(&to.Allow)},
		key{"deny", patterns("Patterns of what does not pass, whatever allow says."), read(&to.Deny)},
	)
}
