package undo

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

const (
	// fewestLetters is how many letters stand apart at least, where the text is meant
	// to be read as a word.
	fewestLetters = 5
	// widestGap bounds what stands between two letters of one text, in bytes.
	widestGap = 6
)

const (
	eight   = 0x0101010101010101
	highest = 0x80 * eight
)

// letters finds words whose letters stand apart. Most places of a text have letters
// beside each other, which the letters of eight bytes tell at once.
func (r *runs) letters(text string) {
	for i := 0; i+8 <= len(text); i += 8 {
		if apart(letterBits(binary.LittleEndian.Uint64([]byte(text[i : i+8])))) {
			if end := r.apart(text, i); end > i {
				i = max(i, (end-8)&^7)
			}
		}
	}
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
	list, plain := r.mark()
	var usual string
	count, end := 0, start
	for at := start; at >= 0; {
		next := following(text, at)
		count++
		end = at + 1
		if next < 0 {
			r.add(at, end, Spaced, text[at:at+1])
			break
		}
		gap := text[end:next]
		if count == 1 {
			usual = gap
			if after := following(text, next); after >= 0 && after-next-1 < len(gap) {
				usual = text[next+1 : after]
			}
		}
		if gap == usual || len(gap) < len(usual) {
			r.add(at, next, Spaced, text[at:at+1])
		} else {
			r.add(at, next, Spaced, text[at:at+1]+" ")
		}
		at = next
	}
	if count < fewestLetters {
		r.back(list, plain)
		return 0
	}
	return end
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
