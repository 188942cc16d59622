package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/decision"
	"gatehouse/internal/identity"
	"gatehouse/internal/wire"
)

// Session is one client of the initialize-based revisions, or one stdio
// connection of any revision. It never authenticates: every request is identified
// by itself and must come from the principal that began the session.
type Session struct {
	id        string
	public    string // names the session in the log without giving away the id
	principal string
	who       atomic.Pointer[identity.Principal] // as the last request of the session had it
	mount     string
	own       bool            // the gateway is the client
	pooled    *pooled         // the clients are modern ones; nil for a client of its own
	ctx       context.Context // ends with the session
	end       context.CancelFunc
	direct    func([]byte) error // stdio: writes to the client at once
	streams   *streams           // HTTP
	lastUsed  atomic.Int64       // UnixNano
	attached  atomic.Int32       // open GET streams

	mu      sync.Mutex    // guards what follows
	client  string        // name/version as the client says; for the log only
	params  *wire.Message // the client's initialize
	links   map[string]*link
	flights map[wire.ID]*exchange // requests of the client that are not answered
	asks    map[wire.ID]*ask      // requests to the client that are not answered
	lastAsk int64
	level   []byte               // params of the last logging/setLevel
	watches map[string]*watching // by server
}

// ask is a request that a server sent to the client.
type ask struct {
	answer chan *wire.Message
	link   *link
	id     wire.ID // as the server sent it
	token  wire.ID // progress token that the client would use
	// withdrawn is closed when the server has taken the question back.
	withdrawn chan struct{}
}

func newSession(who *identity.Principal, mount string) *Session {
	s := &Session{
		// "The session ID SHOULD be globally unique and cryptographically secure";
		// rand.Text has 130 bits in visible ASCII.
		id: rand.Text(), principal: who.ID, mount: mount,
		streams: newStreams(true),
		links:   map[string]*link{}, flights: map[wire.ID]*exchange{}, asks: map[wire.ID]*ask{},
	}
	sum := sha256.Sum256([]byte(s.id))
	s.public = hex.EncodeToString(sum[:6])
	s.who.Store(who)
	s.ctx, s.end = context.WithCancel(context.Background())
	s.touch()
	return s
}

func (s *Session) touch() { s.lastUsed.Store(time.Now().UnixNano()) }

func (s *Session) idleSince() time.Time { return time.Unix(0, s.lastUsed.Load()) }

// Done is closed when the session ends.
func (s *Session) Done() <-chan struct{} { return s.ctx.Done() }

// Attach counts an open stream, so that its session does not count as idle.
func (s *Session) Attach() (detach func()) {
	s.attached.Add(1)
	return func() {
		s.attached.Add(-1)
		s.touch()
	}
}

func (s *Session) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attached.Load() > 0 || len(s.flights) > 0 || s.direct != nil
}

// push sends a message that belongs to no call. It reports whether there was a
// place for it.
func (s *Session) push(raw []byte) bool {
	if s.direct != nil {
		return s.direct(raw) == nil
	}
	return s.streams.push(raw)
}

// enter registers a request. "The request ID MUST NOT have been previously used by
// the requestor within the same session"; among requests in flight it would make
// answers ambiguous, so there it is refused.
func (s *Session) enter(ex *exchange) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.flights[ex.msg.ID]; taken {
		return decision.Refuse(decision.Malformed, "a request with this id is in flight already")
	}
	s.flights[ex.msg.ID] = ex
	return nil
}

func (s *Session) leave(ex *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[ex.msg.ID] == ex {
		delete(s.flights, ex.msg.ID)
	}
}

func (s *Session) flight(id wire.ID) *exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flights[id]
}

// answered hands a client's response to whoever asked.
func (s *Session) answered(m *wire.Message) bool {
	s.mu.Lock()
	waiting := s.asks[m.ID]
	delete(s.asks, m.ID)
	s.mu.Unlock()
	if waiting == nil {
		return false
	}
	waiting.answer <- m
	return true
}

// asked reports whether the client was ever asked under this id.
func (s *Session) asked(id wire.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := strconv.ParseInt(string(id), 10, 64)
	return err == nil && n > 0 && n <= s.lastAsk
}

// begin registers a question to the client under an id of our own.
func (s *Session) begin(l *link, m *wire.Message) (wire.ID, *ask) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastAsk++
	id := integerID(s.lastAsk)
	token := tokenOf(m.Params.At("_meta", "progressToken"))
	a := &ask{answer: make(chan *wire.Message, 1), link: l, id: m.ID, token: token, withdrawn: make(chan struct{})}
	s.asks[id] = a
	return id, a
}

func (s *Session) giveUp(id wire.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asks, id)
}

// fitCancelled gives a server's cancellation of its own question the id under
// which the client knows it. Nobody waits for the answer from here on.
func (s *Session) fitCancelled(ex *exchange) error {
	requestID := ex.msg.Params.Get("requestId")
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, a := range s.asks {
		if a.link == ex.link && a.id == tokenOf(requestID) {
			delete(s.asks, id)
			close(a.withdrawn)
			return replaceMessage(&ex.out, []wire.Edit{requestID.Replace([]byte(id))})
		}
	}
	return decision.Refuse(decision.NotFound, "the question is no longer open")
}

// askedWith finds the server whose question the client reports progress on.
func (s *Session) askedWith(token wire.ID) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.asks {
		if a.token == token && token != "" {
			return a.link
		}
	}
	return nil
}

// openLinks are the links that exist now.
func (s *Session) openLinks() []*link {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*link, 0, len(s.links))
	for _, l := range s.links {
		list = append(list, l)
	}
	return list
}

// link is the session's own link to a server, made when it is first needed.
func (s *Session) link(srv *server) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.links[srv.id]
	if l == nil || l.server != srv {
		l = newLink(srv, s)
		l.closed = s.ctx.Err() != nil // close ends ctx before it lists the links
		s.links[srv.id] = l
	}
	return l
}

// mayAsk reports whether a request may come now: "the initialization phase MUST be
// the first interaction", but for pings.
func (s *Session) mayAsk(method string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.params != nil || method == wire.MethodInitialize || method == wire.MethodPing
}

// declares reports whether what the client declared in initialize covers a
// question.
func (s *Session) declares(question *wire.Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.params != nil && declared(s.params.Params.Get("capabilities"), question.Method, question.Params)
}

// asker is whom a question or a notification of a server concerns: the principal as
// its call had it, where it belongs to one, else as the last request of the session
// had it.
func (s *Session) asker(ex *exchange) *identity.Principal {
	if s.pooled == nil {
		return s.who.Load()
	}
	if e := s.pooled.asker(ex.peer.tag, ex.peer.link.server.config.URL == ""); e != nil {
		return e.asker()
	}
	return s.who.Load()
}

// close ends the session and its connections. It returns when they are gone.
func (s *Session) close() {
	s.end()
	s.streams.close()
	var all sync.WaitGroup
	for _, l := range s.openLinks() {
		all.Go(l.close)
	}
	all.Wait()
}

// Bounds on what one principal may take of all sessions, so that a client that opens
// them without end keeps nobody else from connecting.
const (
	// principalShare of limits.sessions is for one principal: a quarter.
	principalShare = 4
	// mountShare of that is for one mount: half. Clients are configured for a mount, and
	// one of them that is broken leaves room for the others of its user.
	mountShare = 2
	// freeSessions is what a principal may have on a mount in any case, within
	// limits.sessions: a person has no more clients than that open.
	freeSessions = 16
)

// sessions are the sessions reachable by id.
type sessions struct {
	mu  sync.Mutex // guards what follows
	all map[string]*Session
	// open is how many there are of each owner, and of each principal under its owner
	// without a mount.
	open map[sessionOwner]int
}

// sessionOwner is a principal on one mount, or on all of them.
type sessionOwner struct {
	principal, mount string
	everywhere       bool
}

func (t *sessions) add(s *Session, limit int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.all) >= limit {
		return decision.Refuse(decision.Overloaded, "%d sessions are open", limit)
	}
	own := share(limit, principalShare)
	if t.open[s.owner(true)] >= own {
		return decision.Refuse(decision.Overloaded, "%d sessions are open for this caller", own)
	}
	if here := share(own, mountShare); t.open[s.owner(false)] >= here {
		return decision.Refuse(decision.Overloaded, "%d sessions are open here for this caller", here)
	}
	t.all[s.id] = s
	t.count(s, +1)
	return nil
}

// share is a part of what there is, but not less than somebody needs.
func share(limit, parts int) int { return max(limit/parts, min(limit, freeSessions)) }

func (s *Session) owner(everywhere bool) sessionOwner {
	if everywhere {
		return sessionOwner{principal: s.principal, everywhere: true}
	}
	return sessionOwner{principal: s.principal, mount: s.mount}
}

// count keeps open; the caller holds mu.
func (t *sessions) count(s *Session, change int) {
	if t.open == nil {
		t.open = map[sessionOwner]int{}
	}
	for _, everywhere := range []bool{true, false} {
		o := s.owner(everywhere)
		if t.open[o] += change; t.open[o] == 0 {
			delete(t.open, o)
		}
	}
}

// find is the session with this id if it is the principal's own and on this
// mount. A stolen id is of no use to anybody else, and is not told from a wrong
// one.
func (t *sessions) find(id, principal, mount string) *Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.all[id]
	if s == nil || s.principal != principal || s.mount != mount {
		return nil
	}
	return s
}

func (t *sessions) remove(match func(*Session) bool) []*Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	var gone []*Session
	for id, s := range t.all {
		if match(s) {
			delete(t.all, id)
			t.count(s, -1)
			gone = append(gone, s)
		}
	}
	return gone
}
