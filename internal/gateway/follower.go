package gateway

import (
	"context"

	"gatehouse/internal/decision"
	"gatehouse/internal/wire"
)

// follower gets those notifications of a server that it wants and that belong to no
// call.
type follower struct {
	wanted interest
	emit   func(*wire.Message) error
}

// followers share a session of a pool, or the subscription of a hub.
type followers map[*follower]bool

// of lists those who asked for a notification of this kind.
func (f followers) of(m *wire.Message) []*follower {
	var all []*follower
	for one := range f {
		if m.Kind == wire.Notification && one.wanted.wants(m) {
			all = append(all, one)
		}
	}
	return all
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
	m, err := reread(raw)
	if err != nil {
		return err
	}
	s.mu.Lock()
	all := s.followers.of(m)
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
