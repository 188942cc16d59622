// Package upstream holds the connections towards servers: processes that speak
// on stdin and stdout, Streamable HTTP endpoints, and servers of the HTTP+SSE
// transport of 2024-11-05. It moves strict messages and decides nothing;
// everything a server sends is bounded here, in size, in number and in time.
package upstream

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gatehouse/internal/wire"
)

// Errors that callers tell apart. All of them end the call they answer.
var (
	ErrUnavailable = errors.New("the server cannot be reached")
	ErrEnded       = errors.New("the server ended")
	ErrInvalid     = errors.New("the server sent something that is no valid message")
	ErrTooLarge    = errors.New("the server sent a message over the size bound")
	ErrFlood       = errors.New("the server sent more messages than the bound")
	ErrSessionLost = errors.New("the server no longer knows the session")
)

// Limits bound what one server may send.
type Limits struct {
	MessageBytes int           // one message
	Events       int           // messages that belong to one call, before its answer
	WriteTimeout time.Duration // until a server must have read what was written to it
	// Lists remembers the server's lists, so that one that did not change is not
	// scanned again; nil remembers nothing.
	Lists *wire.Memo
}

// Request is one request to a server.
type Request struct {
	Message *wire.Message
	// Header are the Mcp-* headers of the request; only HTTP sends them.
	Header http.Header
	// Tag is handed to Inbound together with everything that belongs to this
	// request.
	Tag any
}

// Answer is the response to a Request.
type Answer struct {
	Message *wire.Message // its id is the one of the request
	Status  int           // HTTP status; 200 for a process
}

// Inbound is called with what a server sends by itself, requests and
// notifications, one at a time per stream and in the order they came. The tag is
// that of the Request the message belongs to, nil where there is none or where
// it cannot be told.
type Inbound func(m *wire.Message, tag any)

// Conn is a connection to one server.
type Conn interface {
	// Call sends a request and waits for its answer. When ctx ends first, the
	// server is told in the way of its transport and era.
	Call(ctx context.Context, r Request) (Answer, error)
	// Send sends a notification or a response.
	Send(ctx context.Context, raw []byte) error
	// Close ends the connection, and the process with everything it started. It
	// returns when that is done.
	Close()
	// Done is closed when the connection can no longer be used.
	Done() <-chan struct{}
}

// parse reads one message from a server.
func (l Limits) parse(raw []byte) (*wire.Message, error) {
	if l.Lists != nil {
		return l.Lists.Parse(raw, l.wireLimits())
	}
	return wire.Parse(raw, l.wireLimits())
}

// wireLimits are the bounds of the scan of one message from a server.
func (l Limits) wireLimits() wire.Limits { return wire.Limits{Bytes: l.MessageBytes} }
