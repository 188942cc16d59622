package hiddentext

import (
	"regexp"
	"strings"

	"gatehouse/internal/rule"
)

// maxElement bounds one HTML element or comment that is looked at, in bytes.
const maxElement = 2000

// markup finds text that HTML or Markdown does not show. Only definitions are
// looked at: pages and documents that a server returns are full of it.
func markup(text string) []rule.Match {
	var matches []rule.Match
	for _, found := range [][]rule.Match{
		enclosed(text, "<!--", "-->", "an HTML comment"),
		enclosed(text, "[//]: #", "\n", "a Markdown comment"),
		enclosed(text, "[comment]: ", "\n", "a Markdown comment"),
		styled(text),
	} {
		matches = append(matches, found...)
	}
	return matches
}

// enclosed finds what stands between two marks and holds a letter or digit.
func enclosed(text, open, close, detail string) []rule.Match {
	var matches []rule.Match
	for from := 0; ; {
		at := strings.Index(text[from:], open)
		if at < 0 {
			return matches
		}
		start := from + at
		body := start + len(open)
		end := len(text)
		if n := strings.Index(text[body:], close); n >= 0 {
			end = body + n + len(close)
		}
		if strings.IndexFunc(strings.TrimSuffix(text[body:end], close), alphanumeric) >= 0 {
			matches = append(matches, rule.Match{Start: start, End: end, Detail: detail})
		}
		from = end
	}
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r > 0x7f
}

// unseen are the attributes that make an element disappear.
var unseen = regexp.MustCompile(`(?i)^<\w+\s(?:[^<>]*[\s;"'])?(?:style\s*=[^<>]*(?:display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?:\.0+)?\s*[;"'!]|font-size\s*:\s*0|(?:width|height)\s*:\s*0|(?:left|top|text-indent)\s*:\s*-\d{3,}|[^-]color\s*:\s*(?:white|transparent|#fff(?:fff)?\b|rgba\([^)]*,\s*0\s*\)))|hidden[\s>=]|aria-hidden\s*=\s*["']?true)[^<>]*>?`)

// styled finds HTML elements that are made invisible.
func styled(text string) []rule.Match {
	var matches []rule.Match
	for from := 0; ; {
		at := strings.IndexByte(text[from:], '<')
		if at < 0 {
			return matches
		}
		start := from + at
		end := start + 1
		if n := strings.IndexAny(text[end:min(len(text), start+maxElement)], "<>"); n >= 0 {
			end += n
			if text[end] == '>' {
				end++
			}
			if unseen.MatchString(text[start:end]) {
				matches = append(matches, rule.Match{Start: start, End: end, Detail: "an HTML element that is not shown"})
			}
		}
		from = end
	}
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
