package learned

import "math"

// Sizes of the windows, in words. A short one sees an order in the middle of data, a
// long one what several sentences add up to.
var Sizes = [...]int{shortWindow, longWindow}

const (
	shortWindow = 16
	longWindow  = 40
	// kept is how many words are remembered, more than a long window. A power of two.
	kept = 64
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
// the best of those that overlap, in order. It is linear in the text. Nearly every text
// has none and is read once; the others are read twice.
func Windows(folded []byte, least float64) []Window { return appendWindows(nil, folded, least) }

func appendWindows(found []Window, folded []byte, least float64) []Window {
	first := newScorer(folded, math.Inf(1))
	first.run()
	if first.n == 0 {
		return found
	}
	around := textWeights.Score(0, float64(first.total)*weightScale, first.n)
	if float64(textWeights[0]*first.best())+around < least {
		return found
	}
	second := newScorer(folded, (least-around)/textWeights[0])
	second.found = found
	second.run()
	for i := range second.found {
		second.found[i].Score = float64(textWeights[0]*second.found[i].Score) + around
	}
	return second.found
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
	most  [len(Sizes)]int32 // the largest sum of a window, by its size
	least [len(Sizes)]int32 // what a sum must reach to be looked at closer

	window Window // the best one
	first  int    // number of its first word
	length int    // its words; 0 if there is none
	found  []Window
}

// far is beyond every sum of a window, and less than half of what an int32 holds.
const far = 1 << 29

func newScorer(folded []byte, least float64) *scorer {
	s := &scorer{reader: newReader(folded)}
	for kind, bias := range biases {
		s.most[kind] = -far
		s.least[kind] = int32(max(-far, min(far, math.Ceil((least-bias)/weightScale))))
	}
	return s
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

func (s *scorer) run() {
	for s.next() {
		s.sum()
		if s.n >= shortWindow {
			s.look(0, s.n-shortWindow, shortWindow)
		}
		if s.n >= longWindow {
			s.look(1, s.n-longWindow, longWindow)
		}
	}
	for kind, size := range Sizes { // what is shorter than a window
		if s.n > 0 && s.n < size {
			s.look(kind, 0, s.n)
		}
	}
	s.flush()
}

func (s *scorer) word(i int) *word { return &s.ring[i%kept] }

// sum adds the weights of the latest word's features.
func (s *scorer) sum() {
	t := &s.words[0]
	*s.word(s.n - 1) = word{s.total, t.start, t.end, t.begins()}
	total := s.total
	for _, h := range s.features[:s.count] {
		total += int32(weight(h))
	}
	s.total = total
}

// look scores a window of the latest words.
func (s *scorer) look(kind, first, length int) {
	sum := s.total - s.word(first).before
	s.most[kind] = max(s.most[kind], sum)
	if sum >= s.least[kind] {
		s.better(first, length, score(kind, sum))
	}
}

// better takes a window in the place of one that it overlaps and is above.
func (s *scorer) better(first, length int, z float64) {
	if s.length > 0 {
		if first >= s.first+s.length {
			s.flush()
		} else if z <= s.window.Score {
			return
		}
	}
	s.first, s.length = first, length
	s.window = Window{Start: int(s.word(first).start), End: int(s.word(first + length - 1).end), Words: length, Score: z}
	s.trim()
}

// flush ends the search for a better window than the best one.
func (s *scorer) flush() {
	if s.length > 0 {
		s.found = append(s.found, s.window)
	}
	s.length = 0
}

// trim finds the words of the best window with the largest sum and widens them to the
// sentences that the window has of them.
func (s *scorer) trim() {
	last := s.first + s.length - 1
	from, to := s.first, last
	start, low, most := s.first, s.word(s.first).before, int32(math.MinInt32)
	for i := s.first; i <= last; i++ {
		after := s.total
		if i+1 < s.n {
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
