package gateway

import (
	"sync"

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

// takeOff counts the exchange among those that a halt ends. A halt that began since
// it was looked for is found here.
func (g *Gateway) takeOff(ex *exchange) error {
	g.flights.add(ex)
	if h, stopped := g.halts.Refuses(ex.haltCall()); stopped {
		return haltRefusal(h)
	}
	return nil
}

// haltsChanged ends what is under way and must not be any more.
func (g *Gateway) haltsChanged(change halt.Change) {
	g.flights.mu.Lock()
	for ex := range g.flights.all {
		if h, stopped := change.Stops(ex.haltCall()); stopped {
			ex.cancel(haltRefusal(h))
		}
	}
	g.flights.mu.Unlock()
	for _, s := range g.live.Load().order {
		if _, stopped := change.Stops(&halt.Call{Server: s.id}); stopped {
			s.disconnect()
		}
	}
	g.joiners.tellOf(g)
}

// disconnect ends all connections to the server and the processes behind them. They
// are made again when they are needed and nothing halts the server.
func (s *server) disconnect() {
	s.mu.Lock()
	open := make([]upstream.Conn, 0, len(s.children))
	for conn := range s.children {
		open = append(open, conn)
	}
	s.mu.Unlock()
	var all sync.WaitGroup
	for _, conn := range open {
		all.Go(conn.Close)
	}
	all.Wait()
}

// mayConnect keeps a halted server from being started or spoken to, whoever needs it.
func (s *server) mayConnect() error {
	if h, stopped := s.gateway.halts.Refuses(&halt.Call{Server: s.id}); stopped {
		return haltRefusal(h)
	}
	return nil
}
