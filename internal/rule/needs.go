package rule

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// shortNeed is the length below which a literal stands in so many texts that
// looking for it saves nothing.
const shortNeed = 4

// requirements returns sets of literals: whatever the pattern matches holds a
// literal of each set. Most windows lack one, and asking costs far less than
// running the pattern.
func requirements(pattern *syntax.Regexp) [][]string {
	switch pattern.Op {
	case syntax.OpLiteral:
		word := string(pattern.Rune)
		if len(word) < shortNeed || pattern.Flags&syntax.FoldCase != 0 || slices.Contains(pattern.Rune, utf8.RuneError) {
			return nil // too common, or it stands for other bytes, too
		}
		return [][]string{{word}}
	case syntax.OpCapture, syntax.OpPlus:
		return requirements(pattern.Sub[0])
	case syntax.OpRepeat:
		if pattern.Min > 0 {
			return requirements(pattern.Sub[0])
		}
	case syntax.OpConcat:
		var sets [][]string
		for _, part := range pattern.Sub {
			sets = append(sets, requirements(part)...)
		}
		return sets
	case syntax.OpAlternate:
		return alternatives(pattern.Sub)
	}
	return nil
}

// alternatives is one set with the best one of each branch, or none where a
// branch has none.
func alternatives(branches []*syntax.Regexp) [][]string {
	var union []string
	for _, branch := range branches {
		sets := requirements(branch)
		if len(sets) == 0 {
			return nil
		}
		best := sets[0]
		for _, set := range sets[1:] {
			if shortest(set) > shortest(best) {
				best = set
			}
		}
		union = append(union, best...)
	}
	return [][]string{union}
}

func shortest(set []string) int {
	least := len(set[0])
	for _, word := range set[1:] {
		least = min(least, len(word))
	}
	return least
}

// allHold says whether each of the texts holds a literal of the set.
func allHold(texts, set []string) bool {
	return !slices.ContainsFunc(texts, func(text string) bool {
		return !slices.ContainsFunc(set, func(literal string) bool { return strings.Contains(text, literal) })
	})
}
