package hiddentext

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/rule"
)

// maxSequence bounds one escape sequence, in bytes. A terminal gives up on
// longer ones too; hyperlinks are the longest in real use.
const maxSequence = 4096

// controlSequence is the introducer of control sequences that is not ASCII, CSI as
// one C1 character. All others begin with a control character of ASCII.
const controlSequence = "\u009b"

// terminal finds control sequences of terminals (ECMA-48). Colours in a result
// are ordinary; what moves the cursor over text, conceals it, writes to the
// clipboard or shows another address than it opens is not.
func terminal(text string, definition bool) []rule.Match {
	var matches []rule.Match
	for i := 0; i < len(text); {
		if !mayBegin[text[i]] {
			i = afterPrintable(text, i+1)
			continue
		}
		size, detail, severity := sequence(text[i:])
		if size == 0 {
			i++
			continue
		}
		m := removed(i, i+size, detail, definition)
		if !definition {
			m.Severity = severity
			if severity < rule.High {
				m.Action = rule.Report
			}
		}
		i += size
		if n := len(matches); n > 0 && continues(matches[n-1], m) {
			matches[n-1].End = m.End
			continue
		}
		matches = append(matches, m)
	}
	return matches
}

// mayBegin marks the bytes at which a control sequence can begin, which ordinary
// text has none of.
var mayBegin = func() (table [256]bool) {
	for c := range table {
		table[c] = c < ' ' && !strings.ContainsRune("\t\n\r\f\v", rune(c)) || c == 0x7f || c == 0xc2
	}
	return table
}()

// afterPrintable returns where the printable characters of ASCII end that start at
// i, which are most of most texts. It reads eight bytes at once.
func afterPrintable(text string, i int) int {
	const (
		each    = 0x0101010101010101
		highest = 0x80 * each
	)
	for ; len(text)-i >= 8; i += 8 {
		block := binary.LittleEndian.Uint64([]byte(text[i : i+8]))
		// The highest bit of some byte is set if one is above 0x7f, below 0x20 or 0x7f.
		if (block|(block-0x20*each)|(block+each))&highest != 0 {
			break
		}
	}
	for i < len(text) && text[i] >= 0x20 && text[i] < 0x7f {
		i++
	}
	return i
}

// continues says whether a match goes on where the last one of its kind ended.
func continues(last, m rule.Match) bool {
	last.Start, last.End = m.Start, last.End+m.End-m.Start
	return last == m
}

// sequence reads one control sequence at the start of text and says how bad it
// is in a result. Size 0 means that none starts here.
func sequence(text string) (size int, detail string, severity rule.Severity) {
	switch c := text[0]; {
	case c == 0x1b:
		return escapeSequence(text)
	case c == 0xc2:
		if strings.HasPrefix(text, controlSequence) {
			return control(text, len(controlSequence))
		}
		return 0, "", 0
	case c == '\b':
		return 1, "a backspace, which hides the character before it", rule.High
	}
	return 1, "a control character", rule.Low
}

func escapeSequence(text string) (int, string, rule.Severity) {
	if len(text) == 1 {
		return 1, "an escape character", rule.Low
	}
	switch text[1] {
	case '[':
		return control(text, 2)
	case ']':
		return command(text)
	case 'P', '_', '^', 'X':
		return stringEnd(text), "a device control string, whose text is not shown", rule.High
	}
	return 1, "an escape character", rule.Low
}

// control reads a control sequence: parameters, intermediates and a final byte.
func control(text string, start int) (int, string, rule.Severity) {
	i := start
	for i < len(text) && i < maxSequence && text[i] >= 0x20 && text[i] <= 0x3f {
		i++
	}
	if i == len(text) || text[i] < 0x40 || text[i] > 0x7e {
		return i, "a broken terminal sequence", rule.Low
	}
	parameters, final := text[start:i], text[i]
	if final != 'm' {
		return i + 1, "a terminal sequence that moves the cursor or erases text", rule.High
	}
	for parameter := range strings.SplitSeq(parameters, ";") {
		if parameter == "8" {
			return i + 1, "a terminal sequence that conceals text", rule.High
		}
		if parameter == "38" || parameter == "48" {
			break // what follows are the parts of a colour
		}
	}
	return i + 1, "a terminal colour", rule.Low
}

// command reads an operating system command.
func command(text string) (int, string, rule.Severity) {
	size := stringEnd(text)
	body := text[2:size]
	switch {
	case strings.HasPrefix(body, "52;"):
		return size, "a terminal command that writes to the clipboard", rule.High
	case strings.HasPrefix(body, "8;"):
		if misleads(body, text[size:]) {
			return size, "a terminal hyperlink that shows another address than it opens", rule.High
		}
		return size, "a terminal hyperlink", rule.Low
	}
	return size, "a terminal command", rule.Medium
}

// stringEnd finds the end of a command string: BEL, or ESC and a backslash.
func stringEnd(text string) int {
	limit := min(len(text), maxSequence)
	for i := 2; i < limit; i++ {
		if text[i] == 0x07 {
			return i + 1
		}
		if text[i] == 0x1b {
			if i+1 < len(text) && text[i+1] == '\\' {
				return i + 2
			}
			return i
		}
	}
	for limit < len(text) && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return limit
}

// misleads says whether the text of a hyperlink looks like an address of
// another host than the link has.
func misleads(body, shown string) bool {
	_, target, _ := strings.Cut(strings.TrimPrefix(body, "8;"), ";")
	target = strings.TrimRight(target, "\x07\x1b\\")
	if end := strings.IndexByte(shown[:min(len(shown), maxSequence)], 0x1b); end >= 0 {
		shown = shown[:end]
	}
	shownHost, targetHost := host(shown), host(target)
	return target != "" && shownHost != "" && shownHost != targetHost
}

func host(address string) string {
	_, rest, found := strings.Cut(address, "://")
	if !found {
		return ""
	}
	if end := strings.IndexAny(rest, "/?# \t\r\n"); end >= 0 {
		rest = rest[:end]
	}
	return strings.ToLower(rest[strings.LastIndexByte(rest, '@')+1:])
}
