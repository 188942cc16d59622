package inspect

import (
	"encoding/json"
	"strings"

	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

// redacted is a text without what is to be taken out of it. A text that is JSON stays
// JSON: programs read it, and most of them would take nothing of the answer otherwise.
func (c *change) redacted(text string) string {
	out := replace(text, c.redact)
	if len(c.redact) > 0 && isJSON(text) && !isJSON(out) {
		return replaceValues(text, c.redact)
	}
	return out
}

func isJSON(text string) bool {
	first := strings.TrimLeft(text, " \t\r\n")
	return first != "" && (first[0] == '{' || first[0] == '[') && json.Valid([]byte(text))
}

// replaceValues puts the replacement of a match, of which there are some in order of
// their starts, in the place of the first string, number or name that it touches in a
// text that is JSON. Of the others nothing is left.
func replaceValues(text string, matches []rule.Found) string {
	var out strings.Builder
	said, at := 0, 0 // how many replacements stand, and from which match on one can touch
	end := 0         // how far the matches before reach
	for i := 0; i < len(text); {
		size := scalar(text[i:])
		if size == 0 {
			out.WriteByte(text[i])
			i++
			continue
		}
		for at < len(matches) && matches[at].Start < i+size {
			end = max(end, matches[at].End)
			at++
		}
		switch {
		case end <= i:
			out.WriteString(text[i : i+size])
		case said < at:
			out.Write(wire.AppendString(nil, matches[said].Replacement))
			said = at
		default:
			out.WriteString(`""`)
		}
		i += size
	}
	return out.String()
}

// scalar is the length of the string, number or name that a text begins with, 0 where it
// begins with none.
func scalar(text string) int {
	if text[0] == '"' {
		return 1 + closing(text[1:])
	}
	n := 0
	for n < len(text) && strings.IndexByte("{}[]:, \t\r\n\"", text[n]) < 0 {
		n++
	}
	return n
}

// closing is how far the rest of a string goes, with the quotation mark that ends it.
func closing(rest string) int {
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(rest)
}
