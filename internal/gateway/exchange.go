package gateway

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/decision"
	"gatehouse/internal/finding"
	"gatehouse/internal/halt"
	"gatehouse/internal/identity"
	"gatehouse/internal/inspect"
	"gatehouse/internal/limit"
	"gatehouse/internal/policy"
	"gatehouse/internal/wire"
)

// Peer is where a message came from and how an answer gets there.
type Peer struct {
	// Local reports that the peer is on this machine: connected over loopback or
	// holding our stdin.
	Local bool
	// Mount is the id of the one server the peer talks to; "" is all of them.
	Mount string
	// SessionID is what the peer presented; it finds a session and proves nothing.
	SessionID string
	// Connection is the session of a peer that has one by its transport (stdio).
	Connection *Session
	// Header are the HTTP headers of the request; nil on stdio.
	Header http.Header
	// TLS, Remote and Query are what else a request over HTTP may say of its sender:
	// a client certificate, an address, and parameters, in which no token may stand.
	TLS    *tls.ConnectionState
	Remote netip.Addr
	Query  string
	// Emit sends a message to the peer ahead of the answer, on the stream of this
	// very request. An error means that the stream is gone.
	Emit func([]byte) error

	who  atomic.Pointer[identity.Principal] // once it is known
	link *link                              // the message came from this server
	tag  *exchange
	// The gateway itself put the message, which the server wrote into an answer, into
	// the words of the era of the client.
	translated bool
}

// Identified reports whether it is known who the peer is.
func (p *Peer) Identified() bool { return p.who.Load() != nil }

// withHeader is the peer as if its request had had these headers.
func (p *Peer) withHeader(h http.Header) *Peer {
	other := &Peer{
		Local: p.Local, Mount: p.Mount, SessionID: p.SessionID, Connection: p.Connection, Header: h,
		TLS: p.TLS, Remote: p.Remote, Query: p.Query, Emit: p.Emit, link: p.link, tag: p.tag, translated: p.translated,
	}
	other.who.Store(p.who.Load())
	return other
}

// Reply is the answer to one message.
type Reply struct {
	Body    []byte // one JSON-RPC message; nil when there is nothing to say
	Status  int    // HTTP status
	Session string // id of a session that began
	// Challenge is the value of WWW-Authenticate: how the client can identify itself.
	Challenge string
	// RetryAfter is when it makes sense to try again, in seconds; 0: nothing is said.
	RetryAfter int
}

// route is where an exchange goes.
type route uint8

const (
	toServer route = iota + 1 // one server
	toAll                     // the lists of all servers, joined
	toClient                  // a server's request or notification, to the client of its session
	local                     // the gateway answers by itself
)

// exchange is one message and its answer on their way through the gateway. One
// goroutine owns it; what others may touch says so.
type exchange struct {
	id    string
	began time.Time
	peer  *Peer
	raw   []byte
	msg   *wire.Message
	meta  method

	who       *identity.Principal // nil for what a server sends
	principal string              // who.ID, or the server
	audience  *audience           // nil: there is no policy that could hide anything
	modern    bool
	session   *Session // nil for a modern request over HTTP
	version   string   // protocol revision

	route  route
	server *server
	link   *link
	target string // name or URI as the server knows it
	hashed bool   // target is still a hashed name
	// wrapped: the client called call_tool; msg is the call that it meant.
	wrapped bool
	out     *wire.Message
	item    *item // the approved definition of the target

	// A modern client at a server of the revisions before.
	release func()            // gives the leased session back; nil if there is none
	errand  *errand           // the call at the server
	given   map[string][]byte // answers that the client brings, by digest of the question

	answer *wire.Message
	list   wire.Value // in listIn
	listIn *wire.Message
	status int

	policies []string     // that decided
	would    []string     // that only report, and would have refused
	asked    *audit.Asked // what the policies were told
	findings []finding.Finding
	refusal  *decision.Refusal
	grants   []limit.Grant // what the quotas granted
	// retryAfter is when a quota leaves room again, in seconds; 0: waiting is no use.
	retryAfter int
	decided    bool
	entered    bool
	detail     string // for the record

	flight *halt.Call // what a halt is compared with; set before it is forwarded

	// Touched by the goroutines that bring messages of this exchange.
	events atomic.Int64
	clock  clock
	said   inspect.Window // the end of what came ahead of the answer
	cancel context.CancelCauseFunc
}

func newExchange(raw []byte, peer *Peer) *exchange {
	return &exchange{id: newID(), began: time.Now(), peer: peer, raw: raw}
}

func (ex *exchange) fromServer() bool { return ex.peer.link != nil }

// request reports whether somebody waits for an answer.
func (ex *exchange) request() bool { return ex.msg != nil && ex.msg.Kind == wire.Request }

// idPrefix tells the exchanges of one run from those of others.
var (
	idPrefix = func() string {
		var b [5]byte
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		return hex.EncodeToString(b[:])
	}()
	idCount atomic.Uint64
)

func newID() string { return fmt.Sprintf("%s-%d", idPrefix, idCount.Add(1)) }

// clock is the timeout of an exchange. Every sign of life of the server starts it
// anew; while a person or a client is being asked it stands still. The longest time
// that an exchange may take goes on all the while.
type clock struct {
	mu      sync.Mutex
	timer   *time.Timer
	timeout time.Duration
	limit   time.Time
	asking  int
}

// start calls expired when the time is over, with the bound that was reached.
func (c *clock) start(timeout, longest time.Duration, expired func(after time.Duration)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timeout, c.limit = timeout, time.Now().Add(longest)
	c.timer = time.AfterFunc(c.left(), func() {
		if time.Now().Before(c.limit) {
			longest = timeout
		}
		expired(longest)
	})
}

// left is how long the clock runs from now on; the caller holds mu.
func (c *clock) left() time.Duration {
	left := time.Until(c.limit)
	if c.asking == 0 {
		left = min(left, c.timeout)
	}
	return left
}

func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = nil
}

func (c *clock) touch() { c.ask(0) }

// ask counts the questions that wait for an answer.
func (c *clock) ask(delta int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking += delta
	if c.timer != nil {
		c.timer.Reset(c.left())
	}
}

// item is one approved definition with what is derived from it, shared by all
// links to a server.
type item struct {
	approval.Item
	claims policy.Claims
	schema schemaOnce
}
