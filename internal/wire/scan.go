// Package wire turns bytes from outside into MCP messages. It is the only
// decoder of outside bytes in this program.
//
// One strict pass accepts or refuses a text and records where every string
// stands; nothing is decoded that nobody asks for, and what is forwarded are the
// bytes that were scanned. Members, key order, unknown fields and large integers
// therefore survive byte for byte.
//
// Parsers that disagree about a message are the classic way through a gateway:
// duplicate keys, keys that a case-insensitive decoder takes for others
// (CVE-2026-27896), NUL in keys (GHSA-q382-vc8q-7jhj), a second value behind the
// first. Everything on which two decoders are known to disagree is refused here.
package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

// Limits bound one text from outside. A zero field means the value of
// DefaultLimits.
type Limits struct {
	Bytes   int // whole text
	Depth   int // nesting of objects and arrays
	Items   int // elements of one array
	Members int // members of one object
	Strings int // strings in the whole text, member names included
}

// DefaultLimits are far above what MCP servers send and far below what hurts:
// a scan of a text at these bounds takes milliseconds and tens of megabytes.
var DefaultLimits = Limits{
	Bytes:   16 << 20,
	Depth:   128,
	Items:   100_000,
	Members: 10_000,
	Strings: 1_000_000,
}

func (l Limits) orDefault() Limits {
	pick := func(v, def int) int {
		if v <= 0 {
			return def
		}
		return v
	}
	d := DefaultLimits
	return Limits{
		Bytes:   min(pick(l.Bytes, d.Bytes), 1<<30), // offsets are int32
		Depth:   min(pick(l.Depth, d.Depth), 10_000),
		Items:   pick(l.Items, d.Items),
		Members: pick(l.Members, d.Members),
		Strings: pick(l.Strings, d.Strings),
	}
}

// SyntaxError says where and why a text was refused. It never repeats the text.
type SyntaxError struct {
	Offset int
	Reason string
	Bound  bool // a limit was exceeded; the text may be well-formed
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset)
}

// String is one string of a document.
type String struct {
	Start, End int32 // between the quotes
	Key        int32 // index in Document.Strings of the nearest member name around it, or -1
	IsKey      bool  // it is a member name
	Escaped    bool  // it holds escapes, so its text is not its bytes
}

// Document is a text that Scan accepted: exactly one JSON value.
type Document struct {
	Raw     []byte
	Root    Value
	Strings []String

	top []String // the values of the members of the root object: where they stand, and their names
}

// Scan accepts raw if it is exactly one JSON value in strict form: RFC 8259
// syntax, valid UTF-8, no lone surrogates, no byte order mark, no NUL in member
// names, no member names of one object that are equal after Unicode simple case
// folding, and within lim. The Document refers to raw, which must not change
// afterwards. Its error is a *SyntaxError.
func Scan(raw []byte, lim Limits) (Document, error) {
	lim = lim.orDefault()
	if len(raw) > lim.Bytes {
		return Document{}, &SyntaxError{Offset: lim.Bytes, Reason: fmt.Sprintf("more than %d bytes", lim.Bytes), Bound: true}
	}
	// Every string has two quotes that are not escaped, so this is enough for all.
	count := min(bytes.Count(raw, []byte{'"'})/2, lim.Strings)
	s := scanners.Get().(*scanner)
	spare := s.strings
	s.raw, s.lim, s.strings = raw, lim, make([]String, 0, count+extra)
	defer func() { s.free(spare) }()
	s.space()
	start := s.pos
	if err := s.value(-1); err != nil {
		return Document{}, err
	}
	end := s.pos
	s.space()
	if s.pos != len(raw) {
		return Document{}, s.fail("data after the JSON value")
	}
	return newDocument(raw, Value{raw, start, end}, s.strings, s.top), nil
}

// extra is room behind the strings for jsonrpc, id, method and params.
const extra = 4

// newDocument puts strings and top into one piece of memory, if strings has room.
func newDocument(raw []byte, root Value, strings, top []String) Document {
	n := len(strings)
	all := append(strings, top...)
	return Document{Raw: raw, Root: root, Strings: all[:n:n], top: all[n:]}
}

// scanners keep the memory of what a scan needs for itself.
var scanners = sync.Pool{New: func() any { return new(scanner) }}

// maxKept is how many strings or names the memory may hold that waits for the next
// scan: a rare large text shall not hold its memory for ever.
const maxKept = 1 << 12

// free ends a scan. Its strings are the document's; Valid has none and uses the
// spare ones.
func (s *scanner) free(spare []String) {
	if cap(spare) <= maxKept && cap(s.names) <= maxKept && cap(s.top) <= maxKept {
		*s = scanner{strings: spare[:0], top: s.top[:0], names: s.names[:0]}
		scanners.Put(s)
	}
}

type scanner struct {
	raw     []byte
	pos     int
	depth   int
	lim     Limits
	strings []String
	top     []String
	names   []name // names of all open objects, innermost last
}

// name is a member name of an open object: its hash after folding and where it
// stands in strings.
type name struct {
	hash uint64
	at   int32
}

func (s *scanner) fail(reason string) error {
	return &SyntaxError{Offset: s.pos, Reason: reason}
}

func (s *scanner) exceeded(what string, limit int) error {
	return &SyntaxError{Offset: s.pos, Reason: fmt.Sprintf("more than %d %s", limit, what), Bound: true}
}

func (s *scanner) space() {
	for s.pos < len(s.raw) && isSpace(s.raw[s.pos]) {
		s.pos++
	}
}

func isSpace(c byte) bool {
	return c <= ' ' && (c == ' ' || c == '\n' || c == '\t' || c == '\r')
}

// value scans one value; key is the index of the member name it belongs to.
func (s *scanner) value(key int32) error {
	if s.pos >= len(s.raw) {
		return s.fail("the text ends too early")
	}
	switch c := s.raw[s.pos]; c {
	case '{', '[':
		return s.nested(key, c)
	case '"':
		return s.text(key, false)
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		if c == '-' || c >= '0' && c <= '9' {
			return s.number()
		}
		return s.fail("a JSON value must stand here")
	}
}

func (s *scanner) nested(key int32, open byte) (err error) {
	if s.depth >= s.lim.Depth {
		return s.exceeded("levels of nesting", s.lim.Depth)
	}
	s.depth++
	s.pos++
	if open == '{' {
		err = s.object(key)
	} else {
		err = s.array(key)
	}
	s.depth--
	return err
}

func (s *scanner) object(key int32) error {
	first := len(s.names)
	var seen map[uint64]int32
	for s.space(); ; s.space() {
		if s.peek() == '}' && len(s.names) == first {
			break
		}
		if s.peek() != '"' {
			return s.fail("a member name must stand here")
		}
		if len(s.names)-first >= s.lim.Members {
			return s.exceeded("members in one object", s.lim.Members)
		}
		at := int32(len(s.strings))
		if err := s.text(key, true); err != nil {
			return err
		}
		if err := s.unique(first, at, &seen); err != nil {
			return err
		}
		s.space()
		if s.peek() != ':' {
			return s.fail("a colon must stand here")
		}
		s.pos++
		s.space()
		start := s.pos
		if err := s.value(at); err != nil {
			return err
		}
		if s.depth == 1 {
			s.top = append(s.top, String{Start: int32(start), End: int32(s.pos), Key: at})
		}
		s.space()
		if s.peek() != ',' {
			break
		}
		s.pos++
	}
	if s.peek() != '}' {
		return s.fail("a comma or a closing brace must stand here")
	}
	s.pos++
	s.names = s.names[:first]
	return nil
}

func (s *scanner) array(key int32) error {
	s.space()
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for items := 1; ; items++ {
		if items > s.lim.Items {
			return s.exceeded("items in one array", s.lim.Items)
		}
		s.space()
		if err := s.value(key); err != nil {
			return err
		}
		s.space()
		if s.peek() != ',' {
			break
		}
		s.pos++
	}
	if s.peek() != ']' {
		return s.fail("a comma or a closing bracket must stand here")
	}
	s.pos++
	return nil
}

// peek is the byte at the position, 0 at the end; a NUL is valid nowhere outside
// a string, so the two need no telling apart.
func (s *scanner) peek() byte {
	if s.pos < len(s.raw) {
		return s.raw[s.pos]
	}
	return 0
}

func (s *scanner) literal(word string) error {
	if string(s.raw[s.pos:min(len(s.raw), s.pos+len(word))]) != word {
		return s.fail("a JSON value must stand here")
	}
	s.pos += len(word)
	return nil
}

// number follows the grammar of RFC 8259 section 6. The value is never computed.
func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	switch c := s.peek(); {
	case c == '0':
		s.pos++
	case c >= '1' && c <= '9':
		s.digits()
	default:
		return s.fail("a digit must stand here")
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return s.fail("a digit must stand here")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.fail("a digit must stand here")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > start
}

// text scans one string and records it.
func (s *scanner) text(key int32, isKey bool) error {
	if len(s.strings) >= s.lim.Strings {
		return s.exceeded("strings", s.lim.Strings)
	}
	start := s.pos + 1
	escaped, ascii, raw := false, true, s.raw
	for pos := start; ; {
		n, plain := plainRun(raw[pos:])
		pos += n
		ascii = ascii && plain
		s.pos = pos
		if pos >= len(raw) {
			return s.fail("the text ends inside a string")
		}
		switch raw[pos] {
		case '"':
			if !ascii && !utf8.Valid(raw[start:pos]) {
				return s.fail("invalid UTF-8 in the string that ends")
			}
			s.strings = append(s.strings, String{int32(start), int32(pos), key, isKey, escaped})
			s.pos++
			return nil
		case '\\':
			escaped = true
			if pos+1 < len(raw) && simple[raw[pos+1]] != 0 {
				pos += 2
				continue
			}
			if err := s.unicode(); err != nil {
				return err
			}
			pos = s.pos
		default:
			return s.fail("a control character must be escaped")
		}
	}
}

// unicode scans one escape sequence that is not of a single letter. A surrogate that
// is not half of a pair is refused: decoders replace, keep or drop it, so its text is
// not one text (RFC 7493 section 2.1).
func (s *scanner) unicode() error {
	if s.pos+1 >= len(s.raw) {
		return s.fail("the text ends inside a string")
	}
	if s.raw[s.pos+1] != 'u' {
		return s.fail("invalid escape")
	}
	_, size := unicodeEscape(s.raw[s.pos:])
	if size == 0 {
		return s.fail("invalid escape or lone surrogate")
	}
	s.pos += size
	return nil
}

// unicodeEscape decodes \uXXXX, or a pair of them that is one character. Its size
// is 0 if there is no valid character.
func unicodeEscape(b []byte) (r rune, size int) {
	high, ok := hex4(b)
	if !ok {
		return 0, 0
	}
	if high < 0xD800 || high > 0xDFFF {
		return high, 6
	}
	if high >= 0xDC00 {
		return 0, 0
	}
	low, ok := hex4(b[6:])
	if !ok || low < 0xDC00 || low > 0xDFFF {
		return 0, 0
	}
	return (high-0xD800)<<10 | (low - 0xDC00) + 0x10000, 12
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

const (
	ones = 0x0101010101010101 // times a byte: that byte eight times
	tops = 0x8080808080808080
)

// plainRun is the number of leading bytes before the first quote, backslash or
// control character, eight at a time. If ascii is true they all are ASCII.
func plainRun(b []byte) (n int, ascii bool) {
	var high uint64
	for len(b)-n >= 8 {
		x := binary.LittleEndian.Uint64(b[n:])
		// A byte of hit has its top bit set where x is below 0x20, a quote or a
		// backslash. A borrow can only set bits above a true hit, and the lowest hit
		// is the one that counts.
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		hit := ((x-ones*0x20)&^x | (quote-ones)&^quote | (slash-ones)&^slash) & tops
		high |= x
		if hit != 0 {
			return n + bits.TrailingZeros64(hit)/8, high&tops == 0
		}
		n += 8
	}
	for ; n < len(b); n++ {
		c := b[n]
		if c < 0x20 || c == '"' || c == '\\' {
			break
		}
		high |= uint64(c)
	}
	return n, high&tops == 0
}

// manyNames is where comparing with every name of an object gives way to a map.
const manyNames = 32

// unique refuses the member name at strings[at] if it holds NUL, which some
// decoders drop or stop at, or if the object whose names begin at first already
// has one that some decoder takes for the same.
func (s *scanner) unique(first int, at int32, seen *map[uint64]int32) error {
	hash, ok := s.foldedHash(s.strings[at])
	if !ok {
		return s.fail("NUL in a member name")
	}
	if twin, found := s.twin(first, hash, seen); found {
		if decode(s.raw, s.strings[twin]) == decode(s.raw, s.strings[at]) {
			return s.fail("duplicate member name")
		}
		// Equal hashes of names that fold differently would take about 2^32
		// members by chance; whoever made them on purpose is refused as well.
		return s.fail("member names that differ only in case")
	}
	s.names = append(s.names, name{hash, at})
	if *seen != nil {
		(*seen)[hash] = at
	}
	return nil
}

func (s *scanner) twin(first int, hash uint64, seen *map[uint64]int32) (int32, bool) {
	names := s.names[first:]
	if len(names) >= manyNames && *seen == nil {
		*seen = make(map[uint64]int32, 4*manyNames)
		for _, n := range names {
			(*seen)[n.hash] = n.at
		}
	}
	if *seen != nil {
		at, found := (*seen)[hash]
		return at, found
	}
	for _, n := range names {
		if n.hash == hash {
			return n.at, true
		}
	}
	return 0, false
}

// foldedHash hashes the folded name: each character replaced by the smallest one
// of its case orbit, so that K, k and the Kelvin sign are one, as are s and the
// long s. It is false for a name that holds NUL.
func (s *scanner) foldedHash(str String) (uint64, bool) {
	b := s.raw[str.Start:str.End]
	if !str.Escaped {
		if hash, ok := upperHash(b); ok {
			return hash, true
		}
	}
	var buf [64]byte
	folded := buf[:0]
	for _, r := range decode(s.raw, str) {
		if r == 0 {
			return 0, false
		}
		folded = utf8.AppendRune(folded, foldRune(r))
	}
	hash := uint64(hashSeed)
	for len(folded) > 0 {
		var word uint64
		word, folded = nextWord(folded)
		hash = mix(hash, word)
	}
	return hash, true
}

// upperHash is the hash of an ASCII name in upper case; it is false for others.
func upperHash(b []byte) (uint64, bool) {
	hash := uint64(hashSeed)
	for len(b) > 0 {
		var x uint64
		x, b = nextWord(b)
		if x&tops != 0 {
			return 0, false
		}
		// Adding carries into the top bit of every byte from 'a' on, and of every
		// byte behind 'z'.
		lower := (x + ones*(0x80-'a')) &^ (x + ones*(0x7F-'z')) & tops
		hash = mix(hash, x-lower>>2) // 0x80>>2 lies between the cases
	}
	return hash, true
}

// nextWord takes up to eight bytes. Missing ones are zero, which no name holds.
func nextWord(b []byte) (uint64, []byte) {
	if len(b) >= 8 {
		return binary.LittleEndian.Uint64(b), b[8:]
	}
	var word uint64
	for i, c := range b {
		word |= uint64(c) << (8 * i)
	}
	return word, nil
}

const hashSeed = 0x9E3779B97F4A7C15 // the golden ratio, as bits without a pattern

// mix multiplies to 128 bits and folds them, so that every bit of a word reaches
// every bit of the hash.
func mix(hash, word uint64) uint64 {
	high, low := bits.Mul64(hash^word, 0xD6E8FEB86659FD93) // odd, half of its bits set
	return high ^ low ^ hash
}

func foldRune(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}

// decode is the text of a scanned string.
func decode(raw []byte, str String) string {
	b := raw[str.Start:str.End]
	if !str.Escaped {
		return string(b)
	}
	return unescape(b)
}

// unescape decodes the inside of a JSON string that was scanned.
func unescape(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	out := appendUnescaped(make([]byte, 0, len(b)), b)
	return unsafe.String(unsafe.SliceData(out), len(out)) // nobody else knows out
}

// simple[c] is what a backslash and c stand for, 0 if it takes more to say.
var simple = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// appendUnescaped decodes the inside of a JSON string that was scanned. Eight bytes
// are copied at once, whatever they are; behind an escape the next ones are written
// over what was too much.
func appendUnescaped(out, b []byte) []byte {
	out = slices.Grow(out, len(b)+8)
	for len(b) >= 8 {
		block := binary.LittleEndian.Uint64(b)
		out = binary.LittleEndian.AppendUint64(out, block)
		slash := block ^ ones*'\\'
		slash = (slash - ones) &^ slash & tops // the lowest is one; it may mark more behind
		if slash == 0 {
			b = b[8:]
			continue
		}
		n := bits.TrailingZeros64(slash) / 8
		out = out[:len(out)-8+n]
		out, b = appendEscaped(out, b[n:])
	}
	for len(b) > 0 {
		if b[0] == '\\' {
			out, b = appendEscaped(out, b)
			continue
		}
		out, b = append(out, b[0]), b[1:]
	}
	return out
}

// appendEscaped decodes the escape at the start of b and returns what follows it.
func appendEscaped(out, b []byte) ([]byte, []byte) {
	if c := simple[b[1]]; c != 0 {
		return append(out, c), b[2:]
	}
	r, size := unicodeEscape(b)
	return utf8.AppendRune(out, r), b[size:]
}
