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

// Kinds of bytes, as bits.
const (
	isOther  = 1 << iota
	isLetter // of ASCII
	isDigit
	isHigh // of a rune that is not ASCII
	isJoin // belongs to a word between two letters
	isWide // also high: begins a rune of a script that puts no space between words
)

var kinds = func() (table [256]uint8) {
	for b := range table {
		switch {
		case b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z':
			table[b] = isLetter
		case b >= '0' && b <= '9':
			table[b] = isDigit
		case b >= 0xe3 && b <= 0xed: // runes of three bytes
			table[b] = isHigh | isWide
		case b >= 0x80:
			table[b] = isHigh
		case b == '\'' || b == '_':
			table[b] = isJoin
		default:
			table[b] = isOther
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

// next reads the next word from i on. It is false if there is none.
func (t *token) next(text []byte, i int, brk uint8) bool {
	for ; i < len(text); i++ {
		kind := kinds[text[i]]
		switch {
		case kind&(isOther|isJoin) != 0:
			brk = max(brk, between(text, i))
			continue
		case kind&isWide != 0:
			t.rune(text, i)
		default:
			t.word(text, i)
		}
		t.brk = brk
		return true
	}
	return false
}

// rune reads a rune that is a word by itself.
func (t *token) rune(text []byte, i int) {
	end := min(i+3, len(text))
	hash := mix(uint32(text[i])<<16 | uint32(text[min(i+1, end-1)])<<8 | uint32(text[end-1]))
	*t = token{hash: hash, start: uint32(i), end: uint32(end)}
}

func (t *token) word(text []byte, start int) {
	i, h, seen := start, uint32(offset32), uint8(0)
	for ; i < len(text); i++ {
		kind := kinds[text[i]]
		if kind&(isOther|isJoin|isWide) != 0 && (kind != isJoin || !joins(text, i)) {
			break
		}
		seen |= kind
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
	case seen&(isLetter|isHigh) == 0:
		h = hashNumber
	case i-start > maxWord:
		h = hashBlob
	case seen&isDigit != 0 && i-start > 4:
		h = hashMixed
	case seen&isJoin != 0 && nameLike(text[start:i]):
		h = hashName
	}
	t.hash, t.start, t.end = mix(h), uint32(start), uint32(i)
}

// joins says whether the joining byte at i has a letter or digit behind it.
func joins(text []byte, i int) bool {
	return i+1 < len(text) && kinds[text[i+1]]&(isLetter|isDigit) != 0
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
	return text[i] == '@' && kinds[text[i+1]] != isOther || text[i] == ':' && text[i+1] == '/' && text[i+2] == '/'
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
	if i+1 < len(text) && kinds[text[i+1]] != isOther {
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
