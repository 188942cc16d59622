package learned

import (
	"gatehouse/internal/rule"
)

// maxAsked is how many windows of one text the second tier looks at, the most
// suspicious ones. It bounds what a hostile text can make it cost.
const maxAsked = 3

// contextWords is how many words the second tier sees: the window in the middle, and what
// stands around it.
const contextWords = 64

// combination says what follows from the scores of both tiers.
type combination struct {
	gate                float64 // the first tier's score from which the second is asked
	first, second, bias float64
	limits
}

func (c *combination) score(first, second float64) float64 {
	return float64(c.first*first) + float64(c.second*second) + c.bias
}

func combinationOf(surface rule.Surface) *combination {
	if surface&rule.Definitions != 0 {
		return &definitionCombination
	}
	return &resultCombination
}

// asked are the indices of the windows that have the highest scores, at most maxAsked.
func asked(windows []Window) (best [maxAsked]int, n int) {
	for i := range windows {
		at := n
		for at > 0 && windows[best[at-1]].Score < windows[i].Score {
			at--
		}
		if at < maxAsked {
			n = min(n+1, maxAsked)
			copy(best[at+1:n], best[at:])
			best[at] = i
		}
	}
	return best, n
}

// rescore puts the score of both tiers in the place of the first one's.
func (c *combination) rescore(text []byte, w *Window) {
	from, to := around(text, w.Start, w.End, contextWords)
	w.Score = c.score(w.Score, secondTier(text[from:to]))
}

// around widens a part of a text by whole words, on both sides alike, until it has so
// many words or is the whole text.
func around(text []byte, from, to, words int) (int, int) {
	missing := words - countWords(text[from:to])
	before := missing / 2
	for ; before > 0 && from > 0; before-- {
		from = wordBefore(text, from)
	}
	for after := missing - missing/2 + before; after > 0 && to < len(text); after-- {
		to = wordAfter(text, to)
	}
	return from, to
}

func blank(b byte) bool { return b <= ' ' }

func countWords(text []byte) (n int) {
	for i, b := range text {
		if !blank(b) && (i == 0 || blank(text[i-1])) {
			n++
		}
	}
	return n
}

// maxContextWord is how far, in bytes, the beginning or end of a word is looked for, so
// that text without spaces costs no more than other text.
const maxContextWord = 64

// wordBefore is where the last word before a place begins.
func wordBefore(text []byte, at int) int {
	least := max(0, at-maxContextWord)
	for at > least && blank(text[at-1]) {
		at--
	}
	for at > least && !blank(text[at-1]) {
		at--
	}
	return at
}

// wordAfter is where the next word after a place ends.
func wordAfter(text []byte, at int) int {
	most := min(len(text), at+maxContextWord)
	for at < most && blank(text[at]) {
		at++
	}
	for at < most && !blank(text[at]) {
		at++
	}
	return at
}
