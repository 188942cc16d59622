package hiddentext

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/rule"
)

const (
	// near is how many visible runes may stand between two invisible ones that
	// belong to one cluster. Text that is written between invisible characters,
	// or with one after each letter, stays within it.
	near = 4
	// carries is how many invisible characters of a cluster can carry a message
	// in a result. Fewer are what editors, web pages and line breaking leave.
	carries = 4
	// maxExcerpt bounds the decoded message that a match quotes, in bytes.
	maxExcerpt = 80
	// rtlReach is how far around a direction character a right-to-left letter is
	// looked for, in bytes.
	rtlReach = 128
)

// cluster is a stretch of invisible characters that stand near each other.
type cluster struct {
	start, end int // of the first and after the last
	count      int
	spans      [][2]int // runs without a visible rune between them
	seen       int      // visible runes since the last
	decoded    strings.Builder
	tags       int
	override   bool
}

// invisible finds characters that show nothing and are not where a script, an
// emoji or a file format needs them.
func invisible(text string, definition bool) []rule.Match {
	s := invisibleScan{text: text, definition: definition}
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			next := afterASCII(text, i+1)
			s.open.seen += next - i
			i = next
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if flag := flagLength(text[i:]); flag > 0 {
			i += flag
			continue
		}
		s.rune(r, i, size)
		i += size
	}
	s.flush()
	return s.matches
}

// afterASCII returns where the characters of ASCII end that start at i. It reads
// thirty-two bytes at once.
func afterASCII(text string, i int) int {
	for ; len(text)-i >= 32; i += 32 {
		b := text[i : i+32]
		if (binary.LittleEndian.Uint64([]byte(b))|binary.LittleEndian.Uint64([]byte(b[8:]))|
			binary.LittleEndian.Uint64([]byte(b[16:]))|binary.LittleEndian.Uint64([]byte(b[24:])))&0x8080808080808080 != 0 {
			break
		}
	}
	for i < len(text) && text[i] < utf8.RuneSelf {
		i++
	}
	return i
}

type invisibleScan struct {
	text       string
	definition bool
	open       cluster
	matches    []rule.Match
}

func (s *invisibleScan) rune(r rune, at, size int) {
	if !hides(r) || s.legitimate(r, at, size) {
		s.open.seen++
		return
	}
	if s.open.count > 0 && s.open.seen > near {
		s.flush()
	}
	s.open.add(r, at, size)
}

func (c *cluster) add(r rune, at, size int) {
	if c.count == 0 {
		c.start = at
	}
	if n := len(c.spans); n > 0 && c.spans[n-1][1] == at {
		c.spans[n-1][1] = at + size
	} else {
		c.spans = append(c.spans, [2]int{at, at + size})
	}
	c.end, c.seen = at+size, 0
	c.count++
	if r >= 0xe0000 && r <= 0xe007f {
		c.tags++
		if r >= 0xe0020 && r < 0xe007f && c.decoded.Len() < maxExcerpt {
			c.decoded.WriteByte(byte(r - 0xe0000))
		}
	}
	if r == 0x202d || r == 0x202e {
		c.override = true
	}
}

// flush reports the open cluster if it can carry something.
func (s *invisibleScan) flush() {
	c := s.open
	s.open = cluster{}
	if c.count == 0 || !s.definition && c.count < carries && c.tags == 0 && !c.override {
		return
	}
	detail := fmt.Sprintf("%d invisible characters", c.count)
	switch {
	case c.decoded.Len() > 0:
		detail = fmt.Sprintf("Unicode tag characters that read %q", c.decoded.String())
	case c.override:
		detail = "characters that reverse the order in which text is shown"
	case c.count == 1:
		detail = "an invisible character"
	}
	for _, span := range c.spans {
		s.matches = append(s.matches, removed(span[0], span[1], detail, s.definition))
	}
}

// hides says whether a rune can hide or carry something. Soft hyphens and
// combining marks are part of ordinary spelling.
func hides(r rune) bool {
	switch {
	case r == 0xad, r >= 0x300 && r <= 0x36f && r != 0x34f, r == 0xfffc, r == 0xfffd:
		return false
	case r == 0x2800:
		return true
	}
	return rule.Invisible(r)
}

// legitimate says whether an invisible rune stands where it has a purpose.
func (s *invisibleScan) legitimate(r rune, at, size int) bool {
	before, _ := utf8.DecodeLastRuneInString(s.text[:at])
	after, _ := utf8.DecodeRuneInString(s.text[at+size:])
	switch {
	case r == 0xfeff:
		return at == 0 // byte order mark
	case r == 0x200d:
		return pictograph(before) || joins(before) && (joins(after) || unicode.IsSpace(after) || at+size == len(s.text))
	case r == 0x200c:
		return joins(before) || joins(after)
	case r == 0x200b:
		return breaksWithoutSpaces(before) || breaksWithoutSpaces(after)
	case r >= 0xfe00 && r <= 0xfe0f:
		return before != utf8.RuneError && !hides(before) && (before >= utf8.RuneSelf || after == 0x20e3)
	case r >= 0xe0100 && r <= 0xe01ef, r >= 0x180b && r <= 0x180f:
		return unicode.Is(unicode.Han, before) || unicode.Is(unicode.Mongolian, before)
	case r == 0x200e, r == 0x200f, r == 0x61c, r >= 0x202a && r <= 0x202c, r >= 0x2066 && r <= 0x2069:
		return s.rightToLeftNear(at)
	case r == 0x115f, r == 0x1160:
		return unicode.Is(unicode.Hangul, before) || unicode.Is(unicode.Hangul, after)
	case r == 0x2800:
		return braille(before) || braille(after)
	case r == 0x17b4, r == 0x17b5:
		return unicode.Is(unicode.Khmer, before)
	case r >= 0x1d173 && r <= 0x1d17a:
		return before >= 0x1d100 && before <= 0x1d1ff
	}
	return false
}

// pictograph says whether a joiner may follow: an emoji, a skin tone or the
// variation selector that makes one.
func pictograph(r rune) bool {
	return r >= 0x1f000 && r <= 0x1faff || r >= 0x2190 && r <= 0x2bff || r == 0xfe0f
}

func braille(r rune) bool { return r > 0x2800 && r <= 0x28ff }

// joins says whether a script uses joiners in its spelling.
func joins(r rune) bool {
	return r >= 0x600 && r < 0x1100 && r != 0x61c || r >= 0x1780 && r <= 0x18af || r >= 0x1a00 && r <= 0x1c7f || r >= 0xa800 && r <= 0xabff || r >= 0xfb50 && r <= 0xfefc || r >= 0x11000 && r <= 0x11fff
}

// breaksWithoutSpaces says whether words of the script stand without spaces, so
// that a zero-width space marks where a line may break.
func breaksWithoutSpaces(r rune) bool {
	return r >= 0xe00 && r <= 0xfff || r >= 0x1000 && r <= 0x109f || r >= 0x1780 && r <= 0x17ff || r >= 0x2e80 && r <= 0x9fff || r >= 0xac00 && r <= 0xd7ff || r >= 0xff00 && r <= 0xffee
}

// rightToLeftNear says whether a letter of a right-to-left script stands around.
func (s *invisibleScan) rightToLeftNear(at int) bool {
	start, end := max(0, at-rtlReach), min(len(s.text), at+rtlReach)
	for start > 0 && start < at && !utf8.RuneStart(s.text[start]) {
		start++
	}
	for _, r := range s.text[start:end] {
		if r >= 0x590 && r <= 0x8ff && r != 0x61c || r >= 0xfb1d && r <= 0xfdff || r >= 0xfe70 && r <= 0xfefc {
			return true
		}
	}
	return false
}

// flags are the flags of countries that have no code of their own; they are
// written with tag characters and are the only ones in use.
// https://www.unicode.org/reports/tr51/#Subdivision_Flags
var flags = []string{flag("gbeng"), flag("gbsct"), flag("gbwls")}

func flag(region string) string {
	out := []rune{0x1f3f4}
	for _, r := range region {
		out = append(out, 0xe0000+r)
	}
	return string(append(out, 0xe007f))
}

func flagLength(text string) int {
	if text[0] != 0xf0 {
		return 0
	}
	for _, f := range flags {
		if strings.HasPrefix(text, f) {
			return len(f)
		}
	}
	return 0
}
