package undo

import (
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// fewestLetters is how many letters stand apart at least, where the text is meant
	// to be read as a word.
	fewestLetters = 5
	// widestGap bounds what stands between two letters of one text, in bytes.
	widestGap = 12
)

const (
	eight   = 0x0101010101010101
	highest = 0x80 * eight
)

// letters finds words whose letters stand apart. Most places of a text have letters
// beside each other, which the letters of eight bytes tell at once.
func (r *runs) letters(text string) {
	var beyond uint64
	for i := 0; i+8 <= len(text); i += 8 {
		block := binary.LittleEndian.Uint64([]byte(text[i : i+8]))
		beyond |= block
		if apart(letterBits(block)) {
			if end := r.apart(text, i); end > i {
				i = max(i, (end-8)&^7)
			}
		}
	}
	if beyond&highest != 0 {
		r.wide(text)
	}
}

// wide finds letters beyond ASCII that stand apart by spaces. Most words have several
// letters, which the bytes around a space tell at once; where eight bytes are ASCII, none
// of them is a space beside such a letter on both sides.
func (r *runs) wide(text string) {
	from := 1
	for i := 0; i < len(text); i += 8 {
		if i+8 <= len(text) && binary.LittleEndian.Uint64([]byte(text[i:i+8]))&highest == 0 {
			continue
		}
		for at := max(i, from); at < min(i+8, len(text)-1); at++ {
			if text[at] == ' ' && text[at-1] >= utf8.RuneSelf && text[at+1] >= utf8.RuneSelf {
				at = max(at, r.wideAround(text, at)-1)
				from = at + 1
			}
		}
	}
}

// wideAround reads the letters around a space and returns where they end.
func (r *runs) wideAround(text string, space int) int {
	start := space - 1
	for start > 0 && !utf8.RuneStart(text[start]) {
		start--
	}
	if start > 0 && text[start-1] >= utf8.RuneSelf {
		return 0
	}
	return r.wideApart(text, start)
}

// wideApart reads the letters around a place and returns where they end, or 0 where they
// are too few.
func (r *runs) wideApart(text string, start int) int {
	if lone(text, start) == 0 {
		return 0
	}
	for before := start; before >= 0; before = loneBefore(text, start) {
		start = before
	}
	list, plain := r.mark()
	letters := 0
	for at := start; ; {
		letters++
		end := at + letterSize(text[at:])
		next := end
		for next < len(text) && next-end <= widestGap && letterSize(text[next:]) == 0 {
			_, size := utf8.DecodeRuneInString(text[next:])
			next += size
		}
		if next == end || next-end > widestGap || lone(text, next) == 0 {
			r.add(at, end, Spaced, text[at:end])
			start = end
			break
		}
		r.add(at, next, Spaced, text[at:end]+squeeze(text[end:next], " "))
		at = next
	}
	if letters < fewestLetters {
		r.back(list, plain)
		return 0
	}
	return start
}

// loneBefore is where the letter stands that comes before a place and stands alone, or -1.
func loneBefore(text string, at int) int {
	for i := at; i > 0 && at-i <= widestGap; {
		_, size := utf8.DecodeLastRuneInString(text[:i])
		if i -= size; letterSize(text[i:]) > 0 {
			if at-i == size || lone(text, i) == 0 {
				return -1
			}
			return i
		}
	}
	return -1
}

// letterSize is the length of the letter or digit that a text begins with, 0 if it begins
// with something else.
func letterSize(text string) int {
	if text == "" {
		return 0
	}
	if text[0] < utf8.RuneSelf {
		if alnum(text[0]) {
			return 1
		}
		return 0
	}
	if c, size := utf8.DecodeRuneInString(text); unicode.IsLetter(c) {
		return size
	}
	return 0
}

// lone is the length of the letter at a place if it stands alone, else 0.
func lone(text string, at int) int {
	size := letterSize(text[at:])
	if size == 0 || letterSize(text[at+size:]) > 0 {
		return 0
	}
	if c, _ := utf8.DecodeLastRuneInString(text[:at]); unicode.IsLetter(c) || unicode.IsDigit(c) {
		return 0
	}
	return size
}

// letterBits marks the letters of ASCII in a block by their highest bit.
func letterBits(block uint64) uint64 {
	low := (block | 0x20*eight) &^ highest
	return (low + (0x80-'a')*eight) &^ (low + (0x7f-'z')*eight) &^ block & highest
}

// apart says whether letters stand at every second place, for six places, or at every
// third.
func apart(letters uint64) bool {
	change := (letters ^ letters>>8) & (highest >> 8)
	if change&(change>>8)&(change>>16)&(change>>24)&(change>>32) != 0 {
		return true
	}
	return letters == 0x0080000080000080 || letters == 0x8000008000008000 || letters == 0x0000800000800000
}

// apart reads the letters around a place and returns where they end, or 0 where they
// are too few.
func (r *runs) apart(text string, at int) int {
	start := at
	for start < len(text) && !letter(text[start]) {
		start++
	}
	if start == len(text) || !single(text, start) {
		return 0
	}
	for {
		before := previous(text, start)
		if before < 0 {
			break
		}
		start = before
	}
	sign := between(text, start)
	list, plain := r.mark()
	letters := 0
	for at := start; ; {
		letters++
		next := following(text, at)
		if next < 0 {
			r.add(at, at+1, Spaced, text[at:at+1])
			start = at + 1
			break
		}
		r.add(at, next, Spaced, text[at:at+1]+squeeze(text[at+1:next], sign))
		at = next
	}
	if letters < fewestLetters {
		r.back(list, plain)
		return 0
	}
	return start
}

// squeeze takes the sign between letters out of what stands between two of them. More
// than one space is one between words.
func squeeze(gap, sign string) string {
	if gap == sign {
		return ""
	}
	var out strings.Builder
	for gap != "" {
		n := 0
		for strings.HasPrefix(gap, sign) {
			gap, n = gap[len(sign):], n+1
		}
		if n > 1 && space(sign[0]) {
			out.WriteByte(' ')
		}
		_, size := utf8.DecodeRuneInString(gap)
		out.WriteString(gap[:size])
		gap = gap[size:]
	}
	return out.String()
}

// between is what stands between two letters of a word: the shorter of the first gaps.
func between(text string, start int) string {
	next := following(text, start)
	if next < 0 {
		return " "
	}
	sign := text[start+1 : next]
	if after := following(text, next); after >= 0 && after-next-1 < len(sign) {
		sign = text[next+1 : after]
	}
	return sign
}

// single says whether a letter or digit stands alone.
func single(text string, at int) bool {
	return alnum(text[at]) && (at == 0 || !word(text[:at])) && (at+1 == len(text) || !alnum(text[at+1]) && text[at+1] < utf8.RuneSelf || sign(text[at+1:]))
}

// word says whether a text ends in a letter or digit.
func word(text string) bool {
	b := text[len(text)-1]
	return alnum(b)
}

// sign says whether a text begins with something beyond ASCII, which may stand between
// two letters.
func sign(text string) bool { return text[0] >= utf8.RuneSelf }

// following is the letter or digit that comes next and stands alone, or -1.
func following(text string, at int) int {
	for i := at + 1; i < len(text) && i-at-1 <= widestGap; i++ {
		if alnum(text[i]) {
			if i == at+1 || !single(text, i) || strings.Contains(text[at:i], "\n\n") {
				return -1
			}
			return i
		}
	}
	return -1
}

// previous is the letter or digit that stands alone before, or -1.
func previous(text string, at int) int {
	for i := at - 1; i >= 0 && at-i-1 <= widestGap; i-- {
		if alnum(text[i]) {
			if i == at-1 || !single(text, i) || strings.Contains(text[i:at], "\n\n") {
				return -1
			}
			return i
		}
	}
	return -1
}
