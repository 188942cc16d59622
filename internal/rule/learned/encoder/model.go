package encoder

import (
	_ "embed"
	"encoding/binary"
	"math"
	"sync"
)

// The shape of the model. The training code has the same numbers.
const (
	width     = 128 // numbers that say what is known of a piece
	heads     = 4
	headWidth = width / heads
	maxHidden = 256
)

var (
	//go:embed vocabulary.txt
	vocabularyText string
	//go:embed embeddings.bin
	embeddingBytes []byte
	//go:embed layers.bin
	layerBytes []byte
)

// model is read in place: what is large stays where the program was loaded, and is
// only touched when a text is read.
type model struct {
	words      *vocabulary
	embeddings []byte    // int8, width for each piece
	scales     []float32 // of each piece's row
	places     []float32 // width for each place in a window
	layers     []layer
	last       []byte // a panel: a column to weigh pieces for each head, then one with its votes
	steps      [heads]float32
	votes      [heads]float64
	bias       float64
	silence    float64 // the answer to a text without any word
}

type layer struct {
	query, other, out, up, down matrix
	steps                       [heads]float32 // of the table of exponentials, for a score of 1
	mix                         [heads]float32 // what values are multiplied by
}

// matrix is the right side of a product.
type matrix struct {
	pairs  int
	panels []byte
	scales []scaling // of each panel
}

func (m *matrix) panel(i int) []byte { return m.panels[i*m.pairs*2*tileColumns:] }

func (m *matrix) columns() int { return len(m.scales) * tileColumns }

// narrow writes rows of a times the matrix, as small integers within low and high.
func (m *matrix) narrow(s *scratch, dst, a []int16, rows int, low, high float32) {
	ones := factors{1, 1, 1, 1}
	for p := range m.scales {
		for r := 0; r < rows; r += tileRows {
			multiply(&s.t, a[r*2*m.pairs:], 2*m.pairs, m.panel(p), m.pairs)
			narrow(dst[r*m.columns()+p*tileColumns:], m.columns(), &s.t, &ones, &m.scales[p], low, high)
		}
	}
}

// add adds rows of a times the matrix to x.
func (m *matrix) add(s *scratch, a []int16, rows int) {
	for p := range m.scales {
		for r := 0; r < rows; r += tileRows {
			multiply(&s.t, a[r*2*m.pairs:], 2*m.pairs, m.panel(p), m.pairs)
			add(s.x[r*width+p*tileColumns:], width, &s.t, &m.scales[p])
		}
	}
}

var loaded = sync.OnceValue(func() *model {
	m, ok := readModel(vocabularyText, embeddingBytes, layerBytes)
	if !ok {
		panic("encoder: internal error: the weights do not fit the program")
	}
	return m
})

const magic = "gatehouse encoder 1\n"

// weights reads numbers, little end first, one after the other.
type weights struct {
	rest []byte
	ok   bool
}

func (w *weights) bytes(n int) []byte {
	if n < 0 || n > len(w.rest) {
		w.ok = false
		return make([]byte, max(n, 0))
	}
	var taken []byte
	taken, w.rest = w.rest[:n:n], w.rest[n:]
	return taken
}

func (w *weights) integer() int { return int(binary.LittleEndian.Uint32(w.bytes(4))) }

func (w *weights) floats(dst []float32) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(w.bytes(4)))
	}
}

func (w *weights) float() float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(w.bytes(8)))
}

func (w *weights) matrix(rows, columns int) matrix {
	m := matrix{pairs: rows / 2, panels: w.bytes(rows * columns), scales: make([]scaling, columns/tileColumns)}
	for i := range m.scales {
		w.floats(m.scales[i].mul[:])
		w.floats(m.scales[i].add[:])
	}
	return m
}

func readModel(vocabularyText string, embeddings, layers []byte) (m *model, ok bool) {
	w := &weights{rest: layers, ok: true}
	if string(w.bytes(len(magic))) != magic {
		return nil, false
	}
	m = &model{words: newVocabulary(vocabularyText), embeddings: embeddings}
	hidden := w.integer()
	m.layers = make([]layer, w.integer())
	if hidden > maxHidden || hidden%tileColumns != 0 || len(embeddings) != m.words.size()*width {
		return nil, false
	}
	m.scales, m.places = make([]float32, m.words.size()), make([]float32, maxPieces*width)
	w.floats(m.scales)
	w.floats(m.places)
	for i := range m.layers {
		l := &m.layers[i]
		l.query, l.other, l.out = w.matrix(width, width), w.matrix(width, 2*width), w.matrix(width, width)
		l.up, l.down = w.matrix(width, hidden), w.matrix(hidden, width)
		w.floats(l.steps[:])
		w.floats(l.mix[:])
	}
	m.last = w.bytes(width * tileColumns)
	w.floats(m.steps[:])
	for i := range m.votes {
		m.votes[i] = w.float()
	}
	m.bias, m.silence = w.float(), w.float()
	return m, w.ok && len(w.rest) == 0
}
