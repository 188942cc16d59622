package egress

import (
	"context"
	"sync"
	"time"
)

// budget is a number of bytes for each day, which all connections share. Days are
// counted from the first byte.
type budget struct {
	full int64
	mu   sync.Mutex
	left int64
	ends time.Time // of the day
}

const day = 24 * time.Hour

// take grants at most n bytes, 0 if there are none left.
func (b *budget) take(n int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); !now.Before(b.ends) {
		b.left, b.ends = b.full, now.Add(day)
	}
	granted := max(0, min(n, b.left))
	b.left -= granted
	return granted
}

// giveBack returns what was granted and not used. What was granted on another day
// adds nothing to this one.
func (b *budget) giveBack(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.full, b.left+n)
}

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
