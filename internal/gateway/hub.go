package gateway

import (
	"context"
	"maps"
	"slices"
	"sync"

	"gatehouse/internal/decision"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// hub is the one subscription at a process without sessions that several clients
// share. Some servers keep one for each connection: a second takes the place of the
// first, and the end of either ends both (the Go SDK). So one that is replaced stays
// open, and what it brings is dropped.
type hub struct {
	link *link

	changing sync.Mutex // held while a subscription is put in the place of another

	mu        sync.Mutex // guards what follows
	followers followers
	current   *subscription
	replaced  []*subscription
}

// maxReplaced bounds the requests that a server keeps for nothing. Beyond it everything
// is ended, and everybody who follows joins again.
const maxReplaced = 256

// subscription is one subscriptions/listen of a hub.
type subscription struct {
	wanted interest
	stop   context.CancelFunc
	taken  chan error    // the first outcome
	ended  chan struct{} // or replaced
}

// join makes f a follower. It returns when the server has taken what f wants, with a
// channel that is closed when the server ends the subscription.
func (h *hub) join(ctx context.Context, f *follower) (ended <-chan struct{}, err error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	if ctx.Err() != nil {
		return nil, cancelled(ctx) // it has left while it waited for others
	}
	h.mu.Lock()
	h.followers[f] = true
	all := interest{lists: map[string]bool{}}
	for other := range h.followers {
		maps.Copy(all.lists, other.wanted.lists)
		all.uris = append(all.uris, other.wanted.uris...)
	}
	slices.Sort(all.uris)
	all.uris = slices.Compact(all.uris)
	before := h.current
	h.mu.Unlock()
	if before != nil && before.wanted.covers(f.wanted) {
		return before.ended, nil
	}
	next, err := h.subscribe(all)
	if err != nil {
		return nil, err
	}
	err = h.link.server.firstOutcome(ctx, next.taken)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		next.stop()
		h.stopAll() // the server may have forgotten what was before it
		return nil, err
	}
	switch {
	case next.over():
		h.stopAll()
		return next.ended, nil
	case len(h.replaced) == maxReplaced:
		next.stop()
		h.stopAll()
		return nil, upstream.ErrEnded
	}
	if h.current != nil {
		h.replaced = append(h.replaced, h.current)
		h.current.leave()
	}
	h.current = next
	return next.ended, nil
}

// ends notes that a subscription is over; the caller holds mu.
func (h *hub) ends(s *subscription) {
	if h.current == s {
		h.current = nil
	}
	h.replaced = slices.DeleteFunc(h.replaced, func(r *subscription) bool { return r == s })
	s.leave()
}

// stopAll ends every subscription; the caller holds mu.
func (h *hub) stopAll() {
	for _, s := range h.replaced {
		s.stop()
	}
	h.replaced = nil
	if h.current != nil {
		h.current.stop()
		h.current = nil
	}
}

// leave tells those who wait for the end of a subscription to look for another.
func (s *subscription) leave() {
	if !s.over() {
		close(s.ended)
	}
}

// over reports whether the subscription has ended or was replaced.
func (s *subscription) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// leave makes f no follower. What only f wanted still arrives, and is dropped.
func (h *hub) leave(f *follower) {
	h.changing.Lock()
	defer h.changing.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.followers, f)
	if len(h.followers) == 0 {
		h.stopAll()
	}
}

// subscribe sends one subscriptions/listen, which lasts until it is stopped.
func (h *hub) subscribe(wanted interest) (*subscription, error) {
	g := h.link.server.gateway
	m, header, err := g.ownRequest(true, wire.MethodListen, object(wire.Change{Key: "notifications", Raw: wanted.filter()}))
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(g.ctx)
	s := &subscription{wanted: wanted, stop: stop, taken: make(chan error, 1), ended: make(chan struct{})}
	tag := newExchange(nil, &Peer{Local: true, Mount: h.link.server.id, Emit: func(raw []byte) error { return h.publish(s, raw) }})
	tag.msg, tag.modern = m, true
	g.sweeping.Go(func() {
		defer stop()
		answer, err := h.link.call(ctx, m, header, tag)
		if err == nil && answer.Message.Error.Exists() {
			err = decision.Refuse(decision.Unsupported, "%s takes no subscription", h.link.server.id)
		}
		if err == nil {
			err = upstream.ErrEnded
		}
		select {
		case s.taken <- err:
		default: // it was taken long ago
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ends(s)
	})
	return s, nil
}

// publish hands a message to those who asked for its kind.
func (h *hub) publish(s *subscription, raw []byte) error {
	m, err := reread(raw)
	if err != nil {
		return err
	}
	if m.Method == wire.NotifyAcknowledged {
		select {
		case s.taken <- nil:
		default:
		}
		return nil
	}
	h.mu.Lock()
	var all []*follower
	if !slices.Contains(h.replaced, s) { // whose messages the current one brings too
		all = h.followers.of(m)
	}
	h.mu.Unlock()
	for _, f := range all {
		_ = f.emit(m) // one that is gone leaves by itself
	}
	return nil
}

// watchShared follows a process through the one subscription of its hub.
func (s *server) watchShared(ctx context.Context, ex *exchange, wanted interest, emit func(*wire.Message) error, begun func(error)) error {
	h := &s.linkOf(ex.principal).hub
	f := &follower{wanted: wanted, emit: emit}
	ended, err := h.join(ctx, f)
	defer h.leave(f)
	if err != nil {
		return err
	}
	for {
		begun(nil)
		select {
		case <-ctx.Done():
			return nil
		case <-ended:
		}
		// Either another subscription has taken its place, which covers this one, or
		// the server has ended it.
		h.mu.Lock()
		now := h.current
		h.mu.Unlock()
		if now == nil {
			return upstream.ErrEnded
		}
		ended = now.ended
	}
}
