package approval

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxWordCells bounds the work of comparing words in one Diff: the product of
	// the words on both sides. Beyond it a text is shown as replaced.
	maxWordCells = 1 << 20
	// shortText is the length in bytes up to which two texts are shown whole.
	shortText = 40
	// contextRunes is how much of an unchanged piece is shown next to a change.
	contextRunes = 40
)

// changedWords is the difference of two long texts by words; not ok if they are
// short or have too little in common for that to be readable.
func (d *differ) changedWords(a, b string) ([]Part, bool) {
	if len(a) <= shortText && len(b) <= shortText {
		return nil, false
	}
	pieces := joinPieces(d.pieces(splitWords(a), splitWords(b)))
	same := 0
	for _, p := range pieces {
		same += len(p.same)
	}
	if same*3 < min(len(a), len(b)) {
		return nil, false
	}
	return partsOf(pieces), true
}

// splitWords cuts a text into words, stretches of white space and single other
// characters.
func splitWords(text string) []string {
	var words []string
	start, class := 0, -1
	for i, r := range text {
		next := classOf(r)
		if i > start && (next != class || next == single) {
			words = append(words, text[start:i])
			start = i
		}
		class = next
	}
	if start < len(text) {
		words = append(words, text[start:])
	}
	return words
}

const (
	single = iota
	space
	word
)

func classOf(r rune) int {
	switch {
	case hidden(r) && r != '\n':
		return single
	case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '_':
		return word
	case r == ' ' || r == '\n':
		return space
	}
	return single
}

// piece is either a text that both sides have or one that was replaced.
type piece struct {
	same     string
	old, new string
}

func (d *differ) pieces(a, b []string) []piece {
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	end := 0
	for end < len(a)-start && end < len(b)-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	pieces := []piece{{same: strings.Join(a[:start], "")}}
	pieces = append(pieces, d.middle(a[start:len(a)-end], b[start:len(b)-end])...)
	return append(pieces, piece{same: strings.Join(a[len(a)-end:], "")})
}

// middle finds the longest common subsequence of words.
func (d *differ) middle(a, b []string) []piece {
	cells := len(a) * len(b)
	if cells == 0 || cells > d.words {
		return []piece{{old: strings.Join(a, ""), new: strings.Join(b, "")}}
	}
	d.words -= cells
	width := len(b) + 1
	length := make([]int32, (len(a)+1)*width) // of the subsequence of a[i:] and b[j:]
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i*width+j] = length[(i+1)*width+j+1] + 1
			} else {
				length[i*width+j] = max(length[(i+1)*width+j], length[i*width+j+1])
			}
		}
	}
	var pieces []piece
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			pieces = append(pieces, piece{same: a[i]})
			i++
			j++
		case j == len(b) || i < len(a) && length[(i+1)*width+j] >= length[i*width+j+1]:
			pieces = append(pieces, piece{old: a[i]})
			i++
		default:
			pieces = append(pieces, piece{new: b[j]})
			j++
		}
	}
	return pieces
}

// joinPieces joins neighbours of one kind, and counts as replaced what has no word
// in it and stands between two replacements: blanks are no common ground.
func joinPieces(pieces []piece) []piece {
	var out []piece
	for i, p := range pieces {
		if p == (piece{}) {
			continue
		}
		if blank(p.same) && p.same != "" && replaces(out, len(out)-1) && replaces(pieces, i+1) {
			p = piece{old: p.same, new: p.same}
		}
		last := len(out) - 1
		if last < 0 || (p.same == "") != (out[last].same == "") {
			out = append(out, p)
			continue
		}
		out[last] = piece{out[last].same + p.same, out[last].old + p.old, out[last].new + p.new}
	}
	return out
}

func replaces(pieces []piece, i int) bool {
	return i >= 0 && i < len(pieces) && pieces[i].same == "" && pieces[i] != (piece{})
}

func blank(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return classOf(r) == word })
}

func partsOf(pieces []piece) []Part {
	var parts []Part
	for i, p := range pieces {
		if p.same != "" {
			parts = append(parts, Part{Same, visible(elide(p.same, i > 0, i < len(pieces)-1), "\n")})
		}
		if p.old != "" {
			parts = append(parts, Part{Removed, shown(p.old)})
		}
		if p.new != "" {
			parts = append(parts, Part{Added, shown(p.new)})
		}
	}
	return parts
}

// elide cuts an unchanged text down to what stands next to a change.
func elide(text string, changeBefore, changeAfter bool) string {
	keep := 0
	if changeBefore {
		keep += contextRunes
	}
	if changeAfter {
		keep += contextRunes
	}
	if utf8.RuneCountInString(text) <= keep+contextRunes {
		return text
	}
	runes := []rune(text)
	var head, tail string
	if changeBefore {
		head = string(runes[:contextRunes])
	}
	if changeAfter {
		tail = string(runes[len(runes)-contextRunes:])
	}
	return head + " … " + tail
}
