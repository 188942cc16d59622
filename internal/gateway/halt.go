package gateway

import (
	"errors"
	"sync"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/decision"
	"gatehouse/internal/halt"
	"gatehouse/internal/policy"
	"gatehouse/internal/upstream"
)

// halted refuses what a person has stopped. It comes before anything is asked of a
// server, so that one that is halted is not started either. Whoever could not use it
// anyway is told nothing of a halt.
func (g *Gateway) halted(ex *exchange) error {
	h, stopped := g.halts.Refuses(ex.haltCall())
	if !stopped || h.Name != "" && h.What != halt.Principal && h.What != halt.Team && !ex.audience.seesTarget(ex, policy.Claims{}) {
		return nil
	}
	return haltRefusal(h)
}

func haltRefusal(h halt.Halt) error {
	return decision.Refuse(decision.Halted, "%s", printable(h.Sentence()))
}

// haltCall is what the exchange is about, as far as halts know.
func (ex *exchange) haltCall() *halt.Call {
	call := &halt.Call{}
	if who := ex.asker(); who != nil {
		call.Principal, call.Teams = who.ID, who.Teams
	}
	if ex.server != nil {
		call.Server = ex.server.id
		if kind, name := ex.resource(); kind != policy.KindServer {
			call.Kind, call.Name = kind, name
		}
		if ex.meta.name == "taskId" {
			call.Kind, call.Name = policy.KindTool, ex.server.toolOfTask(ex.target)
		}
	}
	return call
}

// flights are the exchanges that wait for the other side. Its zero value is ready.
type flights struct {
	mu  sync.Mutex
	all map[*exchange]struct{}
}

func (f *flights) add(ex *exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[*exchange]struct{}{}
	}
	f.all[ex] = struct{}{}
}

func (f *flights) remove(ex *exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, ex)
}

// end ends those that a change is about.
func (f *flights) end(change halt.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ex := range f.all {
		if h, stopped := change.Stops(ex.flight); stopped {
			ex.cancel(haltRefusal(h))
		}
	}
}

// takeOff counts the exchange among those that a halt ends. A halt that began since
// it was looked for is found here.
func (g *Gateway) takeOff(ex *exchange) error {
	ex.flight = ex.haltCall()
	g.flights.add(ex)
	if h, stopped := g.halts.Refuses(ex.flight); stopped {
		return haltRefusal(h)
	}
	return nil
}

// Halt stops something at once, and for every other gateway of the state folder, and
// records it. After an error it is halted all the same, as long as this gateway runs.
func (g *Gateway) Halt(h halt.Halt) error {
	err := g.halts.Halt(h)
	return errors.Join(err, g.append(&audit.Record{
		Kind: audit.Halted, Principal: "local:" + h.By, Server: h.Server, Target: h.Name, Detail: h.Target.String() + ": " + h.Reason,
	}))
}

// haltsChanged ends what is under way and must not be any more.
func (g *Gateway) haltsChanged(change halt.Change) {
	g.flights.end(change)
	g.errands.halt(change)
	for _, s := range g.live.Load().order {
		if len(change.Began) > 0 {
			g.sweeping.Go(func() { s.disconnect(change) }) // a process that is slow to end must not hold up the next halt
		}
	}
	g.joiners.tellOf(g)
	for _, h := range change.Began {
		g.log.Warn("halted", "what", h.Target.String(), "reason", h.Reason, "by", h.By)
		if h.By == halt.Unreadable {
			g.note(&audit.Record{Kind: audit.Halted, Detail: h.Target.String() + ": " + h.Reason})
		}
	}
	for _, h := range change.Ended {
		g.log.Warn("resumed", "what", h.Target.String())
		if h.By == halt.Unreadable || !h.Until.IsZero() && !time.Now().Before(h.Until) { // by nobody
			g.note(&audit.Record{Kind: audit.Resumed, Server: h.Server, Target: h.Name, Detail: h.Target.String() + ": by itself"})
		}
	}
}

// halt ends the calls that go on while their clients think.
func (t *errands) halt(change halt.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, e := range t.all {
		if h, stopped := change.Stops(e.first.flight); stopped {
			delete(t.all, id)
			e.cancel(haltRefusal(h))
		}
	}
}

// disconnect ends the connections to the server that a change is about, and the
// processes behind them: all of them, or those of somebody. They are made again when
// they are needed and nothing is halted.
func (s *server) disconnect(change halt.Change) {
	s.mu.Lock()
	var open []upstream.Conn
	for conn, l := range s.children {
		if _, stopped := change.Stops(l.haltCall()); stopped {
			open = append(open, conn)
		}
	}
	s.mu.Unlock()
	var all sync.WaitGroup
	for _, conn := range open {
		all.Go(conn.Close)
	}
	all.Wait()
}

// haltCall is whose the link is, as far as halts know.
func (l *link) haltCall() *halt.Call {
	call := &halt.Call{Server: l.server.id, Principal: l.principal}
	if l.session != nil && !l.session.own {
		who := l.session.who.Load()
		call.Principal, call.Teams = who.ID, who.Teams
	}
	return call
}

// mayConnect keeps a halted server from being started or spoken to, whoever needs it.
func (s *server) mayConnect() error {
	if h, stopped := s.gateway.halts.Refuses(&halt.Call{Server: s.id}); stopped {
		return haltRefusal(h)
	}
	return nil
}
