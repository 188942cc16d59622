// Package contextflooding recognises texts whose size or repetition fills the context
// of a model and leaves no room for what matters.
package contextflooding

import (
	_ "embed"
	"fmt"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Rule is the rule this folder defines.
var Rule = rule.Rule{
	ID:         "context-flooding",
	Title:      "Text that floods the context of a model",
	Severity:   rule.High,
	Confidence: reported,
	Surfaces:   rule.FromServer,
	Refs:       []string{"OWASP-MCP10:2025", "SAFE-T2102", "SAFE-T1401", "CWE-400", "CWE-770"},
	Doc:        doc,
	AsWritten:  true,
	Detect:     detect,
}

const (
	certain  = 0.95
	reported = 0.6

	// largeDefinition is a size that one text of a definition reaches only in a manual;
	// hugeDefinition is one that none needs: a tenth of the context of most models.
	largeDefinition, hugeDefinition = 24 << 10, 64 << 10
	// minText is the length below which nothing is flooded.
	minText = 2 << 10
	// maxPeriod is the longest unit that is recognised where it follows itself, in bytes.
	maxPeriod = 512
	// A unit counts where it fills this much of a text, in bytes: more in results,
	// because tables and logs repeat themselves.
	fillsDefinition, fillsResult = 1 << 10, 16 << 10
	// manyTimes is how often it must follow itself: a document has a few like paragraphs.
	manyTimes = 30
	// tail is how much text behind a repetition makes it a cover for something, in
	// bytes.
	tail = 40
	// manyLines is how often one line must stand in a definition.
	manyLines = 60
)

func detect(subject rule.Subject) ([]rule.Match, error) {
	text := subject.Text
	if len(text) < minText || (subject.Key == "blob" || subject.Key == "data") && strings.IndexByte(text[:minText], ' ') < 0 {
		return nil, nil // binary content, in Base64
	}
	definition := subject.Surface&rule.Definitions != 0
	fills := fillsResult
	if definition {
		fills = fillsDefinition
	}
	matches := repetitions(text, fills, definition)
	if !definition {
		return matches, nil
	}
	if len(matches) == 0 {
		if line, count := repeatedLine(text); count >= manyLines {
			start := strings.Index(text, line)
			matches = append(matches, rule.Match{Start: start, End: start + len(line), Confidence: certain, Detail: fmt.Sprintf("one line stands %d times in a definition", count)})
		}
	}
	switch {
	case len(text) >= hugeDefinition:
		matches = append(matches, rule.Match{Start: 0, End: len(text), Confidence: certain, Detail: fmt.Sprintf("a text of %d KB in a definition", len(text)>>10)})
	case len(text) >= largeDefinition:
		matches = append(matches, rule.Match{Start: 0, End: len(text), Severity: rule.Low, Confidence: reported, Detail: fmt.Sprintf("a text of %d KB in a definition", len(text)>>10)})
	}
	return matches, nil
}

// probe is how long a piece is looked for behind itself, in bytes.
const probe = 16

// repetitions finds units that follow themselves for long. Each place of a text is
// looked at a bounded number of times.
func repetitions(text string, fills int, definition bool) []rule.Match {
	var matches []rule.Match
	for i := 0; i+probe+maxPeriod < len(text); {
		period := strings.Index(text[i+1:i+probe+maxPeriod], text[i:i+probe]) + 1
		if period == 0 {
			i += fills / 2
			continue
		}
		end := i + period
		for end < len(text) && text[end] == text[end-period] {
			end++
		}
		start := i
		for start > 0 && i-start < fills && text[start-1] == text[start-1+period] {
			start--
		}
		if unit := text[start : start+period]; end-start >= fills && (end-start)/period >= manyTimes && words(unit) {
			for !utf8.RuneStart(text[start]) {
				start++
			}
			for end < len(text) && !utf8.RuneStart(text[end]) {
				end--
			}
			m := rule.Match{Start: start, End: end, Detail: fmt.Sprintf("the same words %d times in a row", (end-start)/period)}
			switch {
			case definition:
				m.Confidence = certain
			case covers(text, end):
				m.Detail += ", with a text behind them"
			default:
				m.Severity = rule.Medium
			}
			matches = append(matches, m)
		}
		i = max(end, i+fills/2)
	}
	return matches
}

// words says whether a unit is made of words: a row of dashes, zeros or brackets floods
// nothing, and encoded data is no text.
func words(unit string) bool {
	letters, spaces := 0, 0
	for _, r := range unit {
		switch {
		case r == ' ' || r == '\n' || r == '\t' || r == 0xa0:
			spaces++
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0xc0:
			letters++
		}
	}
	return spaces > 0 && letters >= 3 && letters*3 >= utf8.RuneCountInString(unit) && different(unit) >= 3
}

// different counts the characters of a unit, up to eight.
func different(unit string) int {
	var seen [256]bool
	n := 0
	for i := 0; i < len(unit) && n < 8; i++ {
		if !seen[unit[i]] {
			seen[unit[i]], n = true, n+1
		}
	}
	return n
}

// covers says whether a text of some length follows a repetition.
func covers(text string, end int) bool {
	rest := strings.TrimSpace(text[end:])
	return len(rest) >= tail && strings.Count(rest, " ") >= 5
}

// maxLines bounds the lines that are counted.
const maxLines = 20_000

// repeatedLine is a line of a definition that stands there most often, and how often.
// Short lines and lines without words are structure. Lines are counted by a hash, of
// which several may share one; what is said of a line is counted again.
func repeatedLine(text string) (most string, times int) {
	var counts [512]uint16
	slot, n := uint32(0), 0
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); len(line) < 20 || !words(line) {
			continue
		}
		h := hash(line) % uint32(len(counts))
		if counts[h]++; counts[h] > counts[slot] || slot == h && most == "" {
			slot, most = h, line
		}
		if n++; n > maxLines {
			break
		}
	}
	if counts[slot] < manyLines {
		return most, 0
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimSpace(line) == most {
			times++
		}
	}
	return most, times
}

// hash is FNV-1a.
func hash(line string) uint32 {
	h := uint32(2166136261)
	for i := range len(line) {
		h = (h ^ uint32(line[i])) * 16777619
	}
	return h
}
