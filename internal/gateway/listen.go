package gateway

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/decision"
	"gatehouse/internal/policy"
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
	ack, err := reread(wire.NewNotification(wire.NotifyAcknowledged,
		object(wire.Change{Key: "notifications", Raw: granted.filter()})))
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
	uris := slices.Collect(filter.Get("resourceSubscriptions").Items())
	if len(uris) > maxURIs {
		return nil, interest{}, decision.Refuse(decision.InvalidArguments, "over %d resources", maxURIs)
	}
	each, stop := g.forEach(ctx)
	defer stop()
	for _, s := range servers {
		if !ex.audience.reaches(s) || s.admitted(each) != nil {
			continue
		}
		wanted := interest{lists: map[string]bool{}}
		for _, list := range interests {
			// Where servers are joined, lists change by servers that come and go.
			if filter.Get(list.member).IsTrue() && s.capabilities().Get(list.capability).Exists() {
				wanted.lists[list.method], granted.lists[list.method] = true, true
			}
		}
		for _, uri := range uris {
			own, found := uri.Text(), true
			if ex.peer.Mount == "" {
				own, found = strings.CutPrefix(own, s.id+uriSeparator)
			}
			if found && passes(s.filterOf(""), "", own) && ex.audience.sees(s, "", own, policy.Claims{}) && s.capabilities().At("resources", "subscribe").IsTrue() {
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
	tell := func(m *wire.Message) error {
		if !s.gateway.mayHear(ex, s, m) {
			return nil
		}
		return emit(s.joinedNotification(ex.peer.Mount, m))
	}
	for wait := firstBackOff; ctx.Err() == nil; wait = min(2*wait, lastBackOff) {
		since := time.Now()
		var err error
		switch modern, _ := s.eras(); {
		case modern && s.config.URL == "":
			err = s.watchShared(ctx, ex, wanted, tell, begun)
		case modern:
			err = s.watchModern(ctx, ex, wanted, tell, begun)
		default:
			err = s.watchLegacy(ctx, ex, wanted, tell, begun)
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
		m, err := reread(raw)
		switch {
		case err != nil:
			return err
		case m.Method == wire.NotifyAcknowledged:
			begun(nil)
			return nil
		case !wanted.wants(m):
			return nil
		}
		return emit(m)
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
	f := &follower{wanted: wanted, emit: emit}
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
	if err := replaceMessage(&out, []wire.Edit{uri.Replace(wire.AppendString(nil, joinedURI(s.id, uri.Text())))}); err != nil {
		return m
	}
	return out
}
