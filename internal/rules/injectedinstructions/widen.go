package injectedinstructions

import (
	"strings"
	"unicode/utf8"

	"gatehouse/internal/rule"
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
