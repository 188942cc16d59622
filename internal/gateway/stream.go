package gateway

import (
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The bounds of what one session, or one request of the modern era, may make us
// hold for a client that does not read. A session is one client, so a client that
// is slow takes nothing from others.
const (
	// maxQueuedEvents and maxQueuedBytes wait for connections that are open. A burst
	// of progress or a few pictures fit; what exceeds them comes faster than the
	// client reads. One message fits whatever its size, which is bounded already.
	maxQueuedEvents, maxQueuedBytes = 4096, 4 << 20
	// maxKeptEvents and maxKeptBytes are kept for clients that lost a connection and
	// come back. The oldest are lost first.
	maxKeptEvents, maxKeptBytes = 512, 1 << 20
	// maxOutboxEvents and maxOutboxBytes belong to no call and wait for a client to
	// open a stream. What exceeds them is lost, as it would be without a stream.
	maxOutboxEvents, maxOutboxBytes = 256, 1 << 20
	// maxStanding is how many standing streams of a session are known. One is usual,
	// and one more for each connection that was lost.
	maxStanding = 8
	// eventOverhead is about what an event takes besides its message.
	eventOverhead = 64
)

// ErrNoStream says that a message cannot be sent on a stream.
var ErrNoStream = errors.New("the client takes no stream or is gone")

// Event is one event of a stream. Without Data it only tells the client where it
// is, so that it can come back to this place.
type Event struct {
	ID   string // "" where the stream cannot be resumed
	Data []byte // one JSON-RPC message

	n int
}

func (e Event) size() int { return len(e.Data) + eventOverhead }

// streams are the ways to one client over HTTP and what it did not get yet.
type streams struct {
	keep bool // what was sent is kept, so that streams can be resumed

	mu          sync.Mutex // guards what follows, and all that belongs to each Stream
	closed      bool
	byID        map[string]*Stream
	standing    []*Stream // oldest first
	outbox      [][]byte
	outboxBytes int
	kept        []*Stream // of each kept event its stream, oldest first
	keptBytes   int
	queued      int // events that wait for an open connection
	queuedBytes int
}

// Stream is one sequence of events to a client: those of one call, ahead of its
// answer and the answer, or a standing stream for what belongs to no call. It
// outlives its connections. A message is on one stream only.
type Stream struct {
	all      *streams
	id       string // unguessable
	standing bool

	events  []Event // in order: those that are kept, then those that wait
	waiting int
	next    int
	given   bool // a connection took an event, so the client may know an id
	ended   bool
	torn    bool        // the answer is too large to be kept
	open    *Connection // nil: none
}

// Connection is an HTTP response that carries a stream. One goroutine owns it.
type Connection struct {
	stream *Stream
	cut    func()
	wake   chan struct{}
	taken  int // events that are being written
}

func newStreams(keep bool) *streams {
	return &streams{keep: keep, byID: map[string]*Stream{}}
}

// NewStream is the stream of a request that has no session. It cannot be resumed.
func NewStream() *Stream { return newStreams(false).add(false) }

// NewStream is the stream of one call of the session.
func (s *Session) NewStream() *Stream { return s.streams.add(false) }

// Standing connects a new standing stream. It gets what waits for one, and from
// now on what belongs to no call: "the server MUST send each of its JSON-RPC
// messages on only one of the connected streams", and the newest is the one least
// likely to be dead. With prime its first event has no data. For cut see Connect.
func (s *Session) Standing(prime bool, cut func()) *Connection {
	st := s.streams.add(true)
	if prime {
		st.Prime()
	}
	return st.Connect(cut)
}

// Resume connects the stream of an event again, behind that event. It is nil if
// the session does not know the event: "The server MUST NOT replay messages that
// would have been delivered on a different stream."
func (s *Session) Resume(eventID string, cut func()) *Connection {
	id, count, found := strings.Cut(eventID, "-")
	n, err := strconv.Atoi(count)
	if !found || err != nil || n < 0 || strconv.Itoa(n) != count {
		return nil
	}
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	st := s.streams.byID[id]
	if st == nil || n >= st.next || st.torn {
		return nil
	}
	return st.connect(n, cut)
}

func (t *streams) add(standing bool) *Stream {
	st := &Stream{all: t, id: rand.Text()[:16], standing: standing} // 80 bits
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.keep || t.closed {
		return st
	}
	t.byID[st.id] = st
	if standing {
		t.standing = append(t.standing, st)
		if len(t.standing) > maxStanding {
			t.forget(t.standing[0])
		}
	}
	return st
}

// push sends a message that belongs to no call, on the newest standing stream
// that is connected, or keeps it for the next. It reports whether there was a
// place for it.
func (t *streams) push(raw []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, st := range slices.Backward(t.standing) {
		if st.open != nil && st.add(raw) {
			return true
		}
	}
	if t.closed || len(t.outbox) >= maxOutboxEvents || len(t.outbox) > 0 && t.outboxBytes+len(raw) > maxOutboxBytes {
		return false
	}
	t.outbox = append(t.outbox, raw)
	t.outboxBytes += len(raw)
	return true
}

// close ends the standing streams; their connections write what waits and end.
func (t *streams) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.outbox, t.outboxBytes = nil, 0
	for _, st := range t.standing { // a call has an end of its own
		st.ended = true
		st.poke()
	}
}

// Prime begins the stream with an event that has an id and no data, "in order to
// prime the client to reconnect".
func (st *Stream) Prime() {
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	st.enqueue(nil)
}

// Emit puts a message on the stream and waits for nobody. It fails if the client
// is gone and cannot come back for it.
func (st *Stream) Emit(raw []byte) error {
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	if !st.add(raw) {
		return ErrNoStream
	}
	return nil
}

// Finish puts the answer on the stream, if there is one, and ends it. The answer
// comes behind everything that was sent ahead of it.
func (st *Stream) Finish(answer []byte) {
	t := st.all
	t.mu.Lock()
	defer t.mu.Unlock()
	if st.ended {
		return
	}
	st.ended = true
	if answer != nil && st.reachable() {
		st.enqueue(answer)
	}
	st.poke()
	t.tidy(st)
}

// Connect makes an HTTP response the one that carries the stream; a connection
// from before is cut. cut is called, once at most and holding a lock, when the
// response must end although it may be in the middle of a write.
func (st *Stream) Connect(cut func()) *Connection {
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	return st.connect(-1, cut)
}

// connect lets a connection send what comes after an event. The caller holds mu,
// as for all that follows.
func (st *Stream) connect(after int, cut func()) *Connection {
	t := st.all
	if st.open != nil {
		st.disconnect(true)
	}
	t.unkeep(st, after)
	c := &Connection{stream: st, cut: cut, wake: make(chan struct{}, 1)}
	st.open = c
	if st.standing && !t.closed {
		for _, raw := range t.outbox {
			st.enqueue(raw)
		}
		t.outbox, t.outboxBytes = nil, 0
		// The newest connection is where messages go.
		if i := slices.Index(t.standing, st); i >= 0 {
			t.standing = append(slices.Delete(t.standing, i, i+1), st)
		}
	}
	return c
}

// reachable reports whether a message could still come to the client.
func (st *Stream) reachable() bool { return st.open != nil || st.all.keep && st.given }

func (st *Stream) add(raw []byte) bool {
	t := st.all
	if st.ended || !st.reachable() {
		return false
	}
	size := Event{Data: raw}.size()
	for st.open != nil && t.queued > 0 && (t.queued >= maxQueuedEvents || t.queuedBytes+size > maxQueuedBytes) {
		// The whole stream and not a message: a client that comes back asks for what it
		// did not get, and one that cannot come back sees that its call failed.
		t.slowest(st).disconnect(true)
	}
	if !st.reachable() {
		return false
	}
	st.enqueue(raw)
	return true
}

// slowest is the stream for whose connection most is waiting.
func (t *streams) slowest(than *Stream) *Stream {
	most := than
	for _, st := range t.byID {
		if st.open != nil && st.queuedBytes() > most.queuedBytes() {
			most = st
		}
	}
	return most
}

func (st *Stream) queuedBytes() int {
	n := 0
	for _, e := range st.events[len(st.events)-st.waiting:] {
		n += e.size()
	}
	return n
}

func (st *Stream) enqueue(raw []byte) {
	e := Event{Data: raw, n: st.next}
	if st.all.keep {
		e.ID = st.id + "-" + strconv.Itoa(e.n)
	}
	st.next++
	st.events = append(st.events, e)
	st.waiting++
	st.all.queued++
	st.all.queuedBytes += e.size()
	if st.open == nil && st.given {
		st.all.settle(st, 1)
	}
	st.poke()
}

func (st *Stream) poke() {
	if st.open == nil {
		return
	}
	select {
	case st.open.wake <- struct{}{}:
	default:
	}
}

// disconnect ends the use of the connection. What waited for it is kept.
func (st *Stream) disconnect(cut bool) {
	c := st.open
	st.open = nil
	select {
	case c.wake <- struct{}{}:
	default:
	}
	if cut {
		c.cut()
	}
	st.all.settle(st, st.waiting)
	if !st.all.keep {
		st.ended = true
	}
	st.all.tidy(st)
}

// settle moves the next events of a stream from those that wait to those that
// were sent, or that nobody is there to send to.
func (t *streams) settle(st *Stream, count int) {
	first := len(st.events) - st.waiting
	keep := st.events[:first]
	for _, e := range st.events[first : first+count] {
		t.queued--
		t.queuedBytes -= e.size()
		switch {
		case !t.keep:
		case e.size() > maxKeptBytes:
			st.torn = st.torn || st.ended && e.n == st.next-1
		default:
			keep = append(keep, e)
			t.kept = append(t.kept, st)
			t.keptBytes += e.size()
		}
	}
	st.events = slices.Delete(st.events, len(keep), first+count)
	st.waiting -= count
	for len(t.kept) > maxKeptEvents || t.keptBytes > maxKeptBytes {
		oldest := t.kept[0]
		t.kept = slices.Delete(t.kept, 0, 1)
		t.keptBytes -= oldest.events[0].size()
		oldest.events = slices.Delete(oldest.events, 0, 1)
		t.tidy(oldest)
	}
}

// unkeep makes those kept events wait again that stand behind another.
func (t *streams) unkeep(st *Stream, after int) {
	again := 0
	for _, e := range st.events[:len(st.events)-st.waiting] {
		if e.n > after {
			again++
			t.queued++
			t.queuedBytes += e.size()
			t.keptBytes -= e.size()
		}
	}
	st.waiting += again
	for i := len(t.kept) - 1; i >= 0 && again > 0; i-- {
		if t.kept[i] == st {
			t.kept = slices.Delete(t.kept, i, i+1)
			again--
		}
	}
}

// tidy forgets a stream that has nothing more to say.
func (t *streams) tidy(st *Stream) {
	if st.ended && st.open == nil && len(st.events) == 0 {
		t.forget(st)
	}
}

func (t *streams) forget(st *Stream) {
	if t.byID[st.id] != st {
		return
	}
	delete(t.byID, st.id)
	t.standing = slices.DeleteFunc(t.standing, func(other *Stream) bool { return other == st })
	st.ended = true
	if st.open != nil {
		st.disconnect(true)
	}
	for _, e := range st.events {
		t.keptBytes -= e.size()
	}
	st.events = nil
	t.kept = slices.DeleteFunc(t.kept, func(other *Stream) bool { return other == st })
}

// Take says that the events it gave before were written, and gives those that
// wait, none if there are none now. io.EOF is the end of the stream, ErrNoStream
// that of this connection only.
func (c *Connection) Take(into []Event) ([]Event, error) {
	st := c.stream
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	if st.open != c {
		return nil, ErrNoStream
	}
	st.all.settle(st, c.taken)
	c.taken = st.waiting
	if st.waiting == 0 && st.ended {
		return nil, io.EOF
	}
	st.given = st.given || c.taken > 0
	return append(into[:0], st.events[len(st.events)-st.waiting:]...), nil
}

// Wake yields when there may be something to take.
func (c *Connection) Wake() <-chan struct{} { return c.wake }

// Close says that the connection is gone. It need not have been written on.
func (c *Connection) Close() {
	st := c.stream
	st.all.mu.Lock()
	defer st.all.mu.Unlock()
	if st.open == c {
		st.disconnect(false)
	}
}
