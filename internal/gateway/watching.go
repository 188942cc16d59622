package gateway

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/decision"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

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
	go func() {                  // ends with following
		w.server.watch(following, ex, wanted, session.announce, func(err error) {
			select {
			case taken <- err:
			default:
			}
		})
		if following.Err() == nil {
			w.moveOn(ex)
		}
	}()
	if err := w.server.firstOutcome(ctx, taken); err != nil {
		stop()
		return err
	}
	w.replace(uris, stop)
	return nil
}

// firstOutcome waits until the server has taken a subscription, or has not.
func (s *server) firstOutcome(ctx context.Context, taken <-chan error) error {
	wait := time.NewTimer(s.limits().StartTimeout)
	defer wait.Stop()
	select {
	case err := <-taken:
		return err
	case <-ctx.Done():
		return cancelled(ctx)
	case <-wait.C:
		return decision.Refuse(decision.UpstreamTimeout, "the subscription was not taken")
	}
}

// announce passes a modern server's notification on to a legacy client, which knows
// no ids of subscriptions.
func (s *Session) announce(m *wire.Message) error {
	meta := updated(m.Params.Get("_meta"), wire.Change{Key: wire.MetaSubscriptionID})
	changes := wire.Change{Key: "_meta", Raw: meta}
	if string(meta) == `{}` {
		changes.Raw = nil
	}
	if !s.push(wire.NewNotification(m.Method, updated(m.Params, changes))) {
		return errors.New("the client reads no stream")
	}
	return nil
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
