package egress

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// budget is a number of bytes that all connections share.
type budget struct{ left atomic.Int64 }

// take grants at most n bytes, 0 if there are none left.
func (b *budget) take(n int64) int64 {
	for {
		left := b.left.Load()
		granted := max(0, min(n, left))
		if b.left.CompareAndSwap(left, left-granted) {
			return granted
		}
	}
}

func (b *budget) giveBack(n int64) { b.left.Add(n) }

// pace lets a number of units pass in a second, and no more than a second's worth
// at once. The zero pace does not hold anything up.
type pace struct {
	perSecond int64
	mu        sync.Mutex
	free      time.Time // when all that passed so far has been paid for
}

// wait returns when n units may pass, or with the error of ctx.
func (p *pace) wait(ctx context.Context, n int64) error {
	if p.perSecond == 0 {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.free.Before(now.Add(-time.Second)) {
		p.free = now.Add(-time.Second)
	}
	p.free = p.free.Add(time.Duration(float64(n) / float64(p.perSecond) * float64(time.Second)))
	ahead := p.free.Sub(now)
	p.mu.Unlock()
	if ahead <= 0 {
		return nil
	}
	timer := time.NewTimer(ahead)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
