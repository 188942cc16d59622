package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/wire"
)

// sse2024 is a connection over HTTP with SSE, the transport of 2024-11-05: all that
// the server sends comes on one stream, and what it is sent is posted to an address
// that the stream begins with. When the stream ends, so does the session.
type sse2024 struct {
	calls
	to      address
	header  http.Header // of every POST
	inbound Inbound
	done    chan struct{} // closed when the stream has ended
}

const (
	// endpointTimeout is how long a stream may take to name its endpoint. It is the
	// first thing that a server of 2024-11-05 sends.
	endpointTimeout = 10 * time.Second
	maxEndpoint     = 8 << 10 // bytes of it
)

// old tells the answers to initialize that a server of 2024-11-05 gives: "If it
// fails with the following HTTP status codes '400 Bad Request', '404 Not Found' or
// '405 Method Not Allowed': Issue a GET request to the server URL".
func (c *Client) old(status int, r Request) bool {
	if c.endpoint.Modern || r.Message.Method != wire.MethodInitialize || c.hasSession() {
		return false
	}
	return status == http.StatusBadRequest || status == http.StatusNotFound || status == http.StatusMethodNotAllowed
}

// open2024 makes c a connection over HTTP with SSE, "expecting that this will open
// an SSE stream and return an endpoint event as the first event".
func (c *Client) open2024(ctx context.Context) (*sse2024, error) {
	lasting, stop := context.WithCancelCause(c.ctx)
	ctx, late := context.WithTimeout(ctx, endpointTimeout)
	defer late()
	opened := context.AfterFunc(ctx, func() { stop(context.Cause(ctx)) })
	s, events, err := c.begin2024(lasting)
	if err != nil {
		stop(nil)
		return nil, err
	}
	if !opened() {
		events.Close()
		return nil, context.Cause(ctx)
	}
	go func() {
		s.end(s.read(events))
		stop(nil)
		events.Close()
		close(s.done)
		c.finish()
	}()
	c.sse.Store(s)
	return s, nil
}

// stream is an open stream of events.
type stream struct {
	*eventReader
	body io.Closer
}

func (s stream) Close() {
	s.body.Close()
	s.release()
}

// begin2024 opens the stream and reads the endpoint.
func (c *Client) begin2024(ctx context.Context) (*sse2024, stream, error) {
	post, get := c.headers()
	resp, err := c.to.send(ctx, http.MethodGet, get, nil)
	if err != nil {
		return nil, stream{}, err
	}
	if resp.StatusCode != http.StatusOK || mediaType(resp.Header) != "text/event-stream" {
		resp.Body.Close()
		return nil, stream{}, fmt.Errorf("%w: it opens no stream (HTTP status %d)", ErrUnavailable, resp.StatusCode)
	}
	events := stream{newEventReader(resp.Body, c.limits.MessageBytes), resp.Body}
	first, err := events.event()
	if err == nil && first.kind != "endpoint" {
		err = fmt.Errorf("%w: its stream does not begin with an endpoint", ErrInvalid)
	}
	var to string
	if err == nil {
		to, err = endpointURL(c.to.request.URL, first.data)
	}
	if err != nil {
		events.Close()
		return nil, stream{}, err
	}
	s := &sse2024{
		calls: newCalls(c.limits), to: newAddress(to, c.to.transport), header: post, inbound: c.inbound, done: make(chan struct{}),
	}
	s.onlyOne = true
	return s, events, nil
}

// endpointURL is where messages are posted. It must be of the origin that was
// configured: a server must not have our requests, and its credentials, sent
// elsewhere.
func endpointURL(base *url.URL, data []byte) (string, error) {
	if len(data) > maxEndpoint {
		return "", fmt.Errorf("%w: an endpoint of over %d bytes", ErrInvalid, maxEndpoint)
	}
	u, err := base.Parse(string(data))
	if err != nil {
		return "", fmt.Errorf("%w: its endpoint is no URL", ErrInvalid)
	}
	if u.Scheme != base.Scheme || !strings.EqualFold(u.Hostname(), base.Hostname()) || port(u) != port(base) || u.User != nil || u.Opaque != "" {
		return "", fmt.Errorf("%w: its endpoint is of another origin", ErrInvalid)
	}
	return u.String(), nil
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// read takes what comes on the stream until it ends or is given up.
func (s *sse2024) read(events stream) error {
	for {
		data, err := events.next()
		if err != nil {
			return err
		}
		m, tag, err := s.take(data)
		if err != nil {
			return err
		}
		if m != nil {
			s.inbound(m, tag)
		}
	}
}

// send posts one message.
func (s *sse2024) send(ctx context.Context, raw []byte) error {
	if err := s.reason(); err != nil {
		return err
	}
	resp, err := s.to.send(ctx, http.MethodPost, s.header, raw)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBytes))
	switch {
	case resp.StatusCode == http.StatusNotFound:
		// The endpoint is the session's, so the server has forgotten it and did not take
		// the message.
		return ErrSessionLost
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return statusError(resp.StatusCode)
	}
	return nil
}
