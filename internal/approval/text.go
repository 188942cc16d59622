package approval

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible writes text from a server so that a person sees every character of it
// and a terminal obeys none: hidden and control characters become \u{202E}, \n,
// \t; a backslash becomes \\, so that what is shown has one reading.
func Visible(text string) string { return visible(text, `\n`) }

func visible(text, newline string) string {
	if !strings.ContainsFunc(text, needsEscape) && utf8.ValidString(text) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02X`, text[i])
		case r == '\n':
			out.WriteString(newline)
		case r == '\t':
			out.WriteString(`\t`)
		case r == '\r':
			out.WriteString(`\r`)
		case r == '\\':
			out.WriteString(`\\`)
		case hidden(r):
			fmt.Fprintf(&out, `\u{%X}`, r)
		default:
			out.WriteRune(r)
		}
		i += size
	}
	return out.String()
}

func needsEscape(r rune) bool { return r == '\\' || hidden(r) }

// hidden reports whether a person may not see the character, or see it as
// another one than it is: everything that is not printed (controls, format and
// bidirectional characters, tags, private use, unusual spaces) and the letters and
// marks without a shape.
func hidden(r rune) bool {
	if r < utf8.RuneSelf {
		return r < ' ' || r == 0x7F
	}
	if !unicode.IsPrint(r) {
		return true
	}
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) ||
		r == 0x2800 || r == 0x17B4 || r == 0x17B5
}

// escapeHidden writes hidden characters of a JSON text as \u escapes, which do not
// change its meaning. JSON has characters beyond ASCII only inside strings.
func escapeHidden(json []byte) []byte {
	out := make([]byte, 0, len(json))
	for _, r := range string(json) {
		switch {
		case r < utf8.RuneSelf && r != 0x7F || !hidden(r):
			out = utf8.AppendRune(out, r)
		case r > 0xFFFF:
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xD800+(r-0x10000)>>10, 0xDC00+(r-0x10000)&0x3FF)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
