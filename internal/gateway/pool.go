package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/decision"
	"gatehouse/internal/identity"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

// pool holds the sessions through which modern clients, which have none, use a
// server of the revisions before. A session belongs to one principal and to what
// one client declared, and no other ever gets it.
type pool struct {
	server *server

	mu       sync.Mutex // guards what follows
	closed   bool
	sessions map[poolKey][]*pooled // the one used last at the end
}

type poolKey struct{ principal, client, capabilities string }

// pooled is one session of a pool.
type pooled struct {
	session *Session

	mu        sync.Mutex // guards what follows
	users     int
	asking    int // users whose calls the server may interrupt with questions
	used      time.Time
	errands   []*errand // that run in it, the latest last
	followers followers
	uris      map[string]int // followers of each resource
	// questions that are open, by the server's id, and what ends the wait for them.
	questions map[wire.ID]context.CancelCauseFunc
}

const (
	// maxPooled bounds the sessions of one pool; each may be a process.
	maxPooled = 64
	// maxOwnPooled bounds those of one principal, who chooses what its clients say of
	// themselves and so how many there are: half is left to all others.
	maxOwnPooled = maxPooled / 2
	// maxAlone bounds those of one client that are made because calls run at the
	// same time.
	maxAlone = 4
)

// lease finds a session for an exchange. On a pipe a question of the server names
// no call, so a call whose client answers questions gets a session to itself, as
// long as there are not too many; the one used last, because a server may keep
// something from one call for the next.
//
// Whoever follows what a server announces is no call: such a client must be in the
// session in which its calls change something.
func (p *pool) lease(ex *exchange) (*pooled, func(), error) {
	key, params := p.key(ex)
	alone := p.server.config.URL == "" && mayAsk(ex.msg.Method) && answersQuestions(ex)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, decision.Refuse(decision.UpstreamUnavailable, "%s is no longer configured", p.server.id)
	}
	list := p.sessions[key]
	for i, s := range slices.Backward(list) {
		if !alone || s.free() || i == 0 && len(list) >= maxAlone {
			p.sessions[key] = append(slices.Delete(slices.Clone(list), i, i+1), s)
			s.session.who.Store(ex.who) // teams and scopes may be others by now
			return s, s.enter(alone), nil
		}
	}
	if !p.room(maxOwnPooled, func(k poolKey) bool { return k.principal == key.principal }) {
		return nil, nil, decision.Refuse(decision.Overloaded, "%d sessions of this caller with %s are in use", maxOwnPooled, p.server.id)
	}
	if !p.room(maxPooled, func(poolKey) bool { return true }) {
		return nil, nil, decision.Refuse(decision.Overloaded, "%d sessions with %s are in use", maxPooled, p.server.id)
	}
	s, err := p.open(ex, key, params)
	if err != nil {
		return nil, nil, err
	}
	p.sessions[key] = append(p.sessions[key], s) // not list: room may have changed it
	return s, s.enter(alone), nil
}

// key tells whose session may be used, and how it begins.
func (p *pool) key(ex *exchange) (poolKey, []byte) {
	meta := ex.msg.Params.Get("_meta")
	capabilities := sharedCapabilities(meta.Get(wire.MetaCapabilities))
	info := meta.Get(wire.MetaClientInfo).Raw()
	if info == nil {
		info = p.server.gateway.serverInfo()
	}
	params := object(
		wire.Change{Key: "protocolVersion", Raw: wire.AppendString(nil, wire.LegacyVersions[len(wire.LegacyVersions)-1])},
		wire.Change{Key: "capabilities", Raw: capabilities}, wire.Change{Key: "clientInfo", Raw: info})
	return poolKey{ex.principal, string(wire.Canonical(info)), string(wire.Canonical(capabilities))}, params
}

// open begins a session. What the client says of itself leaves with initialize,
// before its own request was looked at, so the rules see it here.
func (p *pool) open(ex *exchange, key poolKey, params []byte) (*pooled, error) {
	m, err := wire.Parse(wire.NewRequest(`"gatehouse"`, wire.MethodInitialize, params), ownLimits)
	if err != nil {
		return nil, err
	}
	if err := p.server.gateway.inspect(ex, &m, rule.Arguments); err != nil {
		return nil, err
	}
	s := &pooled{session: newSession(ex.who, p.server.id), followers: followers{}, uris: map[string]int{}, questions: map[wire.ID]context.CancelCauseFunc{}}
	s.session.params = m
	s.session.client = p.server.live().clientName(m.Params.Get("clientInfo"))
	s.session.pooled = s
	s.session.direct = s.publish
	return s, nil
}

// room makes room for one more of the sessions that match, of which there may be
// most, by ending the one that was idle longest; the caller holds mu.
func (p *pool) room(most int, match func(poolKey) bool) bool {
	total := 0
	var oldest *pooled
	var of poolKey
	for key, list := range p.sessions {
		if !match(key) {
			continue
		}
		total += len(list)
		for _, s := range list {
			if s.idle() && (oldest == nil || s.lastUsed().Before(oldest.lastUsed())) {
				oldest, of = s, key
			}
		}
	}
	if total < most {
		return true
	}
	if oldest == nil {
		return false
	}
	p.sessions[of] = slices.DeleteFunc(p.sessions[of], func(s *pooled) bool { return s == oldest })
	if len(p.sessions[of]) == 0 { // clients choose the keys
		delete(p.sessions, of)
	}
	p.server.gateway.sweeping.Go(oldest.session.close)
	return true
}

// sweep ends the sessions that nobody used since then.
func (p *pool) sweep(since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, list := range p.sessions {
		p.sessions[key] = slices.DeleteFunc(list, func(s *pooled) bool {
			over := s.idle() && s.lastUsed().Before(since)
			if over {
				p.server.gateway.sweeping.Go(s.session.close)
			}
			return over
		})
		if len(p.sessions[key]) == 0 {
			delete(p.sessions, key)
		}
	}
}

func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	all := p.sessions
	p.sessions = nil
	p.mu.Unlock()
	var ending sync.WaitGroup
	for _, list := range all {
		for _, s := range list {
			ending.Go(s.session.close)
		}
	}
	ending.Wait()
}

// enter counts a user, until what it returns is called.
func (s *pooled) enter(asking bool) (leave func()) {
	n := 0
	if asking {
		n = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users++
	s.asking += n
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.users--
		s.asking -= n
		s.used = time.Now()
	}
}

func (s *pooled) free() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asking == 0
}

func (s *pooled) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users == 0
}

func (s *pooled) lastUsed() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// asker is the errand to which a question belongs that came with tag, nil if there
// is none. Only over HTTP is the tag more than a guess: on a pipe a list that was
// asked for during a call would be taken for what the server asks about.
func (s *pooled) asker(tag *exchange, pipe bool) *errand {
	if tag != nil && (!pipe || mayAsk(tag.msg.Method)) {
		return tag.errand
	}
	return s.latest()
}

// asker is the principal as the request has it by which its client waits for the
// call, or by which it began it.
func (e *errand) asker() *identity.Principal {
	if ex := e.waiting(); ex != nil {
		return ex.who
	}
	return e.first.who
}

// latest is the errand to which a question belongs that names none.
func (s *pooled) latest() *errand {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range slices.Backward(s.errands) {
		if mayAsk(e.first.msg.Method) {
			return e
		}
	}
	return nil
}

func (s *pooled) begins(e *errand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errands = append(s.errands, e)
}

func (s *pooled) ends(e *errand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errands = slices.DeleteFunc(s.errands, func(other *errand) bool { return other == e })
}

// asks keeps how to end a question until it is answered.
func (s *pooled) asks(id wire.ID, end context.CancelCauseFunc) (answered func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.questions[id] = end
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.questions, id)
	}
}

// withdraw ends the wait for a question that its server has taken back.
func (s *pooled) withdraw(id wire.ID) {
	s.mu.Lock()
	end := s.questions[id]
	s.mu.Unlock()
	if end != nil {
		end(decision.Refuse(decision.Cancelled, "by the server"))
	}
}

// mayAsk tells the methods in whose answers a modern server may ask for input:
// "InputRequiredResult … only for tools/call, prompts/get and resources/read".
func mayAsk(method string) bool {
	return method == wire.MethodToolsCall || method == wire.MethodPromptsGet || method == wire.MethodResourcesRead
}

// answersQuestions reports whether the client declared that it answers any.
func answersQuestions(ex *exchange) bool {
	declared := ex.msg.Params.At("_meta", wire.MetaCapabilities)
	for _, name := range capability {
		if declared.Get(name).Exists() {
			return true
		}
	}
	return false
}
