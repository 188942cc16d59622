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

// tell announces other lists of the kinds that a server has.
func (j *joiners) tell(capabilities wire.Value) {
	j.announce(func(capability string) bool { return capabilities.Get(capability).Exists() })
}

// tellAll announces that any list may have changed.
func (j *joiners) tellAll() { j.announce(func(string) bool { return true }) }

func (j *joiners) announce(concerns func(capability string) bool) {
	j.mu.Lock()
	all := make([]*Session, 0, len(j.sessions))
	for s := range j.sessions {
		all = append(all, s)
	}
	j.mu.Unlock()
	for _, s := range all {
		for _, list := range interests {
			if concerns(list.capability) {
				_ = s.push(wire.NewNotification(list.method, nil)) // a client that reads no stream asks by itself
			}
		}
	}
}
