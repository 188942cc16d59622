package rule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/rule/undo"
)

const (
	// maxDepth is how many encodings around each other are undone. More are hardly made
	// by accident, and a model seldom follows them.
	maxDepth = 3
	// maxUndone bounds what is made of one text by undoing once, in lengths of the text, so
	// that one encoding is undone in all of a text whatever else is in it: there is one
	// view of it for all encodings with a form and one for each disguise.
	// maxUndoneShort, in bytes, is what a short text may have beyond that: each view
	// repeats the words around what was encoded.
	maxUndone      = 10
	maxUndoneShort = 64 << 10
)

// errTooEncoded says that a text holds so many encodings in each other that not all can
// be undone, which no text does by accident.
var errTooEncoded = errors.New("the text holds more encodings in each other than are undone")

// disguises are the words that tell encodings which have no form of their own.
var disguises = NewLiterals(Lowercase, undo.Words()...)

// Piece is a part of a text that was encoded.
type Piece struct {
	Text       string // what it says
	Start, End int    // where it stands in the text, in bytes
	How        string // how it was encoded: "in Base64"
}

// Pieces are the encoded parts of a text with one encoding undone. What is encoded in
// them again is among the pieces of the text that is shown with a greater Depth.
func (s *Subject) Pieces() []Piece {
	var pieces []Piece
	for _, v := range s.known().undone(s) {
		v.Decoded(func(start, end, from, to int, way undo.Way) {
			pieces = append(pieces, Piece{v.Text[start:end], from, to, way.String()})
		})
	}
	return pieces
}

// known is what is known of the subject's text. What is found out is kept.
func (s *Subject) known() *reading {
	if s.read() == nil {
		s.reading = &reading{text: s.Text}
	}
	return s.reading
}

// undone are the views of a text in which one encoding is undone.
func (r *reading) undone(s *Subject) []*undo.View {
	if !r.isViewed {
		r.isViewed = true
		var hints []undo.Hint
		s.Each(disguises, func(literal, start, end int) {
			text := s.Folded().Text
			if undo.Whole(literal) && (start > 0 && wordByte(text[start-1]) || end < len(text) && wordByte(text[end])) {
				return
			}
			at, _ := s.Folded().Span(start, end)
			hints = append(hints, undo.Hint{Word: literal, At: at})
		})
		var last undo.Way
		if r.above != nil {
			last = r.above.view.Last()
		}
		r.views = undo.Views(r.text, hints, last)
	}
	return r.views
}

// layer is a text in which another one is encoded.
type layer struct {
	view  *undo.View
	outer *reading // of that text
	above *layer
}

// span maps a place in the view to the text as it was sent, and says in which ways it
// was encoded, the outermost last.
func (l *layer) span(start, end int) (int, int, []undo.Way) {
	var ways []undo.Way
	for ; l != nil; l = l.above {
		for _, way := range l.view.Ways(start, end) {
			if !slices.Contains(ways, way) {
				ways = append(ways, way)
			}
		}
		start, end = l.view.Span(start, end)
	}
	return start, end, ways
}

// look is one text shown to all rules of a Reader.
type look struct {
	reader  *Reader
	found   []Found // in the text as it was sent
	decoded []found // in what its encoded parts say
	most    int     // bytes that may be made by undoing, at each depth
}

// found is a match in something decoded, mapped to the text as it was sent.
type found struct {
	Found
	rule, depth int
}

// show shows a text to the rules, and then what its encoded parts say: first what is
// encoded once, so that a text cannot use up what is allowed by encoding a part often. It
// fails where more is encoded than may be undone; only the last depth, which few models
// follow, may be read in part.
func (l *look) show(subject Subject) error {
	first := l.reader.begin(&subject)
	defer first.end()
	if err := l.ask(subject, nil); err != nil || !l.reader.decodes {
		return err
	}
	level := []Subject{subject}
	for depth := 1; depth <= maxDepth; depth++ {
		var next []Subject
		left := l.most
		for _, outer := range level {
			for _, view := range outer.reading.undone(&outer) {
				if left -= len(view.Text); left < 0 && depth == maxDepth {
					return nil
				}
				if left < 0 {
					return errTooEncoded // what is left may say anything
				}
				inner := outer
				inner.Text, inner.Depth = view.Text, outer.Depth+1
				above := &layer{view, outer.reading, outer.reading.above}
				reading := l.reader.begin(&inner)
				reading.above = above
				defer reading.end() // what lies deeper asks for it
				if err := l.ask(inner, above); err != nil {
					return err
				}
				next = append(next, inner)
			}
		}
		level = next
	}
	return nil
}

// ask shows one text to the rules.
func (l *look) ask(subject Subject, above *layer) error {
	first := len(l.decoded)
	var secrets []Match
	for i := range l.reader.rules {
		one := &l.reader.rules[i]
		if above != nil && one.AsWritten {
			continue
		}
		if one.Secret && above != nil && above.view.Last() == undo.Leet {
			continue // the digits of a password are no letters
		}
		matches, err := one.Detect(subject)
		if err != nil {
			return fmt.Errorf("rule %s: %w", one.ID, err)
		}
		for _, m := range matches {
			if m.Start < 0 || m.End > len(subject.Text) || m.Start >= m.End {
				return fmt.Errorf("rule %s: a match outside its text", one.ID)
			}
			if above == nil {
				l.found = append(l.found, one.found(m, &subject))
				continue
			}
			if one.Secret {
				secrets = append(secrets, m)
			}
			// What is no part of something decoded is found in the text as it stands.
			if len(above.view.Ways(m.Start, m.End)) > 0 {
				l.decoded = append(l.decoded, found{one.found(m, &subject), i, subject.Depth})
			}
		}
	}
	for i := first; i < len(l.decoded); i++ {
		f := &l.decoded[i]
		if f.Decoded == "" && !l.reader.rules[f.rule].Secret {
			f.Decoded = excerpt(subject.Text, f.Start, f.End, secrets)
		}
		start, end, ways := above.span(f.Start, f.End)
		f.Start, f.End = start, end
		f.Detail += " (" + names(ways) + ")"
	}
	return nil
}

// found is a match of the rule in a subject.
func (r *Rule) found(m Match, subject *Subject) Found {
	f := Found{Rule: r.ID, Match: r.Rated(m)}
	f.Hidden = soft(f) && subject.Surface&FromServer != 0 && subject.Hidden(m.Start, m.End)
	return f
}

func names(ways []undo.Way) string {
	var all []string
	for _, way := range ways {
		all = append(all, way.String())
	}
	return strings.Join(all, ", ")
}

// excerpt is what a match says, at most MaxDecoded bytes of it, without secrets and
// without characters that show nothing or control a terminal.
func excerpt(text string, start, end int, secrets []Match) string {
	var out strings.Builder
	write := func(part string) {
		for _, r := range part {
			if unicode.IsSpace(r) {
				r = ' '
			}
			if unicode.IsPrint(r) && !Invisible(r) && out.Len() < MaxDecoded {
				out.WriteRune(r)
			}
		}
	}
	slices.SortFunc(secrets, func(a, b Match) int { return a.Start - b.Start })
	for _, s := range secrets {
		if s.End <= start || s.Start >= end {
			continue
		}
		write(text[start:max(start, s.Start)])
		write("[secret]")
		start = max(start, s.End)
	}
	if start < end {
		write(text[start:min(end, start+4*MaxDecoded)])
	}
	decoded := out.String()
	for len(decoded) > MaxDecoded {
		_, size := utf8.DecodeLastRuneInString(decoded)
		decoded = decoded[:len(decoded)-size]
	}
	return decoded
}

// all is what was found: first in the text as it was sent, then what only its encoded
// parts say.
func (l *look) all() []Found {
	if len(l.decoded) == 0 {
		return l.found
	}
	l.guard()
	first := len(l.found)
	for i := range l.reader.rules {
		l.found = append(l.found, l.fresh(i, l.found[:first])...)
	}
	return l.found
}

// guard takes what was decoded away from matches in which a deeper look found a secret.
func (l *look) guard() {
	for depth := 2; depth <= maxDepth; depth++ {
		var secrets []found // in order, none inside another
		for _, f := range l.decoded {
			if l.reader.rules[f.rule].Secret && f.depth == depth {
				secrets = append(secrets, f)
			}
		}
		if len(secrets) == 0 {
			continue
		}
		slices.SortFunc(secrets, func(a, b found) int { return a.Start - b.Start })
		for i := 1; i < len(secrets); i++ {
			secrets[i].End = max(secrets[i].End, secrets[i-1].End)
		}
		for i := range l.decoded {
			f := &l.decoded[i]
			n, _ := slices.BinarySearchFunc(secrets, f.End, func(s found, at int) int { return s.Start - at })
			if f.depth < depth && n > 0 && secrets[n-1].End > f.Start {
				f.Decoded = ""
			}
		}
	}
}

// fresh are the matches of one rule in what is encoded, in order, but for those that
// one before covers and that are no worse and no surer.
func (l *look) fresh(rule int, written []Found) []Found {
	type kind struct {
		severity   Severity
		confidence float64
	}
	var mine []found
	for _, f := range l.decoded {
		if f.rule == rule {
			mine = append(mine, f)
		}
	}
	if len(mine) == 0 {
		return nil
	}
	for _, f := range written {
		if f.Rule == l.reader.rules[rule].ID {
			mine = append(mine, found{Found: f})
		}
	}
	slices.SortStableFunc(mine, func(a, b found) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		if a.End != b.End {
			return b.End - a.End
		}
		return a.depth - b.depth
	})
	reach := map[kind]int{} // how far the text is covered by matches that began before
	var fresh []Found
	for _, f := range mine {
		covered := false
		for k, end := range reach {
			covered = covered || k.severity >= f.Severity && k.confidence >= f.Confidence && end >= f.End
		}
		if f.depth > 0 && !covered {
			fresh = append(fresh, f.Found)
		}
		k := kind{f.Severity, f.Confidence}
		reach[k] = max(reach[k], f.End)
	}
	return fresh
}
