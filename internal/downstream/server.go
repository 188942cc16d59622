package downstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// watchAfter is how long a request may take before its client is watched for
// going away. Most are answered before that, and are spared the goroutine and the
// read that net/http spends on it for each.
const watchAfter = 20 * time.Millisecond

// Server serves HTTP/1.1 on plain connections. Requests of the plain form of
// parseHead it reads and answers itself, at about two thirds of the cost; a
// connection with any other request goes to net/http, from that request on.
type Server struct {
	// HTTP has the handler and the timeouts, and serves what is not served here.
	HTTP *http.Server
	Log  *slog.Logger

	once    sync.Once
	others  handover
	closing atomic.Bool
	served  sync.WaitGroup

	mu       sync.Mutex // guards what follows
	listener net.Listener
	conns    map[*conn]struct{}
}

func (s *Server) begin() {
	s.once.Do(func() {
		s.others = handover{conns: make(chan net.Conn), done: make(chan struct{})}
		s.conns = map[*conn]struct{}{}
	})
}

// Serve accepts connections until the server is ended, and then returns
// http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error {
	s.begin()
	s.mu.Lock()
	s.listener, s.others.address = l, l.Addr()
	s.mu.Unlock()
	if s.closing.Load() { // before there was a listener to close
		l.Close()
		return http.ErrServerClosed
	}
	go s.HTTP.Serve(&s.others) // ends with HTTP
	for wait := time.Duration(0); ; {
		c, err := l.Accept()
		if s.closing.Load() {
			if err == nil {
				c.Close()
			}
			return http.ErrServerClosed
		}
		if err != nil {
			// Too many open files, most likely; that passes.
			if wait = min(max(2*wait, 5*time.Millisecond), time.Second); errors.Is(err, net.ErrClosed) {
				return err
			}
			s.Log.Warn("a connection was not accepted", "error", err)
			time.Sleep(wait)
			continue
		}
		wait = 0
		s.serve(c)
	}
}

func (s *Server) serve(nc net.Conn) {
	c := &conn{Conn: nc, server: s, remote: nc.RemoteAddr().String(), r: bufio.NewReaderSize(nc, maxOwnHead)}
	c.w.conn, c.w.ending = nc, &s.closing
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.served.Go(c.run)
}

// Shutdown ends idle connections at once and the others after their response, or
// returns when ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop(false)
	err := s.HTTP.Shutdown(ctx)
	done := make(chan struct{})
	go func() { // ends with the connections
		s.served.Wait()
		close(done)
	}()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends all connections.
func (s *Server) Close() error {
	s.stop(true)
	return s.HTTP.Close()
}

func (s *Server) stop(busyToo bool) {
	s.begin()
	s.closing.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		s.listener.Close()
	}
	for c := range s.conns {
		if busyToo || !c.busy.Load() {
			c.Close()
		}
	}
}

// conn is a connection as long as it is served here. One goroutine owns it.
type conn struct {
	net.Conn
	server *Server
	remote string
	r      *bufio.Reader
	w      ownWriter
	watch  watch
	busy   atomic.Bool
}

func (c *conn) run() {
	kept := false // somebody else has it now
	defer func() {
		c.server.mu.Lock()
		delete(c.server.conns, c)
		c.server.mu.Unlock()
		if !kept {
			c.Close()
		}
	}()
	for {
		h, plain, err := c.head()
		if err != nil {
			return
		}
		if !plain {
			kept = c.server.others.take(c)
			return
		}
		body, err := c.body(h.length)
		if err != nil {
			return
		}
		if !c.answer(h.request(body)) || c.server.closing.Load() {
			return
		}
		c.busy.Store(false)
		if c.server.closing.Load() {
			return // stop may have seen it busy
		}
	}
}

// head waits for a request. What was read stays buffered if it is not plain.
func (c *conn) head() (h head, plain bool, err error) {
	if err := c.SetReadDeadline(deadline(c.server.HTTP.IdleTimeout)); err != nil {
		return h, false, err
	}
	for have := 0; ; {
		if _, err := c.r.Peek(have + 1); err != nil {
			return h, false, err
		}
		c.busy.Store(true)
		text, _ := c.r.Peek(c.r.Buffered())
		const post = "POST "
		if n := min(len(text), len(post)); string(text[:n]) != post[:n] {
			return h, false, nil
		}
		if end := bytes.Index(text, endOfHead); end >= 0 {
			end += len(endOfHead)
			if h, plain = parseHead(text[:end]); plain {
				_, _ = c.r.Discard(end)
			}
			return h, plain, nil
		}
		if len(text) == maxOwnHead {
			return h, false, nil
		}
		if have == 0 {
			if err := c.SetReadDeadline(deadline(c.server.HTTP.ReadHeaderTimeout)); err != nil {
				return h, false, err
			}
		}
		have = len(text)
	}
}

func (c *conn) body(length int) ([]byte, error) {
	body := make([]byte, length)
	if c.r.Buffered() < length {
		if err := c.SetReadDeadline(deadline(c.server.HTTP.ReadTimeout)); err != nil {
			return nil, err
		}
	}
	_, err := io.ReadFull(c.r, body)
	return body, err
}

func deadline(d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}

// answer runs the handler. It reports whether the connection can go on.
func (c *conn) answer(r *http.Request) (on bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.RemoteAddr = c.remote
	c.w.reset()
	c.watch.begin(c, cancel)
	defer func() {
		if p := recover(); p != nil {
			on = false
			if p != http.ErrAbortHandler {
				c.server.Log.Error("a request ended in an internal error", "error", fmt.Sprintf("%v\n%s", p, debug.Stack()))
			}
		}
		on = c.watch.end() && on
	}()
	c.server.HTTP.Handler.ServeHTTP(&c.w, r.WithContext(ctx))
	return c.w.finish()
}

// watch reads ahead while a request is being answered, to learn that the client is
// gone.
type watch struct {
	conn  *conn
	timer *time.Timer

	mu   sync.Mutex         // guards what follows
	gone context.CancelFunc // of the request; nil: none is being answered
	done chan struct{}      // of the reading; nil: it has not begun
	err  error
}

func (w *watch) begin(c *conn, gone context.CancelFunc) {
	w.mu.Lock()
	w.gone = gone
	w.mu.Unlock()
	if w.timer != nil {
		w.timer.Reset(watchAfter)
		return
	}
	w.conn = c
	w.timer = time.AfterFunc(watchAfter, w.look)
}

// look is run by the timer. One that is late may look for the next request, which
// does no harm.
func (w *watch) look() {
	w.mu.Lock()
	if w.gone == nil || w.done != nil || w.conn.r.Buffered() > 0 || w.conn.SetReadDeadline(time.Time{}) != nil {
		w.mu.Unlock()
		return
	}
	done := make(chan struct{})
	w.done = done
	w.mu.Unlock()
	defer close(done)
	_, err := w.conn.r.Peek(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && w.gone != nil {
		w.gone()
		w.err = err
	} else if err != nil && !isTimeout(err) {
		w.err = err
	}
}

// end ends the watching. It reports whether the client is still there.
func (w *watch) end() bool {
	w.timer.Stop()
	w.mu.Lock()
	w.gone = nil
	done := w.done
	w.mu.Unlock()
	if done == nil {
		return true
	}
	_ = w.conn.SetReadDeadline(time.Unix(1, 0))
	<-done
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = nil
	return w.err == nil
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// handover is the listener from which net/http gets its connections.
type handover struct {
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
	address net.Addr
}

// take hands a connection on, with what was read of it.
func (h *handover) take(c *conn) bool {
	if c.SetReadDeadline(time.Time{}) != nil {
		return false
	}
	ahead, _ := c.r.Peek(c.r.Buffered())
	select {
	case h.conns <- &readAhead{Conn: c.Conn, ahead: ahead}:
		return true
	case <-h.done:
		return false
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

func (h *handover) Addr() net.Addr { return h.address }

// readAhead is a connection of which something was read already.
type readAhead struct {
	net.Conn
	ahead []byte
}

func (c *readAhead) Read(b []byte) (int, error) {
	if len(c.ahead) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.ahead)
	if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
		c.ahead = nil
	}
	return n, nil
}
