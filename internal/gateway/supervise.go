package gateway

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/decision"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// pingTimeout is how long a process that let a call time out may take to answer a
// ping. One that does not is ended, and started anew for the next call.
const pingTimeout = 5 * time.Second

// hold keeps the link's connection from being taken for idle until the returned
// function is called.
func (l *link) hold() (release func()) {
	l.holds.Add(1)
	return func() {
		l.used.Store(time.Now().UnixNano())
		l.holds.Add(-1)
	}
}

// stopIdle ends the process of the link if nobody has used it since then. The next
// call starts it again.
func (l *link) stopIdle(since time.Time) {
	l.mu.Lock()
	conn := l.conn
	// A call holds the link before it looks for the connection, so either it is seen
	// here or it finds none there.
	idle := conn != nil && !l.subscribed && l.holds.Load() == 0 && time.Unix(0, l.used.Load()).Before(since)
	if idle {
		l.conn = nil
	}
	l.mu.Unlock()
	if idle {
		l.server.log.Info("the server is idle and is stopped until it is needed")
		conn.Close()
	}
}

// subscribes notes that the client follows a resource over this connection.
func (l *link) subscribes() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subscribed = true
}

// stopIdle ends the server's processes that nobody uses. A process that belongs to
// a client's session may keep what the session did, so it is ended only if the
// configuration says so.
func (s *server) stopIdle(now time.Time) {
	if s.config.URL != "" {
		return
	}
	s.mu.Lock()
	var links []*link
	for _, l := range s.children {
		links = append(links, l)
	}
	s.mu.Unlock()
	for _, l := range links {
		after := s.config.IdleStop
		if after == 0 && (l.session == nil || l.session.pooled != nil) {
			after = s.limits().SessionIdle
		}
		if after > 0 {
			l.stopIdle(now.Add(-after))
		}
	}
}

// sweepInterval is how often idle sessions and processes are looked for.
func (l *live) sweepInterval() time.Duration {
	shortest := sweepEvery
	for _, s := range l.order {
		if s.config.IdleStop > 0 {
			shortest = min(shortest, s.config.IdleStop/2)
		}
	}
	return max(shortest, 100*time.Millisecond)
}

// suspect pings a process that let a call time out, and ends it if it does not
// answer: it hangs, and everybody else would wait as long.
func (l *link) suspect(conn upstream.Conn, err error) {
	var refusal *decision.Refusal
	process, ok := conn.(*upstream.Process)
	if !ok || !errors.As(err, &refusal) || refusal.Reason != decision.UpstreamTimeout || !l.suspected.CompareAndSwap(false, true) {
		return
	}
	l.server.gateway.sweeping.Go(func() {
		defer l.suspected.Store(false)
		ctx, stop := context.WithTimeout(l.server.gateway.ctx, pingTimeout)
		defer stop()
		method := wire.MethodPing
		if l.modern() {
			method = wire.MethodDiscover
		}
		m, _, err := l.server.gateway.ownRequest(l.modern(), method, []byte(`{}`))
		if err != nil {
			return
		}
		if _, err = process.Call(ctx, upstream.Request{Message: m}); err == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return
		}
		l.server.gateway.note(&audit.Record{Kind: audit.ServerEnded, Server: l.server.id, Detail: "it hangs and is ended: " + l.server.describe(conn)})
		l.server.log.Warn("the server answers no ping and is ended")
		process.Close()
	})
}

// startProcess counts a process that is about to start. It reports whether there
// is room for it.
func (g *Gateway) startProcess() error {
	most := g.live.Load().config.Limits.Processes
	if g.processes.Add(1) > int64(most) {
		g.processes.Add(-1)
		return decision.Refuse(decision.Overloaded, "%d server processes run", most)
	}
	return nil
}

// linkOf is the principal's own link to a server without sessions. Two principals
// do not share a process: what it sends without naming a call could reach the
// wrong one.
func (s *server) linkOf(principal string) *link {
	if s.config.URL != "" || principal == s.gateway.local.ID {
		return s.shared
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.links[principal]
	if l == nil {
		l = newLink(s, nil)
		l.principal = principal
		s.links[principal] = l
	}
	return l
}
