package hiddentext

import (
	"strings"

	"gatehouse/internal/rule"
)

// maxPart bounds how much of a hidden part is read, in bytes.
const maxPart = 4 << 10

// doubtful is the confidence that hidden prose in a result was hidden from people on
// purpose. Pages hide a lot, some of it addressed to those who look at their source.
const doubtful = 0.5

// markup finds text that HTML or Markdown does not show. In a definition anything is
// reported. Pages and documents that a server returns are full of it: there it counts
// where it is addressed to somebody.
func markup(subject *rule.Subject, definition bool) []rule.Match {
	var matches []rule.Match
	end := 0
	for _, part := range subject.HiddenParts() {
		text := subject.Text[part.Start:part.End]
		if part.Start < end { // it lies in one that is reported
			continue
		}
		m := rule.Match{Start: part.Start, End: part.End, Detail: part.How.String()}
		switch {
		case definition && conceals(part.How) && says(part.How, text):
		case !definition && addressed(part.How, text[:min(len(text), maxPart)]):
			m.Confidence, m.Action = doubtful, rule.Redact
			m.Detail = "a text to somebody in " + m.Detail
		default:
			continue
		}
		matches, end = append(matches, m), part.End
	}
	return matches
}

// conceals says whether markup of this kind is there to keep text from people. Attributes
// and titles are shown in their own way.
func conceals(how rule.Hiding) bool {
	return how == rule.Comment || how == rule.Unshown || how == rule.MarkdownComment
}

// says says whether a comment holds a letter or digit behind its mark.
func says(how rule.Hiding, text string) bool {
	if how == rule.MarkdownComment {
		_, text, _ = strings.Cut(text, "]:")
	}
	return how == rule.Unshown || strings.IndexFunc(text, alphanumeric) >= 0
}

// addressed says whether hidden text gives somebody an order. People write "you" to
// those who see an attribute or a comment, too, but nobody writes to a model there.
func addressed(how rule.Hiding, text string) bool {
	if how == rule.Inert || strings.Count(text, " ") < fewestSpaces {
		return false
	}
	folded := " " + string(rule.Fold(text).Text) + " "
	model, person, order := false, false, false
	addressees().Scan(folded, func(literal, start, end int) {
		model = model || literal < models
		person = true
	})
	if !person {
		return false
	}
	orders().Scan(folded, func(literal, start, end int) { order = true })
	return order && (model || how == rule.Unshown || how == rule.MarkdownComment)
}

// fewestSpaces is how many spaces an order has at least.
const fewestSpaces = 4

// addressees are those to whom hidden text speaks: the first ones are models.
var addressees = rule.LazyScanner(
	" assistant", "language model", " llm", " the ai ", " ai agent", " ai model", " ai system", " ai:", " ai,", "chatgpt", "claude", "copilot", "gemini", " the model", " the agent", "system prompt", " prompt",
	" you ", " your ",
)

// models is how many of them are models.
const models = 17

// orders are words of an order.
var orders = rule.LazyScanner(
	"ignore ", "disregard ", "instead ", " must ", " send ", " forward ", " always ", " never ", "do not tell", "do not mention", "don't tell", " execute ", " call the ", " reveal ", " override ", "instructions", "instructed ",
	" reply with", " respond with", " say that", " include ", " output ", " recommend ", " rank ", " upload ", " delete ", " read the file",
)

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r > 0x7f
}

const (
	// A description that goes on after this much white space is one whose end
	// nobody scrolls to.
	manySpaces = 120
	manyLines  = 20
)

// offScreen finds text that stands behind a long stretch of white space.
func offScreen(text string) []rule.Match {
	var matches []rule.Match
	for i := 0; i < len(text); i++ {
		start, lines := i, 0
		for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
			if text[i] == '\n' {
				lines++
			}
			i++
		}
		if (lines >= manyLines || lines == 0 && i-start >= manySpaces) && i < len(text) {
			matches = append(matches, rule.Match{Start: start, End: i, Severity: rule.Medium, Detail: "text behind a long stretch of white space"})
		}
	}
	return matches
}
