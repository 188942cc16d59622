// Package gateway is the pipeline between clients and servers. Handle is the
// whole of it: every message, in either direction, goes through its steps in the
// order in which they are written.
package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/decision"
	"gatehouse/internal/halt"
	"gatehouse/internal/identity"
	"gatehouse/internal/inspect"
	"gatehouse/internal/limit"
	"gatehouse/internal/oauth"
	"gatehouse/internal/policy"
	"gatehouse/internal/rule"
	"gatehouse/internal/rule/media"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// Options are what a Gateway is made of. All fields but Tokens are needed.
type Options struct {
	Config  *config.Config
	Rules   []rule.Rule
	Book    *approval.Book
	Audit   *audit.Log
	Log     *slog.Logger
	Version string
	Tokens  *oauth.Store // for servers that want tokens; without it they get none
}

// Gateway stands between clients and servers. Its methods may be called from any
// goroutine.
type Gateway struct {
	rules    []rule.Rule
	book     *approval.Book
	audit    *audit.Log
	log      *slog.Logger
	version  string
	tokens   *oauth.Store
	local    *identity.Principal
	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	sweeping sync.WaitGroup

	live     atomic.Pointer[live]
	sessions sessions
	joiners  joiners
	errands  errands
	flights  flights
	inFlight atomic.Int64
	halts    *halt.Switch
	// counters is opened when a configuration first has quotas, and stays open: what was
	// used is not forgotten because the quotas are away for a while. Reload and New only.
	counters *limit.Embedded
	// processes of servers that run now.
	processes atomic.Int64
	ownCalls  atomic.Int64
}

// live is everything that a configuration decides, swapped as a whole.
type live struct {
	config     *config.Config
	servers    map[string]*server
	order      []*server // by id
	inspector  *inspect.Inspector
	redactor   *inspect.Inspector // for the log: secrets only, always enforced
	secrets    []string           // that the configuration gives to servers
	seal       sealer
	identifier *identity.Identifier // says who a request is from
	// policies decide who may do what; nil: the local user may do everything, everybody
	// else nothing.
	policies  *policy.Engine
	limiter   *limit.Limiter // nil if there are no quotas
	reporting map[string]bool

	cleanTexts memo // texts in which the redactor found nothing
	clients    memo // names of clients, by what they say of themselves
	counted    memo // questions of tasks that wait, which a quota has counted
	joined     listCache

	tokens     *oauth.Store // nil if there is none
	withTokens atomic.Pointer[knownTokens]
}

// reports tells a rule that only reports.
func (l *live) reports(rule string) bool { return l.reporting[rule] }

// New makes a Gateway and begins to look at its servers.
func New(o Options) (*Gateway, error) {
	g := &Gateway{
		rules: o.Rules, book: o.Book, audit: o.Audit, log: o.Log, version: o.Version, tokens: o.Tokens,
		local: localUser(), sessions: sessions{all: map[string]*Session{}}, errands: errands{all: map[string]*errand{}},
	}
	g.ctx, g.stop = context.WithCancel(context.Background())
	g.halts = halt.Open(filepath.Join(o.Config.State, "halts.json"), nil)
	next, err := g.build(o.Config, nil)
	if err != nil {
		return nil, err
	}
	if err := o.Audit.Append(&audit.Record{Kind: audit.Start, Detail: join("gatehouse "+o.Version, next.policyDigest())}); err != nil {
		g.stopCounting()
		return nil, fmt.Errorf("writing the audit log: %w", err)
	}
	g.loosened(o.Config)
	g.put(next)
	g.halts.Watch(g.haltsChanged)
	g.sweeping.Go(func() { g.halts.Run(g.ctx) })
	g.lookAtAll(next)
	g.sweeping.Go(g.sweep)
	return g, nil
}

func localUser() *identity.Principal {
	return &identity.Principal{ID: identity.LocalUser(), Kind: identity.Local, Means: identity.ByLocal}
}

// build makes what a configuration asks for, keeping the servers of old that it
// does not change.
func (g *Gateway) build(c *config.Config, old *live) (*live, error) {
	var ids []string
	for _, r := range g.rules {
		ids = append(ids, r.ID)
	}
	if err := c.CheckRules(ids); err != nil {
		return nil, err
	}
	next := &live{config: c, servers: map[string]*server{}, reporting: map[string]bool{}, tokens: g.tokens}
	policies := map[string]inspect.Policy{}
	for id, p := range c.Rules {
		next.reporting[id] = p.Action == config.Report
		policy := inspect.Policy{Action: inspect.Action(p.Action), Confidence: p.Confidence}
		if p.Severity != "" {
			if err := policy.Severity.UnmarshalText([]byte(p.Severity)); err != nil {
				return nil, err
			}
		}
		policies[id] = policy
	}
	var suppressed []inspect.Suppression
	for _, s := range c.Suppressions {
		suppressed = append(suppressed, inspect.Suppression{Rule: s.Rule, Server: s.Server, Digest: s.Digest, Until: s.Until})
	}
	key, err := c.RequestStateKey.Resolve()
	if err != nil {
		return nil, err
	}
	if key == "" {
		key = ownPrefix
	}
	if next.seal, err = newSealer(key); err != nil {
		return nil, err
	}
	if c.Policy.Configured {
		if next.policies, err = policy.Load(c); err != nil {
			return nil, err
		}
	}
	if next.identifier, err = g.identifierOf(c, old); err != nil {
		return nil, err
	}
	if next.limiter, err = g.limiterOf(c); err != nil {
		return nil, err
	}
	next.inspector = inspect.New(g.rules, policies, suppressed...).Bounded(media.Limits{
		Bytes: c.Limits.MediaBytes, Pixels: uint64(c.Limits.MediaPixels), Types: c.Limits.MediaTypes,
	})
	next.redactor = inspect.New(slices.DeleteFunc(slices.Clone(g.rules), func(r rule.Rule) bool {
		return r.ID != inspect.SecretRule
	}), nil)
	for _, sc := range c.Servers {
		next.secrets = append(next.secrets, sc.Secrets()...)
		s := old.unchanged(sc)
		if s == nil {
			s = g.newServer(sc)
		}
		next.servers[sc.ID] = s
		next.order = append(next.order, s)
	}
	return next, nil
}

// identifierOf keeps the one that there is, with the tokens it knows, if nothing of
// it changes.
func (g *Gateway) identifierOf(c *config.Config, old *live) (*identity.Identifier, error) {
	if old != nil && c.Identity.Equal(&old.config.Identity) && slices.EqualFunc(c.Teams, old.config.Teams, config.Team.Equal) {
		return old.identifier, nil
	}
	return identity.New(c, g.log)
}

func (g *Gateway) lookAtAll(l *live) {
	for _, s := range l.order {
		g.sweeping.Go(func() {
			if err := s.look(g.ctx); err != nil && g.ctx.Err() == nil {
				s.log.Warn("the server is not available", "error", err)
			}
		})
	}
}

// Reload puts another configuration in force, as a whole or not at all. Servers
// that it does not change keep running; the others end.
func (g *Gateway) Reload(c *config.Config) error {
	old := g.live.Load()
	next, err := g.build(c, old)
	if err == nil && !old.config.SamePlace(c) {
		err = errors.New("listen, tls, state, lock and token_key cannot change while Gatehouse runs; restart it")
	}
	if err != nil {
		g.note(&audit.Record{Kind: audit.ReloadRefused, Detail: err.Error()})
		return err
	}
	if err := g.audit.Append(&audit.Record{Kind: audit.Reload, Detail: next.policyDigest()}); err != nil {
		return fmt.Errorf("writing the audit log: %w", err)
	}
	g.loosened(c)
	g.put(next)
	g.halts.Reload()
	for id, s := range old.servers {
		if next.servers[id] != s {
			g.sweeping.Go(s.close)
		}
	}
	g.joiners.tellAll()
	g.lookAtAll(next)
	return nil
}

// put puts a configuration in force.
func (g *Gateway) put(next *live) {
	if next.policies != nil {
		for _, warning := range next.policies.Warnings() {
			g.log.Warn(warning)
		}
	}
	g.live.Store(next)
}

// policyDigest names the policies that are in force, for the log.
func (l *live) policyDigest() string {
	if l.policies == nil {
		return ""
	}
	return "policies " + l.policies.Digest()
}

// ReloadRefused records that a configuration could not be read.
func (g *Gateway) ReloadRefused(err error) {
	g.note(&audit.Record{Kind: audit.ReloadRefused, Detail: err.Error()})
}

// loosened records everything that makes a configuration less strict.
func (g *Gateway) loosened(c *config.Config) {
	for _, w := range c.Warnings() {
		g.note(&audit.Record{Kind: audit.Loosened, Detail: w})
	}
}

// refreshBook takes over approvals that another process wrote. If they cannot be
// read, those from before stay.
func (g *Gateway) refreshBook() {
	before := g.book.Generation()
	if err := g.book.Refresh(); err != nil {
		g.log.Error("the lock file was not taken over; the approvals from before stay", "error", err)
	}
	if g.book.Generation() != before {
		g.joiners.tellOf(g)
	}
}

// Trouble is why the server cannot be used, nil if it can be or if a second does
// not tell.
func (g *Gateway) Trouble(id string) error {
	s := g.live.Load().servers[id]
	if s == nil {
		return nil
	}
	// A command that is not there is known at once.
	ctx, stop := context.WithTimeout(g.ctx, time.Second)
	defer stop()
	if err := s.look(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// TurnedAway records a request that was turned away before it was a message.
func (g *Gateway) TurnedAway(method, path, why string) {
	g.note(&audit.Record{Kind: audit.SessionRefused, Mount: printable(path), Decision: audit.Deny,
		Reason: string(decision.Malformed), Detail: printable(method) + ": " + why, Direction: audit.ClientToServer})
}

// Session finds the session of a peer for its streams and its end. Who the peer is
// is found out as for any request. Without a session, the reply says why.
func (g *Gateway) Session(ctx context.Context, p *Peer) (*Session, Reply) {
	ex := newExchange(nil, p)
	if err := g.identify(ctx, ex); err != nil {
		return nil, g.refuse(ex, err)
	}
	s := g.sessions.find(p.SessionID, ex.principal, p.Mount)
	if s == nil {
		return nil, Reply{Status: http.StatusNotFound}
	}
	s.who.Store(ex.who)
	return s, Reply{}
}

// Connect begins the session of a stdio connection; send writes to it.
func (g *Gateway) Connect(mount string, send func([]byte) error) *Session {
	s := newSession(g.local, mount)
	s.direct = send
	return s
}

// EndSession ends a session and its connections to servers.
func (g *Gateway) EndSession(s *Session) {
	g.sessions.remove(func(other *Session) bool { return other == s })
	if s.ctx.Err() == nil {
		g.note(&audit.Record{Kind: audit.Session, Principal: s.principal, Session: s.public,
			Client: s.clientName(""), Mount: s.mount, Detail: "ended"})
	}
	s.close()
}

const sweepEvery = 30 * time.Second

// sweep ends sessions that nobody uses any more.
func (g *Gateway) sweep() {
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-time.After(g.live.Load().sweepInterval()):
		}
		upstream.ReapAdopted()
		oldest := time.Now().Add(-g.live.Load().config.Limits.SessionIdle)
		for _, s := range g.sessions.remove(func(s *Session) bool { return !s.busy() && s.idleSince().Before(oldest) }) {
			g.sweeping.Go(func() { g.EndSession(s) })
		}
		for _, s := range g.live.Load().order {
			s.pool.sweep(oldest)
			s.stopIdle(time.Now())
		}
	}
}

// Close ends all sessions and servers, in parallel, and returns when they are
// gone.
func (g *Gateway) Close() {
	g.stop()
	var all sync.WaitGroup
	for _, s := range g.sessions.remove(func(*Session) bool { return true }) {
		all.Go(s.close)
	}
	for _, s := range g.live.Load().order {
		all.Go(s.close)
	}
	all.Wait()
	g.sweeping.Wait()
	g.stopCounting()
	g.note(&audit.Record{Kind: audit.Stop})
}

// ownRequest is a request of the gateway's own, for the lists it reads.
func (g *Gateway) ownRequest(modern bool, name string, params []byte) (*wire.Message, http.Header, error) {
	if modern {
		meta := fmt.Appendf(nil, `{%q:%q,%q:%s,%q:%s}`, wire.MetaVersion, wire.ModernVersion, wire.MetaCapabilities, everything, wire.MetaClientInfo, g.serverInfo())
		doc, err := wire.Scan(params, wire.Limits{})
		if err != nil {
			return nil, nil, err
		}
		params = wire.Splice(params, doc.Root.Set("_meta", meta))
	}
	m, err := wire.Parse(wire.NewRequest(g.ownID(), name, params), wire.Limits{})
	if err != nil {
		return nil, nil, err
	}
	if !modern {
		return m, nil, nil
	}
	return m, modernHeaders(m, nil), nil
}

// ownPrefix makes ids that no client gives to a request of its own on the same
// connection: no client learns it.
var ownPrefix = rand.Text()

func (g *Gateway) ownID() wire.ID {
	return wire.ID(wire.AppendString(nil, fmt.Sprintf("gatehouse-%s-%d", ownPrefix, g.ownCalls.Add(1))))
}

// everything is what the gateway declares when it reads definitions by itself:
// servers show some tools only to clients that can answer their questions, and
// what is not read cannot be approved. The questions themselves are refused.
const everything = `{"roots":{"listChanged":true},"sampling":{"context":{},"tools":{}},"elicitation":{"form":{},"url":{}},` +
	`"tasks":{"list":{},"cancel":{},"requests":{"sampling":{"createMessage":{}},"elicitation":{"create":{}}}}}`

// probe is the session in which the gateway itself speaks to a legacy server.
func (g *Gateway) probe() *Session {
	s := newSession(g.local, "")
	s.own = true
	params := fmt.Appendf(nil, `{"protocolVersion":%q,"capabilities":%s,"clientInfo":%s}`,
		wire.LegacyVersions[len(wire.LegacyVersions)-1], everything, g.serverInfo())
	m, err := wire.Parse(wire.NewRequest(`"gatehouse"`, wire.MethodInitialize, params), wire.Limits{})
	if err != nil {
		panic("gateway: internal error: " + err.Error())
	}
	s.params = m
	return s
}
