package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/decision"
	"gatehouse/internal/inspect"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// definitionAge is how long a link relies on the definitions it read last. A call
// after that reads them again first, so at the pace of a person every call is
// checked against what the server says now, and a change that the server does
// not announce is seen within a second.
const definitionAge = time.Second

// link is a connection to one server on behalf of one session, or, in the modern
// era, of one principal. It connects when it is needed and again
// when the connection was lost.
type link struct {
	server  *server
	session *Session // nil: for requests that have none
	// principal is whose link without a session it is; "" if it is everybody's.
	principal string

	questions  atomic.Int64   // of the server, that wait for the client
	holds      atomic.Int32   // calls and subscriptions that need the connection
	hub        hub            // where the link has no session
	used       atomic.Int64   // UnixNano, when the last of them ended
	suspected  atomic.Bool    // a call timed out and the process is being pinged
	said       inspect.Window // the end of what came outside of exchanges
	connecting sync.Mutex     // held while the link connects; guards changes of conn

	mu          sync.Mutex // guards what follows
	conn        upstream.Conn
	heir        *link // has the connection now that this link made
	closed      bool
	initialized bool // notifications/initialized was sent
	subscribed  bool // the client follows resources, which a new connection would forget
	lists       map[approval.Kind]*listing
}

// listing is what a server listed last on one connection.
type listing struct {
	reading sync.Mutex // one reader at a time
	read    time.Time
	stale   bool
	*definitions
}

func newLink(s *server, session *Session) *link {
	l := &link{server: s, session: session, lists: map[approval.Kind]*listing{}}
	l.hub.link, l.hub.followers = l, followers{}
	return l
}

// modern reports whether the link needs no session.
func (l *link) modern() bool { return l.session == nil }

// ready is the link's connection, made if there is none. Legacy links say
// initialize: in the client's words, but under our own id.
func (l *link) ready(ctx context.Context) (upstream.Conn, error) {
	if conn := l.current(); conn != nil {
		return conn, nil
	}
	l.connecting.Lock()
	defer l.connecting.Unlock()
	if conn := l.current(); conn != nil {
		return conn, nil
	}
	conn, err := l.connect()
	if err != nil {
		return nil, err
	}
	if l.session == nil {
		return conn, nil
	}
	if _, err := l.initialize(ctx, conn, l.session.initialize()); err != nil {
		conn.Close()
		return nil, err
	}
	if err := l.confirm(ctx, conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (l *link) current() upstream.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return nil
	}
	select {
	case <-l.conn.Done():
		return nil
	default:
		return l.conn
	}
}

// connect opens a connection; the caller holds connecting.
func (l *link) connect() (upstream.Conn, error) {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return nil, decision.Refuse(decision.UpstreamUnavailable, "the session has ended")
	}
	if err := l.server.mayConnect(); err != nil {
		return nil, err
	}
	conn, err := l.server.open(l)
	if err != nil {
		return nil, err
	}
	if err := l.server.mayConnect(); err != nil { // halted while this connection was made
		conn.Close()
		return nil, err
	}
	l.mu.Lock()
	if l.closed { // while this connection was made
		l.mu.Unlock()
		conn.Close()
		return nil, decision.Refuse(decision.UpstreamUnavailable, "the session has ended")
	}
	l.used.Store(time.Now().UnixNano())
	l.conn, l.heir, l.initialized, l.subscribed, l.lists = conn, nil, false, false, map[approval.Kind]*listing{}
	l.mu.Unlock()
	return conn, nil
}

// inbound takes what the server sends by itself.
func (l *link) inbound(m *wire.Message, tag any) {
	l.mu.Lock()
	owner := l.heir
	l.mu.Unlock()
	if owner == nil {
		owner = l
	}
	ex, _ := tag.(*exchange)
	l.server.gateway.fromServer(owner, m, ex)
}

// initialize performs the handshake with the given request and remembers nothing
// that would survive a failure.
func (l *link) initialize(ctx context.Context, conn upstream.Conn, m *wire.Message) (upstream.Answer, error) {
	bounded, stop := context.WithTimeoutCause(ctx, l.server.limits().StartTimeout,
		decision.Refuse(decision.UpstreamTimeout, "no answer to initialize"))
	defer stop()
	answer, err := conn.Call(bounded, upstream.Request{Message: m})
	if err != nil {
		err = l.server.explain(conn, err)
		// A caller that went away is not the server's failure, and a server that waits
		// for a login works as soon as somebody has logged in.
		if ctx.Err() == nil && decision.From(err).Reason != decision.UpstreamAuth {
			l.server.startFailed()
		}
		return answer, err
	}
	if answer.Message.Error.Exists() {
		return answer, nil
	}
	// "If the client does not support the version in the server's response, it
	// SHOULD disconnect": what a message of an unknown revision means is unknown.
	if version := answer.Message.Result.Get("protocolVersion").Text(); !slices.Contains(wire.LegacyVersions, version) {
		return answer, &decision.Refusal{Reason: decision.UpstreamInvalid, Detail: l.server.id + " answered initialize with an unknown revision",
			Err: fmt.Errorf("revision %s", printable(version))}
	}
	l.server.startWorked()
	return answer, nil
}

// confirm ends the handshake and opens the standing stream.
func (l *link) confirm(ctx context.Context, conn upstream.Conn) error {
	l.mu.Lock()
	again := l.initialized
	l.mu.Unlock()
	if again {
		return nil
	}
	ctx, stop := context.WithTimeoutCause(ctx, l.server.limits().StartTimeout,
		decision.Refuse(decision.UpstreamTimeout, "the handshake was not taken"))
	defer stop()
	if err := conn.Send(ctx, wire.NewNotification(wire.NotifyInitialized, nil)); err != nil {
		return l.server.explain(conn, err)
	}
	l.mu.Lock()
	l.initialized = true
	l.mu.Unlock()
	if http, ok := conn.(*upstream.Client); ok {
		http.Listen()
	}
	if level := l.session.logLevel(); level != nil {
		m, _, err := l.server.gateway.ownRequest(false, wire.MethodSetLevel, level)
		if err == nil {
			_, err = conn.Call(ctx, upstream.Request{Message: m})
		}
		if err != nil {
			return l.server.explain(conn, err)
		}
	}
	return nil
}

func (l *link) close() {
	l.mu.Lock()
	l.closed = true
	conn := l.conn
	l.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}

// call sends a request on the link and reads the answer. A server that has
// forgotten the session did not run the request, so it gets it once more on a new
// one.
func (l *link) call(ctx context.Context, m *wire.Message, header http.Header, tag *exchange) (upstream.Answer, error) {
	defer l.hold()()
	if tag != nil && l.server.config.URL != "" {
		ctx = context.WithValue(ctx, exchangeKey{}, tag.id)
	}
	for attempt := 0; ; attempt++ {
		conn, err := l.ready(ctx)
		if err != nil {
			return upstream.Answer{}, err
		}
		r := upstream.Request{Message: m, Header: header}
		if tag != nil {
			r.Tag = tag
		}
		answer, err := conn.Call(ctx, r)
		if errors.Is(err, upstream.ErrSessionLost) {
			conn.Close()
			if attempt == 0 {
				continue
			}
		}
		if err != nil {
			err = l.server.explain(conn, err)
			l.suspect(conn, err)
			return answer, err
		}
		return answer, nil
	}
}

// changed notes that the server announced other definitions.
func (l *link) changed(kind approval.Kind) {
	list := l.list(kind)
	l.mu.Lock()
	list.stale = true
	l.mu.Unlock()
}

func (l *link) list(kind approval.Kind) *listing {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.lists[kind]
	if list == nil {
		list = &listing{stale: true}
		l.lists[kind] = list
	}
	return list
}

// definitions are those that the server gives now, at most definitionAge old.
func (l *link) definitions(ctx context.Context, kind approval.Kind) (*definitions, error) {
	if _, err := l.ready(ctx); err != nil {
		return nil, err
	}
	list := l.list(kind)
	list.reading.Lock()
	defer list.reading.Unlock()
	l.mu.Lock()
	fresh := !list.stale && time.Since(list.read) < definitionAge
	list.stale = false // a change that is announced from here on counts again
	l.mu.Unlock()
	if !fresh {
		defined, err := l.readList(ctx, kind)
		if err != nil {
			l.changed(kind)
			return nil, err
		}
		list.definitions, list.read = defined, time.Now()
	}
	return list.definitions, nil
}

const maxPages = 1000 // with the bound on items, only empty pages reach it

// pages asks for a list page by page. A server without the method has an empty
// list.
func (l *link) pages(ctx context.Context, name string, each func(result wire.Value) error) error {
	ctx, stop := context.WithTimeoutCause(ctx, l.server.limits().StartTimeout,
		decision.Refuse(decision.UpstreamTimeout, "no answer to %s", name))
	defer stop()
	var cursor wire.Value
	received := 0
	for page := 0; page < maxPages; page++ {
		answer, err := l.ask(ctx, name, cursor)
		if err != nil {
			return err
		}
		if received += len(answer.Raw); received > l.server.limits().ResultBytes {
			return decision.Refuse(decision.UpstreamTooLarge, "%s is over %d bytes in all", name, l.server.limits().ResultBytes)
		}
		if answer.Error.Exists() {
			if code, _ := answer.Error.Get("code").Int(); code == wire.CodeMethodNotFound {
				return nil
			}
			return decision.Refuse(decision.UpstreamInvalid, "%s was answered by an error", name)
		}
		if err := each(answer.Result); err != nil {
			return err
		}
		if cursor = answer.Result.Get("nextCursor"); cursor.Kind() != '"' {
			return nil
		}
	}
	return decision.Refuse(decision.UpstreamFlood, "%s has over %d pages", name, maxPages)
}

// ask sends a request of the gateway's own.
func (l *link) ask(ctx context.Context, name string, cursor wire.Value) (*wire.Message, error) {
	params := []byte(`{}`)
	if cursor.Exists() {
		params = fmt.Appendf(nil, `{"cursor":%s}`, cursor.Raw())
	}
	m, header, err := l.server.gateway.ownRequest(l.session == nil, name, params)
	if err != nil {
		return nil, err
	}
	answer, err := l.call(ctx, m, header, nil)
	return answer.Message, err
}
