package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Transport is the HTTP client side shared by all connections to one server. It
// speaks HTTP/1.1 over pooled connections by itself where the URL is http: the
// calling goroutine writes the request at once and reads the answer. net/http's
// Transport hands each request to two goroutines and back, which costs more than
// everything else about a small call.
//
// All else goes to net/http: https, where HTTP/2 is of use and where bytes that
// wait on a socket say nothing about the connection; proxies from the
// environment; and systems on which an idle connection cannot be looked at.
type Transport struct {
	// DialContext makes every connection, those of net/http included; a guard that
	// refuses addresses belongs here. It is not changed after the first request. A
	// connection that is no syscall.Conn is used for one request only.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	rest *http.Transport

	mu    sync.Mutex // guards what follows
	idle  []*conn    // the one that was used last is the last one
	sweep *time.Timer
}

const (
	dialTimeout = 10 * time.Second
	// maxIdle is how many connections wait for the next request: as many as there
	// are exchanges at once by default.
	maxIdle = 256
	// idleTimeout is how long they wait, unless the server says that it waits less.
	idleTimeout = 90 * time.Second
	// idleMargin is how much earlier than the server we give a connection up, so
	// that a request does not meet the server's closing on its way.
	idleMargin = time.Second
	// maxPooledRequest is the largest buffer that is kept for the next request.
	maxPooledRequest = 64 << 10
	readBufferSize   = 32 << 10
	// streamBufferSize is also the longest line of a head that answers a GET.
	streamBufferSize = 8 << 10
	// drainTimeout and maxDrained bound the wait for the end of a stream whose
	// answer has been read already. It mostly comes at once.
	drainTimeout = 50 * time.Millisecond
	maxDrained   = 4 << 10
	// earlyTimeout is how long an answer is awaited to a request that could not be
	// written to its end.
	earlyTimeout = 500 * time.Millisecond
	// HTTP/2 connections are asked whether they live after this much silence.
	pingAfter, pingTimeout = 30 * time.Second, 15 * time.Second
)

// NewTransport makes a Transport.
func NewTransport() *Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	t := &Transport{DialContext: dialer.DialContext}
	t.rest = &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return t.DialContext(ctx, network, address)
		},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
		DisableCompression:     true, // a small body must not unfold into a large one
		MaxResponseHeaderBytes: maxHeadBytes,
		WriteBufferSize:        readBufferSize,
		ReadBufferSize:         readBufferSize,
	}
	return t
}

// RoundTrip sends one request, as http.RoundTripper says. Redirects are not
// followed and nothing is decompressed. The body of the response is read and closed
// by one goroutine; ending the request's context ends a Read that waits.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !t.ours(req) {
		return t.rest.RoundTrip(req)
	}
	buffer := requests.Get().(*[]byte)
	defer putRequest(buffer)
	out, err := appendRequest((*buffer)[:0], req)
	*buffer = out
	if err != nil {
		return nil, err
	}
	address := req.URL.Host
	if req.URL.Port() == "" {
		address = net.JoinHostPort(req.URL.Hostname(), "80")
	}
	for {
		if err := context.Cause(req.Context()); err != nil {
			return nil, err
		}
		c := t.take(address)
		reused := c != nil
		if !reused {
			if c, err = t.dial(req.Context(), address); err != nil {
				return nil, err
			}
		}
		resp, err := c.exchange(req, out)
		// The connection was looked at before, so it was closed just now. Only a request
		// of which the system took no byte has certainly not been seen by the server; any
		// other might be carried out twice.
		if reused && errors.Is(err, errNothingWritten) {
			continue
		}
		return resp, err
	}
}

// ours tells the requests that are not left to net/http.
func (t *Transport) ours(req *http.Request) bool {
	if !canLook || req.URL == nil || req.URL.Scheme != "http" || !plainHost(req.URL.Host) {
		return false
	}
	switch req.Method {
	case http.MethodGet, http.MethodPost, http.MethodDelete:
	default:
		return false
	}
	if req.ContentLength < 0 || req.ContentLength == 0 && req.Body != nil && req.Body != http.NoBody ||
		req.Host != "" && req.Host != req.URL.Host || req.TransferEncoding != nil || req.Trailer != nil || req.Close {
		return false
	}
	for _, name := range []string{"Connection", "Expect", "Upgrade"} {
		if _, found := req.Header[name]; found {
			return false
		}
	}
	proxy, err := t.rest.Proxy(req)
	return proxy == nil && err == nil
}

// plainHost tells a host that stands in a header as it stands in the URL, unlike
// names beyond ASCII and IPv6 zones.
func plainHost(host string) bool {
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c >= 0x7f || c == '%' {
			return false
		}
	}
	return host != ""
}

// requests holds *[]byte, in which requests are put together.
var requests = sync.Pool{New: func() any { return new([]byte) }}

func putRequest(b *[]byte) {
	if cap(*b) <= maxPooledRequest {
		requests.Put(b)
	}
}

// appendRequest writes the whole request, so that it leaves in one piece.
func appendRequest(out []byte, req *http.Request) ([]byte, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	target := req.URL.RequestURI()
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == 0x7f {
			return out, errors.New("the URL holds a space or a control character")
		}
	}
	out = append(append(append(out, req.Method...), ' '), target...)
	out = append(append(out, " HTTP/1.1\r\nHost: "...), req.URL.Host...)
	out = append(out, "\r\n"...)
	for name, values := range req.Header {
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer":
			continue // these say how the message is framed, which is decided here
		}
		if !isToken(name) {
			return out, fmt.Errorf("%q is no name of a header", name)
		}
		for _, value := range values {
			if !isFieldValue(value) {
				return out, fmt.Errorf("the value of the header %s holds a control character", name)
			}
			out = append(append(append(append(out, name...), ": "...), value...), "\r\n"...)
		}
	}
	if req.ContentLength > 0 || req.Method == http.MethodPost {
		out = strconv.AppendInt(append(out, "Content-Length: "...), req.ContentLength, 10)
		out = append(out, "\r\n"...)
	}
	out = append(out, "\r\n"...)
	if req.ContentLength == 0 {
		return out, nil
	}
	head := len(out)
	out = slices.Grow(out, int(req.ContentLength))[:head+int(req.ContentLength)]
	if _, err := io.ReadFull(req.Body, out[head:]); err != nil {
		return out, fmt.Errorf("reading the body of the request: %w", err)
	}
	return out, nil
}

// conn is one connection. It belongs to the goroutine that makes a request on it;
// while it is idle, to the Transport.
type conn struct {
	net.Conn
	transport *Transport
	address   string
	raw       syscall.RawConn // nil if it cannot be looked at
	abort     func()          // makes reading and writing fail

	ctx     context.Context // of the request
	stop    func() bool     // keeps abort from being called when ctx ends
	r       *bufio.Reader
	readers *sync.Pool // where r comes from
	until   time.Time  // end of being idle
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

func (t *Transport) dial(ctx context.Context, address string) (*conn, error) {
	dialled, err := t.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return newConn(t, dialled, address), nil
}

func newConn(t *Transport, dialled net.Conn, address string) *conn {
	c := &conn{Conn: dialled, transport: t, address: address}
	c.abort = func() { _ = dialled.SetDeadline(longAgo) }
	if sc, ok := dialled.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn()
	}
	return c
}

// take is an idle connection to the address that still stands, nil if there is
// none.
func (t *Transport) take(address string) *conn {
	for {
		c := t.pop(address)
		// Bytes that come while nothing was asked are the answer to nothing; they must
		// not become the answer to the next request.
		if c == nil || time.Now().Before(c.until) && c.silent() {
			return c
		}
		c.Close()
	}
}

func (t *Transport) pop(address string) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, c := range slices.Backward(t.idle) { // a server has one address, so the last one fits
		if c.address == address {
			t.idle = slices.Delete(t.idle, i, i+1)
			return c
		}
	}
	return nil
}

// put takes back a connection on which a response was read to its end.
func (t *Transport) put(c *conn, wait time.Duration) {
	c.until = time.Now().Add(wait)
	t.mu.Lock()
	kept := len(t.idle) < maxIdle
	if kept {
		t.idle = append(t.idle, c)
		if t.sweep == nil {
			t.sweep = time.AfterFunc(wait, t.closeOld)
		}
	}
	t.mu.Unlock()
	if !kept {
		c.Close()
	}
}

// closeOld closes the connections that were idle for too long.
func (t *Transport) closeOld() {
	now := time.Now()
	var old []*conn
	t.mu.Lock()
	t.sweep = nil
	t.idle = slices.DeleteFunc(t.idle, func(c *conn) bool {
		if now.Before(c.until) {
			return false
		}
		old = append(old, c)
		return true
	})
	if len(t.idle) > 0 {
		next := slices.MinFunc(t.idle, func(a, b *conn) int { return a.until.Compare(b.until) })
		t.sweep = time.AfterFunc(next.until.Sub(now), t.closeOld)
	}
	t.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
}

// CloseIdleConnections closes what waits for a next request.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	idle := t.idle
	t.idle = nil
	t.mu.Unlock()
	for _, c := range idle {
		c.Close()
	}
	t.rest.CloseIdleConnections()
}

// errNothingWritten says that the system took no byte of the request.
var errNothingWritten = errors.New("the connection was closed before the request")

// readers and streamReaders hold *bufio.Reader. Connections have one only while
// they are in use. A GET is answered by a stream of small events that may stand for
// as long as a client's session, of which there may be many.
var (
	readers       = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBufferSize) }}
	streamReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, streamBufferSize) }}
)

// exchange writes a request and reads the head of the response. After an error the
// connection is closed.
func (c *conn) exchange(req *http.Request, out []byte) (*http.Response, error) {
	c.ctx = req.Context()
	c.stop = context.AfterFunc(c.ctx, c.abort)
	if c.readers = &readers; req.Method == http.MethodGet {
		c.readers = &streamReaders
	}
	c.r = c.readers.Get().(*bufio.Reader)
	c.r.Reset(c.Conn)
	n, unsent := c.Write(out)
	if unsent != nil && n == 0 {
		return nil, c.fail(fmt.Errorf("%w: %w", errNothingWritten, unsent))
	}
	if unsent != nil { // a server may answer before it has read everything, and close
		_ = c.SetReadDeadline(time.Now().Add(earlyTimeout))
	}
	resp, err := c.readResponse(req, unsent == nil)
	if err != nil {
		return nil, c.fail(errors.Join(unsent, err))
	}
	return resp, nil
}

// fail ends the connection and says why: because the request's context ended, if
// it did.
func (c *conn) fail(err error) error {
	c.release()
	c.Close()
	if cause := context.Cause(c.ctx); cause != nil {
		return cause
	}
	return err
}

// release ends the use for one request. It reports whether the connection may be
// used for another: that nothing more was received, and that abort was not called
// and never will be.
func (c *conn) release() bool {
	clean := c.r.Buffered() == 0
	c.r.Reset(nil)
	c.readers.Put(c.r)
	c.r = nil
	return c.stop() && clean
}
