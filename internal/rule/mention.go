package rule

import "bytes"

// A quotation opens at most opensWithin before what it quotes and closes at most
// closesWithin after it; the words that tell a mention from an order stand within
// contextReach. All in folded bytes.
const (
	opensWithin  = 24
	closesWithin = 80
	contextReach = 160
)

// aboutAttacks are words of texts that speak about attacks.
var aboutAttacks = NewScanner([]string{
	"detect", "block", "flag", "such as", "e.g.", "for example", "phrases", "phrase", "pattern", "attack", "injection", "jailbreak", "malicious", "scan", "filter", "attempt", "adversar", "sanitiz",
})

// Mentioned says whether text[start:end], a part of a folded text, is quoted in
// a sentence that speaks about attacks, as security documentation does. A text
// that says so of itself can lie, so a mention is worth a report, never silence.
func Mentioned(text []byte, start, end int) bool {
	before := text[max(0, start-opensWithin):start]
	after := text[end:min(len(text), end+closesWithin)]
	open := bytes.LastIndexAny(before, `"'`)
	if open < 0 || bytes.IndexByte(after, before[open]) < 0 {
		return false
	}
	// A string of JSON or of code is no quotation.
	lead := bytes.TrimRight(text[max(0, start-opensWithin-contextReach):start-len(before)+open], " ")
	if len(lead) == 0 || bytes.IndexByte([]byte(":,=[{("), lead[len(lead)-1]) >= 0 {
		return false
	}
	about := false
	look := func(literal, start, end int) { about = true }
	aboutAttacks.Scan(string(text[max(0, start-contextReach):start]), look)
	aboutAttacks.Scan(string(text[end:min(len(text), end+contextReach)]), look)
	return about
}
