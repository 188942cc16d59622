package learned

// A text is read as words. What is between two words is kept as the strength of the
// break, and what nobody should learn by heart (addresses, numbers, names of
// identifiers) is replaced by what it is.

// token is one word of a folded text.
type token struct {
	hash       uint32
	start, end uint32 // in folded bytes
	class      uint8  // of the lexicon; 0 means none
	brk        uint8  // what stands before it
}

// begins says whether the word is the first of a sentence.
func (t *token) begins() bool { return t.brk >= brkSentence }

// Breaks before a word, the stronger the later.
const (
	brkSpace    = iota
	brkComma    // also dashes and slashes
	brkJoined   // the parts of a name
	brkQuote    // quotation marks and brackets
	brkCode     // punctuation of code
	brkSentence // from here on a new sentence begins
	brkColon
	brkParagraph
)

// What stands for words that must not be learnt.
const (
	hashNumber = 0x9e3779b1 + iota
	hashName
	hashMixed
	hashBlob
	hashMail
	hashURL
)

const (
	// maxWord is the length, in bytes, from which a word is no word but a blob, such as
	// a part of Base64.
	maxWord = 32
	// maxAddress bounds how much of a text is taken for one address.
	maxAddress = 200
)

// Kinds of bytes.
const (
	kindOther = iota
	kindLetter
	kindDigit
	kindHigh // of a rune that is not ASCII
	kindJoin // belongs to a word between two letters
)

var kinds = func() (table [256]uint8) {
	for b := range table {
		switch {
		case b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z':
			table[b] = kindLetter
		case b >= '0' && b <= '9':
			table[b] = kindDigit
		case b >= 0x80:
			table[b] = kindHigh
		case b == '\'' || b == '_':
			table[b] = kindJoin
		}
	}
	return table
}()

// breaks are the strengths of the bytes between words; the full stop is apart.
var breaks = func() (table [256]uint8) {
	for b := range table {
		table[b] = brkCode
	}
	for strength, bytes := range map[uint8]string{brkSpace: " ", brkComma: ",-/'", brkQuote: `"()[]`, brkSentence: "!?;", brkColon: ":", brkParagraph: "\n"} {
		for _, b := range []byte(bytes) {
			table[b] = strength
		}
	}
	return table
}()

// next reads the next word from i on and returns where it ends; ok is false if there
// is none.
func next(text []byte, i int, brk uint8) (t token, end int, ok bool) {
	for ; i < len(text); i++ {
		if kind := kinds[text[i]]; kind != kindOther && kind != kindJoin {
			break
		}
		brk = max(brk, between(text, i))
	}
	if i == len(text) {
		return token{}, i, false
	}
	t = token{start: uint32(i), brk: brk}
	if wide(text[i]) {
		t.rune(text, i)
	} else {
		t.word(text, i)
	}
	return t, int(t.end), true
}

// wide says whether a byte begins a rune of three bytes, as those of scripts do that
// put no space between words. Such a rune is a word by itself.
func wide(b byte) bool { return b >= 0xe3 && b <= 0xed }

func (t *token) rune(text []byte, i int) {
	end := min(i+3, len(text))
	t.hash = mix(uint32(text[i])<<16 | uint32(text[min(i+1, end-1)])<<8 | uint32(text[end-1]))
	t.end = uint32(end)
}

func (t *token) word(text []byte, i int) {
	start, h := i, uint32(offset32)
	var seen [kindJoin + 1]int
	for ; i < len(text); i++ {
		kind := kinds[text[i]]
		if kind == kindOther || kind == kindHigh && wide(text[i]) || kind == kindJoin && !joins(text, i) {
			break
		}
		seen[kind]++
		h = (h ^ uint32(text[i])) * prime32
	}
	t.class = lexicon.class(h)
	switch {
	case isAddress(text, i):
		h, t.class = hashURL, classURL
		if text[i] == '@' {
			h, t.class = hashMail, classMail
		}
		i = skipAddress(text, i)
	case t.class != 0:
	case seen[kindLetter]+seen[kindHigh] == 0:
		h = hashNumber
	case i-start > maxWord:
		h = hashBlob
	case seen[kindDigit] > 0 && i-start > 4:
		h = hashMixed
	case seen[kindJoin] > 0 && nameLike(text[start:i]):
		h = hashName
	}
	t.hash, t.end = mix(h), uint32(i)
}

// joins says whether the joining byte at i has a letter or digit behind it.
func joins(text []byte, i int) bool {
	return i+1 < len(text) && (kinds[text[i+1]] == kindLetter || kinds[text[i+1]] == kindDigit)
}

func nameLike(word []byte) bool {
	for _, b := range word {
		if b == '_' {
			return true
		}
	}
	return false
}

// isAddress says whether a word that ends at i goes on as an e-mail address or a URL.
func isAddress(text []byte, i int) bool {
	if i+2 >= len(text) {
		return false
	}
	return text[i] == '@' && kinds[text[i+1]] != kindOther || text[i] == ':' && text[i+1] == '/' && text[i+2] == '/'
}

func skipAddress(text []byte, i int) int {
	for end := min(len(text), i+maxAddress); i < end; i++ {
		switch text[i] {
		case ' ', '\n', '"', '\'', '<', '>', ')', ']', '}', ',':
			return i
		}
	}
	return i
}

// between is the strength of a byte between words.
func between(text []byte, i int) uint8 {
	if text[i] != '.' {
		return breaks[text[i]]
	}
	if i+1 < len(text) && kinds[text[i+1]] != kindOther {
		return brkJoined
	}
	return brkSentence
}

// FNV-1a, and a finish that spreads its bits.
const (
	offset32 = 2166136261
	prime32  = 16777619
)

func mix(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x7feb352d
	h ^= h >> 15
	return h
}
