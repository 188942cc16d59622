package learned

import "encoding/binary"

const (
	// maxPieces bounds the pieces of four letters of one word.
	maxPieces = 8
	// maxFeatures is more than a word can have. A power of two, so that no place needs to
	// be checked.
	maxFeatures = 32
)

// Salts keep features of different kinds apart.
const (
	saltPair uint32 = (iota*0x2545f491 + 0x5851f42d) & 0xffffffff
	saltTriple
	saltSkip
	saltSkipTwo
	saltStart
	saltStartPair
	saltPiece
	saltClass
	saltClassPair
	saltClassTriple
	saltClassWord
	saltWordClass
	saltFar
)

// How far apart, in words, classes may stand to be seen together.
const (
	besideClass = 2
	nearClass   = 6
	farClass    = 20
)

// reader goes through the words of a folded text and makes their features.
type reader struct {
	text    []byte
	at      int      // where the next word is looked for
	n       int      // words that have been read
	words   [4]token // the last words, the latest first
	classes [2]struct {
		class uint8
		at    int
	} // the last words that have a class, the latest first
	features [maxFeatures]uint32 // of the latest word
	count    uint
}

func newReader(text []byte) reader { return reader{text: text} }

// next reads a word; it is false at the end of the text.
func (r *reader) next() bool {
	brk := uint8(brkSpace)
	if r.n == 0 {
		brk = brkParagraph // a text begins like a paragraph
	}
	t, end, ok := next(r.text, r.at, brk)
	if !ok {
		return false
	}
	r.at = end
	r.words[3], r.words[2], r.words[1], r.words[0] = r.words[2], r.words[1], r.words[0], t
	r.count = 0
	if r.n == 0 || t.hash != r.words[1].hash { // a word said again says nothing more
		r.wordFeatures()
		r.classFeatures()
		r.pieces()
	}
	r.n++
	return true
}

// Kinds of features, in the highest bits of a feature.
const (
	kindWord = iota << KindShift
	kindPair
	kindTriple
	kindSkip
	kindPiece
	kindClass
	kindMixed

	// KindShift is where the kind begins.
	KindShift = 28
)

func (r *reader) add(kind, h uint32) {
	r.features[r.count%maxFeatures] = mix(h)&(1<<KindShift-1) | kind
	r.count++
}

// wordFeatures are the word, alone and with those before it.
func (r *reader) wordFeatures() {
	t, p, q := &r.words[0], &r.words[1], &r.words[2]
	r.add(kindWord, t.hash)
	begins := t.begins()
	if begins {
		r.add(kindWord, t.hash^saltStart)
	}
	if r.n < 1 {
		return
	}
	pair := t.hash*3 ^ p.hash ^ saltPair
	if begins {
		pair = ^pair // not the same as within a sentence
	}
	r.add(kindPair, pair)
	if r.n < 2 {
		return
	}
	r.add(kindSkip, t.hash*5^q.hash^saltSkip)
	if !begins {
		r.add(kindTriple, t.hash*7^p.hash*3^q.hash^saltTriple)
	}
	if p.begins() {
		r.add(kindPair, t.hash*3^p.hash^saltStartPair)
	}
	if r.n > 2 {
		r.add(kindSkip, t.hash*11^r.words[3].hash^saltSkipTwo)
	}
}

// classFeatures are what kind of word it is, alone and with the kinds of words before
// it, whatever stands between.
func (r *reader) classFeatures() {
	t := &r.words[0]
	last, second := r.classes[0], r.classes[1]
	if t.class == 0 {
		if last.class != 0 && r.n-last.at <= besideClass {
			r.add(kindMixed, uint32(last.class)*prime32^t.hash^saltClassWord)
		}
		return
	}
	c := uint32(t.class)
	if t.begins() {
		c |= 1 << 8
	}
	r.add(kindClass, c^saltClass)
	if last.class != 0 && r.n-last.at <= farClass {
		salt := saltClassPair
		if r.n-last.at > nearClass {
			salt = saltFar
		}
		r.add(kindClass, c<<8^uint32(last.class)^salt)
		if second.class != 0 && r.n-second.at <= farClass {
			r.add(kindClass, c<<16^uint32(last.class)<<8^uint32(second.class)^saltClassTriple)
		}
	}
	if r.n > 0 && r.words[1].class == 0 {
		r.add(kindMixed, r.words[1].hash^c*prime32^saltWordClass)
	}
	r.classes[1] = last
	r.classes[0].class, r.classes[0].at = t.class, r.n
}

// pieces are four letters each, so that other forms and misspellings of a word are
// known as well.
func (r *reader) pieces() {
	t := &r.words[0]
	if t.end-t.start < 5 || t.end-t.start > maxWord {
		return
	}
	word := r.text[t.start:t.end]
	for i := 0; i+4 <= len(word) && i < maxPieces; i++ {
		h := binary.LittleEndian.Uint32(word[i:])
		if i == 0 {
			h ^= 0x80808080 // the beginning of a word
		}
		r.add(kindPiece, h^saltPiece)
	}
}

// Features are the features of the words of a text.
type Features struct {
	All    []uint32 // those of word i are All[Ends[i-1]:Ends[i]]
	Ends   []int32
	Starts []int32 // where each word begins, in folded bytes
	Stops  []int32 // and where it ends
}

// Extract reads a folded text for training, by the same code that the product runs.
func Extract(text []byte) Features {
	r := newReader(text)
	var f Features
	for r.next() {
		f.All = append(f.All, r.features[:r.count]...)
		f.Ends = append(f.Ends, int32(len(f.All)))
		f.Starts = append(f.Starts, int32(r.words[0].start))
		f.Stops = append(f.Stops, int32(r.words[0].end))
	}
	return f
}
