package learned

import (
	"math"
	"slices"
	"sync"
)

// Sizes of the windows, in words. A short one sees an order in the middle of data, a
// long one what several sentences add up to.
var Sizes = [...]int{shortWindow, longWindow}

const (
	shortWindow = 16
	longWindow  = 40
	// leastWords is how many words an order has. One by itself is a name, of which every
	// message has many.
	leastWords = 2
	// kept is how many words are remembered, more than a long window and a batch: a text
	// that has no more is read once. A power of two.
	kept = 1 << 10
)

// TextWeights make the score of a text of what TextInputs looks at.
type TextWeights [4]float64

// TextInputs are what the score of a text is made of: the score of its best window; the
// mean of its words, because an order in the middle of data stands out and one in a
// manual does not; how much of a window there is; and its length, because among many
// windows some are high by chance.
func TextInputs(best, sum float64, words int) [4]float64 {
	return [4]float64{best, sum / float64(words) * shortWindow, float64(min(words, shortWindow)) / shortWindow, math.Log(1 + float64(words))}
}

// Score is the score of a text of at least one word.
func (w TextWeights) Score(best, sum float64, words int) float64 {
	score := 0.0
	for i, x := range TextInputs(best, sum, words) {
		score += float64(w[i] * x) // rounded here, so that it is the same on every machine
	}
	return score
}

// Window is a stretch of a folded text that reads like an order to a model.
type Window struct {
	Start, End int // of the window, in bytes
	From, To   int // of the sentences in it that carry its score, in bytes
	Words      int
	Score      float64 // log odds, but for a constant
}

// Windows returns the windows of a folded text whose score is at least the given one,
// the best of those that overlap, in order; none of a text of one word. It is linear in the text. Nearly every text
// has none or is short and is read once; the others are read twice.
func Windows(folded []byte, least float64) []Window {
	s := scorers.Get().(*scorer)
	defer s.end()
	return slices.Clone(s.windows(folded, least))
}

// scorers are memory for reading texts.
var scorers = sync.Pool{New: func() any { return new(scorer) }}

// maxFound is how many windows wait, as memory, for the next text.
const maxFound = 1 << 10

// end lets the memory be used again. Nothing of the text is kept.
func (s *scorer) end() {
	if s.text = nil; cap(s.found) > maxFound {
		s.found = nil
	}
	scorers.Put(s)
}

// windows are the windows of a text, in memory of the scorer.
func (s *scorer) windows(folded []byte, least float64) []Window {
	s.begin(folded, math.Inf(1))
	s.run()
	if s.n < leastWords {
		return nil
	}
	around := textWeights.Score(0, float64(s.total)*weightScale, s.n)
	if float64(textWeights[0]*s.best())+around < least {
		return nil
	}
	if again := (least - around) / textWeights[0]; s.n <= kept {
		s.expect(again)
		s.review()
	} else {
		s.begin(folded, again)
		s.run()
	}
	for i := range s.found {
		s.found[i].Score = float64(textWeights[0]*s.found[i].Score) + around
	}
	return s.found
}

// word is what is kept of one.
type word struct {
	before     int32 // sum of the weights of all words before it
	start, end uint32
	begins     bool // a sentence
}

// scorer goes through a text once, in memory that does not grow with it but for what it
// finds. It compares sums of weights, which are integers, and makes scores of them only
// where there is something to keep.
type scorer struct {
	reader
	ring  [kept]word
	total int32
	sums  [maxMade]int32
	most  [len(Sizes)]int32 // the largest sum of a window, by its size
	least [len(Sizes)]int32 // what a sum must reach to be looked at closer

	window Window // the best one
	first  int    // number of its first word
	length int    // its words; 0 if there is none
	found  []Window
}

// far is beyond every sum of a window, and less than half of what an int32 holds.
const far = 1 << 29

// begin makes the scorer ready to look for windows of at least some score.
func (s *scorer) begin(folded []byte, least float64) {
	s.reader.begin(folded)
	s.total = 0
	s.expect(least)
}

func (s *scorer) expect(least float64) {
	s.length, s.found = 0, s.found[:0]
	for kind, bias := range biases {
		s.most[kind] = -far
		s.least[kind] = int32(max(-far, min(far, math.Ceil((least-bias)/weightScale))))
	}
}

// score is the score of a window of a size with this sum.
func score(kind int, sum int32) float64 { return float64(float64(sum)*weightScale) + biases[kind] }

// best is the score of the best window that was seen.
func (s *scorer) best() float64 {
	best := math.Inf(-1)
	for kind, sum := range s.most {
		best = max(best, score(kind, sum))
	}
	return best
}

// run reads the text.
func (s *scorer) run() {
	for n := s.next(); n > 0; n = s.next() {
		s.sum(n)
	}
	s.finish()
}

// review goes through the words of a text again that are all remembered.
func (s *scorer) review() {
	for i := 1; i < s.n; i++ {
		s.latest(i, s.word(i).before)
	}
	s.latest(s.n, s.total)
	s.finish()
}

// finish looks at what is shorter than a window.
func (s *scorer) finish() {
	for kind, size := range Sizes {
		if s.n > 0 && s.n < size {
			s.look(kind, 0, s.n, s.total)
		}
	}
	s.flush()
}

func (s *scorer) word(i int) *word { return &s.ring[i%kept] }

// sum adds the weights of the features of the latest n words and looks at the windows
// that end with each.
func (s *scorer) sum(n int) {
	s.total = s.made.sums(&s.sums, s.ends[n-1], s.total)
	first, sum := s.n-n, s.sums[0]
	for i, t := range s.words[before : before+n] {
		*s.word(first + i) = word{sum, t.start, t.end, t.begins()}
		sum = s.sums[s.ends[i]%uint32(len(s.sums))]
		s.latest(first+i+1, sum)
	}
}

// sums writes the sum of the weights of the first i features, and of what there was
// before, in place i, and returns that of the first n.
func (f *features) sums(sums *[maxMade]int32, n uint32, total int32) int32 {
	weights := weightsFile[:weightMask+1]
	sums[0] = total
	for i, made := range f[:min(n, maxMade-1)] {
		total += int32(int8(weights[mix(uint32(made))&weightMask]))
		sums[i+1] = total
	}
	return total
}

// latest looks at the windows that end with the last of n words, whose weights have a sum.
func (s *scorer) latest(n int, total int32) {
	if n >= shortWindow {
		s.look(0, n-shortWindow, shortWindow, total)
	}
	if n >= longWindow {
		s.look(1, n-longWindow, longWindow, total)
	}
}

// look scores a window, given the sum of all words up to its end.
func (s *scorer) look(kind, first, length int, total int32) {
	sum := total - s.word(first).before
	s.most[kind] = max(s.most[kind], sum)
	if sum >= s.least[kind] {
		s.better(first, length, total, score(kind, sum))
	}
}

// better takes a window in the place of those that it overlaps, if it is above them all.
func (s *scorer) better(first, length int, total int32, z float64) {
	switch {
	case s.length > 0 && first >= s.first+s.length:
		s.flush()
	case s.length > 0 && z <= s.window.Score:
		return
	}
	start, left := int(s.word(first).start), len(s.found)
	for left > 0 && s.found[left-1].End > start {
		if left--; z <= s.found[left].Score {
			return
		}
	}
	s.found = s.found[:left]
	s.first, s.length = first, length
	s.window = Window{Start: int(s.word(first).start), End: int(s.word(first + length - 1).end), Words: length, Score: z}
	s.trim(total)
}

// flush ends the search for a better window than the best one.
func (s *scorer) flush() {
	if s.length > 0 {
		s.found = append(s.found, s.window)
	}
	s.length = 0
}

// trim finds the words of the best window with the largest sum and widens them to the
// sentences that the window has of them. The sum of all words up to its end is given.
func (s *scorer) trim(total int32) {
	last := s.first + s.length - 1
	from, to := s.first, last
	start, low, most := s.first, s.word(s.first).before, int32(math.MinInt32)
	for i := s.first; i <= last; i++ {
		after := total
		if i < last {
			after = s.word(i + 1).before
		}
		if after-low > most {
			most, from, to = after-low, start, i
		}
		if after < low {
			low, start = after, i+1
		}
	}
	for from > s.first && !s.word(from).begins {
		from--
	}
	for to < last && !s.word(to+1).begins {
		to++
	}
	s.window.From, s.window.To = int(s.word(from).start), int(s.word(to).end)
}
