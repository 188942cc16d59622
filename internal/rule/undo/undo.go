// Package undo reads what a text says once its encodings are undone. It makes views
// of a text: copies of the parts around what is encoded, with the plain words in its
// place, and a map back. A view can be looked at again, for what was encoded twice;
// how often is for the caller to bound.
//
// Text without anything encoded, which most is, costs one pass and no memory.
package undo

import (
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Way is how something was encoded.
type Way uint8

const (
	Base64 Way = iota + 1
	Base32
	Hex
	Binary
	Decimal
	Octal
	Morse
	Percent
	Entities
	Escapes
	QuotedPrintable
	Joined // words or strings that are put together by signs
	Spaced // letters that stand apart
	ROT13
	Atbash
	Reversed
	UpsideDown
	Leet
	Run // words without spaces
)

var wayNames = [...]string{
	Base64: "in Base64", Base32: "in Base32", Hex: "in hexadecimal", Binary: "in binary digits", Decimal: "as decimal codes",
	Octal: "as octal codes", Morse: "in Morse code", Percent: "in URL escapes", Entities: "in HTML entities", Escapes: "in escapes of a string",
	QuotedPrintable: "in quoted-printable", Joined: "in joined parts", Spaced: "in letters that stand apart", ROT13: "in ROT13", Atbash: "in Atbash",
	Reversed: "backwards", UpsideDown: "upside down", Leet: "with digits for letters", Run: "without spaces",
}

// String says the way in words that go on from "written".
func (w Way) String() string {
	if int(w) < len(wayNames) {
		return wayNames[w]
	}
	return ""
}

// around is how much of the text before and behind something decoded a view holds, in
// bytes, so that it is read together with what it stands in; cut is how much more is
// taken to end between two words.
const (
	around = 512
	cut    = 64
)

// View is a part of a text, or several, in which what was encoded is plain.
type View struct {
	Text     string
	segments []segment
}

// segment is a stretch of a view up to the next one.
type segment struct {
	at     uint32 // in the view
	source uint32 // in the text
	end    uint32 // in the text
	way    Way    // 0 for a copy
	exact  bool   // byte for byte
}

// Span maps Text[start:end], which is not empty, back to the text: to the very bytes
// where it is a copy, to all of an encoded run where not.
func (v *View) Span(start, end int) (int, int) {
	first, last := v.segment(start), v.segment(end-1)
	from, to := int(first.source), int(last.end)
	if first.exact {
		from += start - int(first.at)
	}
	if last.exact {
		to = int(last.source) + end - int(last.at)
	}
	return from, to
}

// Ways are those in which a part of Text[start:end] was encoded, in the order in which
// they come first; none if it is a copy.
func (v *View) Ways(start, end int) []Way {
	var ways []Way
	for i := v.index(start); i < len(v.segments) && int(v.segments[i].at) < end; i++ {
		if way := v.segments[i].way; way != 0 && !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	return ways
}

// Decoded calls found for each stretch that was encoded, with its place in Text and in
// the text that the view was made of.
func (v *View) Decoded(found func(start, end, from, to int, way Way)) {
	for i := 0; i < len(v.segments); i++ {
		s := v.segments[i]
		if s.way == 0 {
			continue
		}
		to := int(s.end)
		for i+1 < len(v.segments) && v.segments[i+1].way == s.way && int(v.segments[i+1].source) == to {
			i++
			to = int(v.segments[i].end)
		}
		end := len(v.Text)
		if i+1 < len(v.segments) {
			end = int(v.segments[i+1].at)
		}
		found(int(s.at), end, int(s.source), to, s.way)
	}
}

// Last is the way of the first encoded stretch, which is that of all where a disguise
// was taken off.
func (v *View) Last() Way {
	for _, s := range v.segments {
		if s.way != 0 {
			return s.way
		}
	}
	return 0
}

func (v *View) index(at int) int {
	i, found := slices.BinarySearchFunc(v.segments, at, func(s segment, at int) int { return int(s.at) - at })
	if !found {
		return i - 1
	}
	// Of those that begin here, the last one is not empty.
	for i+1 < len(v.segments) && int(v.segments[i+1].at) == at {
		i++
	}
	return i
}

func (v *View) segment(at int) segment { return v.segments[v.index(at)] }

// run is a stretch of a text and what it says.
type run struct {
	start, end uint32 // in the text
	from, to   uint32 // in the plain bytes
	way        Way
	exact      bool
}

// runs are what was found in one text.
type runs struct {
	list  []run
	plain []byte

	numbered []number // of the list that is being read
}

var pool = sync.Pool{New: func() any { return new(runs) }}

// maxKept is how many runs wait, as memory, for the next text.
const maxKept = 1 << 16

func (r *runs) end() {
	r.back(0, 0)
	if cap(r.list) <= maxKept && cap(r.plain) <= maxKept && cap(r.numbered) <= maxKept {
		pool.Put(r)
	}
}

func (r *runs) add(start, end int, way Way, plain string) {
	from := len(r.plain)
	r.plain = append(r.plain, plain...)
	r.list = append(r.list, run{start: uint32(start), end: uint32(end), from: uint32(from), to: uint32(len(r.plain)), way: way})
}

func (r *runs) addRune(start, end int, way Way, c rune) {
	r.add(start, end, way, string(c))
}

// mark and back forget what turned out to be nothing.
func (r *runs) mark() (int, int)     { return len(r.list), len(r.plain) }
func (r *runs) back(list, plain int) { r.list, r.plain = r.list[:list], r.plain[:plain] }
func inOrder(a, b run) int           { return int(a.start) - int(b.start) }
func longerFirst(a, b run) int       { return int(b.end-b.start) - int(a.end-a.start) }
func before(a, b run) int {
	if a.start != b.start {
		return inOrder(a, b)
	}
	return longerFirst(a, b)
}

// splice makes the view of a text in which the runs are plain. Of runs that overlap,
// the one that begins first stands.
func (r *runs) splice(text string) *View {
	if !slices.IsSortedFunc(r.list, before) {
		slices.SortStableFunc(r.list, before)
	}
	var out strings.Builder
	out.Grow(len(r.plain) + min(len(text), 2*around*(len(r.list)+1)))
	v := &View{segments: make([]segment, 0, 2*len(r.list)+2)}
	done := -1 // how far the text is in the view; -1 before anything is
	for _, one := range r.list {
		start, end := int(one.start), int(one.end)
		if start < done {
			continue
		}
		v.lead(&out, text, done, start)
		v.segments = append(v.segments, segment{uint32(out.Len()), one.start, one.end, one.way, one.exact})
		out.Write(r.plain[one.from:one.to])
		done = end
	}
	v.copy(&out, text, done, behind(text, done))
	v.Text = strings.ToValidUTF8(out.String(), "?") // runs are valid by themselves
	return v
}

// lead puts what stands between two runs into the view, or only the ends of it.
func (v *View) lead(out *strings.Builder, text string, done, start int) {
	from := ahead(text, start)
	if done >= 0 {
		until := behind(text, done)
		if until >= from {
			v.copy(out, text, done, start)
			return
		}
		v.copy(out, text, done, until)
		v.segments = append(v.segments, segment{at: uint32(out.Len()), source: uint32(until), end: uint32(from)})
		out.WriteString("\n\n")
	}
	v.copy(out, text, from, start)
}

func (v *View) copy(out *strings.Builder, text string, start, end int) {
	if start < end {
		v.segments = append(v.segments, segment{at: uint32(out.Len()), source: uint32(start), end: uint32(end), exact: true})
		out.WriteString(text[start:end])
	}
}

// ahead is where a view begins that has something to show at a place.
func ahead(text string, at int) int {
	from := max(0, at-around)
	for limit := max(0, from-cut); from > limit && !space(text[from-1]); {
		from--
	}
	for from < at && !utf8.RuneStart(text[from]) {
		from++
	}
	return from
}

// behind is where a view ends that has shown something up to a place.
func behind(text string, at int) int {
	to := min(len(text), at+around)
	for limit := min(len(text), to+cut); to < limit && !space(text[to]); {
		to++
	}
	for to < len(text) && to > at && !utf8.RuneStart(text[to]) {
		to--
	}
	return to
}

func space(b byte) bool  { return b == ' ' || b >= '\t' && b <= '\r' }
func letter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }
func digit(b byte) bool  { return b >= '0' && b <= '9' }
func alnum(b byte) bool  { return letter(b) || digit(b) }

// Views are the views of a text in which something is encoded: one for all encodings
// that can be told by their form, and one for each disguise of which there are hints.
// Disguises of the kind not are not looked for: what was turned over once is not
// turned back.
func Views(text string, hints []Hint, not Way) []*View {
	var all []*View
	r := pool.Get().(*runs)
	defer r.end()
	r.escapes(text)
	r.tokens(text)
	r.numbers(text)
	r.letters(text)
	if len(r.list) > 0 {
		all = append(all, r.splice(text))
	}
	return append(all, disguised(text, hints, not)...)
}
