package downstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/wire"
)

const (
	headerLastEvent = "Last-Event-Id" // canonical form
	headerVersion   = "Mcp-Protocol-Version"
)

const (
	// writeTimeout is given for each piece of what is written. A client that does not
	// read for so long is given up.
	writeTimeout = 10 * time.Second
	// piece is what is written at once; a client over a slow line takes its time for
	// a large answer, but not for so little.
	piece = 64 << 10
	// What fits into the buffer of a socket is written without waiting for a client.
	socketBuffer = 16 << 10
	// Comments keep an idle stream open through proxies that close silent ones,
	// commonly after a minute.
	keepAlive = 25 * time.Second
	// patience is how long an answer may take before a client that can come back is
	// told where to. Few connections are lost within a second, and what takes longer
	// costs more than a stream does.
	patience = time.Second
	// reconnect is after how long a client should come back, in milliseconds.
	reconnect = "1000"
)

// primed are the revisions whose clients expect an event without data.
var primed = []string{"2025-11-25"}

// primes tells the clients that a stream is begun for with an event that has an id
// and no data. To those of earlier revisions it is no message.
func primes(h http.Header) bool { return slices.Contains(primed, h.Get(headerVersion)) }

// answer is the response to one POST: plain JSON, or a stream as soon as something
// must be sent ahead of the answer or the answer takes long.
type answer struct {
	http   *HTTP
	w      http.ResponseWriter
	r      *http.Request
	raw    []byte
	peer   *gateway.Peer
	cancel context.CancelFunc // of the exchange

	mu     sync.Mutex // guards what follows
	ended  bool
	stream *gateway.Stream // nil: none yet
	sent   chan struct{}   // closed when the stream was written, or given up
	late   *time.Timer
}

// emit sends a message ahead of the answer, and waits for nobody: it is called by
// what reads from a server.
func (a *answer) emit(raw []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || !acceptsStream(a.r) {
		return gateway.ErrNoStream
	}
	a.begin(a.session())
	return a.stream.Emit(raw)
}

// hurry begins the stream of an answer that takes long.
func (a *answer) hurry() {
	wait := keepAlive
	if a.peer.SessionID != "" && primes(a.r.Header) {
		wait = patience
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.late = time.AfterFunc(wait, a.isLate)
}

func (a *answer) isLate() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ended && !a.peer.Identified() {
		a.late.Reset(patience) // who is not known may have to be told so by the status
		return
	}
	session := a.session()
	if a.ended || !acceptsStream(a.r) || session == nil && !gateway.ModernHeader(a.r.Header) {
		return // initialize, whose session must be named in the head, or nobody's session
	}
	// Whatever is no request "MUST" be answered by 202 without a body.
	if m, err := wire.Parse(a.raw, wire.Limits{}); err == nil && m.Kind == wire.Request {
		a.begin(session)
	}
}

// session is the session of a request of the earlier revisions. Only its own
// principal finds it.
func (a *answer) session() *gateway.Session {
	if a.peer.SessionID == "" || gateway.ModernHeader(a.r.Header) {
		return nil
	}
	if !a.peer.Identified() {
		return nil
	}
	session, _ := a.http.Gateway.Session(context.Background(), a.peer)
	return session
}

// begin makes the response a stream; the caller holds mu.
func (a *answer) begin(session *gateway.Session) {
	if a.stream != nil {
		return
	}
	out := response{w: a.w, control: http.NewResponseController(a.w)}
	if session == nil {
		a.stream = gateway.NewStream()
	} else {
		a.stream = session.NewStream()
		if primes(a.r.Header) {
			a.stream.Prime()
		}
	}
	out.stream = a.stream.Connect(out.cut)
	a.sent = make(chan struct{})
	go func() { // ends when the stream does; finish awaits it
		defer close(a.sent)
		if err := out.run(a.r.Context()); err != nil && session == nil {
			a.cancel() // a client that cannot come back waits for nothing
		}
	}()
}

// finish writes the answer, behind everything that was sent ahead of it. After it
// emit fails.
func (a *answer) finish(reply gateway.Reply) {
	a.mu.Lock()
	a.ended = true
	a.late.Stop()
	stream := a.stream
	a.mu.Unlock()
	if stream == nil {
		a.plain(reply)
		return
	}
	stream.Finish(reply.Body)
	<-a.sent
}

func (a *answer) plain(reply gateway.Reply) { writeReply(a.w, reply) }

func writeReply(w http.ResponseWriter, reply gateway.Reply) {
	head := w.Header()
	if reply.RetryAfter > 0 {
		head.Set("Retry-After", strconv.Itoa(reply.RetryAfter)) // RFC 9110 section 10.2.3
	}
	if reply.Challenge != "" {
		head.Set("WWW-Authenticate", reply.Challenge)
	}
	if reply.Session != "" {
		head.Set(headerSession, reply.Session)
	}
	status := reply.Status
	if status == 0 {
		status = http.StatusOK
	}
	if reply.Body == nil {
		w.WriteHeader(status)
		return
	}
	head["Content-Type"] = jsonType
	head[contentLength] = []string{strconv.Itoa(len(reply.Body))}
	w.WriteHeader(status)
	if len(reply.Body) <= socketBuffer {
		_, _ = w.Write(reply.Body)
		return
	}
	out := response{w: w, control: http.NewResponseController(w)}
	_ = out.write(reply.Body)
}

// response writes a stream as text/event-stream.
type response struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stream  *gateway.Connection
}

// cut ends a write that waits for the client.
func (o response) cut() { _ = o.control.SetWriteDeadline(time.Unix(1, 0)) }

// run writes the stream until it ends. An error says that not all of it was
// written.
func (o response) run(ctx context.Context) error {
	defer o.stream.Close()
	head := o.w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-cache, no-transform")
	head.Set("X-Accel-Buffering", "no")
	o.w.WriteHeader(http.StatusOK)
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	var events []gateway.Event
	for begun := false; ; begun = true {
		var err error
		if events, err = o.stream.Take(events); errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(events) > 0 || !begun { // the head goes out with the first events, or alone
			if err := o.send(events); err != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-o.stream.Wake():
		case <-alive.C:
			if err := o.text([]byte(": still here\n\n")); err != nil {
				return err
			}
		}
	}
}

// send writes events and flushes once.
func (o response) send(events []gateway.Event) error {
	var text []byte
	for _, e := range events {
		if len(text) >= piece {
			if err := o.write(text); err != nil {
				return err
			}
			text = text[:0]
		}
		text = appendEvent(text, e)
	}
	return o.text(text)
}

func (o response) text(text []byte) error {
	if err := o.write(text); err != nil {
		return err
	}
	return o.control.Flush()
}

// write writes piece by piece, so that a client has time for each.
func (o response) write(text []byte) error {
	for part := range slices.Chunk(text, piece) {
		_ = o.control.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := o.w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func appendEvent(text []byte, e gateway.Event) []byte {
	if e.ID != "" {
		text = append(append(append(text, "id: "...), e.ID...), '\n')
	}
	if e.Data == nil {
		return append(text, "retry: "+reconnect+"\ndata: \n\n"...)
	}
	// Strict JSON has no raw line breaks but as white space, and an event ends at
	// one.
	text = append(append(text, "event: message\ndata: "...), oneLine(e.Data)...)
	return append(text, '\n', '\n')
}
