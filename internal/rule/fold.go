package rule

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

// Bounds of the look-ahead while folding. They keep folding linear and are
// larger than anything a real document needs.
const (
	maxTag    = 256 // bytes of an HTML tag that is taken for markup
	maxEntity = 10  // bytes of an HTML character reference
)

// Folded is a text reduced to what a model reads: lower case, look-alike letters
// written as the ASCII letters they imitate, invisible characters gone, Unicode
// tag characters written as the ASCII they carry, formatting markup and control
// sequences of terminals gone, characters that are compatible written as one, runs of
// white space written as one space, or as one line feed where they hold a blank line.
type Folded struct {
	Text []byte
	src  string
	from []uint32 // from[i] is where Text[i] came from; nil until asked for
}

// Fold folds a text in one pass, in time linear in its length.
func Fold(text string) *Folded {
	f := folder{src: text, out: make([]byte, 0, len(text)+8)}
	f.run()
	return &Folded{Text: f.out, src: text}
}

// Span maps Text[start:end] back to byte offsets in the text that was folded.
// Both lie on rune boundaries. The map is made on the first call, because most
// texts never need it.
func (f *Folded) Span(start, end int) (int, int) {
	if f.from == nil {
		again := folder{src: f.src, out: make([]byte, 0, len(f.Text)), from: make([]uint32, 0, len(f.Text)+1), mapped: true}
		again.run()
		f.from = append(again.from, uint32(len(f.src)))
	}
	return int(f.from[start]), int(f.from[end])
}

// view is Text without a copy.
func (f *Folded) view() string { return unsafe.String(unsafe.SliceData(f.Text), len(f.Text)) }

type folder struct {
	src    string
	out    []byte
	from   []uint32
	mapped bool

	word    int  // up to where it is known whether letters imitate those of ASCII
	imitate bool // they do
	row     int  // up to where it is known whether regional letters make flags
	flags   bool // they do
}

func (f *folder) emit(b byte, at int) {
	f.out = append(f.out, b)
	if f.mapped {
		f.from = append(f.from, uint32(at))
	}
}

func (f *folder) emitRune(r rune, at int) {
	var buf [utf8.UTFMax]byte
	for _, b := range buf[:utf8.EncodeRune(buf[:], r)] {
		f.emit(b, at)
	}
}

// plain[b] is what the byte b folds to, or 0 where more must be looked at.
var plain = func() (table [256]byte) {
	for b := byte(0x21); b < 0x7f; b++ {
		table[b] = b
		if b >= 'A' && b <= 'Z' {
			table[b] = b + 'a' - 'A'
		}
	}
	for _, b := range "*`<&\\_-" {
		table[b] = 0
	}
	return table
}()

func (f *folder) run() {
	for i := 0; i < len(f.src); {
		if f.src[i] < utf8.RuneSelf {
			i = f.blocks(i)
		}
		i = f.special(i)
	}
}

// ordinary folds what starts at i byte by byte, up to what needs a closer look.
func (f *folder) ordinary(i int) int {
	for src := f.src; i < len(src); i++ {
		c := src[i]
		if b := plain[c]; b != 0 {
			f.emit(b, i)
		} else if c == ' ' && i+1 < len(src) && plain[src[i+1]] != 0 {
			f.blank(i)
		} else {
			break
		}
	}
	return i
}

// What stands against folding a byte to itself in lower case, or a space to itself.
const (
	always    = 1 << iota // it never does so
	sometimes             // its neighbours decide
)

var stops = func() (table [256]uint8) {
	for b, folded := range plain {
		switch {
		case b == '\n' || b == '-':
			table[b] = sometimes
		case folded == 0 && b != ' ':
			table[b] = always
		}
	}
	return table
}()

const (
	eight   = 0x0101010101010101 // times a byte: that byte eight times
	highest = 0x80 * eight
)

// blocks folds what starts at i eight bytes at once, which is what most of a text
// needs, up to what needs a closer look. It keeps no map.
func (f *folder) blocks(i int) int {
	if f.mapped {
		return f.ordinary(i)
	}
	f.out = slices.Grow(f.out, len(f.src)-i)
	b, out := f.src[i:], f.out[len(f.out):cap(f.out)]
	before := uint64(0) // its highest bit: a space stands before, or nothing
	if n := len(f.out); n == 0 || f.out[n-1] == ' ' || f.out[n-1] == '\n' {
		before = 0x80
	}
	for len(b) > 8 && len(out) >= 8 {
		marks := stops[b[0]] | stops[b[1]] | stops[b[2]] | stops[b[3]] | stops[b[4]] | stops[b[5]] | stops[b[6]] | stops[b[7]]
		// In each of the following the highest bit of a byte says what the byte is.
		block := binary.LittleEndian.Uint64([]byte(b))
		space := equal(block, ' ')
		stop := space & (space<<8 | before)
		if uint64(marks)|stop != 0 {
			block, space, stop = closer(b, block, before, marks)
		}
		binary.LittleEndian.PutUint64(out, block|between(block, 'A', 'Z')>>2)
		if stop != 0 {
			return f.done(i, len(f.src)-len(b)+bits.TrailingZeros64(stop)/8)
		}
		before = space >> 56
		b, out = b[8:], out[8:]
	}
	return f.ordinary(f.done(i, len(f.src)-len(b)))
}

// done takes what was folded from one place to another, byte for byte, into the text.
func (f *folder) done(from, to int) int {
	f.out = f.out[:len(f.out)+to-from]
	return to
}

// closer looks at the neighbours of the bytes of a block, which are the first of b:
// a line feed becomes a space where a word follows, and a dash stays where no other
// follows. It returns the block, where its spaces are, and what it could not fold.
func closer(b string, block, before uint64, marks uint8) (folded, space, stop uint64) {
	if marks&always != 0 {
		n := 0
		for stops[b[n&7]] != always {
			n++
		}
		stop = 0x80 << (8 * n)
	}
	next := block>>8 | uint64(b[8])<<56
	word := between(next|caseBit*eight, 'a', 'z') | between(next, '0', '9')
	line := equal(block, '\n')
	space = equal(block, ' ') | line
	stop |= space&(space<<8|before) | line&^word | equal(block, '-')&equal(next, '-')
	return block ^ line>>7*('\n'^' '), space, stop
}

// equal and between mark bytes by their highest bits. Bytes that are not ASCII can
// spoil the marks behind them.
func equal(block, b uint64) uint64 { return ^((block ^ b*eight) + 0x7f*eight) & highest }

func between(block, low, high uint64) uint64 {
	return (block + (0x80-low)*eight) &^ (block + (0x7f-high)*eight) & highest
}

// special folds what starts at i, if anything does, and returns where the next thing starts.
func (f *folder) special(i int) int {
	if i == len(f.src) {
		return i
	}
	switch c := f.src[i]; {
	case c == '*' || c == '`':
		return i + 1
	case c == '_':
		return f.underscore(i)
	case c == '<':
		return f.tag(i)
	case c == '-':
		return f.dash(i)
	case c == '&':
		return f.entity(i)
	case c == '\\':
		return f.escape(i)
	case asciiSpace(c):
		return f.space(i)
	case c == 0x1b:
		return terminal(f.src, i+1)
	case c < utf8.RuneSelf:
		return i + 1 // control characters
	}
	r, size := utf8.DecodeRuneInString(f.src[i:])
	if unicodeSpace(r) {
		return f.space(i)
	}
	if r == 0x9b {
		return controlSequence(f.src, i+size)
	}
	f.rune(r, i, i+size)
	return i + size
}

// underscore drops the underscores that Markdown uses for emphasis and keeps
// those inside a name.
func (f *folder) underscore(i int) int {
	if len(f.out) > 0 && wordByte(f.out[len(f.out)-1]) && i+1 < len(f.src) && wordByte(f.src[i+1]) {
		f.emit('_', i)
	}
	return i + 1
}

// formatting holds the HTML elements that only change how text looks; true
// means that a browser starts a new line for it.
var formatting = map[string]bool{
	"a": false, "abbr": false, "b": false, "big": false, "code": false, "del": false, "em": false, "font": false, "i": false, "ins": false,
	"mark": false, "s": false, "small": false, "span": false, "strong": false, "sub": false, "sup": false, "tt": false, "u": false, "wbr": false,
	"br": true, "div": true, "h1": true, "h2": true, "h3": true, "h4": true, "li": true, "ol": true, "p": true, "td": true, "th": true, "tr": true, "ul": true,
}

// tag drops tags that only format and comment marks; the text in a comment is
// kept, because a model reads it. Every other tag is kept as it is, since a
// false <system> is a sign by itself.
func (f *folder) tag(i int) int {
	rest := f.src[i:]
	if strings.HasPrefix(rest, "<!--") {
		if strings.HasPrefix(rest, "<!---->") {
			return i + len("<!---->")
		}
		f.blank(i)
		return i + len("<!--")
	}
	end := 1
	if end < len(rest) && rest[end] == '/' {
		end++
	}
	start := end
	for end < len(rest) && end-start < 8 && wordByte(rest[end]) {
		end++
	}
	block, known := formatting[strings.ToLower(rest[start:end])]
	if !known {
		f.emit('<', i)
		return i + 1
	}
	for ; end < len(rest) && end < maxTag && rest[end] != '<'; end++ {
		if rest[end] == '>' {
			if block {
				f.blank(i)
			}
			return i + end + 1
		}
	}
	f.emit('<', i)
	return i + 1
}

func (f *folder) dash(i int) int {
	for strings.HasPrefix(f.src[i:], "---") { // a rule of Markdown
		f.emit('-', i)
		i++
	}
	if strings.HasPrefix(f.src[i:], "-->") {
		f.blank(i)
		return i + len("-->")
	}
	f.emit('-', i)
	return i + 1
}

// blank writes a space unless the text begins here or one stands there already.
func (f *folder) blank(at int) {
	if n := len(f.out); n > 0 && f.out[n-1] != ' ' && f.out[n-1] != '\n' {
		f.emit(' ', at)
	}
}

var entities = map[string]rune{"lt": '<', "gt": '>', "amp": '&', "quot": '"', "apos": '\'', "nbsp": ' ', "shy": 0xad, "zwnj": 0x200c, "zwj": 0x200d}

func (f *folder) entity(i int) int {
	rest := f.src[i:]
	if len(rest) > maxEntity {
		rest = rest[:maxEntity]
	}
	semicolon := strings.IndexByte(rest, ';')
	if semicolon < 2 {
		f.emit('&', i)
		return i + 1
	}
	name := rest[1:semicolon]
	r, known := entities[name]
	if !known {
		r = numericEntity(name)
	}
	if r == 0 {
		f.emit('&', i)
		return i + 1
	}
	f.decoded(r, i, i+semicolon+1)
	return i + semicolon + 1
}

func numericEntity(name string) rune {
	if name[0] != '#' || len(name) < 2 {
		return 0
	}
	if name[1] == 'x' || name[1] == 'X' {
		return number(name[2:], 16)
	}
	return number(name[1:], 10)
}

// number reads digits of the base, or answers 0.
func number(digits string, base rune) rune {
	var value rune
	for i := 0; i < len(digits); i++ {
		d := rune(strings.IndexByte("0123456789abcdef", digits[i]|0x20))
		if digits[i] >= '0' && digits[i] <= '9' {
			d = rune(digits[i] - '0')
		}
		if d < 0 || d >= base || value > unicode.MaxRune/base {
			return 0
		}
		value = value*base + d
	}
	return value
}

// escape reads the escapes of a string literal, because results are often JSON
// inside a string, where a line feed is the letter n after a backslash.
func (f *folder) escape(i int) int {
	if i+1 == len(f.src) {
		return i + 1
	}
	switch f.src[i+1] {
	case 'n', 'r', 't':
		return f.space(i)
	case '"', '\'', '/', '\\':
		return i + 1
	case 'u':
		if i+6 <= len(f.src) {
			if r := number(f.src[i+2:i+6], 16); r == 0x1b {
				return terminal(f.src, i+6)
			} else if r != 0 {
				f.decoded(r, i, i+6)
				return i + 6
			}
		}
	}
	for _, escape := range [...]string{`\x1b[`, `\x1B[`, `\033[`, `\e[`} {
		if strings.HasPrefix(f.src[i:], escape) {
			return controlSequence(f.src, i+len(escape))
		}
	}
	f.emit('\\', i)
	return i + 1
}

// maxSequence bounds a control sequence of a terminal, in bytes.
const maxSequence = 64

// terminal passes over what stands behind an escape character and controls a terminal
// (ECMA-48). The text in command strings is kept, because a model reads it.
func terminal(text string, i int) int {
	switch {
	case i == len(text):
	case text[i] == '[':
		return controlSequence(text, i+1)
	case strings.IndexByte(`]P_^X\\`, text[i]) >= 0:
		return i + 1
	}
	return i
}

// controlSequence passes over parameters, intermediates and the final byte that stand
// behind "CSI", if they do.
func controlSequence(text string, start int) int {
	i := start
	for i < len(text) && i-start < maxSequence && text[i] >= 0x20 && text[i] <= 0x3f {
		i++
	}
	if i < len(text) && text[i] >= 0x40 && text[i] <= 0x7e {
		return i + 1
	}
	return start
}

// decoded folds a rune that was written as an escape or a reference.
func (f *folder) decoded(r rune, at, next int) {
	switch {
	case unicodeSpace(r) || r < utf8.RuneSelf && asciiSpace(byte(r)):
		f.blank(at)
	case r < utf8.RuneSelf:
		if b := plain[byte(r)]; b != 0 {
			f.emit(b, at)
		} else if r > ' ' && r != '*' && r != '`' {
			f.emit(byte(r), at)
		}
	default:
		f.rune(r, at, next)
	}
}

// space folds a run of white space and of the marks that start a line in
// Markdown, in comments of code and in tables.
func (f *folder) space(start int) int {
	lines, i := 0, start
	for i < len(f.src) {
		c := f.src[i]
		if c == '\\' && i+1 < len(f.src) && (f.src[i+1] == 'n' || f.src[i+1] == 'r' || f.src[i+1] == 't') {
			if f.src[i+1] == 'n' {
				lines++
			}
			i += 2
			continue
		}
		if c == '\n' {
			lines++
		}
		if asciiSpace(c) || lines > 0 && strings.IndexByte("#>*/|;", c) >= 0 {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			break
		}
		r, size := utf8.DecodeRuneInString(f.src[i:])
		if !unicodeSpace(r) {
			break
		}
		i += size
	}
	f.blank(start)
	if n := len(f.out); lines > 1 && n > 0 {
		f.out[n-1] = '\n'
	}
	return i
}

func (f *folder) rune(r rune, at, next int) {
	if !plainLetter(r) && (Invisible(r) || decorates(r)) {
		if r >= 0xe0020 && r <= 0xe007e {
			f.decoded(r-0xe0000, at, next)
		} else {
			f.compose(r)
		}
		return
	}
	form := formOf(r)
	switch {
	case form.latin != 0:
		f.emit(form.latin, at)
	case form.lookalike != 0 && f.imitates(next):
		f.emit(form.lookalike, at)
	case form.lower >= several:
		for _, c := range severals[form.lower-several] {
			if one := formOf(c); one.latin != 0 {
				c = rune(one.latin)
			}
			f.folded(c, at)
		}
	case r >= firstRegional && r <= lastRegional:
		f.regional(r, at)
	default:
		f.folded(form.lower, at)
	}
}

// folded writes a rune that needs no more than to be put together with what stands
// before it.
func (f *folder) folded(r rune, at int) {
	if (r >= firstVowel && r <= lastTail || r == 0x3099 || r == 0x309a) && f.compose(r) {
		return
	}
	f.emitRune(r, at)
}

// compose puts a mark, or a part of a Korean syllable, together with the character that
// was written last, if both are one character.
func (f *folder) compose(mark rune) bool {
	base, size := utf8.DecodeLastRune(f.out)
	if size < 2 {
		return false
	}
	both := oneOfTwo(base, mark)
	if both == 0 {
		return false
	}
	at, n := 0, len(f.out)-size
	if f.mapped {
		at = int(f.from[n])
		f.from = f.from[:n]
	}
	f.out = f.out[:n]
	f.emitRune(both, at)
	return true
}

// regional writes letters that make flags as flags, and those that do not as letters.
func (f *folder) regional(r rune, at int) {
	if at >= f.row {
		f.row, f.flags = regionals(f.src, at)
	}
	if f.flags && at < f.row {
		f.emitRune(r, at)
		return
	}
	f.emit('a'+byte(r-firstRegional), at)
}

const (
	// maxWord bounds how far a word is looked at, in bytes.
	maxWord = 128
	// fewestLookalikes is how many letters a word of nothing but lookalikes has to be
	// taken for one of other letters.
	fewestLookalikes = 2
	// nearWord is how far away the word before or behind may be, in bytes.
	nearWord = 4
)

// imitates says whether the letters of a word imitate those of ASCII: a Cyrillic a
// among Latin letters is a disguise, in a Cyrillic word it is a letter. A word of
// nothing but letters that could be others is a disguise if the words around it are
// Latin.
func (f *folder) imitates(next int) bool {
	if next <= f.word {
		return f.imitate
	}
	before := f.out
	f.imitate = len(before) > 0 && letter(before[len(before)-1])
	foreign, letters, end := false, 1, next
	for end < len(f.src) && end-next < maxWord {
		r, size := rune(f.src[end]), 1
		form := form{latin: byte(r)}
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(f.src[end:])
			form = formOf(r)
		}
		if !plainLetter(r) && (Invisible(r) || decorates(r)) {
			end += size
			continue
		}
		switch {
		case letter(form.latin):
			f.imitate = true
		case form.lookalike != 0:
			letters++
		case plainLetter(r) || r >= utf8.RuneSelf && unicode.IsLetter(r):
			foreign = true
		default:
			size = 0
		}
		if size == 0 {
			break
		}
		end += size
	}
	f.word = end
	if !f.imitate && !foreign && letters >= fewestLookalikes {
		f.imitate = latinBefore(before) && latinBehind(f.src[end:])
	}
	return f.imitate
}

// plainLetter says whether a rune is one of Greek or Cyrillic that needs no closer look.
// The few there that are no letters count as such.
func plainLetter(r rune) bool { return r >= 0x370 && r < 0x483 }

// latinBefore says whether the word before is one of ASCII letters, or none is near.
func latinBefore(out []byte) bool {
	for i := len(out) - 1; i >= max(0, len(out)-nearWord); i-- {
		if letter(out[i]) || out[i] >= utf8.RuneSelf {
			return letter(out[i])
		}
	}
	return len(out) < nearWord
}

// latinBehind says whether the next word has an ASCII letter, or none is near.
func latinBehind(rest string) bool {
	for i := range min(len(rest), nearWord) {
		if wordByte(rest[i]) && !digit(rest[i]) {
			return latinWithin(rest[i:])
		}
	}
	return len(rest) < nearWord
}

// latinWithin says whether a word has an ASCII letter.
func latinWithin(word string) bool {
	for i := 0; i < min(len(word), maxWord) && wordByte(word[i]); i++ {
		if letter(word[i]) {
			return true
		}
	}
	return false
}

func letter(b byte) bool   { return b|0x20 >= 'a' && b|0x20 <= 'z' }
func digit(b byte) bool    { return b >= '0' && b <= '9' }
func wordByte(b byte) bool { return letter(b) || digit(b) || b >= utf8.RuneSelf }

func asciiSpace(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

func unicodeSpace(r rune) bool {
	switch {
	case r == 0x85, r == 0xa0, r == 0x1680, r >= 0x2000 && r <= 0x200a, r == 0x2028, r == 0x2029, r == 0x202f, r == 0x205f, r == 0x3000, r == 0x2800:
		return true
	}
	return false
}

// Invisible says whether a rune shows nothing by itself: format characters,
// zero-width and filler characters, variation selectors, tag characters and
// combining marks that only decorate.
func Invisible(r rune) bool {
	switch {
	case r < 0xad:
		return false
	case r == 0xad, r == 0x34f, r == 0x61c, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5, r == 0x3164, r == 0xfeff, r == 0xffa0:
		return true
	case r >= 0x300 && r <= 0x36f:
		return true
	case r >= 0x180b && r <= 0x180f, r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	case r >= 0xfe00 && r <= 0xfe0f, r >= 0xfff0 && r <= 0xfffb, r >= 0x1bca0 && r <= 0x1bca3, r >= 0x1d173 && r <= 0x1d17a:
		return true
	}
	return r >= 0xe0000 && r <= 0xe0fff
}

func lower(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b | 0x20
	}
	return b
}
