package rule

import (
	"encoding/binary"
	"slices"
)

// Form is the form of a text in which literals are looked for.
type Form uint8

const (
	Written   Form = iota // as it was sent
	Lowercase             // as Fold leaves it
	forms
)

// Literals are the words without which a rule finds nothing, or without which a
// part of it does not. A rule declares them, so that they are looked for once for
// all rules together (Reader), and asks its Subject whether and where they stand.
type Literals struct {
	form  Form
	words []string
	alone func() *Scanner // for them and no others
	// phrases are those that the literals belong to; nil if there are none.
	phrases *Phrases
}

// NewLiterals declares literals. Letters of ASCII match in both cases.
func NewLiterals(form Form, words ...string) *Literals {
	return &Literals{form: form, words: words, alone: LazyScanner(words...)}
}

// Words are the literals, in the order in which Each numbers them.
func (l *Literals) Words() []string { return slices.Clone(l.words) }

// Form is the form of a text in which they are looked for.
func (l *Literals) Form() Form { return l.form }

// Holds says whether any of the literals stands in the text. Most texts have none,
// and then there is nothing more to do.
func (s *Subject) Holds(l *Literals) bool {
	if hits, known := s.read().hits(l); known {
		return len(hits) > 0
	}
	holds := false
	s.alone(l, func(literal, start, end int) { holds = true })
	return holds
}

// Each calls found for each place of a literal, in order of their ends and, among
// those, of their starts. Offsets are those of the form in which the literals are
// looked for.
func (s *Subject) Each(l *Literals, found func(literal, start, end int)) {
	hits, known := s.read().hits(l)
	if !known {
		s.alone(l, found)
		return
	}
	for _, h := range hits {
		found(int(h.literal), int(h.start), int(h.end))
	}
}

func (s *Subject) alone(l *Literals, found func(literal, start, end int)) {
	if l.form == Lowercase {
		l.alone().Scan(s.Folded().view(), found)
	} else {
		l.alone().Scan(s.Text, found)
	}
}

// Folded is the folded text. It must not be kept or changed.
func (s *Subject) Folded() *Folded {
	return s.known().fold()
}

// Classes are kinds of characters that stand in a text.
type Classes struct {
	Control  bool // of ASCII, but for ordinary white space
	NonASCII bool
}

// Classes says which kinds of characters the text has.
func (s *Subject) Classes() Classes {
	var beyond, control uint64
	text, i := s.Text, 0
	for ; len(text)-i >= 32; i += 32 {
		b := []byte(text[i : i+32])
		one, two, three, four := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
		beyond |= one | two | three | four
		// Most text is printable ASCII in lines, which costs less to find out.
		if (rare(one)|rare(two)|rare(three)|rare(four))&highest != 0 {
			control |= controls(one) | controls(two) | controls(three) | controls(four)
		}
	}
	for ; i < len(text); i++ {
		c := text[i]
		beyond |= uint64(c)
		if c < ' ' && !asciiSpace(c) || c == 0x7f {
			control = highest
		}
	}
	return Classes{Control: control&highest != 0, NonASCII: beyond&highest != 0}
}

// rare marks some byte of a block, by its highest bit, if the block has a control
// character of ASCII other than a line feed, or a byte that is not ASCII.
func rare(block uint64) uint64 {
	return ^(block+(0x80-' ')*eight)&((block^'\n'*eight)+0x7f*eight) | (block + eight) | block
}

// controls marks the control characters of ASCII that are no white space by the
// highest bit of each byte.
func controls(block uint64) uint64 {
	high := block | highest
	space := (high - '\t'*eight) &^ (high - ('\r'+1)*eight)
	return (^(high - ' '*eight | space) | (block + eight)) &^ block // + 1 is for 0x7f
}
