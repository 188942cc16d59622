package gateway

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/decision"
	"gatehouse/internal/rule"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// lastRecords is how long the records of ended connections are awaited.
const lastRecords = 500 * time.Millisecond

// server is one configured upstream and what is known of it, for all links.
type server struct {
	id      string
	gateway *Gateway
	log     *slog.Logger

	config    config.Server
	owner     string // who it belongs to, as lower-case words
	trust     rule.Trust
	admission admission
	transport http.RoundTripper
	lists     wire.Memo     // as they were sent
	shared    *link         // of the local user's requests without a session
	pool      pool          // sessions for modern clients
	read      chan struct{} // closed when its definition was read in this run, or could not be
	wasRead   sync.Once

	secretsOnce sync.Once
	secrets     []string

	mu        sync.Mutex // guards what follows
	closed    bool
	failures  int
	notUntil  time.Time
	items     map[string]*item // by digest
	itemBytes int              // of all lists and definitions that were remembered
	pages     map[uint64]*page // by hash
	parts     map[listKey]*part
	tasks     owners
	judged    judged
	children  map[upstream.Conn]*link
	links     map[string]*link // to a server without sessions, by principal; not the local user's
	ending    sync.WaitGroup   // the records of their ends
	told      map[string]bool  // places that it was not let reach, of which a person was told
}

var trusts = map[string]rule.Trust{config.Low: rule.TrustLow, config.High: rule.TrustHigh}

const firstBackOff, lastBackOff = 250 * time.Millisecond, 30 * time.Second

// open connects to the server. A server that keeps failing is not started again
// before its back-off is over.
func (s *server) open(l *link) (upstream.Conn, error) {
	wait := s.waits()
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil, decision.Refuse(decision.UpstreamUnavailable, "%s is no longer configured", s.id)
	}
	if wait > 0 {
		return nil, decision.Refuse(decision.UpstreamUnavailable, "it failed and is tried again in %s", wait.Round(100*time.Millisecond))
	}
	process := s.config.URL == ""
	if process {
		if err := s.gateway.startProcess(); err != nil {
			return nil, err
		}
	}
	conn, err := s.dial(l.modern(), l.inbound)
	if err != nil {
		if process {
			s.gateway.processes.Add(-1)
		}
		s.startFailed()
		return nil, s.explain(nil, err)
	}
	// Nothing is said to a server of which there is no record.
	if err := s.gateway.append(&audit.Record{Kind: audit.ServerStarted, Server: s.id, Detail: s.describe(conn)}); err != nil {
		conn.Close()
		if process {
			s.gateway.processes.Add(-1)
		}
		return nil, decision.Wrap(decision.AuditUnavailable, err)
	}
	s.mu.Lock()
	if closed = s.closed; !closed {
		s.children[conn] = l
		s.ending.Add(1)
	}
	s.mu.Unlock()
	if closed { // while this connection was made
		conn.Close()
		if process {
			s.gateway.processes.Add(-1)
		}
		return nil, decision.Refuse(decision.UpstreamUnavailable, "%s is no longer configured", s.id)
	}
	go func() {
		defer s.ending.Done()
		<-conn.Done()
		if process {
			s.gateway.processes.Add(-1)
		}
		s.mu.Lock()
		delete(s.children, conn)
		s.mu.Unlock()
		s.gateway.note(&audit.Record{Kind: audit.ServerEnded, Server: s.id, Detail: s.describe(conn)})
	}()
	return conn, nil
}

func (s *server) describe(conn upstream.Conn) string {
	if p, ok := conn.(*upstream.Process); ok {
		return "process " + strconv.Itoa(p.Pid()) + confinement(p)
	}
	return "HTTP connection"
}

// waits is how long the server is not tried again.
func (s *server) waits() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Until(s.notUntil)
}

func (s *server) startFailed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.notUntil) {
		return // this failure was counted where it happened
	}
	back := firstBackOff << min(s.failures, 10)
	s.failures++
	s.notUntil = time.Now().Add(min(back, lastBackOff))
}

func (s *server) startWorked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures, s.notUntil = 0, time.Time{}
}

// explain turns an error of a connection into a refusal. What the server wrote to
// stderr goes to our own log only.
func (s *server) explain(conn upstream.Conn, err error) error {
	var refusal *decision.Refusal
	if errors.As(err, &refusal) {
		return err
	}
	full := err
	if p, ok := conn.(*upstream.Process); ok {
		full = p.Explain(err)
	}
	reason := decision.UpstreamUnavailable
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		reason = decision.UpstreamTimeout
	case errors.Is(err, context.Canceled):
		reason = decision.Cancelled
	case errors.Is(err, upstream.ErrTooLarge):
		reason = decision.UpstreamTooLarge
	case errors.Is(err, upstream.ErrFlood):
		reason = decision.UpstreamFlood
	case errors.Is(err, upstream.ErrInvalid):
		reason = decision.UpstreamInvalid
	}
	if reason != decision.Cancelled {
		s.log.Warn("a call to the server did not succeed", "error", s.live().clean(full.Error()))
	}
	return &decision.Refusal{Reason: reason, Detail: s.id, Err: err}
}

// isClosed reports whether the server is no longer configured as it was.
func (s *server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *server) close() {
	s.pool.close()
	s.mu.Lock()
	s.closed = true
	open := make([]upstream.Conn, 0, len(s.children))
	for conn := range s.children {
		open = append(open, conn)
	}
	s.mu.Unlock()
	var all sync.WaitGroup
	for _, conn := range open {
		all.Go(conn.Close)
	}
	all.Wait()
	// Their ends are recorded, but one whose messages are stuck with a client that
	// does not read must not hold up the end of everything.
	recorded := make(chan struct{})
	go func() {
		s.ending.Wait()
		close(recorded)
	}()
	select {
	case <-recorded:
	case <-time.After(lastRecords):
	}
}

// unchanged is the server that the configuration before describes just so.
func (l *live) unchanged(c config.Server) *server {
	if l == nil || l.servers[c.ID] == nil {
		return nil
	}
	s := l.servers[c.ID]
	a, b := s.config, c
	if !maps.EqualFunc(a.Env, b.Env, config.Secret.Equal) || !maps.EqualFunc(a.SecretFiles, b.SecretFiles, config.Secret.Equal) || !maps.EqualFunc(a.Headers, b.Headers, config.Secret.Equal) || !a.Auth.Equal(b.Auth) {
		return nil
	}
	a.Env, a.SecretFiles, a.Headers, a.Auth = nil, nil, nil, nil
	b.Env, b.SecretFiles, b.Headers, b.Auth = nil, nil, nil, nil // DeepEqual cannot compare secrets
	if !reflect.DeepEqual(a, b) {
		return nil
	}
	return s
}

func (g *Gateway) newServer(c config.Server) *server {
	s := &server{
		id: c.ID, gateway: g, config: c, owner: ownerOf(c), trust: trusts[c.Trust], log: g.log.With("server", c.ID),
		items: map[string]*item{}, pages: map[uint64]*page{}, parts: map[listKey]*part{}, children: map[upstream.Conn]*link{}, links: map[string]*link{},
		read: make(chan struct{}),
	}
	s.admission.reported = map[string]bool{}
	if c.URL != "" {
		s.transport = g.withTokens(c, upstream.NewTransport())
	}
	s.shared = newLink(s, nil)
	s.pool = pool{server: s, sessions: map[poolKey][]*pooled{}}
	return s
}

// dial makes a connection of the configured kind.
func (s *server) dial(modern bool, inbound upstream.Inbound) (upstream.Conn, error) {
	limits := upstream.Limits{
		MessageBytes: s.limits().ResultBytes, Events: s.limits().Events, WriteTimeout: 10 * time.Second, Lists: &s.lists,
	}
	if s.config.URL != "" {
		values, err := s.config.ResolvedHeaders()
		if err != nil {
			return nil, err
		}
		header := http.Header{}
		for name, value := range values {
			header.Set(name, value)
		}
		return upstream.Dial(upstream.Endpoint{URL: s.config.URL, Header: header, Modern: modern}, s.transport, limits, s.log, inbound), nil
	}
	environ, err := s.config.Environ()
	if err != nil {
		return nil, err
	}
	command := upstream.Command{Args: s.config.Command, Dir: s.config.Dir, Env: environ}
	if request, launches, err := s.config.Package(); launches {
		return s.startPackage(request, err, command, limits, inbound)
	}
	if s.config.Sandbox == nil {
		return upstream.Start(command, limits, s.log, inbound)
	}
	return s.startConfined(*s.config.Sandbox, command, limits, inbound)
}

// live is the configuration in force, whichever made the server.
func (s *server) live() *live { return s.gateway.live.Load() }

func (s *server) limits() config.Limits { return s.live().config.Limits }

// linkFor is the connection that an exchange uses. A leased one must be released;
// for all others release is nil.
func (s *server) linkFor(ex *exchange) (l *link, release func(), err error) {
	switch modern, legacy := s.eras(); {
	case ex.modern && modern, !ex.modern && !legacy:
		return s.linkOf(ex.principal), nil, nil
	case !ex.modern:
		return ex.session.link(s), nil, nil
	}
	leased, release, err := s.pool.lease(ex)
	if err != nil {
		return nil, nil, err
	}
	return leased.session.link(s), release, nil
}

// source is how the server is reached, as people approve it: secrets in it are
// redacted, because the lock file is committed.
func (s *server) source() approval.Source {
	live := s.live()
	src := approval.Source{
		URL: live.clean(s.config.URL),
		Env: slices.Concat(slices.Collect(maps.Keys(s.config.Env)), s.config.PassEnv),
	}
	if p := s.config.Sandbox; p != nil && p.InContainer() {
		src.Command = []string{p.Runtime, p.Image}
	}
	for _, arg := range s.config.RedactedCommand() {
		src.Command = append(src.Command, live.clean(arg))
	}
	return src
}

// knownSecrets are the values that the configuration gives to this server.
func (s *server) knownSecrets() []string {
	s.secretsOnce.Do(func() {
		for _, set := range []map[string]config.Secret{s.config.Env, s.config.Headers} {
			for _, secret := range set {
				if value, err := secret.Resolve(); err == nil && value != "" {
					s.secrets = append(s.secrets, value)
				}
			}
		}
	})
	return s.secrets
}
