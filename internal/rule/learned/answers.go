package learned

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"

	"gatehouse/internal/rule/learned/encoder"
)

// maxAnswers is how many answers of the second tier are remembered.
const maxAnswers = 1 << 10

// answers remembers what the second tier said of texts that come again, as those of pages
// and lists do that somebody asks for twice: it says always the same, and to know the text
// costs a hundredth of asking. Of the texts only digests are kept.
type answers [maxAnswers]atomic.Pointer[answer]

type answer struct {
	digest [sha256.Size]byte
	logit  float64
}

var remembered answers

// logit is what ask says of a text.
func (a *answers) logit(text []byte, ask func([]byte) float64) float64 {
	digest := sha256.Sum256(text)
	place := &a[binary.LittleEndian.Uint64(digest[:])%maxAnswers]
	if known := place.Load(); known != nil && known.digest == digest {
		return known.logit
	}
	logit := ask(text)
	place.Store(&answer{digest, logit})
	return logit
}

func secondTier(text []byte) float64 { return remembered.logit(text, encoder.Logit) }
