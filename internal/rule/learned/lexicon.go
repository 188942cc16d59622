package learned

import (
	_ "embed"
	"strings"
)

//go:embed lexicon.txt
var lexiconText string

// classes is a hash table from words to what kind of word they are.
type classes struct {
	keys   [classSlots]uint32
	values [classSlots]uint8
	// likely has a bit for the hashes of the words that have a class. Most words have none,
	// which it says at once.
	likely [likelyBits / 64]uint64
}

// likelyBits is a power of two, so many times the number of words that few others have a
// bit.
const likelyBits = 1 << 16

// classSlots is a power of two, at least twice the number of words.
const classSlots = 1 << 12

// Classes that stand in no lexicon.
const (
	classMail = 120
	classURL  = 121
	// inflected marks the forms of a verb that give no order ("sends", "sending").
	inflected = 64
)

var lexicon = readLexicon(lexiconText)

// readLexicon reads a line for each class: its name, with ! if its words are verbs,
// a colon and the words.
func readLexicon(text string) *classes {
	c := &classes{}
	class := uint8(0)
	for line := range strings.Lines(text) {
		name, words, _ := strings.Cut(line, ":")
		class++
		for _, word := range strings.Fields(words) {
			c.add(word, class)
			if strings.HasSuffix(name, "!") {
				for _, form := range forms(word) {
					c.add(form, class|inflected)
				}
			}
		}
	}
	return c
}

// forms are the inflected forms of a regular verb.
func forms(verb string) []string {
	stem := strings.TrimSuffix(verb, "e")
	if stem == verb && strings.HasSuffix(verb, "y") {
		return []string{verb[:len(verb)-1] + "ies", verb[:len(verb)-1] + "ied", verb + "ing"}
	}
	doubled := stem + verb[len(verb)-1:]
	return []string{verb + "s", verb + "es", stem + "ed", stem + "ing", doubled + "ed", doubled + "ing"}
}

func (c *classes) add(word string, class uint8) {
	h := uint32(offset32)
	for i := range len(word) {
		h = (h ^ uint32(word[i])) * prime32
	}
	at := mix(h) % classSlots
	bit := mix(h) % likelyBits
	c.likely[bit/64] |= 1 << (bit % 64)
	for c.keys[at] != 0 {
		if c.keys[at] == h {
			return // the first class of a word is the one it has
		}
		at = (at + 1) % classSlots
	}
	c.keys[at], c.values[at] = h, class
}

// class is the class of the word with this hash, 0 if it has none.
func (c *classes) class(h uint32) uint8 {
	bit := mix(h) % likelyBits
	if c.likely[bit/64]>>(bit%64)&1 == 0 {
		return 0
	}
	for at := bit % classSlots; c.keys[at] != 0; at = (at + 1) % classSlots {
		if c.keys[at] == h {
			return c.values[at]
		}
	}
	return 0
}
