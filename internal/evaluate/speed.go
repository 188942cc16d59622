package evaluate

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/inspect"
)

// Speed of the rules on one processor, measured on the benign rows of each surface
// joined to pieces of ten kilobytes. Without one whole piece there is no figure: what
// one short text takes says nothing of ten kilobytes.
type Speed struct {
	MBPerSecond *float64 `json:"mb_per_s"`          // 10⁶ bytes; nil if there is not enough text
	Clean       *float64 `json:"us_per_10kb_clean"` // microseconds for 10,240 bytes, the median; likewise
	Pieces      int      `json:"pieces"`
}

const (
	// pieceBytes is the size of a piece; one may have three bytes less, to end with a
	// character.
	pieceBytes = 10 << 10
	// maxPieces bounds the time that measuring takes. From more, an even sample.
	maxPieces = 256
	// rounds are for the machine being busy with something else: the shortest counts.
	rounds = 3
)

// timing collects the pieces. Of a corpus that has more than enough, every second is
// dropped, and then only every second further one is taken, and so on.
type timing struct {
	pieces  []Row
	partial map[string]*Row // by surface
	count   int             // of all pieces
	stride  int
}

func (t *timing) add(row *Row) {
	if t.partial == nil {
		t.partial, t.stride = map[string]*Row{}, 1
	}
	piece := t.partial[row.Surface]
	if piece == nil {
		piece = &Row{Surface: row.Surface, Text: row.Text}
		t.partial[row.Surface] = piece
	} else {
		piece.Text += "\n\n" + row.Text
	}
	if len(piece.Text) < pieceBytes {
		return
	}
	piece.Text = strings.ToValidUTF8(piece.Text[:pieceBytes], "") // one row can have megabytes
	delete(t.partial, row.Surface)
	if t.count++; (t.count-1)%t.stride == 0 {
		t.take(*piece)
	}
}

func (t *timing) take(piece Row) {
	if len(t.pieces) == maxPieces {
		for i := range maxPieces / 2 {
			t.pieces[i] = t.pieces[2*i]
		}
		t.pieces, t.stride = t.pieces[:maxPieces/2], 2*t.stride
	}
	t.pieces = append(t.pieces, piece)
}

// measure shows the pieces to the rules, one after the other, and takes the time.
func (t *timing) measure(inspector *inspect.Inspector) (Speed, error) {
	var bytes int
	var total time.Duration
	var normal []float64
	for i := range t.pieces {
		took, err := elapsed(inspector, &t.pieces[i])
		if err != nil {
			return Speed{}, err
		}
		size := len(t.pieces[i].Text)
		bytes, total = bytes+size, total+took
		normal = append(normal, float64(took.Nanoseconds())/1e3*pieceBytes/float64(size))
	}
	if total <= 0 {
		return Speed{}, nil
	}
	slices.Sort(normal)
	rate := float64(bytes) / 1e6 / total.Seconds()
	return Speed{MBPerSecond: &rate, Clean: &normal[len(normal)/2], Pieces: len(normal)}, nil
}

func elapsed(inspector *inspect.Inspector, row *Row) (time.Duration, error) {
	shown, err := row.exhibit()
	if err != nil {
		return 0, err
	}
	var best time.Duration
	for i := range rounds {
		start := time.Now()
		if _, err := shown.to(inspector); err != nil {
			return 0, err
		}
		if took := time.Since(start); i == 0 || took < best {
			best = took
		}
	}
	return best, nil
}
