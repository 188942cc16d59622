package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"gatehouse/internal/rule/learned"
)

const (
	bits   = 20 // of a feature's place in the table
	mask   = 1<<bits - 1
	epochs = 20
	rate   = 0.01
	orders = 4 // models whose mean is taken
	// A step leaves out a fifth of the features, and droppedKinds is how often it leaves
	// out whole kinds of them, so that no feature relies on others.
	droppedBelow = 1 << 16 / 5
	droppedKinds = 0.7
	// outside is what a window of an attack that has nothing of the injected part weighs,
	// as a benign one.
	outside = 1.5
)

// kindsMayDrop are the kinds of features that may be left out: all but single words and
// classes.
const kindsMayDrop = 0x5e

// model is a weight for each feature and a bias for each size of windows.
type model struct {
	weights, squares [1 << bits]float32 // squares are Adagrad's sums of squared gradients
	biases           [len(learned.Sizes)]float64
	biasSquares      [len(learned.Sizes)]float64
}

// span is a window: which size it has and its words.
type span struct{ kind, from, to int }

// train makes a model of all examples that are not in the fold: the mean of several that
// saw them in different orders, because each by itself depends much on its own.
func train(all []*example, fold int) *model {
	mean := &model{}
	for order := range orders {
		mean.add(trainOnce(all, fold, order), 1/float64(orders))
	}
	return mean
}

// add adds a share of another model.
func (m *model) add(other *model, share float64) {
	for i, w := range other.weights {
		m.weights[i] += float32(share) * w
	}
	for i, b := range other.biases {
		m.biases[i] += share * b
	}
}

func trainOnce(all []*example, fold, order int) *model {
	m := &model{}
	for i := range m.biases {
		m.biases[i] = -2
	}
	var rows []*example
	for _, e := range all {
		if e.Trained && e.Fold != fold && e.words() > 0 {
			rows = append(rows, e)
		}
	}
	random := rand.New(rand.NewPCG(1, uint64(2+order)))
	var sums []float64
	for epoch := range epochs {
		random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		for _, e := range rows {
			sums = m.sums(&e.features, sums)
			m.learn(e, sums, epoch, random)
		}
	}
	return m
}

// learn takes one step for an example: the best window of an attack is one, the best of
// a benign text is none, and neither is another one.
func (m *model) learn(e *example, sums []float64, epoch int, random *rand.Rand) {
	switch {
	case !e.Attack:
		if epoch > 0 {
			s, _ := m.best(sums, anywhere)
			m.step(e, sums, s, 0, e.weight, random)
		}
		m.step(e, sums, randomSpan(e.words(), random), 0, e.weight, random)
	case e.to == 0 && epoch == 0:
		m.step(e, sums, randomSpan(e.words(), random), 1, e.weight, random)
	case e.to == 0:
		s, _ := m.best(sums, anywhere)
		m.step(e, sums, s, 1, e.weight, random)
	default:
		s, _ := m.best(sums, func(size, n int) (int, int) { // with the injected part
			first := max(0, min(e.from, e.to-size))
			last := min(n-size, max(e.from, e.to-size))
			return min(first, last), last
		})
		m.step(e, sums, s, 1, e.weight, random)
		if s, ok := m.bestOutside(sums, e.from, e.to); ok {
			m.step(e, sums, s, 0, outside, random)
		}
	}
}

func randomSpan(n int, random *rand.Rand) span {
	kind := random.IntN(len(learned.Sizes))
	size := min(n, learned.Sizes[kind])
	from := random.IntN(n - size + 1)
	return span{kind, from, from + size}
}

// sums are the sums of the weights of all words before each.
func (m *model) sums(f *learned.Features, into []float64) []float64 {
	into = append(into[:0], 0)
	sum, start := 0.0, int32(0)
	for _, end := range f.Ends {
		for _, h := range f.All[start:end] {
			sum += float64(m.weights[h&mask])
		}
		start = end
		into = append(into, sum)
	}
	return into
}

// anywhere lets a window of a size begin at any of n words.
func anywhere(size, n int) (first, last int) { return 0, n - size }

// best is the window with the highest score among those that may begin where it says.
func (m *model) best(sums []float64, where func(size, n int) (first, last int)) (span, float64) {
	n := len(sums) - 1
	most, at := math.Inf(-1), span{}
	for kind, size := range learned.Sizes {
		size = min(size, n)
		first, last := where(size, n)
		for from := first; from <= last; from++ {
			if z := sums[from+size] - sums[from] + m.biases[kind]; z > most {
				most, at = z, span{kind, from, from + size}
			}
		}
	}
	return at, most
}

// bestOutside is the one among whole windows that have none of some words.
func (m *model) bestOutside(sums []float64, from, to int) (at span, ok bool) {
	most := math.Inf(-1)
	for kind, size := range learned.Sizes {
		for i := 0; i+size < len(sums); i++ {
			if i+size > from && i < to {
				continue
			}
			if z := sums[i+size] - sums[i] + m.biases[kind]; z > most {
				most, at, ok = z, span{kind, i, i + size}, true
			}
		}
	}
	return at, ok
}

// step moves the weights of a window towards what it is, by Adagrad on the logistic loss.
func (m *model) step(e *example, sums []float64, s span, is, weight float64, random *rand.Rand) {
	z := sums[s.to] - sums[s.from] + m.biases[s.kind]
	gradient := (1/(1+math.Exp(-z)) - is) * weight
	g := float32(gradient)
	salt, kinds := random.Uint32(), uint32(0)
	if random.Float64() < droppedKinds {
		kinds = random.Uint32() & kindsMayDrop
	}
	for _, h := range e.between(s.from, s.to) {
		if kinds>>(h>>learned.KindShift)&1 == 1 || ((h^salt)*0x9e3779b1)>>16 < droppedBelow {
			continue
		}
		i := h & mask
		m.squares[i] += g * g
		m.weights[i] -= rate * g / float32(math.Sqrt(float64(m.squares[i])+1e-6))
	}
	m.biasSquares[s.kind] += gradient * gradient
	m.biases[s.kind] -= rate * gradient / math.Sqrt(m.biasSquares[s.kind]+1e-6)
}

// reading is what a text is judged by.
type reading struct {
	best, sum float64 // score of the best window, and sum of all weights
	words     int
	tops      []scored // the best of its windows, the best first
}

type scored struct {
	span
	score float64
}

func (m *model) read(e *example) reading {
	sums := m.sums(&e.features, nil)
	n := len(sums) - 1
	if n == 0 {
		return reading{}
	}
	_, best := m.best(sums, anywhere)
	return reading{best, sums[n], n, m.tops(sums)}
}

// mostTops is how many windows of a text are kept.
const mostTops = 4

// tops are the best of the windows that do not overlap, chosen as the product does.
func (m *model) tops(sums []float64) []scored {
	n := len(sums) - 1
	var all []scored
	for end := 1; end <= n; end++ {
		for kind, size := range learned.Sizes {
			if end < size && end < n {
				continue
			}
			from := max(0, end-size)
			one := scored{span{kind, from, end}, sums[end] - sums[from] + m.biases[kind]}
			all = better(all, one)
		}
	}
	slices.SortStableFunc(all, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	return all[:min(len(all), mostTops)]
}

// better puts a window in the place of those that it overlaps, if it is above them all.
func better(all []scored, one scored) []scored {
	left := len(all)
	for ; left > 0 && all[left-1].to > one.from; left-- {
		if one.score <= all[left-1].score {
			return all
		}
	}
	return append(all[:left], one)
}
