package undo

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// disguise is a way to write words of which only the words tell that it was used.
type disguise struct {
	way   Way
	write func(word string) []string // how it writes a word of lower-case letters
	undo  func(text string) string
	exact bool // undo keeps every byte in its place
}

// disguises are looked for by the words below. Two ways to go backwards are tried: all
// of a text, and each of its words.
var disguises = []disguise{
	{ROT13, one(rot13), rot13, true},
	{Atbash, one(atbash), atbash, true},
	{Reversed, one(reverse), reverse, false},
	{Reversed, nil, reverseWords, true},
	{UpsideDown, one(func(word string) string { return turn(reverse(word)) }), upright, false},
	{Leet, leetForms, unleet, true},
}

func one(write func(string) string) func(string) []string {
	return func(word string) []string { return []string{write(word)} }
}

// telling are words without which an order to a model is hardly given, long enough to
// be no other word in a disguise.
var telling = strings.Fields("ignore previous instruct disregard system prompt password override forget reveal secret assistant please execute command " +
	"credential delete message without follow always before message token content")

// leetTelling are those whose forms with digits are looked for; each has several.
var leetTelling = strings.Fields("ignore previous instruct disregard system prompt password override reveal secret execute delete please assist")

// A Hint is a place where one of Words stands in the folded form of a text.
type Hint struct {
	Word int // index in Words
	At   int // in the text as it is written
}

// Words are what tells disguises, in lower case.
func Words() []string { return words }

var words, wordWay = func() (all []string, ways []Way) {
	for _, d := range disguises {
		if d.write == nil {
			continue
		}
		from := telling
		if d.way == Leet {
			from = leetTelling
		}
		for _, word := range from {
			for _, form := range d.write(word) {
				if !slices.Contains(all, form) && !slices.Contains(telling, form) {
					all, ways = append(all, form), append(ways, d.way)
				}
			}
		}
	}
	return all, ways
}()

// maxParagraph is how far from a hint its text is taken to go on, in bytes.
const maxParagraph = 2000

// disguised makes a view for each disguise of which there are hints.
func disguised(text string, hints []Hint, not Way) []*View {
	if len(hints) == 0 {
		return nil
	}
	var all []*View
	for _, d := range disguises {
		if d.way == not && d.way != Leet {
			continue
		}
		r := runs{}
		done := 0
		for _, h := range hints {
			if wordWay[h.Word] != d.way || h.At < done {
				continue
			}
			start, end := paragraph(text, done, h.At)
			if plain := d.undo(text[start:end]); plain != text[start:end] {
				r.add(start, end, d.way, plain)
				r.list[len(r.list)-1].exact = d.exact && len(plain) == end-start
			}
			done = end
		}
		if len(r.list) > 0 {
			all = append(all, r.splice(text))
		}
	}
	return all
}

// paragraph is the text around a place, between blank lines, not before done.
func paragraph(text string, done, at int) (int, int) {
	start, end := max(done, at-maxParagraph), min(len(text), at+maxParagraph)
	if n := strings.LastIndex(text[start:at], "\n\n"); n >= 0 {
		start += n + 2
	}
	if n := strings.Index(text[at:end], "\n\n"); n >= 0 {
		end = at + n
	}
	for start < at && !utf8.RuneStart(text[start]) {
		start++
	}
	for end < len(text) && end > at && !utf8.RuneStart(text[end]) {
		end--
	}
	return start, end
}

// letterwise changes the letters of ASCII and keeps their case.
func letterwise(text string, change func(n byte) byte) string {
	out := []byte(text)
	for i, c := range out {
		if letter(c) {
			out[i] = change(c|0x20-'a') + 'a' - 0x20&^c
		}
	}
	return string(out)
}

func rot13(text string) string  { return letterwise(text, func(n byte) byte { return (n + 13) % 26 }) }
func atbash(text string) string { return letterwise(text, func(n byte) byte { return 25 - n }) }

func reverse(text string) string {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		_, size := utf8.DecodeLastRuneInString(text)
		out = append(out, text[len(text)-size:]...)
		text = text[:len(text)-size]
	}
	return string(out)
}

// reverseWords turns each word of ASCII letters.
func reverseWords(text string) string {
	out := []byte(text)
	for i := 0; i < len(out); {
		from := i
		for i < len(out) && letter(out[i]) {
			i++
		}
		slices.Reverse(out[from:i])
		if i == from {
			i++
		}
	}
	return string(out)
}

// turned are letters and the letters that they are upside down; each stands for the
// other, too.
var turned = strings.NewReplacer("u", "n", "n", "u", "b", "q", "q", "b", "d", "p", "p", "d", "ɐ", "a", "ɔ", "c", "ǝ", "e", "ə", "e", "ɟ", "f", "ƃ", "g", "ᵷ", "g", "ɓ", "g", "ɥ", "h", "ᴉ", "i", "ı", "i", "ɾ", "j", "ſ", "j",
	"ʞ", "k", "ꞁ", "l", "ʃ", "l", "ɯ", "m", "ɹ", "r", "ʇ", "t", "ʌ", "v", "ʍ", "w", "ʎ", "y", "˙", ".", "‘", ",", "¿", "?", "¡", "!")

// turn writes a word of lower-case letters as folding leaves it when it was turned.
func turn(word string) string {
	return strings.NewReplacer("u", "n", "n", "u", "b", "q", "q", "b", "d", "p", "p", "d").Replace(word)
}

func upright(text string) string { return turned.Replace(reverse(text)) }

// leet are the signs for letters, the most usual first.
var leet = map[byte]string{'a': "4@", 'e': "3", 'i': "1!", 'o': "0", 's': "5$", 't': "7"}

// leetForms are the ways to write a word with signs for some of its letters: with the
// most usual sign for any of them, or with one sign for all that are the same.
func leetForms(word string) []string {
	usual, alike := []string{""}, []string{word}
	for _, c := range []byte(word) {
		signs := leet[c]
		for i, form := range usual {
			usual[i] = form + string(c)
			if signs != "" {
				usual = append(usual, form+signs[:1])
			}
		}
	}
	for c, signs := range leet {
		for _, form := range alike[:len(alike):len(alike)] {
			for i := range len(signs) {
				alike = append(alike, strings.ReplaceAll(form, string(c), signs[i:i+1]))
			}
		}
	}
	all := slices.DeleteFunc(append(usual, alike...), func(form string) bool { return form == word })
	slices.Sort(all)
	return slices.Compact(all)
}

// unleet reads signs as letters in words that have letters, too.
func unleet(text string) string {
	out := []byte(text)
	for i := 0; i < len(out); {
		from, letters, signs := i, 0, 0
		for i < len(out) && (letter(out[i]) || unleeted[out[i]] != 0) {
			if letter(out[i]) {
				letters++
			} else {
				signs++
			}
			i++
		}
		if letters > 0 && signs > 0 {
			unleetWord(out[from:i])
		}
		if i == from {
			i++
		}
	}
	return string(out)
}

var unleeted = func() (table [256]byte) {
	for c, signs := range leet {
		for i := range len(signs) {
			table[signs[i]] = c
		}
	}
	return table
}()

// unleetWord reads the signs of one word. Signs behind its last letter are punctuation,
// and a one is an l behind a vowel or at the end.
func unleetWord(word []byte) {
	for i, c := range word {
		plain := unleeted[c]
		switch {
		case plain == 0:
		case c == '!' && i == len(word)-1:
		case c == '1' && i > 0 && (i == len(word)-1 || word[i+1] == '1' || strings.IndexByte("aeiou", word[i-1]|0x20) >= 0 || word[i-1] == 'l'):
			word[i] = 'l'
		default:
			word[i] = plain
		}
	}
}
