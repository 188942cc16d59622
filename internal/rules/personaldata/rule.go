// Package personaldata recognises data about persons: numbers that have a checksum or
// a name beside them, and addresses.
package personaldata

import (
	_ "embed"
	"slices"
	"strings"

	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines. It reports; what follows is for a policy,
// which can tell the kinds by their severity and by the first words of the detail.
var Rule = rule.Rule{
	ID:       "personal-data",
	Title:    "Data about a person",
	Severity: rule.Medium,
	Exposure: true,
	Surfaces: rule.FromServer&^rule.Definitions | rule.ToServer,
	Refs:     []string{"OWASP-MCP10:2025", "SAFE-T1801", "SAFE-T1804", "CWE-359"},
	Doc:      doc,
	Literals: []*rule.Literals{labels},
	Detect:   detect,
}

const (
	// likely is for a number with a right checksum and a name beside it.
	likely = 0.95
	// perhaps is for a number whose form alone speaks for it, which one of ten others
	// has as well.
	perhaps = 0.6

	// maxMatches of one text are told apart; a table of customers has more. What follows
	// them is one match, so that a policy that redacts leaves nothing of it.
	maxMatches = 1000
)

func detect(subject rule.Subject) ([]rule.Match, error) {
	var f finder
	f.text = subject.Text
	if subject.Holds(labels) {
		subject.Each(labels, func(literal, start, end int) { f.labelled(kinds[owners[literal]], end) })
	}
	f.cards()
	f.mails()
	return f.sorted(), nil
}

// finder collects what is found in one text, the surest kinds first.
type finder struct {
	text    string
	taken   []bool // the bytes that are part of a match; nil before the first
	matches []rule.Match
}

func (f *finder) add(start, end int, severity rule.Severity, confidence float64, detail string) {
	if f.taken == nil {
		f.taken = make([]bool, len(f.text))
	}
	if slices.Contains(f.taken[start:end], true) {
		return // the first to know it says what it is
	}
	for i := range f.taken[start:end] {
		f.taken[start+i] = true
	}
	f.matches = append(f.matches, match(start, end, severity, confidence, detail))
}

// sorted are the matches in the order of the text.
func (f *finder) sorted() []rule.Match {
	slices.SortFunc(f.matches, func(a, b rule.Match) int { return a.Start - b.Start })
	return bounded(f.matches)
}

func match(start, end int, severity rule.Severity, confidence float64, detail string) rule.Match {
	return rule.Match{Start: start, End: end, Severity: severity, Confidence: confidence, Detail: detail, Action: rule.Report, Replacement: "[" + detail + " withheld by Gatehouse]"}
}

// bounded makes one match of those that are too many.
func bounded(matches []rule.Match) []rule.Match {
	if len(matches) <= maxMatches {
		return matches
	}
	rest := matches[maxMatches:]
	all := match(rest[0].Start, rest[len(rest)-1].End, rule.Info, 0, "more data about persons than is told apart")
	for _, m := range rest {
		all.Severity, all.Confidence = max(all.Severity, m.Severity), max(all.Confidence, m.Confidence)
	}
	return append(matches[:maxMatches], all)
}

// stride is how far apart the places are at which numbers are looked for. The digits of
// a card have one sign between them at most, so a card has a digit at one of them or
// right behind it.
const stride = minCard - 2

// cards looks at each run of digits that is long enough for a payment card.
func (f *finder) cards() {
	text := f.text
	for i := stride - 1; i < len(text); {
		if !digit(text[i]) && (i+1 >= len(text) || !digit(text[i+1])) {
			i += stride
			continue
		}
		start := i
		if !digit(text[start]) {
			start++
		}
		for start > 0 && (digit(text[start-1]) || start > 1 && sign(text[start-1]) && digit(text[start-2])) {
			start--
		}
		end := f.card(start)
		i = max(i, end) + stride
	}
}

// card looks at the run of digits that starts somewhere, and returns where it ends.
func (f *finder) card(start int) int {
	text, end, n := f.text, start, 0
	var number [maxCard]byte
	for i := start; i < len(text); i++ {
		if digit(text[i]) {
			if n < maxCard {
				number[n] = text[i]
			}
			n, end = n+1, i+1
		} else if !sign(text[i]) || i+1 >= len(text) || !digit(text[i+1]) {
			break
		}
	}
	if n >= minCard && n <= maxCard && whole(text, start, end) && card(string(number[:n])) && grouped(text[start:end], n) {
		confidence := perhaps
		if named(text, start, cardWords) {
			confidence = likely
		}
		f.add(start, end, rule.Medium, confidence, "payment card")
	}
	return end
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// sign says whether a character stands between the groups of a number.
func sign(c byte) bool { return c == ' ' || c == '-' }

// whole says whether text[start:end] is no part of a longer word or number.
func whole(text string, start, end int) bool {
	if start > 0 && (word(text[start-1]) || strings.IndexByte(".,$#/=&%+:", text[start-1]) >= 0 && start > 1 && word(text[start-2])) {
		return false
	}
	return end >= len(text) || !word(text[end]) && (text[end] != '.' && text[end] != ',' || end+1 >= len(text) || !word(text[end+1]))
}

func word(c byte) bool {
	return c == '_' || c == '-' || digit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80
}

// nameReach is how far before a number its name may stand, in bytes.
const nameReach = 60

// named says whether one of the words stands before a number.
func named(text string, at int, words []string) bool {
	before := strings.ToLower(text[max(0, at-nameReach):at])
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(before, word) })
}

var cardWords = []string{"card", "visa", "mastercard", "amex", "credit", "debit", "payment", "pan:", "ccnum", "kreditkarte", "carte", "tarjeta"}
