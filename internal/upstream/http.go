package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"sync"
	"time"

	"gatehouse/internal/wire"
)

// Endpoint is a Streamable HTTP server.
type Endpoint struct {
	URL    string
	Header http.Header // credentials and the like, already resolved
	Modern bool        // 2026-07-28: no session, closing a stream cancels
}

const (
	headerSession = "Mcp-Session-Id"
	headerVersion = "Mcp-Protocol-Version"
	// maxErrorBytes of the body of an HTTP error are read, in case it is a
	// JSON-RPC error.
	maxErrorBytes = 64 << 10
	// The stream for messages outside of calls is opened again after these
	// waits, the last one for as long as the session lives.
	firstRetry, lastRetry = time.Second, 30 * time.Second
	endGrace              = time.Second
)

// NewTransport is the HTTP client side shared by all connections to one server.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        90 * time.Second,
		DisableCompression:     true, // a small body must not unfold into a large one
		MaxResponseHeaderBytes: 64 << 10,
		WriteBufferSize:        32 << 10,
		ReadBufferSize:         32 << 10,
	}
}

// Client is a connection to an Endpoint: one session of the initialize-based
// revisions, or no session at all.
type Client struct {
	endpoint  Endpoint
	transport http.RoundTripper
	limits    Limits
	inbound   Inbound
	log       *slog.Logger
	ctx       context.Context // ends with Close; for the standing stream
	end       context.CancelFunc
	done      chan struct{}
	closing   sync.Once
	streams   sync.WaitGroup

	mu      sync.Mutex // guards what follows
	session string
	version string
}

// Dial makes a Client. Nothing is sent before the first Call.
func Dial(e Endpoint, t http.RoundTripper, limits Limits, log *slog.Logger, inbound Inbound) *Client {
	c := &Client{endpoint: e, transport: t, limits: limits, inbound: inbound, log: log, done: make(chan struct{})}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

// Done is closed by Close and when the server has given up the session.
func (c *Client) Done() <-chan struct{} { return c.done }

// Call posts one request and reads the answer, plain or at the end of a stream.
func (c *Client) Call(ctx context.Context, r Request) (Answer, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(c.ctx, func() { stop(ErrEnded) })()
	answer, err := c.call(ctx, r)
	if err != nil && ctx.Err() != nil {
		if !c.endpoint.Modern && r.Message.Method != wire.MethodInitialize {
			// Legacy: "Disconnection SHOULD NOT be interpreted as the client cancelling
			// its request. To cancel, the client SHOULD explicitly send a
			// CancelledNotification."
			c.cancel(r.Message.ID)
		}
		return Answer{}, context.Cause(ctx)
	}
	return answer, err
}

func (c *Client) cancel(id wire.ID) {
	ctx, stop := context.WithTimeout(c.ctx, endGrace)
	defer stop()
	_ = c.Send(ctx, wire.NewNotification(wire.NotifyCancelled, fmt.Appendf(nil, `{"requestId":%s}`, id)))
}

func (c *Client) call(ctx context.Context, r Request) (Answer, error) {
	resp, err := c.post(ctx, r.Message.Raw, r.Header)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return c.httpError(resp, r)
	}
	var message *wire.Message
	switch mediaType(resp.Header) {
	case "application/json":
		message, err = c.readJSON(resp.Body)
	case "text/event-stream":
		message, err = c.readStream(ctx, resp.Body, r)
	default:
		return Answer{}, fmt.Errorf("%w: content type %q", ErrInvalid, resp.Header.Get("Content-Type"))
	}
	if err != nil {
		return Answer{}, err
	}
	if message.Kind != wire.Response || message.ID != r.Message.ID {
		return Answer{}, fmt.Errorf("%w: the answer is for another request", ErrInvalid)
	}
	if r.Message.Method == wire.MethodInitialize {
		c.began(resp.Header.Get(headerSession), message)
	}
	return Answer{Message: message, Status: resp.StatusCode}, nil
}

func (c *Client) began(session string, m *wire.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session, c.version = session, m.Result.Get("protocolVersion").Text()
}

// Send posts a notification or a response.
func (c *Client) Send(ctx context.Context, raw []byte) error {
	resp, err := c.post(ctx, raw, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBytes))
	if resp.StatusCode == http.StatusNotFound && c.hasSession() {
		return ErrSessionLost
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("%w: HTTP status %d", ErrInvalid, resp.StatusCode)
	}
	return nil
}

// Listen holds the stream open on which a legacy server sends what belongs to no
// call. Servers without one answer 405, and that ends it.
func (c *Client) Listen() {
	c.streams.Add(1)
	go func() {
		defer c.streams.Done()
		for wait := firstRetry; c.ctx.Err() == nil; wait = min(2*wait, lastRetry) {
			began := time.Now()
			if !c.listenOnce() {
				return
			}
			if time.Since(began) > lastRetry {
				wait = firstRetry // it stood; it was closed as servers do now and then
			}
			select {
			case <-c.ctx.Done():
			case <-time.After(wait):
			}
		}
	}()
}

func (c *Client) listenOnce() (again bool) {
	req, err := http.NewRequestWithContext(c.ctx, http.MethodGet, c.endpoint.URL, nil)
	if err != nil {
		return false
	}
	c.setHeader(req, nil)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return true
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || mediaType(resp.Header) != "text/event-stream" {
		return resp.StatusCode >= 500
	}
	events := newEventReader(resp.Body, c.limits.MessageBytes)
	for count := 0; ; count++ {
		data, err := events.next()
		if err != nil {
			return !errors.Is(err, ErrTooLarge)
		}
		if count >= maxUnasked {
			c.log.Warn("the stream was closed for a while", "error", fmt.Errorf("%w: over %d messages that belong to no call", ErrFlood, maxUnasked))
			return true
		}
		m, err := wire.Parse(data, c.limits.wireLimits())
		if err != nil {
			c.log.Warn("a message that is not valid was dropped", "error", err)
			continue
		}
		if m.Kind != wire.Response {
			c.inbound(m, nil)
		}
	}
}

// Close ends the session: "Clients that no longer need a particular session
// SHOULD send an HTTP DELETE".
func (c *Client) Close() {
	c.closing.Do(func() {
		if c.hasSession() {
			ctx, stop := context.WithTimeout(context.Background(), endGrace)
			defer stop()
			if req, err := http.NewRequestWithContext(ctx, http.MethodDelete, c.endpoint.URL, nil); err == nil {
				c.setHeader(req, nil)
				if resp, err := c.transport.RoundTrip(req); err == nil {
					resp.Body.Close()
				}
			}
		}
		c.end()
		close(c.done)
	})
	c.streams.Wait()
}

func (c *Client) hasSession() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session != ""
}

func (c *Client) post(ctx context.Context, raw []byte, extra http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint.URL, bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	c.setHeader(req, extra)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	// RoundTrip and not Client.Do: a redirect would carry the request, and its
	// credentials, to a place that nobody configured.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return resp, nil
}

func (c *Client) setHeader(req *http.Request, extra http.Header) {
	for name, values := range extra {
		req.Header[name] = values
	}
	for name, values := range c.endpoint.Header {
		req.Header[name] = values
	}
	if c.endpoint.Modern {
		return // the version is one of the extra headers
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != "" {
		req.Header.Set(headerSession, c.session)
	}
	if c.version != "" {
		req.Header.Set(headerVersion, c.version)
	}
}

func (c *Client) readJSON(body io.Reader) (*wire.Message, error) {
	raw, err := io.ReadAll(io.LimitReader(body, int64(c.limits.MessageBytes)+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnded, err)
	}
	if len(raw) > c.limits.MessageBytes {
		return nil, fmt.Errorf("%w of %d bytes", ErrTooLarge, c.limits.MessageBytes)
	}
	return c.parse(raw)
}

func (c *Client) parse(raw []byte) (*wire.Message, error) {
	m, err := c.limits.parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return m, nil
}

// readStream hands over what comes before the answer, in order, and returns the
// answer. A server that closes the stream early, to be asked again later, is asked
// again (2025-11-25, "resumability and redelivery").
func (c *Client) readStream(ctx context.Context, body io.Reader, r Request) (*wire.Message, error) {
	events := newEventReader(body, c.limits.MessageBytes)
	count := 0
	for resumed := 0; ; resumed++ {
		m, err := c.untilAnswer(ctx, events, r, &count)
		if !errors.Is(err, ErrEnded) || events.lastID == "" || c.endpoint.Modern || resumed >= maxResumed {
			return m, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(events.retry):
		}
		resp, err := c.resume(ctx, events.lastID)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close() // at the end of the call; there are at most maxResumed
		next := newEventReader(resp.Body, c.limits.MessageBytes)
		next.lastID, next.retry = events.lastID, events.retry
		events = next
	}
}

// maxResumed is how often a server may close the stream of one call.
const maxResumed = 100

func (c *Client) untilAnswer(ctx context.Context, events *eventReader, r Request, count *int) (*wire.Message, error) {
	for ; ; *count++ {
		data, err := events.next()
		if err != nil {
			return nil, err
		}
		m, err := c.parse(data)
		if err != nil {
			return nil, err
		}
		if m.Kind == wire.Response {
			return m, nil
		}
		if *count >= c.limits.Events && !unbounded(r.Message.Method) {
			return nil, fmt.Errorf("%w of %d in one call", ErrFlood, c.limits.Events)
		}
		c.inbound(m, r.Tag)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

func (c *Client) resume(ctx context.Context, lastID string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.endpoint.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	c.setHeader(req, nil)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", lastID)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if resp.StatusCode != http.StatusOK || mediaType(resp.Header) != "text/event-stream" {
		resp.Body.Close()
		return nil, fmt.Errorf("%w: the stream cannot be resumed (HTTP status %d)", ErrEnded, resp.StatusCode)
	}
	return resp, nil
}

// unbounded tells the one request that is answered by a stream without end.
func unbounded(method string) bool { return method == wire.MethodListen }

// httpError makes the most of a status that is no success: a JSON-RPC error is
// the server's answer (2026-07-28 sends some of them with 400 and 404), anything
// else an error of the connection.
func (c *Client) httpError(resp *http.Response, r Request) (Answer, error) {
	if resp.StatusCode == http.StatusNotFound && c.hasSession() {
		// "When a client receives HTTP 404 in response to a request containing an
		// Mcp-Session-Id, it MUST start a new session", whatever the body says.
		return Answer{}, ErrSessionLost
	}
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	if m, err := wire.Parse(raw, c.limits.wireLimits()); err == nil && m.Kind == wire.Response && m.ID == r.Message.ID {
		return Answer{Message: m, Status: resp.StatusCode}, nil
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return Answer{}, fmt.Errorf("%w: it wants other credentials (HTTP status %d)", ErrUnavailable, resp.StatusCode)
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return Answer{}, fmt.Errorf("%w: it redirects (HTTP status %d), which is not followed; configure the final URL", ErrUnavailable, resp.StatusCode)
	default:
		return Answer{}, fmt.Errorf("%w: HTTP status %d", ErrUnavailable, resp.StatusCode)
	}
}

func mediaType(h http.Header) string {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}
