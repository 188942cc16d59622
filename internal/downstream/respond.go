package downstream

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// ownWriter is the http.ResponseWriter of a request that was read here. One
// goroutine at a time uses it.
type ownWriter struct {
	conn   net.Conn
	ending *atomic.Bool // the response is the last of its connection
	header http.Header
	status int
	begun  bool // the head is in out, or sent
	chunks bool
	length int         // of the body, as the head says; -1 before it is known
	body   int         // bytes of the body so far
	timed  atomic.Bool // the handler set a deadline for writing
	until  time.Time   // that of the connection otherwise
	out    []byte      // not sent yet
	err    error       // of the first write that did not succeed
}

// keptBuffer is what a connection keeps between two requests.
const keptBuffer = 8 << 10

var errLongBody = errors.New("the body is longer than its head says")

func (w *ownWriter) reset() {
	out := w.out[:0]
	if cap(out) > keptBuffer {
		out = nil
	}
	w.header, w.status, w.begun, w.chunks = make(http.Header, 4), 0, false, false
	w.length, w.body, w.out, w.err = -1, 0, out, nil
	w.timed.Store(false)
}

func (w *ownWriter) Header() http.Header { return w.header }

func (w *ownWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// begin writes the head. Without a length given, the body comes in chunks.
func (w *ownWriter) begin() {
	w.begun = true
	w.WriteHeader(http.StatusOK)
	w.length = -1
	if given := w.header[contentLength]; len(given) == 1 {
		if n, err := strconv.Atoi(given[0]); err == nil {
			w.length = n
		}
	}
	w.chunks = w.length < 0 && w.status != http.StatusNoContent
	head := append(w.out, "HTTP/1.1 "...)
	head = strconv.AppendInt(head, int64(w.status), 10)
	head = append(append(append(head, ' '), http.StatusText(w.status)...), "\r\nDate: "...)
	head = append(append(head, date()...), "\r\n"...)
	for name, values := range w.header {
		for _, value := range values {
			head = append(append(append(head, name...), ": "...), oneLineText(value)...)
			head = append(head, "\r\n"...)
		}
	}
	if w.ending.Load() {
		head = append(head, "Connection: close\r\n"...)
	}
	if w.chunks {
		head = append(head, "Transfer-Encoding: chunked\r\n"...)
	}
	w.out = append(head, "\r\n"...)
}

// append adds a piece of the body to what is not sent yet.
func (w *ownWriter) append(b []byte) {
	if w.chunks {
		w.out = strconv.AppendInt(w.out, int64(len(b)), 16)
		w.out = append(w.out, "\r\n"...)
	}
	w.out = append(w.out, b...)
	if w.chunks {
		w.out = append(w.out, "\r\n"...)
	}
	w.body += len(b)
}

func (w *ownWriter) Write(b []byte) (int, error) {
	if w.err != nil || len(b) == 0 {
		return 0, w.err
	}
	if !w.begun {
		w.begin()
	}
	if w.status == http.StatusNoContent || w.length >= 0 && w.body+len(b) > w.length {
		w.err = errLongBody
		return 0, w.err
	}
	if len(b) > keptBuffer && !w.chunks { // not copied
		w.limit()
		whole := net.Buffers{w.out, b}
		_, w.err = whole.WriteTo(w.conn)
		w.out = w.out[:0]
		w.body += len(b)
	} else if w.append(b); len(w.out) > keptBuffer {
		w.send()
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(b), nil
}

func (w *ownWriter) send() {
	if w.err == nil && len(w.out) > 0 {
		w.limit()
		_, w.err = w.conn.Write(w.out)
	}
	w.out = w.out[:0]
}

// limit gives a client that sends requests and does not read the answers between
// one and two writeTimeouts. A deadline for each response would cost more than the
// guard is worth.
func (w *ownWriter) limit() {
	if w.timed.Load() {
		return
	}
	if now := time.Now(); w.until.Sub(now) < writeTimeout {
		w.until = now.Add(2 * writeTimeout)
		_ = w.conn.SetWriteDeadline(w.until) // if it fails, writing does, too
	}
}

// FlushError sends what was written.
func (w *ownWriter) FlushError() error {
	if !w.begun {
		w.begin()
	}
	w.send()
	return w.err
}

func (w *ownWriter) SetWriteDeadline(t time.Time) error {
	w.timed.Store(true)
	return w.conn.SetWriteDeadline(t)
}

// finish sends the rest of the response. It reports whether the connection can
// carry another.
func (w *ownWriter) finish() bool {
	if !w.begun {
		if w.status != http.StatusNoContent && w.header[contentLength] == nil {
			w.header[contentLength] = []string{"0"}
		}
		w.begin()
	}
	if w.chunks {
		w.out = append(w.out, "0\r\n\r\n"...)
	}
	w.send()
	if w.timed.Load() && w.err == nil {
		w.until = time.Time{} // the next response sets its own
	}
	return w.err == nil && (w.length < 0 || w.body == w.length)
}

// oneLineText keeps a value from becoming several header lines.
func oneLineText(value string) string {
	if strings.ContainsAny(value, "\r\n") {
		return strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	return value
}

// clockText is the Date of one second.
type clockText struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[clockText]

// date is the time as Date says it, written anew once a second.
func date() string {
	now := time.Now()
	if last := lastDate.Load(); last != nil && last.second == now.Unix() {
		return last.text
	}
	next := &clockText{now.Unix(), now.UTC().Format(http.TimeFormat)}
	lastDate.Store(next)
	return next.text
}
