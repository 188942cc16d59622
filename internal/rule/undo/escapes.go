package undo

import (
	"html"
	"strings"
	"unicode/utf8"
)

// escapes finds what is written in escapes of single characters. They are in nearly
// every page and program, so that they count only near one that hides what needs no
// escape: a letter, a digit, or that two words stand apart.
func (r *runs) escapes(text string) {
	r.escapesOf(text, '%', (*runs).percent)
	r.escapesOf(text, '&', (*runs).entity)
	r.escapesOf(text, '\\', (*runs).escape)
	r.escapesOf(text, '=', (*runs).quoted)
	r.escapesOf(text, '+', (*runs).joined)
	r.hyphens(text)
}

// hyphens finds words that are broken at the ends of lines.
func (r *runs) hyphens(text string) {
	for from := 0; ; {
		n := strings.Index(text[from:], "-\n")
		if n < 0 {
			return
		}
		at := from + n
		from = at + 2
		if at > 0 && from < len(text) && wordByte(text[at-1]) && wordByte(text[from]) {
			r.add(at, from, Joined, "")
		}
	}
}

func wordByte(b byte) bool { return letter(b) || b >= utf8.RuneSelf }

// sentence is how many characters beyond ASCII, which need escapes, are more than a name
// in an address.
const sentence = 10

// escapesOf finds the escapes that begin with a mark. read adds those at a place, and
// says where they end and whether they hide something.
func (r *runs) escapesOf(text string, mark byte, read func(r *runs, text string, at int) (next int, hides bool)) {
	list, plain := r.mark()
	hides, last := false, 0
	for i := strings.IndexByte(text, mark); i >= 0; {
		if i-last > around { // what follows is read for itself
			if !hides {
				r.back(list, plain)
			}
			list, plain = r.mark()
			hides = false
		}
		next, found := read(r, text, i)
		hides, last = hides || found, next
		n := strings.IndexByte(text[next:], mark)
		if n < 0 {
			break
		}
		i = next + n
	}
	if !hides {
		r.back(list, plain)
	}
}

// hexValue reads n hexadecimal digits, or answers -1.
func hexValue(text string, at, n int) int {
	if at+n > len(text) {
		return -1
	}
	value := 0
	for _, c := range []byte(text[at : at+n]) {
		d := hexDigit[c]
		if d < 0 {
			return -1
		}
		value = value<<4 | int(d)
	}
	return value
}

var hexDigit = func() (table [256]int8) {
	for i := range table {
		table[i] = -1
	}
	for i, c := range "0123456789abcdef" {
		table[c] = int8(i)
	}
	for i, c := range "ABCDEF" {
		table[c] = int8(10 + i)
	}
	return table
}()

// bytes adds the characters that escaped bytes make, each with the escapes that it
// takes. One escape is size bytes; value reads it, or answers -1. It says whether there
// was anything that needs no escape.
func (r *runs) bytes(text string, at, size int, way Way, value func(at int) int) (next int, hides bool) {
	for beyond := 0; ; {
		first := value(at)
		if first < 0 {
			return at, hides || beyond >= sentence
		}
		var buf [utf8.UTFMax]byte
		n := 0
		for n < len(buf) {
			v := value(at + n*size)
			if v < 0 {
				break
			}
			buf[n] = byte(v)
			n++
		}
		c, used := utf8.DecodeRune(buf[:n])
		if c == utf8.RuneError {
			c, used = rune(first), 1 // Latin-1
		}
		hides = hides || c < utf8.RuneSelf && (alnum(byte(c)) || c == ' ')
		if used > 1 {
			beyond++
		}
		r.addRune(at, at+used*size, way, c)
		at += used * size
	}
}

// percent reads the escapes of RFC 3986: "unreserved" characters need none. A space
// needs one, but so does it between the words of an order.
func (r *runs) percent(text string, at int) (int, bool) {
	if at+1 < len(text) && text[at+1]|0x20 == 'u' {
		if v := hexValue(text, at+2, 4); v >= 0 {
			r.addRune(at, at+6, Percent, rune(v))
			return at + 6, v < utf8.RuneSelf && alnum(byte(v))
		}
	}
	next, hides := r.bytes(text, at, 3, Percent, func(at int) int {
		if at >= len(text) || text[at] != '%' {
			return -1
		}
		return hexValue(text, at+1, 2)
	})
	return max(next, at+1), hides
}

// maxEntity bounds a character reference, in bytes. Leading zeros are allowed.
const maxEntity = 40

// entity reads a character reference of HTML.
func (r *runs) entity(text string, at int) (int, bool) {
	end, name := at+1, at+1
	if end < len(text) && text[end] == '#' {
		end++
	}
	for end < len(text) && end-name < maxEntity && alnum(text[end]) {
		end++
	}
	numeric := end > name && text[name] == '#'
	closed := end < len(text) && text[end] == ';'
	if closed {
		end++
	}
	if !closed && !numeric || end-name < 2 {
		return at + 1, false
	}
	plain := html.UnescapeString(text[at:end])
	if plain == text[at:end] || plain == "" {
		return at + 1, false
	}
	r.add(at, end, Entities, plain)
	if plain == "&" {
		return end, reference(text[end:])
	}
	return end, alnum(plain[0])
}

// reference says whether a text goes on as a character reference does behind its sign.
func reference(text string) bool {
	for i := range min(len(text), maxEntity) {
		if text[i] == ';' {
			return i > 1
		}
		if !alnum(text[i]) && (i > 0 || text[i] != '#') {
			return false
		}
	}
	return false
}

// escape reads the escapes of strings in JSON, JavaScript, C and Python.
func (r *runs) escape(text string, at int) (int, bool) {
	if at+1 >= len(text) {
		return at + 1, false
	}
	switch c := text[at+1]; c {
	case 'n', 'r', 't':
		r.add(at, at+2, Escapes, map[byte]string{'n': "\n", 'r': "\r", 't': "\t"}[c])
		return at + 2, false
	case '"', '\'', '/':
		r.add(at, at+2, Escapes, text[at+1:at+2])
		return at + 2, false
	case '\\':
		r.add(at, at+2, Escapes, text[at+1:at+2])
		return at + 2, at+2 < len(text) && (text[at+2] == 'u' || text[at+2] == 'x')
	case 'u', 'U':
		return r.unicode(text, at)
	case 'x':
		return r.byteEscapes(text, at, 4, func(at int) int { return hexValue(text, at+2, 2) })
	}
	if digit(text[at+1]) {
		return r.byteEscapes(text, at, 4, func(at int) int { return octalValue(text, at+1) })
	}
	return at + 1, false
}

func (r *runs) byteEscapes(text string, at, size int, value func(at int) int) (int, bool) {
	kind := text[at+1] == 'x'
	next, hides := r.bytes(text, at, size, Escapes, func(at int) int {
		if at+size > len(text) || text[at] != '\\' || (text[at+1] == 'x') != kind {
			return -1
		}
		return value(at)
	})
	return max(next, at+1), hides
}

func octalValue(text string, at int) int {
	if at+3 > len(text) {
		return -1
	}
	value := 0
	for _, c := range []byte(text[at : at+3]) {
		if c < '0' || c > '7' {
			return -1
		}
		value = value<<3 | int(c-'0')
	}
	if value > 0xff {
		return -1
	}
	return value
}

// unicode reads \uXXXX, also in pairs of surrogates, \u{X} and \UXXXXXXXX.
func (r *runs) unicode(text string, at int) (int, bool) {
	value, end := -1, at+6
	if text[at+1] == 'U' {
		value, end = hexValue(text, at+2, 8), at+10
	} else if at+2 < len(text) && text[at+2] == '{' {
		if n := strings.IndexByte(text[at:min(len(text), at+10)], '}'); n > 3 {
			value, end = hexValue(text, at+3, n-3), at+n+1
		}
	} else if value = hexValue(text, at+2, 4); value >= 0xd800 && value < 0xdc00 && strings.HasPrefix(text[end:], `\u`) {
		if low := hexValue(text, end+2, 4); low >= 0xdc00 && low < 0xe000 {
			value, end = 0x10000+(value-0xd800)<<10+low-0xdc00, end+6
		}
	}
	if value < 0 || !utf8.ValidRune(rune(value)) {
		return at + 1, false
	}
	r.addRune(at, end, Escapes, rune(value))
	return end, value < utf8.RuneSelf && alnum(byte(value))
}

// quoted reads quoted-printable text (RFC 2045). "=41" is also an ordinary setting, so
// that only escapes in a row, and lines that end softly inside a word, say that it is.
func (r *runs) quoted(text string, at int) (int, bool) {
	rest := text[at+1:]
	for _, soft := range []string{"\n", "\r\n"} {
		if after, found := strings.CutPrefix(rest, soft); found {
			if at == 0 || space(text[at-1]) || after == "" || space(after[0]) {
				return at + 1, false
			}
			r.add(at, at+1+len(soft), QuotedPrintable, "")
			return at + 1 + len(soft), true
		}
	}
	next, hides := r.bytes(text, at, 3, QuotedPrintable, func(at int) int {
		if at >= len(text) || text[at] != '=' {
			return -1
		}
		return hexValue(text, at+1, 2)
	})
	return max(next, at+1), hides && next-at >= 6
}

// joined reads strings that are put together, "ig" + "nore", and words with a plus for
// each space, as in the query of a URL.
func (r *runs) joined(text string, at int) (int, bool) {
	from, to := at, at+1
	for from > 0 && at-from < 3 && text[from-1] == ' ' {
		from--
	}
	for to < len(text) && to-at < 4 && text[to] == ' ' {
		to++
	}
	if from > 0 && to < len(text) && text[from-1] == text[to] && (text[to] == '"' || text[to] == '\'') {
		r.add(from-1, to+1, Joined, "")
		return to + 1, true
	}
	if from == at && to == at+1 && at > 0 && to < len(text) && letter(text[at-1]) && letter(text[to]) {
		r.add(at, to, Joined, " ")
		word := strings.IndexFunc(text[to:], func(c rune) bool { return c >= utf8.RuneSelf || !letter(byte(c)) })
		return to, word > 0 && text[to+word] == '+'
	}
	return at + 1, false
}
