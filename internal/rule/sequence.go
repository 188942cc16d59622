package rule

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// sequence is what a text holds in this order, without overlap, where a pattern
// matches: of each set of literals one. Asking costs a hundredth of running the
// pattern.
type sequence [][]string

// maxSequences bounds the sequences of one pattern, of which a text holds one.
const maxSequences = 16

// sequences are those of which a text holds one where the pattern matches. One that
// is empty is held by every text.
func sequences(pattern *syntax.Regexp) []sequence {
	switch pattern.Op {
	case syntax.OpLiteral:
		word := string(pattern.Rune)
		if len(word) < 2 && word != "@" || pattern.Flags&syntax.FoldCase != 0 || slices.Contains(pattern.Rune, utf8.RuneError) {
			return []sequence{nil} // it stands everywhere, or for other bytes, too
		}
		return []sequence{{{word}}}
	case syntax.OpCapture, syntax.OpPlus:
		return sequences(pattern.Sub[0])
	case syntax.OpRepeat:
		if pattern.Min > 0 {
			return sequences(pattern.Sub[0])
		}
	case syntax.OpConcat:
		return inOrderOf(pattern.Sub)
	case syntax.OpAlternate:
		return oneOf(pattern.Sub)
	}
	return []sequence{nil}
}

// inOrderOf puts the sequences of the parts behind each other. A part with too many
// is passed over.
func inOrderOf(parts []*syntax.Regexp) []sequence {
	all := []sequence{nil}
	for _, part := range parts {
		next := sequences(part)
		if len(all)*len(next) > maxSequences {
			continue
		}
		var longer []sequence
		for _, s := range all {
			for _, n := range next {
				longer = append(longer, slices.Concat(s, n))
			}
		}
		all = longer
	}
	return all
}

// oneOf are the sequences of all branches; those of one set are one sequence.
func oneOf(branches []*syntax.Regexp) []sequence {
	var all []sequence
	var single []string
	for _, branch := range branches {
		for _, s := range sequences(branch) {
			switch len(s) {
			case 0:
				return []sequence{nil}
			case 1:
				single = append(single, s[0]...)
			default:
				all = append(all, s)
			}
		}
	}
	if single != nil {
		all = append(all, sequence{single})
	}
	if len(all) > maxSequences {
		return []sequence{nil}
	}
	return all
}

// heldBy says whether a text holds the sequence. Of what could come next, what ends
// first leaves the most room.
func (s sequence) heldBy(text string) bool {
	for _, set := range s {
		end := -1
		for _, literal := range set {
			part := text
			if end > 0 {
				part = text[:end-1] // where another one ends sooner
			}
			if n := strings.Index(part, literal); n >= 0 {
				end = n + len(literal)
			}
		}
		if end < 0 {
			return false
		}
		text = text[end:]
	}
	return true
}

func anyHeldBy(text string, all []sequence) bool {
	return slices.ContainsFunc(all, func(s sequence) bool { return s.heldBy(text) })
}
