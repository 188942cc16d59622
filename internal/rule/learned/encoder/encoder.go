// Package encoder is the second tier of the learned classifier: a small transformer
// that reads a window of folded text and says how likely it is an instruction to the
// model that reads it. It knows what words mean from a public language model, where
// the first tier knows only the wordings that it was trained on. It costs a hundred
// times as much, so it is asked only about windows that the first tier suspects.
//
// All products are of integers, and every other operation is rounded as IEEE 754 says,
// so that the answer is the same, to the last bit, on every machine.
package encoder

import (
	"math"
	"sync"
)

// Score is the probability, from 0 to 1, that a window of folded text holds an
// instruction that was put there for a model. A window is about 64 words; of a longer
// text, only the beginning and the end are read.
func Score(window []byte) float64 {
	return logistic(Logit(window))
}

// Logit is the same on a scale that can be added up and weighed: the logarithm of the
// odds.
func Logit(window []byte) float64 {
	m := loaded()
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	pieces := m.words.encode(window, s.pieces[:0], maxRead)
	if len(pieces) == 0 {
		return m.silence
	}
	z := m.logit(s, pieces[:min(len(pieces), maxPieces)])
	if rest := len(pieces) - maxPieces; rest > 0 {
		z = max(z, m.logit(s, pieces[rest:]))
	}
	return z
}

// maxRead is what is read of a text: twice what fits at once.
const maxRead = 2 * maxPieces

// logistic turns odds into a probability.
func logistic(z float64) float64 {
	e := exponential(math.Abs(z))
	if z < 0 {
		return e / (1 + e)
	}
	return 1 / (1 + e)
}

// exponential is e to the power of -x, for x from 0 on. It is written out because
// math.Exp is not the same on every machine.
func exponential(x float64) float64 {
	const halvings = 10
	x = -min(x, 40) / (1 << halvings)
	e := 1 + float64(x*(1+float64(x*(0.5+float64(x*(1.0/6+float64(x/24)))))))
	for range halvings {
		e *= e
	}
	return e
}

// exponentials[i] is 4096 e^(-i/64).
var exponentials = func() (table [1024]int16) {
	for i := range table {
		table[i] = int16(math.RoundToEven(4096 * exponential(float64(i)/64)))
	}
	return table
}()

// scratch is the memory that one text needs.
type scratch struct {
	pieces  [maxRead]uint16
	x       [maxPieces * width]float32 // what is known of each piece
	in      [maxPieces * width]int16   // the left side of a product
	queries [maxPieces * width]int16
	others  [maxPieces * 2 * width]int16 // keys and values
	hidden  [maxPieces * maxHidden]int16
	scores  [maxPieces * maxPieces]int32
	weights [maxPieces * maxPieces]int16
	panels  [maxPieces * headWidth]byte
	sums    [maxPieces]float32
	t       tile
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// logit reads pieces, at least one and at most maxPieces.
func (m *model) logit(s *scratch, pieces []uint16) float64 {
	n := len(pieces)
	rows := (n + tileRows - 1) / tileRows * tileRows
	m.embed(s, pieces, rows)
	for i := range m.layers {
		l := &m.layers[i]
		s.normalize(rows)
		l.query.narrow(s, s.queries[:], s.in[:], rows, -math.MaxInt16, math.MaxInt16)
		l.other.narrow(s, s.others[:], s.in[:], rows, -math.MaxInt8, math.MaxInt8)
		for head := range heads {
			l.attend(s, head, n, rows)
		}
		l.out.add(s, s.in[:], rows)
		s.normalize(rows)
		l.up.narrow(s, s.hidden[:], s.in[:], rows, 0, math.MaxInt16)
		l.down.add(s, s.hidden[:], rows)
	}
	s.normalize(rows)
	return m.pool(s, n, rows)
}

// embed writes what each piece means by itself, and where it stands. Rows that only
// fill the last tile are zero.
func (m *model) embed(s *scratch, pieces []uint16, rows int) {
	for at, piece := range pieces {
		x := s.x[at*width:][:width]
		meaning, scale := m.embeddings[int(piece)*width:][:width], m.scales[piece]
		for i, where := range m.places[at*width:][:width] {
			x[i] = float32(float32(int8(meaning[i]))*scale) + where
		}
	}
	clear(s.x[len(pieces)*width : rows*width])
}

// one is what the number 1 is written as after normalize. A row's largest value is the
// square root of its width, so that none leaves int16.
const one = 2048

// normalize writes each row of x, divided by the root of the mean of its squares, to in.
func (s *scratch) normalize(rows int) {
	for r := range rows {
		x := (*[width]float32)(s.x[r*width:])
		q := squares(x)
		sum := float64(((q[0] + q[1]) + (q[2] + q[3])) + ((q[4] + q[5]) + (q[6] + q[7])))
		round((*[width]int16)(s.in[r*width:]), x, float32(one/math.Sqrt(float64(sum/width)+tiny)))
	}
}

// tiny keeps the root away from zero.
const tiny = 1e-5

// attend lets each piece look at all others through one head and writes what it sees
// to its part of in.
func (l *layer) attend(s *scratch, head, n, rows int) {
	from := head * headWidth
	s.packKeys(from, n)
	for p := range (n + tileColumns - 1) / tileColumns {
		for r := 0; r < rows; r += tileRows {
			multiply(&s.t, s.queries[r*width+from:], width, s.panels[p*tileColumns*headWidth:], headWidth/2)
			for i := range tileRows {
				copy(s.scores[(r+i)*maxPieces+p*tileColumns:][:tileColumns], s.t[i*tileColumns:])
			}
		}
	}
	pairs := (n + 1) / 2
	for r := range rows {
		weights := s.weights[r*maxPieces:][:2*pairs]
		sum := soften(weights[:n], s.scores[r*maxPieces:][:n], l.steps[head])
		clear(weights[n:])
		s.sums[r] = l.mix[head] / float32(sum)
	}
	s.packValues(width+from, n)
	for p := range headWidth / tileColumns {
		for r := 0; r < rows; r += tileRows {
			multiply(&s.t, s.weights[r*maxPieces:], maxPieces, s.panels[p*2*pairs*tileColumns:], pairs)
			narrow(s.in[r*width+from+p*tileColumns:], width, &s.t, (*factors)(s.sums[r:]), &plain, -math.MaxInt16, math.MaxInt16)
		}
	}
}

// plain is the scaling that changes nothing.
var plain = func() (s scaling) {
	for i := range s.mul {
		s.mul[i] = 1
	}
	return s
}()

// packKeys makes panels whose columns are the keys of a head.
func (s *scratch) packKeys(from, n int) {
	clear(s.panels[:(n+tileColumns-1)/tileColumns*tileColumns*headWidth])
	for at := range n {
		panel := s.panels[at/tileColumns*tileColumns*headWidth+at%tileColumns*2:]
		for i, v := range s.others[at*2*width+from:][:headWidth] {
			panel[i/2*2*tileColumns+i%2] = byte(v)
		}
	}
}

// packValues makes panels whose rows are the values of a head.
func (s *scratch) packValues(from, n int) {
	pairs := (n + 1) / 2
	if n%2 == 1 { // the last pair is half empty
		clear(s.others[n*2*width+from:][:headWidth])
	}
	for p := range headWidth / tileColumns {
		panel := s.panels[p*2*pairs*tileColumns:]
		for at := range 2 * pairs {
			row := panel[at/2*2*tileColumns+at%2:]
			for c, v := range s.others[at*2*width+from+p*tileColumns:][:tileColumns] {
				row[2*c] = byte(v)
			}
		}
	}
}

// soften writes e to the power of each score, relative to the highest, and returns the
// sum. A score of 1 is so many steps of the table.
func soften(weights []int16, scores []int32, steps float32) (sum int32) {
	top := scores[0]
	for _, score := range scores {
		top = max(top, score)
	}
	weights = weights[:len(scores)]
	for i, score := range scores {
		weight := int16(0)
		if at := float32(top-score) * steps; at < float32(len(exponentials)) {
			weight = exponentials[int(at)]
		}
		weights[i] = weight
		sum += int32(weight)
	}
	return sum
}

// pool looks at all pieces once more, through one weighing for each head, and adds up
// what they vote for.
func (m *model) pool(s *scratch, n, rows int) float64 {
	var weights [maxPieces]int16
	var scores, votes [heads][maxPieces]int32
	for r := 0; r < rows; r += tileRows {
		multiply(&s.t, s.in[r*width:], width, m.last, width/2)
		for i := range tileRows {
			for head := range heads {
				scores[head][r+i] = s.t[i*tileColumns+head]
				votes[head][r+i] = s.t[i*tileColumns+heads+head]
			}
		}
	}
	z := m.bias
	for head := range heads {
		sum := soften(weights[:n], scores[head][:n], m.steps[head])
		vote := int64(0)
		for i, weight := range weights[:n] {
			vote += int64(weight) * int64(votes[head][i])
		}
		z += float64(float64(vote) / float64(sum) * m.votes[head])
	}
	return z
}
