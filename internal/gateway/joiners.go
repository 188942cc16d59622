package gateway

import (
	"context"
	"sync"

	"gatehouse/internal/wire"
)

// joiners are the sessions that see several servers as one. They are told when
// what they see may have changed by something that no server announces: a server
// that became available late, an approval, another configuration.
type joiners struct {
	mu       sync.Mutex
	sessions map[*Session]bool
}

// add is for a session whose client is ready; it ends with the session.
func (j *joiners) add(s *Session) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.sessions[s] {
		return
	}
	if j.sessions == nil {
		j.sessions = map[*Session]bool{}
	}
	j.sessions[s] = true
	context.AfterFunc(s.ctx, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.sessions, s)
	})
}

// tell announces other lists of the kinds that a server has, to those who see any of
// it.
func (j *joiners) tell(s *server) {
	has := s.capabilities()
	j.announce(func(session *Session, method, capability string) bool {
		return has.Get(capability).Exists() && s.gateway.audienceOfSession(session).hears(s, method)
	})
}

// tellOf announces that lists may have changed, to those who see any list of that
// kind.
func (j *joiners) tellOf(g *Gateway) {
	j.announce(func(session *Session, method, _ string) bool { return g.audienceOfSession(session).hears(nil, method) })
}

// tellAll announces that any list may have changed: another configuration may also
// take away the last that somebody saw.
func (j *joiners) tellAll() { j.announce(func(*Session, string, string) bool { return true }) }

func (j *joiners) announce(concerns func(s *Session, method, capability string) bool) {
	j.mu.Lock()
	all := make([]*Session, 0, len(j.sessions))
	for s := range j.sessions {
		all = append(all, s)
	}
	j.mu.Unlock()
	for _, s := range all {
		for _, list := range interests {
			if concerns(s, list.method, list.capability) {
				_ = s.push(wire.NewNotification(list.method, nil)) // a client that reads no stream asks by itself
			}
		}
	}
}
