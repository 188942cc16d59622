package learned

import "encoding/binary"

const (
	// maxPieces bounds the pieces of four letters of one word.
	maxPieces = 8
	// minPieced is the length, in bytes, from which a word has pieces.
	minPieced = 5
	// maxFeatures is more than a word can have.
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

const (
	// batch is how many words are read at a time: few enough for their features to stay in
	// the nearest cache.
	batch = 32
	// before is how many words before one its features look at.
	before = 3
	// maxMade is how many features a batch can have, and a power of two, so that no place
	// needs to be checked.
	maxMade = batch * maxFeatures
)

// reader goes through the words of a folded text, a batch at a time, and makes their
// features. What is done for each word is done for all words of the batch before the next
// thing is, so that a processor can work on several at once.
type reader struct {
	text    []byte
	at      int                   // where the next word is looked for
	n       int                   // words that have been read
	words   [before + batch]token // the last words before the batch, and those of the batch
	classes [2]placed             // the last words before the batch that have a class, the latest first
	made    features
	ends    [batch]uint32 // those of word i of the batch end there
}

// placed is a class and the number of the word that has it.
type placed struct {
	class uint8
	at    int
}

// begin makes the reader ready for a text.
func (r *reader) begin(text []byte) {
	r.text, r.at, r.n = text, 0, 0
	r.classes = [2]placed{}
	clear(r.words[:before])
}

// next reads the next words and says how many: none at the end of the text.
func (r *reader) next() int {
	n := 0
	brk := uint8(brkSpace)
	if r.n == 0 {
		brk = brkParagraph // a text begins like a paragraph
	} else {
		copy(r.words[:before], r.words[batch:])
	}
	for n < batch && r.words[before+n].next(r.text, r.at, brk) {
		r.at = int(r.words[before+n].end)
		brk = brkSpace
		n++
	}
	r.features(n)
	r.n += n
	return n
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

// features are what is made of the words of a batch: each a hash that is still to be
// mixed and, in the upper half, its kind.
type features [maxMade]uint64

// add appends a feature to the first n and returns how many there are now.
func (f *features) add(n uint, kind, h uint32) uint {
	f[n%maxMade] = uint64(kind)<<32 | uint64(h)
	return n + 1
}

// features makes the features of the n words of a batch.
func (r *reader) features(n int) {
	count := uint(0)
	classes := r.classes
	for i := range n {
		at := r.n + i
		third, q, p, t := &r.words[i], &r.words[i+1], &r.words[i+2], &r.words[i+3]
		if at == 0 || t.hash != p.hash { // a word said again says nothing more
			count = r.made.word(count, at, t, p, q, third)
			count = r.made.class(count, at, t, p, &classes)
			count = r.made.pieces(count, t, r.text)
		}
		r.ends[i] = uint32(count)
	}
	r.classes = classes
}

// word makes those of a word, alone and with those before it, the last one first.
func (f *features) word(n uint, at int, t, p, q, third *token) uint {
	n = f.add(n, kindWord, t.hash)
	begins := t.begins()
	if begins {
		n = f.add(n, kindWord, t.hash^saltStart)
	}
	if at < 1 {
		return n
	}
	pair := t.hash*3 ^ p.hash ^ saltPair
	if begins {
		pair = ^pair // not the same as within a sentence
	}
	n = f.add(n, kindPair, pair)
	if at < 2 {
		return n
	}
	n = f.add(n, kindSkip, t.hash*5^q.hash^saltSkip)
	if !begins {
		n = f.add(n, kindTriple, t.hash*7^p.hash*3^q.hash^saltTriple)
	}
	if p.begins() {
		n = f.add(n, kindPair, t.hash*3^p.hash^saltStartPair)
	}
	if at > 2 {
		n = f.add(n, kindSkip, t.hash*11^third.hash^saltSkipTwo)
	}
	return n
}

// class makes those of what kind of word it is, alone and with the kinds of words before
// it, whatever stands between.
func (f *features) class(n uint, at int, t, p *token, classes *[2]placed) uint {
	last, second := classes[0], classes[1]
	if t.class == 0 {
		if last.class != 0 && at-last.at <= besideClass {
			n = f.add(n, kindMixed, uint32(last.class)*prime32^t.hash^saltClassWord)
		}
		return n
	}
	c := uint32(t.class)
	if t.begins() {
		c |= 1 << 8
	}
	n = f.add(n, kindClass, c^saltClass)
	if last.class != 0 && at-last.at <= farClass {
		salt := saltClassPair
		if at-last.at > nearClass {
			salt = saltFar
		}
		n = f.add(n, kindClass, c<<8^uint32(last.class)^salt)
		if second.class != 0 && at-second.at <= farClass {
			n = f.add(n, kindClass, c<<16^uint32(last.class)<<8^uint32(second.class)^saltClassTriple)
		}
	}
	if at > 0 && p.class == 0 {
		n = f.add(n, kindMixed, p.hash^c*prime32^saltWordClass)
	}
	classes[1], classes[0] = last, placed{t.class, at}
	return n
}

// pieceStart tells the piece that a word begins with from others.
const pieceStart = 0x80808080

// pieces makes those of four letters each, so that other forms and misspellings of a word
// are known as well. Where the text goes on far enough, all that a word can have are
// written and those that it has are counted, because that is cheaper than to ask.
func (f *features) pieces(n uint, t *token, text []byte) uint {
	const reach = maxPieces + 4
	start, count := int(t.start), t.pieces()
	if start+reach > len(text) || n+maxPieces > maxMade {
		for i := range int(count) {
			h := binary.LittleEndian.Uint32(text[start+i:])
			if i == 0 {
				h ^= pieceStart
			}
			n = f.add(n, kindPiece, h^saltPiece)
		}
		return n
	}
	const kind = uint64(kindPiece) << 32
	bytes := text[start : start+reach]
	first, last := binary.LittleEndian.Uint64(bytes), binary.LittleEndian.Uint64(bytes[reach-8:])
	slots := (*[maxPieces]uint64)(f[n : n+maxPieces])
	slots[0] = kind | uint64(uint32(first)^pieceStart^saltPiece)
	slots[1] = kind | uint64(uint32(first>>8)^saltPiece)
	slots[2] = kind | uint64(uint32(first>>16)^saltPiece)
	slots[3] = kind | uint64(uint32(first>>24)^saltPiece)
	slots[4] = kind | uint64(uint32(first>>32)^saltPiece)
	slots[5] = kind | uint64(uint32(last>>8)^saltPiece)
	slots[6] = kind | uint64(uint32(last>>16)^saltPiece)
	slots[7] = kind | uint64(uint32(last>>24)^saltPiece)
	return n + count
}

// pieces is how many pieces the word has.
func (t *token) pieces() uint { return uint(pieceCounts[min(t.end-t.start, maxWord+1)]) }

// pieceCounts are the numbers of pieces, by the length of the word.
var pieceCounts = func() (table [maxWord + 2]uint8) {
	for length := minPieced; length <= maxWord; length++ {
		table[length] = uint8(min(length-4+1, maxPieces))
	}
	return table
}()

// Features are the features of the words of a text.
type Features struct {
	All    []uint32 // those of word i are All[Ends[i-1]:Ends[i]]
	Ends   []int32
	Starts []int32 // where each word begins, in folded bytes
	Stops  []int32 // and where it ends
}

// Extract reads a folded text for training, by the same code that the product runs.
func Extract(text []byte) Features {
	var r reader
	var f Features
	r.begin(text)
	for n := r.next(); n > 0; n = r.next() {
		before, words := int32(len(f.All)), r.words[before:]
		for _, made := range r.made[:r.ends[n-1]] {
			f.All = append(f.All, mix(uint32(made))&(1<<KindShift-1)|uint32(made>>32))
		}
		for i, end := range r.ends[:n] {
			f.Ends = append(f.Ends, before+int32(end))
			f.Starts = append(f.Starts, int32(words[i].start))
			f.Stops = append(f.Stops, int32(words[i].end))
		}
	}
	return f
}
