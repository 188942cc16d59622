package rule

import "strings"

const (
	// opensWithin is how far before its end a quotation may begin that is looked at,
	// closesWithin how far behind it may end: about a sentence each.
	opensWithin  = 160
	closesWithin = 160
	// contextReach is how far around a quotation the words stand that tell a mention from
	// an order.
	contextReach = 240
)

// Quoted is how sure a match of something that is Mentioned is at most.
const Quoted = 0.4

// aboutAttacks are words of texts that speak about attacks.
var aboutAttacks = LazyScanner(
	"detect", "block", "flag", "such as", "e.g.", "for example", "phrase", "pattern", "attack", "injection", "jailbreak", "malicious", "scan", "filter", "attempt", "adversar", "sanitiz", "sanitis",
	"poison", "phish", "scam", "suspicious", "test case", "recogni", "payload",
	"angriff", "attaque", "ataque", "inyeccion", "атак", "инъекц", "攻击", "攻擊", "注入",
)

// Mentioned says whether text[start:end], a part of a folded text, is quoted in
// a sentence that speaks about attacks, as security documentation does. A text
// that says so of itself can lie, so a mention is worth a report, never silence.
func Mentioned(text []byte, start, end int) bool {
	for start < end && strings.IndexByte(" \n\"'([.,:;!?", text[start]) >= 0 {
		start++ // a wording can begin with the mark before its first word
	}
	open := opening(text, start)
	if open < 0 || closing(text[open], string(text[end:min(len(text), end+closesWithin)])) < 0 {
		return false
	}
	// A string of JSON or of code is no quotation.
	lead := strings.TrimRight(string(text[max(0, open-contextReach):open]), " ")
	if lead == "" || strings.IndexByte(":,=[{(", lead[len(lead)-1]) >= 0 && !strings.HasSuffix(lead, ": ") {
		return false
	}
	about := false
	look := func(literal, start, end int) { about = true }
	aboutAttacks().Scan(lead, look)
	aboutAttacks().Scan(string(text[end:min(len(text), end+contextReach)]), look)
	return about
}

// Mentions are the quotations with something of text[start:end], a part of a folded text,
// of which Mentioned is true, with their marks, in order.
func Mentions(text []byte, start, end int) (all [][2]int) {
	const longest = opensWithin + closesWithin
	for at := max(0, start-longest); at < end; at++ {
		if c := text[at]; c != '"' && c != '\'' || at > 0 && strings.IndexByte(beforeQuotation, text[at-1]) < 0 {
			continue
		}
		length := closing(text[at], string(text[at+1:min(len(text), at+1+longest)]))
		if length < 1 || !Mentioned(text, at+1, at+1+length) {
			continue
		}
		first := at
		if at += 1 + length; at >= start {
			all = append(all, [2]int{first, at + 1})
		}
	}
	return all
}

// beforeQuotation is what stands before a mark that opens a quotation.
const beforeQuotation = " \n([{/"

// opening is where the quotation begins in which a place lies, -1 if it lies in none. A
// quotation mark opens where white space or a bracket stands before it.
func opening(text []byte, at int) int {
	for i := at - 1; i >= max(0, at-opensWithin); i-- {
		if c := text[i]; c != '"' && c != '\'' || i > 0 && i+1 < len(text) && wordByte(text[i-1]) && wordByte(text[i+1]) {
			continue
		}
		if i == 0 || strings.IndexByte(beforeQuotation, text[i-1]) >= 0 {
			return i
		}
		if text[i] == '"' {
			return -1 // one ends here
		}
	}
	return -1
}

// closing is where the mark stands in the rest so that no word goes on, -1 if nowhere.
func closing(mark byte, rest string) int {
	for i := range len(rest) {
		if rest[i] == mark && (i+1 == len(rest) || !wordByte(rest[i+1])) {
			return i
		}
	}
	return -1
}
