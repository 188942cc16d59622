package learned

import "math"

// Sizes of the windows, in words. A short one sees an order in the middle of data, a
// long one sees what several sentences add up to.
var sizes = [...]int{shortWindow, longWindow}

const (
	shortWindow = 16
	longWindow  = 40
	// kept is how many words are remembered: more than a long window. A power of two.
	kept = 64
)

// Window is a stretch of a folded text that reads like an order to a model.
type Window struct {
	Start, End int     // of the window, in bytes
	From, To   int     // of the sentences in it that carry its score, in bytes
	Score      float64 // log odds, as trained
}

// Windows returns the windows of a folded text whose score is at least the given one,
// the best of those that overlap, in order. It reads the text once, in memory that
// does not grow with it.
func Windows(text []byte, least float64) []Window {
	s := scorer{reader: newReader(text), least: least}
	for s.next() {
		s.sum()
		s.look(shortWindow, 0)
		s.look(longWindow, 1)
	}
	s.rest()
	s.flush()
	return s.found
}

// word is what is kept of one.
type word struct {
	before     int32 // sum of the weights of all words before it
	start, end uint32
	begins     bool
}

type scorer struct {
	reader
	ring   [kept]word
	total  int32
	least  float64
	best   Window
	first  int // number of the first word of the best window
	length int // its words; 0 if there is none
	found  []Window
}

func (s *scorer) word(i int) *word { return &s.ring[i%kept] }

// sum adds the weights of the latest word's features.
func (s *scorer) sum() {
	t := &s.reader.words[0]
	*s.word(s.n - 1) = word{s.total, t.start, t.end, t.begins()}
	for _, h := range s.features[:s.count] {
		s.total += int32(weight(h))
	}
}

// look scores the window of a size that ends with the latest word.
func (s *scorer) look(size, kind int) {
	if s.n < size {
		return
	}
	sum := s.total - s.word(s.n-size).before
	if z := float64(sum)*weightScale + biases[kind]; z >= s.least {
		s.better(s.n-size, size, z)
	}
}

// rest scores what is shorter than a window.
func (s *scorer) rest() {
	for kind, size := range sizes {
		if s.n > 0 && s.n < size {
			if z := float64(s.total)*weightScale + biases[kind]; z >= s.least {
				s.better(0, s.n, z)
			}
		}
	}
}

// better takes a window in the place of one that it overlaps and is above.
func (s *scorer) better(first, length int, z float64) {
	if s.length > 0 {
		if first >= s.first+s.length {
			s.flush()
		} else if z <= s.best.Score {
			return
		}
	}
	s.first, s.length = first, length
	s.best = Window{Start: int(s.word(first).start), End: int(s.word(first + length - 1).end), Score: z}
	s.trim()
}

// flush ends the search for a better window than the best one.
func (s *scorer) flush() {
	if s.length > 0 {
		s.found = append(s.found, s.best)
	}
	s.length = 0
}

// trim finds the words of the best window with the largest sum and widens them to
// sentences.
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
	s.best.From, s.best.To = int(s.word(from).start), int(s.word(to).end)
}
