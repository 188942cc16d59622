package rule

import (
	"strings"
	"unicode/utf8"
	"unsafe"
)

const (
	// maxWindow is how much of a text is read at once, in bytes. What reading needs
	// grows with it.
	maxWindow = 512 << 10
	// Overlap is how much two windows have in common on either side of the place where
	// one takes over from the other, in bytes. A match that is shorter is found as if
	// the text were read at once.
	Overlap = 32 << 10
)

// Stream shows a text to the rules while it passes, in windows that overlap, and holds
// no more than one of them. It finds the same wherever the text is cut into parts. It
// serves one goroutine.
type Stream struct {
	reader          *Reader
	subject         Subject
	window, overlap int
	held            []byte // the text from base on
	base            int
	settled         int // where the next window takes over
	seen            int // how far the last window reached
	found           []Found
	err             error
}

// Stream begins a text. The subject is a template: it says all but the text.
func (r *Reader) Stream(subject Subject) *Stream {
	return &Stream{reader: r, subject: subject, window: maxWindow, overlap: Overlap}
}

// Write takes the next part of the text. It fails where a rule fails; nothing that
// follows is looked at then.
func (s *Stream) Write(part []byte) (int, error) {
	if err := feed(s, part); err != nil {
		return 0, err
	}
	return len(part), nil
}

// Close takes the end of the text.
func (s *Stream) Close() error {
	if s.err == nil {
		s.show(len(s.held), true)
	}
	return s.err
}

// Settled returns what was found since it was last asked, with offsets in the text, and
// up to where the text is settled: no match that begins and ends before will be found
// later.
func (s *Stream) Settled() ([]Found, int) {
	found := s.found
	s.found = nil
	return found, s.settled
}

func feed[T string | []byte](s *Stream, part T) error {
	for len(part) > 0 && s.err == nil {
		n := min(len(part), s.window+1-len(s.held))
		s.held = append(s.held, part[:n]...)
		part = part[n:]
		if len(s.held) > s.window { // there is more than one window
			s.show(runeStart(s.held, s.window), false)
		}
	}
	return s.err
}

// show shows a window to the rules, and keeps what begins where no other window is
// asked.
func (s *Stream) show(size int, last bool) {
	next, takeover := size, s.base+size
	if !last {
		next = runeStart(s.held, size-2*s.overlap)
		takeover = s.base + next + s.overlap
	}
	s.subject.Text = unsafe.String(unsafe.SliceData(s.held), size)
	var found []Found
	if found, s.err = s.reader.whole(s.subject, nil); s.err != nil {
		return
	}
	for _, f := range found {
		f.Start, f.End = f.Start+s.base, f.End+s.base
		// What began before and goes on where no window was is more than was found then: a
		// long run in Base64 says something else further on.
		if f.Start < s.settled && f.End <= s.seen || !last && f.Start >= takeover {
			continue
		}
		// The window is used again.
		f.Detail, f.Decoded, f.Replacement = strings.Clone(f.Detail), strings.Clone(f.Decoded), strings.Clone(f.Replacement)
		s.found = append(s.found, f)
	}
	s.held = s.held[:copy(s.held, s.held[next:])]
	s.base, s.settled, s.seen = s.base+next, takeover, s.base+size
}

// runeStart is where the character begins of which a byte is part.
func runeStart(text []byte, at int) int {
	for i := at; i > at-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			return i
		}
	}
	return at
}
