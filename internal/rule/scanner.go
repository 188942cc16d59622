package rule

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync"
)

// Scanner finds every occurrence of many literals in one pass over a text. Letters
// of ASCII match in both cases.
//
// Most places of most texts begin nothing that is looked for, so most of the work
// is to find that out. Scan looks at four bytes at every second place, and a table
// of bits says whether these may be part of a literal. Each literal has entered two
// such anchors, one at an even and one at an odd distance from its start, so that
// exactly one of them is met wherever it stands.
type Scanner struct {
	literals []literal
	short    []int // literals that are too short for anchors
	// A hash whose bit is set has a list of anchors: those from lists[n] to lists[n+1],
	// where n is how many bits are set before it.
	set     [hashes / 64]uint64
	before  [hashes / 64]uint16 // bits set in the words before
	lists   []uint16
	anchors []anchor // of all lists, in the order of their hashes
}

// literal is a literal as it is compared.
type literal struct {
	text        string // in lower case
	value, mask uint64 // its first eight bytes, without what tells case
}

// anchor is a place in a literal.
type anchor struct {
	literal uint16
	offset  int16 // -1 stands for the byte before the literal
	// The first four bytes of the literal, so that few literals need be looked at.
	value, mask uint32
}

const (
	stride      = 2 // every second place of a text is looked at
	anchorBytes = 4
	// minAnchored is the length of the shortest literal that has two anchors: one
	// with any byte behind it and one with any byte before.
	minAnchored = anchorBytes - 1
	hashBits    = 18
	hashes      = 1 << hashBits
	// maxEntries is what an uint16 can count.
	maxEntries = 1<<16 - 1
	caseBit    = 0x20
	// stretch is how much of a text is looked through before what was found there is
	// put in order and reported, in bytes, so that little has to be kept.
	stretch = 4 << 10
)

// unlike is set in each byte of an anchor before it is hashed. What is left of a byte
// are five bits: they tell letters apart, not their case, and make few hashes of a
// byte that can be any. What else looks alike is told apart where an anchor stands.
const unlike = 0xe0

// anchorHash hashes four bytes without regard to case.
func anchorHash(four uint32) uint32 {
	return hashed(four | unlike*(eight>>32))
}

func hashed(four uint32) uint32 { return four * 0x9E3779B1 >> (32 - hashBits) }

// NewScanner makes a scanner. It panics where there are too many literals for its
// tables: they are constants of this program.
func NewScanner(literals []string) *Scanner {
	s := &Scanner{literals: make([]literal, len(literals))}
	entries := make([]entry, 0, stride*len(literals))
	for id, text := range literals {
		s.literals[id] = newLiteral(text)
		if len(text) < minAnchored {
			s.short = append(s.short, id)
			continue
		}
		for odd := range stride {
			offset := rarest(s.literals[id].text, odd)
			anchorHashes(s.literals[id].text, offset, func(hash uint32) {
				entries = append(entries, newEntry(hash, id, offset))
			})
		}
	}
	slices.Sort(entries)
	entries = slices.Compact(entries)
	if len(entries) > maxEntries {
		panic("rule: internal error: too many literals for one scanner")
	}
	s.enter(entries)
	return s
}

// entry is an anchor of a literal and its hash, packed so that entries sort quickly: the
// hash, the literal, and the offset, which is at least -1.
type entry uint64

func newEntry(hash uint32, literal, offset int) entry {
	return entry(uint64(hash)<<32 | uint64(uint16(literal))<<16 | uint64(uint16(offset+1)))
}

func (e entry) hash() uint32    { return uint32(e >> 32) }
func (e entry) literal() uint16 { return uint16(e >> 16) }
func (e entry) offset() int16   { return int16(uint16(e)) - 1 }

// LazyScanner is a scanner that is made when it is first asked for.
func LazyScanner(literals ...string) func() *Scanner {
	return sync.OnceValue(func() *Scanner { return NewScanner(literals) })
}

func newLiteral(text string) literal {
	l := literal{text: lowerASCII(text)}
	for i := range min(8, len(text)) {
		value, mask := l.text[i], byte(0xff)
		if letter(value) {
			mask &^= caseBit
		}
		l.value |= uint64(value&mask) << (8 * i)
		l.mask |= uint64(mask) << (8 * i)
	}
	return l
}

// enter makes the tables of entries in the order of their hashes.
func (s *Scanner) enter(entries []entry) {
	s.anchors = make([]anchor, len(entries))
	for i, e := range entries {
		l := &s.literals[e.literal()]
		s.anchors[i] = anchor{e.literal(), e.offset(), uint32(l.value), uint32(l.mask)}
		if hash := e.hash(); i == 0 || entries[i-1].hash() != hash {
			s.set[hash/64] |= 1 << (hash % 64)
			s.lists = append(s.lists, uint16(i))
		}
	}
	s.lists = append(s.lists, uint16(len(entries)))
	count := 0
	for i, word := range s.set {
		s.before[i] = uint16(count)
		count += bits.OnesCount64(word)
	}
}

// anchorHashes calls yield with the hashes of the four bytes at an offset of a
// literal, where any byte can stand before and behind it.
func anchorHashes(text string, offset int, yield func(uint32)) {
	if offset >= 0 && offset+anchorBytes <= len(text) {
		yield(anchorHash(binary.LittleEndian.Uint32([]byte(text[offset:]))))
		return
	}
	for other := unlike; other <= 0xff; other++ { // the hashes of all bytes are among theirs
		four := [anchorBytes]byte{byte(other), byte(other), byte(other), byte(other)}
		copy(four[max(-offset, 0):], text[max(offset, 0):])
		yield(anchorHash(binary.LittleEndian.Uint32(four[:])))
	}
}

// neighbours says how rare two characters behind each other are in ordinary text, from 0
// to 9; each step halves how often they stand there. There is a row for each first
// character, which is white space, a letter or any other.
const neighbours = "" +
	"0121221331542222251103327470253237538385121938221355647363888388946938948955849995934295727924933681393524799593" +
	"1357416783975673685475688592025224346587231634002633248133988458929957829946649996942497928653995753794474789892" +
	"3288919993997773895634899793444233339896230137321749595496999499979999969995979899974599736695997977898586999894" +
	"2276416872982562697333779492325451889399548339856589979312822231736556435972154885922543363485642203391332436693" +
	"3287628764963672492334898593899999999999699999999399999612744054829444316932333793920383617832955673366213669591" +
	"1174606711984671392233866391553453759499342849222979898663989288939998959998969999944398849943998954995579969994" +
	"5596968995999899499849997794268786899799666439745898998286999599979999979999979999960232233333453233262124346560"

// rank is the row or column of a byte in neighbours.
func rank(b byte) int {
	switch {
	case letter(b):
		return int(b &^ unlike)
	case asciiSpace(b):
		return 0
	}
	return ranks - 1
}

const ranks = 1 + 26 + 1

// frequent holds the groups of letters that stand in ordinary text most often, the
// most frequent first.
const frequent = " the and of to in is that for with as was it on by be this from at are or have has had not but all will can one which their there they when were been more other than then these those would could should about after before also into over your you what where who how its his her out up so if no " +
	" first each every time part side high turn again over under even ever never through between most some such only just like make made take look come here work well very much many how long right " +
	" text content tool user use used file code https function model mode command token script form complete example description note issue " +
	"tion ions ment ments ness able ible ing ings ence ance ated ates ity ities ally ight ough ould ound ther ture port con pro pre com per ter ers ed es al "

// frequency is where each group of three or four letters stands in frequent.
var frequency = sync.OnceValue(func() map[string]int {
	at := make(map[string]int, 2*len(frequent))
	for size := minAnchored; size <= anchorBytes; size++ {
		for i := len(frequent) - size; i >= 0; i-- { // the first place counts
			at[frequent[i:i+size]] = i
		}
	}
	return at
})

// rarest is the offset, even or odd, of the four bytes of a literal that ordinary
// text holds least often. Only where there is no other it reaches beyond the
// literal by one byte.
func rarest(text string, odd int) int {
	from, to := odd, len(text)-anchorBytes
	if to < from {
		from, to = from-stride*odd, len(text)-minAnchored
	}
	best, most := from, math.MinInt
	for offset := from; offset <= to; offset += stride {
		known := text[max(offset, 0):min(offset+anchorBytes, len(text))]
		rarity := 0
		for i := 1; i < len(known); i++ {
			rarity += int(neighbours[rank(known[i-1])*ranks+rank(known[i])] - '0')
		}
		if n, is := frequency()[known]; is {
			rarity = n - len(frequent)
		}
		if rarity > most {
			best, most = offset, rarity
		}
	}
	return best
}

func lowerASCII(text string) string {
	out := []byte(text)
	for i, b := range out {
		out[i] = lower(b)
	}
	return string(out)
}

// hit is an occurrence of a literal.
type hit struct {
	literal    uint16
	start, end uint32
}

func inOrder(a, b hit) int {
	if a.end != b.end {
		return int(a.end) - int(b.end)
	}
	if a.start != b.start {
		return int(a.start) - int(b.start)
	}
	return int(a.literal) - int(b.literal)
}

// sighting is one run of a scanner over a text.
type sighting struct {
	scanner *Scanner
	text    string
	hits    []hit // found and not reported
}

var sightings = sync.Pool{New: func() any { return new(sighting) }}

// Scan calls found for each occurrence, in order of their ends and, among those, of
// their starts: text[start:end] is the literal with that index.
func (s *Scanner) Scan(text string, found func(literal, start, end int)) {
	w := sightings.Get().(*sighting)
	w.scanner, w.text = s, text
	for from := 0; from < len(text); from += stretch {
		to := min(from+stretch, len(text))
		w.anchored(from, to)
		for _, id := range s.short {
			w.short(from, to, id)
		}
		w.report(to, found)
	}
	*w = sighting{hits: w.hits[:0]}
	sightings.Put(w)
}

// report tells of what ends up to a place. What is found further on ends behind it.
func (w *sighting) report(to int, found func(literal, start, end int)) {
	if len(w.hits) == 0 {
		return
	}
	slices.SortFunc(w.hits, inOrder)
	done := 0
	for done < len(w.hits) && int(w.hits[done].end) <= to {
		h := w.hits[done]
		found(int(h.literal), int(h.start), int(h.end))
		done++
	}
	w.hits = w.hits[:copy(w.hits, w.hits[done:])]
}

// anchored finds the literals that have an anchor in text[from:to].
func (w *sighting) anchored(from, to int) {
	s, text := w.scanner, w.text
	for at := s.ahead(text, from, to); at < to; at = s.ahead(text, at+stride, to) {
		if h := anchorHash(uint32(upToEight(text[at:]))); s.set[h/64]>>(h%64)&1 != 0 {
			w.confirm(at, h)
		}
	}
}

// ahead is the next place at which an anchor stands, or the first from which on too
// little is left of the text to look at four places at once. It calls nothing, so
// that all it needs stays in registers.
func (s *Scanner) ahead(text string, at, to int) int {
	for ; at+4*stride <= to && len(text)-at >= 16; at += 4 * stride {
		b := []byte(text[at : at+16])
		block, next := binary.LittleEndian.Uint64(b)|unlike*eight, binary.LittleEndian.Uint32(b[3*stride:])|unlike*(eight>>32)
		if h := hashed(uint32(block)); s.set[h/64]>>(h%64)&1 != 0 {
			return at
		}
		if h := hashed(uint32(block >> 16)); s.set[h/64]>>(h%64)&1 != 0 {
			return at + stride
		}
		if h := hashed(uint32(block >> 32)); s.set[h/64]>>(h%64)&1 != 0 {
			return at + 2*stride
		}
		if h := hashed(next); s.set[h/64]>>(h%64)&1 != 0 {
			return at + 3*stride
		}
	}
	return at
}

// upToEight reads eight bytes; those that are missing are zero.
func upToEight(text string) (block uint64) {
	if len(text) >= 8 {
		return binary.LittleEndian.Uint64([]byte(text[:8]))
	}
	for i := range len(text) {
		block |= uint64(text[i]) << (8 * i)
	}
	return block
}

// confirm adds the literals of which an anchor stands at a place. Its hash has a list.
func (w *sighting) confirm(at int, hash uint32) {
	s := w.scanner
	n := int(s.before[hash/64]) + bits.OnesCount64(s.set[hash/64]&(1<<(hash%64)-1))
	for i := s.lists[n]; i < s.lists[n+1]; i++ {
		a := &s.anchors[i]
		if start := at - int(a.offset); start >= 0 && uint32(upToEight(w.text[start:]))&a.mask == a.value && s.stands(w.text, start, int(a.literal)) {
			w.add(start, int(a.literal))
		}
	}
}

func (w *sighting) add(start, id int) {
	w.hits = append(w.hits, hit{uint16(id), uint32(start), uint32(start + len(w.scanner.literals[id].text))})
}

// stands says whether a literal stands at a place.
func (s *Scanner) stands(text string, at, id int) bool {
	l := &s.literals[id]
	if len(text)-at < len(l.text) || upToEight(text[at:])&l.mask != l.value {
		return false
	}
	for i := 8; i < len(l.text); i++ {
		if lower(text[at+i]) != l.text[i] {
			return false
		}
	}
	return true
}

// short finds a literal without anchors that begins in text[from:to].
func (w *sighting) short(from, to, id int) {
	literal := w.scanner.literals[id].text
	if literal == "" {
		return
	}
	for at := from; at < to; at++ {
		n := indexEitherCase(w.text[at:to], literal[0])
		if n < 0 {
			return
		}
		at += n
		if w.scanner.stands(w.text, at, id) {
			w.add(at, id)
		}
	}
}

func indexEitherCase(text string, b byte) int {
	if !letter(b) {
		return strings.IndexByte(text, b)
	}
	for i := range len(text) {
		if text[i]|caseBit == b {
			return i
		}
	}
	return -1
}
