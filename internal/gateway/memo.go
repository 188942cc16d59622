package gateway

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// memo remembers what short texts led to, for texts that come with every call: the
// name of a tool, what a client says of itself. Texts of different meaning push
// each other out, so it holds at most memoPlaces, whoever sends how many. Its zero
// value is ready, and any goroutine may use it.
type memo struct {
	places [memoPlaces]atomic.Pointer[remembered]
}

type remembered struct{ text, result string }

const (
	memoPlaces = 256
	// memoText bounds what is remembered of one text, and thereby all of it to about
	// a quarter of a megabyte.
	memoText = 512
)

var memoSeed = maphash.MakeSeed() // so that nobody can choose texts that collide

func (m *memo) place(hash uint64) *atomic.Pointer[remembered] { return &m.places[hash%memoPlaces] }

func (m *memo) find(text string) (result string, ok bool) {
	if r := m.place(maphash.String(memoSeed, text)).Load(); r != nil && r.text == text {
		return r.result, true
	}
	return "", false
}

// findBytes is find without a copy.
func (m *memo) findBytes(text []byte) (result string, ok bool) {
	if r := m.place(maphash.Bytes(memoSeed, text)).Load(); r != nil && r.text == string(text) {
		return r.result, true
	}
	return "", false
}

func (m *memo) keep(text, result string) {
	if len(text)+len(result) <= memoText {
		// Copies, so that no message is held by a part of it.
		m.place(maphash.String(memoSeed, text)).Store(&remembered{strings.Clone(text), strings.Clone(result)})
	}
}
