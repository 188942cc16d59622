package likelyinjection

import (
	"strings"

	"gatehouse/internal/rule"
)

// maxString bounds how far a match in a JSON string is widened to its quotes, in bytes.
const maxString = 2000

// place is where the sentences text[from:to] of the folded text stand in the text
// itself. In a text that is JSON it is one whole string, so that what remains is still
// JSON.
func place(subject *rule.Subject, from, to int) (start, end int) {
	start, end = subject.Folded().Span(from, to)
	end = start + len(strings.TrimRight(subject.Text[start:end], " \t\r\n"))
	if s := strings.TrimLeft(subject.Text, " \t\r\n"); s != "" && (s[0] == '{' || s[0] == '[') {
		return stringAround(subject.Text, start, end)
	}
	return start, end
}

// stringAround is the part between two quotation marks that has most of text[start:end],
// whole if its ends are not too far away.
func stringAround(text string, start, end int) (int, int) {
	from, to := start, start
	for at := start; at < end; {
		quote := nextQuote(text[at:end])
		if quote > to-from {
			from, to = at, at+quote
		}
		at += quote + 1
	}
	before := text[max(0, from-maxString):from]
	if i := lastQuote(before); i >= 0 {
		from = from - len(before) + i + 1
	}
	after := text[to:min(len(text), to+maxString)]
	if i := nextQuote(after); i < len(after) {
		to += i
	}
	return from, to
}

// nextQuote is how far away the next quotation mark is that no backslash escapes; the
// length of the text if there is none.
func nextQuote(text string) int {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(text)
}

// lastQuote is where the last such mark stands, -1 if there is none.
func lastQuote(text string) int {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == '"' && (i == 0 || text[i-1] != '\\') {
			return i
		}
	}
	return -1
}
