package wording

import (
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/rule"
)

// Shared are the phrases of all rules about language. They are looked for once for all
// of these rules; each reports its own kinds.
var Shared = rule.NewPhrases(ordering, translated, concealing, harvesting, remembering, beaconing, marking)

// rooms are the kinds that have a rule of their own.
var rooms = map[string]bool{Concealment: true, Secrets: true, Memory: true, Beacon: true, Markup: true}

// Confidences of what a text says, by the weight of its phrases.
const (
	hard = 0.95
	Fair = 0.6
	weak = 0.3
)

func confidence(weight int) float64 {
	switch weight {
	case 1:
		return weak
	case 2:
		return Fair
	}
	return hard
}

// Room makes the Detect of a rule that reports phrases of some kinds.
func Room(id string, kinds ...string) func(rule.Subject) ([]rule.Match, error) {
	return func(subject rule.Subject) ([]rule.Match, error) {
		var own []rule.Said
		for _, said := range Shared.Said(&subject) {
			if slices.Contains(kinds, said.Phrase.Kind) {
				own = append(own, said)
			}
		}
		return matches(&subject, id, false, rule.Join(own)), nil
	}
}

// Together are the matches of a rule that adds up phrases of all kinds, those of its own
// list included. What a rule with a kind of its own is sure of by itself is left to it.
// So is what is not enough, as far as it is of such kinds: rule.Combine adds up what
// different rules say, and nothing must count twice.
func Together(subject *rule.Subject, id string, own *rule.Phrases) []rule.Match {
	var light []rule.Said
	for _, said := range Shared.Said(subject) {
		if !rooms[said.Phrase.Kind] || said.Phrase.Weight < rule.Enough {
			light = append(light, said)
		}
	}
	var evidence []rule.Evidence
	for _, e := range rule.Join(light, own.Said(subject)) {
		if e.Weight < rule.Enough {
			if e.Weight = withoutRooms(e); e.Weight < leastTogether {
				continue
			}
		}
		evidence = append(evidence, e)
	}
	return matches(subject, id, true, evidence)
}

// leastTogether is the weight from which Together reports what is not enough. Less, such
// as "call this tool first", stands in every second manual.
const leastTogether = 2

func withoutRooms(e rule.Evidence) (weight int) {
	for kind, w := range e.Kinds {
		if !rooms[kind] {
			weight += w
		}
	}
	return weight
}

// matches are those of evidence; sum says that the rule adds up kinds of others, too.
func matches(subject *rule.Subject, id string, sum bool, evidence []rule.Evidence) []rule.Match {
	var sure, unsure []rule.Match
	folded := subject.Folded()
	for _, e := range evidence {
		m := rule.Match{Detail: strings.Join(e.Details, "; "), Confidence: confidence(e.Weight)}
		m.Start, m.End = folded.Span(e.Start, e.End)
		if rule.Mentioned(folded.Text, e.Start, e.End) {
			m.Mention, m.Confidence, m.Detail = true, min(m.Confidence, rule.Quoted), "quotes an attack: "+m.Detail
		}
		for kind := range e.Kinds {
			m.Sum = m.Sum || sum && rooms[kind]
		}
		Withhold(&m, subject.Surface, id)
		if m.Confidence < rule.Hard {
			unsure = append(unsure, m)
			continue
		}
		if m.Action == rule.Redact {
			m.Start, m.End = widen(subject.Text, m.Start, m.End)
		}
		sure = append(sure, m)
	}
	return append(merge(sure), unsure...)
}

// Withhold makes the match propose that its span goes, on surfaces where anything is
// rewritten: in definitions nothing is.
func Withhold(m *rule.Match, surface rule.Surface, id string) {
	if surface&rule.Definitions == 0 {
		m.Action, m.Replacement = rule.Redact, Withheld(id)
	}
}

// Withheld is the note that stands in the place of what was taken out.
func Withheld(id string) string { return "[content withheld by Gatehouse: " + id + "]" }

const (
	// maxParagraph bounds how far a match is widened to either side, in bytes. More
	// would let one sentence take a whole document away.
	maxParagraph = 2000
	// maxDetail bounds what a match says of itself, in bytes.
	maxDetail = 300
)

// widen grows a span to the paragraph around it: to a blank line, to the edge
// of an HTML block or comment, or, in a text that is JSON, to the quotes of the
// string that holds it, so that what remains is still JSON.
func widen(text string, start, end int) (int, int) {
	marks := []string{"\n\n", "\r\n\r\n", "\n \n", "<!--", "-->", "<p", "</p>", "<div", "</div>", "<li", "</li>", "<td", "</td>"}
	if s := strings.TrimLeft(text, " \t\r\n"); s != "" && (s[0] == '{' || s[0] == '[') {
		marks = append(marks, `"`)
	}
	before := text[max(0, start-maxParagraph):start]
	after := text[end:min(len(text), end+maxParagraph)]
	from, to := 0, len(after)
	for _, mark := range marks {
		if i := strings.LastIndex(before, mark); i >= 0 && i+len(mark) > from {
			from = i + len(mark)
		}
		if i := strings.Index(after, mark); i >= 0 && i < to {
			to = i
		}
	}
	start, end = start-len(before)+from, end+to
	for start > 0 && !utf8.RuneStart(text[start]) {
		start--
	}
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end++
	}
	return start, end
}

// merge joins matches whose paragraphs overlap; they come in order.
func merge(matches []rule.Match) []rule.Match {
	var merged []rule.Match
	for _, m := range matches {
		n := len(merged)
		if n > 0 && m.Start <= merged[n-1].End {
			last := &merged[n-1]
			last.Start, last.End = min(last.Start, m.Start), max(last.End, m.End)
			if len(last.Detail) < maxDetail && !strings.Contains(last.Detail, m.Detail) {
				last.Detail += "; " + m.Detail
			}
			continue
		}
		merged = append(merged, m)
	}
	return merged
}
