package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/decision"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// interest is the notifications that somebody wants of one server.
type interest struct {
	lists map[string]bool // by the method of the notification
	uris  []string        // of resources, as the server knows them
}

// interests are the members of a filter for lists, and what they ask for.
var interests = []struct{ member, method, capability string }{
	{"toolsListChanged", wire.NotifyToolsChanged, "tools"},
	{"promptsListChanged", wire.NotifyPromptsChanged, "prompts"},
	{"resourcesListChanged", wire.NotifyResourcesChanged, "resources"},
}

// maxURIs bounds the resources that one client follows; each is kept, and may be
// a request of its own.
const maxURIs = 1000

// wants reports whether a notification is asked for.
func (i interest) wants(m *wire.Message) bool {
	if m.Method == wire.NotifyResourceUpdated {
		// "This might be a sub-resource of the one that the client actually subscribed
		// to."
		uri := m.Params.Get("uri").Text()
		return slices.ContainsFunc(i.uris, func(wanted string) bool { return strings.HasPrefix(uri, wanted) })
	}
	return i.lists[m.Method]
}

// covers reports whether all that another interest names is in this one.
func (i interest) covers(other interest) bool {
	for list := range other.lists {
		if !i.lists[list] {
			return false
		}
	}
	return !slices.ContainsFunc(other.uris, func(uri string) bool { return !slices.Contains(i.uris, uri) })
}

func (i interest) empty() bool { return len(i.lists) == 0 && len(i.uris) == 0 }

// filter writes the interest as subscriptions/listen has it.
func (i interest) filter() []byte {
	var members []wire.Change
	for _, list := range interests {
		if i.lists[list.method] {
			members = append(members, wire.Change{Key: list.member, Raw: []byte(`true`)})
		}
	}
	if len(i.uris) > 0 {
		members = append(members, wire.Change{Key: "resourceSubscriptions", Raw: texts(i.uris)})
	}
	return object(members...)
}

func texts(list []string) []byte {
	out := []byte{'['}
	for n, text := range list {
		if n > 0 {
			out = append(out, ',')
		}
		out = wire.AppendString(out, text)
	}
	return append(out, ']')
}

// listen answers subscriptions/listen where the gateway itself is the server: in
// front of a server without that method, and where servers are joined. It returns
// when the client has gone.
func (g *Gateway) listen(ctx context.Context, ex *exchange) (upstream.Answer, error) {
	servers := []*server{ex.server}
	if ex.server == nil {
		servers = g.live.Load().order
	}
	parts, granted, err := g.interestsOf(ctx, ex, servers)
	if err != nil {
		return upstream.Answer{}, err
	}
	ack, err := wire.Parse(wire.NewNotification(wire.NotifyAcknowledged,
		object(wire.Change{Key: "notifications", Raw: granted.filter()})), wire.Limits{Bytes: 1 << 30})
	if err != nil {
		return upstream.Answer{}, err
	}
	out := &announcer{ex: ex}
	var all, taken sync.WaitGroup
	for s, wanted := range parts {
		taken.Add(1)
		begun := sync.OnceFunc(taken.Done)
		all.Go(func() {
			defer begun()
			s.watch(ctx, ex, wanted, out.emit, func(error) { begun() })
			if s.isClosed() {
				ex.cancel(decision.Refuse(decision.UpstreamUnavailable, "the configuration of %s has changed; subscribe again", s.id))
			}
		})
	}
	// A client that has the acknowledgement relies on it, so the servers come first;
	// one that does not answer must not keep the others from being heard.
	await(ctx, &taken, g.live.Load().config.Limits.StartTimeout)
	if err := out.open(ack); err != nil {
		ex.cancel(decision.Wrap(decision.ClientGone, err))
	}
	<-ctx.Done()
	all.Wait()
	return upstream.Answer{}, cancelled(ctx)
}

// await waits for a group, but no longer than that.
func await(ctx context.Context, group *sync.WaitGroup, longest time.Duration) {
	done := make(chan struct{})
	go func() { // ends with the group, which ends with ctx at the latest
		group.Wait()
		close(done)
	}()
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// announcer sends the notifications of one subscription, the acknowledgement first:
// it "MUST be the first message the server sends carrying the subscription's ID".
type announcer struct {
	ex *exchange

	mu      sync.Mutex // guards what follows, and the order
	opened  bool
	waiting []*wire.Message // that came before the acknowledgement
}

// maxWaiting bounds what is kept until a subscription is acknowledged. They say that
// something changed; one of each kind would do.
const maxWaiting = 100

func (a *announcer) emit(m *wire.Message) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.opened {
		return emitTagged(a.ex, m)
	}
	if len(a.waiting) < maxWaiting {
		a.waiting = append(a.waiting, m)
	}
	return nil
}

func (a *announcer) open(ack *wire.Message) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.opened = true
	for _, m := range append([]*wire.Message{ack}, a.waiting...) {
		if err := emitTagged(a.ex, m); err != nil {
			return err
		}
	}
	a.waiting = nil
	return nil
}

// interestsOf takes a filter apart: what each server is asked for, and all that is
// granted in the client's own names.
func (g *Gateway) interestsOf(ctx context.Context, ex *exchange, servers []*server) (map[*server]interest, interest, error) {
	filter := ex.msg.Params.Get("notifications")
	if filter.Kind() != '{' {
		return nil, interest{}, decision.Refuse(decision.InvalidArguments, "params.notifications must be an object")
	}
	parts := map[*server]interest{}
	granted := interest{lists: map[string]bool{}}
	count := 0
	each, stop := g.forEach(ctx)
	defer stop()
	for _, s := range servers {
		if s.admitted(each) != nil {
			continue
		}
		wanted := interest{lists: map[string]bool{}}
		for _, list := range interests {
			// Where servers are joined, lists change by servers that come and go.
			if filter.Get(list.member).IsTrue() && s.capabilities().Get(list.capability).Exists() {
				wanted.lists[list.method], granted.lists[list.method] = true, true
			}
		}
		for uri := range filter.Get("resourceSubscriptions").Items() {
			if count++; count > maxURIs {
				return nil, interest{}, decision.Refuse(decision.InvalidArguments, "over %d resources", maxURIs)
			}
			own, found := uri.Text(), true
			if ex.peer.Mount == "" {
				own, found = strings.CutPrefix(own, s.id+uriSeparator)
			}
			if found && passes(s.filterOf(""), "", own) && s.capabilities().At("resources", "subscribe").IsTrue() {
				wanted.uris = append(wanted.uris, own)
				granted.uris = append(granted.uris, uri.Text())
			}
		}
		if !wanted.empty() {
			parts[s] = wanted
		}
	}
	return parts, granted, nil
}

// emitTagged sends a notification to a modern client under the id of its
// subscription.
func emitTagged(ex *exchange, m *wire.Message) error {
	if ex.peer.Emit == nil {
		return decision.Refuse(decision.ClientGone, "the client takes no stream")
	}
	meta := updated(m.Params.Get("_meta"), wire.Change{Key: wire.MetaSubscriptionID, Raw: []byte(ex.msg.ID)})
	return ex.peer.Emit(wire.NewNotification(m.Method, updated(m.Params, wire.Change{Key: "_meta", Raw: meta})))
}

// watch follows one server on behalf of an exchange until ctx ends, and hands on
// what it announces. begun is called each time the server has taken the
// subscription, or has not, with the reason.
func (s *server) watch(ctx context.Context, ex *exchange, wanted interest, emit func(*wire.Message) error, begun func(error)) {
	for wait := firstBackOff; ctx.Err() == nil; wait = min(2*wait, lastBackOff) {
		since := time.Now()
		var err error
		switch modern, _ := s.eras(); {
		case modern && s.config.URL == "":
			err = s.watchShared(ctx, ex, wanted, emit, begun)
		case modern:
			err = s.watchModern(ctx, ex, wanted, emit, begun)
		default:
			err = s.watchLegacy(ctx, ex, wanted, emit, begun)
		}
		if ctx.Err() != nil {
			return
		}
		begun(err)
		if decision.From(err).Reason == decision.Unsupported || s.isClosed() {
			return // it would say so again
		}
		s.log.Debug("a subscription ended and is made again", "error", err)
		if time.Since(since) > lastBackOff {
			wait = firstBackOff
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// watchModern is one subscriptions/listen at the server.
func (s *server) watchModern(ctx context.Context, ex *exchange, wanted interest, emit func(*wire.Message) error, begun func(error)) error {
	m, header, err := s.gateway.ownRequest(true, wire.MethodListen, object(wire.Change{Key: "notifications", Raw: wanted.filter()}))
	if err != nil {
		return err
	}
	// On the server's own mount names are its own, as in what is wanted of it.
	tag := newExchange(nil, &Peer{Local: true, Mount: s.id, Emit: func(raw []byte) error {
		m, err := wire.Parse(raw, wire.Limits{Bytes: 1 << 30})
		switch {
		case err != nil:
			return err
		case m.Method == wire.NotifyAcknowledged:
			begun(nil)
			return nil
		case !wanted.wants(m):
			return nil
		}
		return emit(s.joinedNotification(ex.peer.Mount, m))
	}})
	tag.msg, tag.modern, tag.session = m, ex.modern, ex.session
	answer, err := s.linkOf(ex.principal).call(ctx, m, header, tag)
	if err == nil && answer.Message.Error.Exists() {
		err = decision.Refuse(decision.Unsupported, "%s takes no subscription", s.id)
	}
	return err
}

// watchLegacy follows a server in a session of the client's pool.
func (s *server) watchLegacy(ctx context.Context, ex *exchange, wanted interest, emit func(*wire.Message) error, begun func(error)) error {
	p, release, err := s.pool.lease(ex)
	if err != nil {
		return err
	}
	defer release()
	l := p.session.link(s)
	defer l.hold()()
	conn, err := l.ready(ctx)
	if err != nil {
		return err
	}
	f := &follower{wanted: wanted, emit: func(m *wire.Message) error { return emit(s.joinedNotification(ex.peer.Mount, m)) }}
	p.follow(f)
	defer p.unfollow(f)
	for _, uri := range wanted.uris {
		if err := p.subscribe(ctx, l, uri); err != nil {
			return err
		}
		defer p.unsubscribe(l, uri)
	}
	begun(nil)
	select {
	case <-ctx.Done():
		return nil
	case <-conn.Done():
		p.forgetSubscriptions() // they went with the server's session
		return upstream.ErrEnded
	}
}

// joinedNotification gives the URI in a notification the form in which a client of
// the joined mount knows it.
func (s *server) joinedNotification(mount string, m *wire.Message) *wire.Message {
	uri := m.Params.Get("uri")
	if mount != "" || uri.Kind() != '"' {
		return m
	}
	out := m
	if err := replaceMessage(&out, []wire.Edit{uri.Replace(wire.AppendString(nil, s.id+uriSeparator+uri.Text()))}); err != nil {
		return m
	}
	return out
}

// follower gets the notifications of a pooled session that belong to no call.
type follower struct {
	wanted interest
	emit   func(*wire.Message) error
}

func (s *pooled) follow(f *follower) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.followers[f] = true
}

func (s *pooled) unfollow(f *follower) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.followers, f)
}

// publish hands a message that belongs to no call to those who asked for its kind.
func (s *pooled) publish(raw []byte) error {
	m, err := wire.Parse(raw, wire.Limits{Bytes: 1 << 30})
	if err != nil {
		return err
	}
	s.mu.Lock()
	var all []*follower
	for f := range s.followers {
		if m.Kind == wire.Notification && f.wanted.wants(m) {
			all = append(all, f)
		}
	}
	s.mu.Unlock()
	for _, f := range all {
		_ = f.emit(m) // one that is gone leaves by itself
	}
	return nil
}

// subscribe asks for the changes of a resource, once for all followers.
func (s *pooled) subscribe(ctx context.Context, l *link, uri string) error {
	s.mu.Lock()
	s.uris[uri]++
	first := s.uris[uri] == 1
	s.mu.Unlock()
	if !first {
		return nil
	}
	err := l.tell(ctx, wire.MethodSubscribe, uri)
	if err != nil {
		s.mu.Lock()
		s.uris[uri]--
		s.mu.Unlock()
	}
	return err
}

func (s *pooled) unsubscribe(l *link, uri string) {
	s.mu.Lock()
	last := s.uris[uri] == 1
	if s.uris[uri]--; s.uris[uri] <= 0 {
		delete(s.uris, uri)
	}
	s.mu.Unlock()
	if !last {
		return
	}
	ctx, stop := context.WithTimeout(s.session.ctx, lastRecords)
	defer stop()
	if err := l.tell(ctx, wire.MethodUnsubscribe, uri); err != nil {
		l.server.log.Debug("a subscription was not taken back", "error", err)
	}
}

func (s *pooled) forgetSubscriptions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.uris)
}

// tell sends a request of the gateway's own about one resource.
func (l *link) tell(ctx context.Context, method, uri string) error {
	m, header, err := l.server.gateway.ownRequest(false, method, object(wire.Change{Key: "uri", Raw: wire.AppendString(nil, uri)}))
	if err != nil {
		return err
	}
	answer, err := l.call(ctx, m, header, nil)
	if err == nil && answer.Message.Error.Exists() {
		err = decision.Refuse(decision.UpstreamInvalid, "%s was answered by an error", method)
	}
	return err
}

// watching is what a legacy session follows at one server without sessions.
type watching struct {
	server *server

	mu   sync.Mutex // held while the subscription changes; guards what follows
	uris []string
	stop context.CancelFunc // of the subscription in force
}

// follow subscribes a legacy client to a resource of a modern server, or ends
// that.
func (g *Gateway) follow(ctx context.Context, ex *exchange, on bool) (upstream.Answer, error) {
	w := ex.session.watching(ex.server)
	w.mu.Lock()
	defer w.mu.Unlock()
	uris := slices.DeleteFunc(slices.Clone(w.uris), func(uri string) bool { return uri == ex.target })
	if on {
		uris = append(uris, ex.target)
	}
	if len(uris) > maxURIs {
		return upstream.Answer{}, decision.Refuse(decision.InvalidArguments, "over %d resources", maxURIs)
	}
	if err := w.renew(ctx, ex, uris); err != nil {
		return upstream.Answer{}, err
	}
	return localAnswer(ex, []byte(`{}`))
}

// renew puts a subscription in the place of the one before. The old one goes when
// the new one stands, so that nothing is missed; the caller holds mu.
func (w *watching) renew(ctx context.Context, ex *exchange, uris []string) error {
	session := ex.session
	wanted := interest{lists: map[string]bool{}, uris: uris}
	for _, list := range interests {
		if w.server.capabilities().At(list.capability, "listChanged").IsTrue() {
			wanted.lists[list.method] = true
		}
	}
	if wanted.empty() {
		w.replace(uris, nil)
		return nil
	}
	following, stop := context.WithCancel(session.ctx)
	taken := make(chan error, 1) // the first outcome; later ones are of no interest
	emit := func(m *wire.Message) error {
		meta := updated(m.Params.Get("_meta"), wire.Change{Key: wire.MetaSubscriptionID})
		changes := wire.Change{Key: "_meta", Raw: meta}
		if string(meta) == `{}` {
			changes.Raw = nil
		}
		if !session.push(wire.NewNotification(m.Method, updated(m.Params, changes))) {
			return fmt.Errorf("the client reads no stream")
		}
		return nil
	}
	go func() { // ends with following
		w.server.watch(following, ex, wanted, emit, func(err error) {
			select {
			case taken <- err:
			default:
			}
		})
		if following.Err() == nil {
			w.moveOn(ex)
		}
	}()
	wait := time.NewTimer(w.server.limits().StartTimeout)
	defer wait.Stop()
	select {
	case err := <-taken:
		if err != nil {
			stop()
			return err
		}
		w.replace(uris, stop)
		return nil
	case <-ctx.Done():
		stop()
		return cancelled(ctx)
	case <-wait.C:
		stop()
		return decision.Refuse(decision.UpstreamTimeout, "the subscription was not taken")
	}
}

// moveOn follows the server that another configuration has put in the place of this
// one.
func (w *watching) moveOn(ex *exchange) {
	s := w.server.gateway.live.Load().servers[w.server.id]
	if s == nil || s == w.server {
		return
	}
	w.mu.Lock()
	uris := w.uris
	w.replace(nil, nil)
	w.mu.Unlock()
	s.gateway.followServer(ex, s, uris)
}

// replace ends the subscription before; the caller holds mu.
func (w *watching) replace(uris []string, stop context.CancelFunc) {
	if w.stop != nil {
		w.stop()
	}
	w.uris, w.stop = uris, stop
}

// watching is the session's own record of what it follows at a server.
func (s *Session) watching(srv *server) *watching {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.watches[srv.id]
	if w == nil || w.server != srv {
		w = &watching{server: srv}
		if s.watches == nil {
			s.watches = map[string]*watching{}
		}
		s.watches[srv.id] = w
	}
	return w
}

// followLists begins to follow the lists of the servers without sessions that a
// legacy client uses, as soon as it is ready.
func (g *Gateway) followLists(ex *exchange) {
	servers := g.live.Load().order
	if ex.session.mount != "" {
		servers = []*server{g.live.Load().servers[ex.session.mount]}
	}
	for _, s := range servers {
		if s == nil {
			continue
		}
		go g.followServer(ex, s, nil) // ends with the session
	}
}

// followServer begins to follow the lists and some resources of a server, unless
// that was begun already.
func (g *Gateway) followServer(ex *exchange, s *server, uris []string) {
	if s.admitted(ex.session.ctx) != nil {
		return
	}
	if modern, legacy := s.eras(); !modern || legacy {
		return
	}
	w := ex.session.watching(s)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop != nil {
		return
	}
	uris = slices.DeleteFunc(slices.Concat(w.uris, uris), func(uri string) bool { return !passes(s.filterOf(""), "", uri) })
	if err := w.renew(ex.session.ctx, ex, uris); err != nil {
		s.log.Debug("a server is not followed", "error", err)
	}
}

// wantLevel makes the server log as much as a modern client asks for in one
// request. What others get of it is decided for each of them.
func (l *link) wantLevel(ctx context.Context, level wire.Value) error {
	if !level.Exists() || !l.server.capabilities().Get("logging").Exists() {
		return nil
	}
	s := l.session
	s.mu.Lock()
	enough := len(s.level) > 0 && severity(string(levelOf(s.level))) <= severity(string(level.Raw()))
	s.mu.Unlock()
	if enough {
		return nil
	}
	params := object(wire.Change{Key: "level", Raw: level.Raw()})
	m, _, err := l.server.gateway.ownRequest(false, wire.MethodSetLevel, params)
	if err != nil {
		return err
	}
	if _, err = l.call(ctx, m, nil, nil); err == nil {
		s.keepLevel(params)
	}
	return err
}

func (s *Session) keepLevel(params []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.level = params
}

// levels of RFC 5424, the most talkative first, as JSON strings.
var levels = []string{`"debug"`, `"info"`, `"notice"`, `"warning"`, `"error"`, `"critical"`, `"alert"`, `"emergency"`}

// severity of an unknown level is that of the least talkative.
func severity(level string) int {
	if i := slices.Index(levels, level); i >= 0 {
		return i
	}
	return len(levels)
}

// unasked tells the notifications that a client of this exchange must not get:
// "If the level is absent, the server MUST NOT send notifications/message for the
// request", and what its revision does not have.
func (ex *exchange) unasked(m *wire.Message) bool {
	switch m.Method {
	case wire.NotifyMessage:
		wanted := ex.msg.Params.At("_meta", wire.MetaLogLevel)
		return !wanted.Exists() || severity(string(m.Params.Get("level").Raw())) < severity(string(wanted.Raw()))
	case wire.NotifyElicitationComplete, wire.NotifyTaskStatus, wire.NotifyRootsChanged:
		return true
	}
	return false
}
