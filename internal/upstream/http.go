package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"sync"
	"sync/atomic"
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
	headerSession   = "Mcp-Session-Id"
	headerVersion   = "Mcp-Protocol-Version"
	headerLastEvent = "Last-Event-Id"
	// maxErrorBytes of the body of an HTTP error are read, in case it is a
	// JSON-RPC error.
	maxErrorBytes = 64 << 10
	// The stream for messages outside of calls is opened again after these
	// waits, the last one for as long as the session lives.
	firstRetry, lastRetry = time.Second, 30 * time.Second
	// minRetry is the shortest of these waits, whatever the server asks for.
	minRetry = 100 * time.Millisecond
	endGrace = time.Second
)

// Client is a connection to an Endpoint: one session of the initialize-based
// revisions, or no session at all.
type Client struct {
	endpoint  Endpoint
	to        address
	limits    Limits
	inbound   Inbound
	log       *slog.Logger
	ctx       context.Context // ends with Close; for the standing stream
	end       context.CancelFunc
	done      chan struct{}
	closing   sync.Once
	finishing sync.Once
	streams   sync.WaitGroup
	sse       atomic.Pointer[sse2024] // what c has become, if the server is of 2024-11-05

	mu      sync.Mutex // guards what follows
	session string
	post    http.Header // of every POST; never changed, only replaced
	get     http.Header // of every GET
}

// Dial makes a Client. Nothing is sent before the first Call.
func Dial(e Endpoint, t http.RoundTripper, limits Limits, log *slog.Logger, inbound Inbound) *Client {
	c := &Client{endpoint: e, to: newAddress(e.URL, t), limits: limits, inbound: inbound, log: log, done: make(chan struct{})}
	c.ctx, c.end = context.WithCancel(context.Background())
	c.setHeaders("")
	return c
}

// setHeaders prepares the headers of all requests; the caller holds mu, or is the
// only one to know c.
func (c *Client) setHeaders(version string) {
	common := http.Header{"User-Agent": {"gatehouse"}}
	maps.Copy(common, c.endpoint.Header)
	if !c.endpoint.Modern { // where the version is one of the headers of the request
		if c.session != "" {
			common[headerSession] = []string{c.session}
		}
		if version != "" {
			common[headerVersion] = []string{version}
		}
	}
	c.get, c.post = maps.Clone(common), common
	c.get["Accept"] = []string{"text/event-stream"}
	c.post["Accept"] = []string{"application/json, text/event-stream"}
	c.post["Content-Type"] = []string{"application/json"}
}

// headers are those of a POST and of a GET. They are not to be changed.
func (c *Client) headers() (post, get http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.post, c.get
}

// address is where requests go.
type address struct {
	transport http.RoundTripper
	request   *http.Request // what all of them have in common
	err       error         // why there are none
}

func newAddress(url string, t http.RoundTripper) address {
	request, err := http.NewRequest(http.MethodPost, url, nil)
	return address{t, request, err}
}

// send sends one request, with a body if there is one.
func (a address) send(ctx context.Context, method string, header http.Header, raw []byte) (*http.Response, error) {
	if a.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, a.err)
	}
	req := a.request.WithContext(ctx)
	req.Method, req.Header = method, header
	if raw != nil {
		req.Body, req.ContentLength = newContent(raw), int64(len(raw))
		req.GetBody = func() (io.ReadCloser, error) { return newContent(raw), nil }
	}
	// RoundTrip and not Client.Do: a redirect would carry the request, and its
	// credentials, to a place that nobody configured.
	resp, err := a.transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return resp, nil
}

// content is the body of a request.
type content struct{ bytes.Reader }

func newContent(raw []byte) *content {
	c := &content{}
	c.Reset(raw)
	return c
}

func (*content) Close() error { return nil }

// Done is closed by Close, and when the one stream of a server of 2024-11-05 has
// ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Call posts one request and reads the answer, plain or at the end of a stream.
func (c *Client) Call(ctx context.Context, r Request) (Answer, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(c.ctx, func() { stop(ErrEnded) })()
	if s := c.sse.Load(); s != nil {
		return s.call(ctx, r, s.send)
	}
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
	header, _ := c.headers()
	resp, err := c.to.send(ctx, http.MethodPost, withExtra(header, r.Header), r.Message.Raw)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return c.httpError(ctx, resp, r)
	}
	var message *wire.Message
	switch mediaType(resp.Header) {
	case "application/json":
		message, err = c.readJSON(resp)
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
	c.session = session
	c.setHeaders(m.Result.Get("protocolVersion").Text())
}

// withExtra adds the headers of one request. Ours are not replaced: no client's
// credentials instead of those that are configured.
func withExtra(header, extra http.Header) http.Header {
	if len(extra) == 0 {
		return header
	}
	all := make(http.Header, len(header)+len(extra))
	maps.Copy(all, extra)
	maps.Copy(all, header)
	return all
}

// Send posts a notification or a response.
func (c *Client) Send(ctx context.Context, raw []byte) error {
	if s := c.sse.Load(); s != nil {
		return s.send(ctx, raw)
	}
	header, _ := c.headers()
	resp, err := c.to.send(ctx, http.MethodPost, header, raw)
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
	if c.sse.Load() != nil {
		return // it has only that stream
	}
	c.streams.Go(func() {
		var s standing
		var wait time.Duration
		for c.ctx.Err() == nil {
			began := time.Now()
			again, opened := c.listenOnce(&s)
			switch {
			case !again:
				return
			case opened && s.paced:
				// "The client MUST respect the retry field, waiting the given number of
				// milliseconds before attempting to reconnect."
				wait = max(s.retry, minRetry)
			case wait == 0 || time.Since(began) > lastRetry: // it stood; it was closed as servers do now and then
				wait = firstRetry
			default:
				wait = min(max(2*wait, firstRetry), lastRetry)
			}
			select {
			case <-c.ctx.Done():
			case <-time.After(wait):
			}
		}
	})
}

// standing is what is known of the standing stream when it is opened again.
type standing struct {
	lastID string        // of the last event that was passed on
	retry  time.Duration // what the server asked for
	paced  bool          // it did
}

// listenOnce reads the stream until it ends. It says whether to open it again, and
// whether it was open.
func (c *Client) listenOnce(s *standing) (again, opened bool) {
	_, header := c.headers()
	if s.lastID != "" {
		// "the client SHOULD issue an HTTP GET … and include the Last-Event-ID header":
		// the server then sends what was missed.
		header = withExtra(header, http.Header{headerLastEvent: {s.lastID}})
	}
	resp, err := c.to.send(c.ctx, http.MethodGet, header, nil)
	if err != nil {
		return true, false
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || mediaType(resp.Header) != "text/event-stream" {
		return c.listenAgain(resp.StatusCode, s), false
	}
	events := newEventReader(resp.Body, c.limits.MessageBytes)
	defer events.release()
	events.lastID, events.retry, events.paced = s.lastID, s.retry, s.paced
	for count := 0; ; count++ {
		data, err := events.next()
		s.retry, s.paced = events.retry, events.paced
		if err != nil {
			s.lastID = events.lastID // one without data may have come behind the last message
			return !errors.Is(err, ErrTooLarge), true
		}
		if count >= maxUnasked {
			c.log.Warn("the stream was closed for a while", "error", fmt.Errorf("%w: over %d messages that belong to no call", ErrFlood, maxUnasked))
			return true, true
		}
		s.lastID = events.lastID
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

// listenAgain says whether the stream is tried again after a refusal.
func (c *Client) listenAgain(status int, s *standing) bool {
	switch {
	case status >= 500 || status == http.StatusTooManyRequests:
		return true
	case status == http.StatusConflict: // servers allow one stream, and take the one that broke for open
		return true
	case s.lastID != "" && status != http.StatusNotFound && status != http.StatusMethodNotAllowed:
		c.log.Warn("the server cannot go on after the last message of its stream; messages may be missing", "status", status)
		*s = standing{}
		return true
	}
	return false
}

// Close ends the session: "Clients that no longer need a particular session
// SHOULD send an HTTP DELETE".
func (c *Client) Close() {
	c.closing.Do(func() {
		if c.hasSession() {
			ctx, stop := context.WithTimeout(context.Background(), endGrace)
			defer stop()
			_, header := c.headers()
			if resp, err := c.to.send(ctx, http.MethodDelete, header, nil); err == nil {
				resp.Body.Close()
			}
		}
		if s := c.sse.Load(); s != nil {
			s.end(ErrEnded)
		}
		c.end()
		c.finish()
	})
	c.streams.Wait()
	if s := c.sse.Load(); s != nil {
		<-s.done
	}
}

func (c *Client) finish() { c.finishing.Do(func() { close(c.done) }) }

func (c *Client) hasSession() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session != ""
}

func (c *Client) readJSON(resp *http.Response) (*wire.Message, error) {
	raw, err := readAll(resp.Body, resp.ContentLength, c.limits.MessageBytes)
	if err != nil {
		return nil, err
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
	defer func() { events.release() }()
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
		events.release()
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
	_, header := c.headers()
	resp, err := c.to.send(ctx, http.MethodGet, withExtra(header, http.Header{headerLastEvent: {lastID}}), nil)
	if err != nil {
		return nil, err
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
func (c *Client) httpError(ctx context.Context, resp *http.Response, r Request) (Answer, error) {
	if resp.StatusCode == http.StatusNotFound && c.hasSession() {
		// "When a client receives HTTP 404 in response to a request containing an
		// Mcp-Session-Id, it MUST start a new session", whatever the body says.
		return Answer{}, ErrSessionLost
	}
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	if m, err := wire.Parse(raw, c.limits.wireLimits()); err == nil && m.Kind == wire.Response && m.ID == r.Message.ID {
		return Answer{Message: m, Status: resp.StatusCode}, nil
	}
	failure := statusError(resp.StatusCode)
	if !c.old(resp.StatusCode, r) {
		return Answer{}, failure
	}
	s, err := c.open2024(ctx)
	if err != nil {
		return Answer{}, fmt.Errorf("%w; as a server of 2024-11-05: %w", failure, err)
	}
	return s.call(ctx, r, s.send)
}

// statusError says what a status that is no success means.
func statusError(status int) error {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fmt.Errorf("%w: it wants other credentials (HTTP status %d)", ErrUnavailable, status)
	case status >= 300 && status < 400:
		return fmt.Errorf("%w: it redirects (HTTP status %d), which is not followed; configure the final URL", ErrUnavailable, status)
	}
	return fmt.Errorf("%w: HTTP status %d", ErrUnavailable, status)
}

func mediaType(h http.Header) string {
	switch plain := h.Get("Content-Type"); plain {
	case "application/json", "text/event-stream":
		return plain
	}
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}
