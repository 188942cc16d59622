package encoder

import (
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxPieces is how many pieces the encoder reads at once: what 64 words of prose
	// come to.
	maxPieces = 96
	// maxWordPieces is what is kept of one word. What goes on longer is a name or an
	// identifier, whose end says little.
	maxWordPieces = 4
	// maxWord is the longest word, in bytes, that is cut. Keys, digests and encoded
	// data are longer; each is one unknown piece.
	maxWord = 48
)

// The first pieces of the vocabulary are no text.
const (
	padding uint16 = iota
	unknown
	number // a word of digits
)

// silent is punctuation that is no piece: it makes up a fifth of structured text and
// says little about what the text asks for.
const silent = "\",{}()=/\\-_'`|*&+~^%$"

// kind is what a character does.
type kind uint8

const (
	letter    kind = iota // belongs to a word
	separator             // ends one
	single                // is a word by itself
	nothing
)

var ascii = func() (table [utf8.RuneSelf]kind) {
	for c := range table {
		switch b := byte(c); {
		case b <= ' ' || b == 0x7f || strings.IndexByte(silent, b) >= 0:
			table[c] = separator
		case b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z':
			table[c] = letter
		default:
			table[c] = single
		}
	}
	return table
}()

// classify says what a character does, and how it is written in a piece.
func classify(r rune) (rune, kind) {
	switch {
	case r < utf8.RuneSelf:
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r, ascii[r]
	case within(blank, r):
		return r, separator
	case within(dropped, r):
		return r, nothing
	case within(alone, r):
		return r, single
	case r >= firstLetter && int(r-firstLetter) < len(letters):
		return letters[r-firstLetter], letter
	}
	return r, letter
}

func within(spans []span, r rune) bool {
	i, found := slices.BinarySearchFunc(spans, r, func(s span, r rune) int { return int(s.low - r) })
	return found || i > 0 && r <= spans[i-1].high
}

// vocabulary finds the pieces of words: the longest that fits, from the left. Pieces
// that continue a word are written with "##" before them.
type vocabulary struct {
	text   string   // a piece a line
	starts []uint32 // where each begins, and the end of the last
	slots  []uint16 // open addressing by hash; padding where there is none
}

// newVocabulary reads a piece a line.
func newVocabulary(lines string) *vocabulary {
	v := &vocabulary{text: lines}
	for line := range strings.Lines(lines) {
		v.starts = append(v.starts, uint32(len(line)))
	}
	at := uint32(0)
	for i, n := range v.starts {
		v.starts[i], at = at, at+n
	}
	v.starts = append(v.starts, at)
	size := 1
	for size < 2*len(v.starts) {
		size *= 2
	}
	v.slots = make([]uint16, size)
	for i := int(number) + 1; i < len(v.starts)-1; i++ {
		slot := hashOf(v.piece(uint16(i)))
		for v.slots[slot&uint32(size-1)] != padding {
			slot++
		}
		v.slots[slot&uint32(size-1)] = uint16(i)
	}
	return v
}

func (v *vocabulary) piece(i uint16) string { return v.text[v.starts[i] : v.starts[i+1]-1] }

// size is the number of pieces.
func (v *vocabulary) size() int { return len(v.starts) - 1 }

// FNV-1a.
const (
	hashStart = 2166136261
	hashPrime = 16777619
)

const continued = "##"

func hashOf(piece string) uint32 {
	h := uint32(hashStart)
	for i := range len(piece) {
		h = (h ^ uint32(piece[i])) * hashPrime
	}
	return h
}

var hashContinued = hashOf(continued)

// longest is the longest piece that word begins with, and its length in bytes; 0 if
// there is none.
func (v *vocabulary) longest(word []byte, continues bool) (piece uint16, n int) {
	var hashes [maxWord + 1]uint32
	prefix, h := "", uint32(hashStart)
	if continues {
		prefix, h = continued, hashContinued
	}
	for i, b := range word {
		h = (h ^ uint32(b)) * hashPrime
		hashes[i+1] = h
	}
	mask := uint32(len(v.slots) - 1)
	for n := len(word); n > 0; n-- {
		for slot := hashes[n] & mask; v.slots[slot] != padding; slot = (slot + 1) & mask {
			if rest, ok := strings.CutPrefix(v.piece(v.slots[slot]), prefix); ok && rest == string(word[:n]) {
				return v.slots[slot], n
			}
		}
	}
	return unknown, 0
}

// cut appends the pieces of a word.
func (v *vocabulary) cut(word []byte, pieces []uint16) []uint16 {
	if len(word) > maxWord {
		return append(pieces, unknown)
	}
	if !slices.ContainsFunc(word, func(b byte) bool { return b < '0' || b > '9' }) {
		return append(pieces, number)
	}
	before := len(pieces)
	for at := 0; at < len(word) && len(pieces) < before+maxWordPieces; {
		piece, n := v.longest(word[at:], at > 0)
		if n == 0 {
			return append(pieces[:before], unknown)
		}
		pieces = append(pieces, piece)
		at += n
	}
	return pieces
}

// encode appends the pieces of a text, most at most.
func (v *vocabulary) encode(text []byte, pieces []uint16, most int) []uint16 {
	var buffer [maxWord + utf8.UTFMax]byte
	word := buffer[:0]
	flush := func() {
		if len(word) > 0 {
			pieces = v.cut(word, pieces)
			word = buffer[:0]
		}
	}
	for len(text) > 0 && len(pieces) < most {
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		r, what := classify(r)
		if what == nothing {
			continue
		}
		if what != letter {
			flush()
		}
		if what == separator {
			continue
		}
		if len(word) <= maxWord { // one byte more says that it is too long
			word = utf8.AppendRune(word, r)
		}
		if what == single {
			flush()
		}
	}
	flush()
	return pieces[:min(len(pieces), most)]
}
