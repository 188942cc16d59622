package wire

import (
	"bytes"
	"slices"
	"sync"
)

// Memo reads messages like Parse, and does not scan a long list again that differs
// from one it has read only by the number that is its id. Its zero value is ready,
// it may be used by several goroutines, and all its texts must have the same
// limits, but for Bytes.
type Memo struct {
	mu    sync.Mutex
	lists []*Message // the latest last
}

const (
	// memoLeast is the size from which scanning costs more than comparing by enough to
	// keep a text for it.
	memoLeast = 16 << 10
	// memoMost and memoKept bound what is kept. A server has four kinds of lists.
	memoMost, memoKept = 4 << 20, 4
)

// listMembers begin the results of lists. Other results are seldom sent twice and
// are not kept.
var listMembers = []string{"tools", "prompts", "resources", "resourceTemplates"}

// Parse is the function Parse.
func (m *Memo) Parse(raw []byte, lim Limits) (*Message, error) {
	if len(raw) < memoLeast || len(raw) > min(memoMost, lim.orDefault().Bytes) {
		return Parse(raw, lim)
	}
	m.mu.Lock()
	known := slices.Clone(m.lists)
	m.mu.Unlock()
	for _, list := range slices.Backward(known) {
		if again := list.again(raw); again != nil {
			return again, nil
		}
	}
	read, err := Parse(raw, lim)
	if err != nil || !read.isList() {
		return read, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lists = append(m.lists, read); len(m.lists) > memoKept {
		m.lists = slices.Delete(m.lists, 0, 1)
	}
	return read, nil
}

func (m *Message) isList() bool {
	if m.Kind != Response || m.id.Kind() != '0' {
		return false
	}
	for name := range m.Result.Members() {
		return slices.Contains(listMembers, name)
	}
	return false
}

// again is m with the id of raw, nil if raw differs in anything else.
func (m *Message) again(raw []byte) *Message {
	head, tail := m.Raw[:m.id.start], m.Raw[m.id.end:]
	if len(raw) <= len(head)+len(tail) || !bytes.HasPrefix(raw, head) || !bytes.HasSuffix(raw, tail) {
		return nil
	}
	id := raw[len(head) : len(raw)-len(tail)]
	if !plainNumber(id) {
		return nil
	}
	return m.answering(raw, ID(id))
}

// plainNumber is stricter than the grammar: nothing but digits, without a zero in
// front.
func plainNumber(literal []byte) bool {
	const most = 18
	for _, c := range literal {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(literal) > 0 && len(literal) <= most && (literal[0] != '0' || len(literal) == 1)
}
