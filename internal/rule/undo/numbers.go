package undo

import (
	"math/bits"
	"slices"
	"strings"
)

const (
	// shortestList is the length of a run of numbers, or of dots and dashes, from which
	// it is looked at, in bytes.
	shortestList = 16
	// fewestCodes is how many characters a list of codes has at least. Fewer are
	// versions, times and addresses.
	fewestCodes = 6
)

// What a byte can be part of.
const (
	inNumbers = 1 << iota
	inMorse
	divides // the numbers of a list
)

var listBytes = func() (table [256]uint8) {
	for _, c := range "0123456789abcdefABCDEFxX" {
		table[c] |= inNumbers
	}
	for _, c := range " \t\r\n,;:|/\\-[]()" {
		table[c] |= inNumbers | divides
	}
	for _, c := range ".-/| \n_" {
		table[c] |= inMorse
	}
	return table
}()

// numbers finds lists of codes and Morse code.
func (r *runs) numbers(text string) {
	const part = inNumbers | inMorse
	for p := shortestList - 1; p < len(text); {
		start := p
		for start >= 0 && p-start < shortestList && listBytes[text[start]]&part != 0 {
			start--
		}
		if p-start < shortestList {
			p = start + shortestList
			continue
		}
		for start >= 0 && listBytes[text[start]]&part != 0 {
			start--
		}
		end := p + 1
		for end < len(text) && listBytes[text[end]]&part != 0 {
			end++
		}
		r.codes(text, start+1, end)
		r.morse(text, start+1, end)
		p = end + shortestList - 1
	}
}

// codes are what the numbers of a list can be, as a set.
type codes uint8

const (
	hexCodes codes = 1 << iota
	decimalCodes
	octalCodes
	binaryCodes
)

// codeOf says what one number can be.
func codeOf(word string) (kinds codes) {
	if word[0] == '0' && len(word) == 4 && word[1]|0x20 == 'x' {
		return hexCodes
	}
	if len(word) == 8 && strings.Trim(word, "01") == "" {
		return binaryCodes
	}
	if len(word) > 3 || len(word) < 2 {
		return 0
	}
	if len(word) == 2 && hexDigit[word[0]] >= 0 && hexDigit[word[1]] >= 0 {
		kinds = hexCodes
	}
	value, octal := 0, true
	for i := range len(word) {
		if !digit(word[i]) {
			return kinds
		}
		value, octal = value*10+int(word[i]-'0'), octal && word[i] < '8'
	}
	if value < 0x7f {
		kinds |= decimalCodes
	}
	if len(word) == 3 && octal && value < 177 {
		kinds |= octalCodes
	}
	return kinds
}

// number is one of a list, at text[start:end].
type number struct {
	start, end int
	kinds      codes
}

var codings = [...]struct {
	kind codes
	way  Way
	base int
}{{binaryCodes, Binary, 2}, {hexCodes, Hex, 16}, {decimalCodes, Decimal, 10}, {octalCodes, Octal, 8}}

// codes finds the lists in text[start:end].
func (r *runs) codes(text string, start, end int) {
	r.numbered = r.numbered[:0]
	var all codes
	for at := start; at < end; {
		from := at
		for at < end && listBytes[text[at]]&(inNumbers|divides) == inNumbers {
			at++
		}
		if at == from {
			at++
			continue
		}
		kinds := codeOf(text[from:at])
		all |= kinds
		r.numbered = append(r.numbered, number{from, at, kinds})
	}
	if len(r.numbered) < fewestCodes {
		return
	}
	for _, coding := range codings {
		if all&coding.kind == 0 {
			continue
		}
		first := 0
		for i, n := range r.numbered {
			if n.kinds&coding.kind == 0 {
				r.codeList(text, r.numbered[first:i], coding.way, coding.base)
				first = i + 1
			} else if i > first && n.start-r.numbered[i-1].end > widestDivide {
				r.codeList(text, r.numbered[first:i], coding.way, coding.base)
				first = i
			}
		}
		r.codeList(text, r.numbered[first:], coding.way, coding.base)
	}
}

const (
	// widestDivide bounds what stands between two numbers of a list, in bytes.
	widestDivide = 4
	// strays is how many numbers at either end of a list may be something else: words
	// of hexadecimal letters.
	strays = 2
)

// codeList keeps a list if it makes text.
func (r *runs) codeList(text string, list []number, way Way, base int) {
	if len(list) < fewestCodes {
		return
	}
	plain := make([]byte, 0, len(list))
	for _, n := range list {
		plain = append(plain, value(text[n.start:n.end], base))
	}
	for before := range strays + 1 {
		for behind := range strays + 1 {
			last := len(list) - 1 - behind
			if last-before+1 >= fewestCodes && r.keep(list[before].start, list[last].end, way, plain[before:last+1]) > 0 {
				return
			}
		}
	}
}

func value(word string, base int) byte {
	if base == 16 && len(word) == 4 {
		word = word[2:]
	}
	v := 0
	for i := range len(word) {
		v = v*base + int(hexDigit[word[i]])
	}
	return byte(v)
}

// morseLetters are the letters and digits of Morse code.
var morseLetters = func() map[string]byte {
	table := map[string]byte{}
	for i, code := range strings.Fields(".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. " +
		"----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----.") {
		table[code] = "abcdefghijklmnopqrstuvwxyz0123456789"[i]
	}
	return table
}()

// morse reads dots and dashes: a space ends a letter, a slash, a bar or more spaces a
// word.
func (r *runs) morse(text string, start, end int) {
	for start < end {
		if text[start] == '.' || text[start] == '-' {
			start = r.morseWords(text, start, end)
		}
		start++
	}
}

// morseWords reads what starts at a place and returns where it ends.
func (r *runs) morseWords(text string, start, end int) int {
	var memory [64]byte // rules and leaders are far more frequent than Morse
	plain := memory[:0]
	letters, at, last := uint64(0), start, start
	for at < end && listBytes[text[at]]&inMorse != 0 {
		from := at
		for at < end && (text[at] == '.' || text[at] == '-' || text[at] == '_') {
			at++
		}
		if at == from {
			if gap := text[at]; (gap != ' ' || strings.HasPrefix(text[at:], "   ")) && len(plain) > 0 && plain[len(plain)-1] != ' ' {
				plain = append(plain, ' ')
			}
			at++
			continue
		}
		c, known := morseCode(text[from:at])
		if !known {
			break
		}
		letters |= 1 << (c & 0x3f)
		plain, last = append(plain, c), at
	}
	if bits.OnesCount64(letters) >= fewestMorse {
		r.keep(start, last, Morse, slices.Clone(plain))
	}
	return at
}

// fewestMorse is how many different letters are a text. Rules and leaders are of one or
// two.
const fewestMorse = 4

func morseCode(code string) (byte, bool) {
	if len(code) > 5 {
		return 0, false
	}
	if strings.IndexByte(code, '_') >= 0 {
		code = strings.ReplaceAll(code, "_", "-")
	}
	c, known := morseLetters[code]
	return c, known
}
