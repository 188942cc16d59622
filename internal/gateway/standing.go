package gateway

import (
	"context"
	"time"

	"gatehouse/internal/decision"
	"gatehouse/internal/identity"
)

// lookAgainEvery is how long a stream that stands for ever outlives the credential by
// which it was opened. Tests whose callers have no credential change it.
var lookAgainEvery = 10 * time.Second

// WhileKnown is a context that ends when the peer would not be identified any more:
// its key was revoked, its token expired. Every request is identified by itself, but
// a stream is one request for hours. stop must be called.
func (g *Gateway) WhileKnown(ctx context.Context, p *Peer) (known context.Context, stop context.CancelFunc) {
	known, end := context.WithCancelCause(ctx)
	stop = func() { end(nil) }
	who := p.who.Load()
	if who == nil || who.Kind == identity.Local {
		return known, stop
	}
	go func() { // ends with known
		ticker := time.NewTicker(lookAgainEvery)
		defer ticker.Stop()
		for {
			select {
			case <-known.Done():
				return
			case <-ticker.C:
			}
			if again, err := g.whoIs(known, p); err != nil || again.ID != who.ID {
				end(decision.Refuse(decision.Unidentified, "the credential is no longer good"))
				return
			}
		}
	}()
	return known, stop
}
