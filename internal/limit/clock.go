package limit

import (
	"sync/atomic"
	"time"
)

// clock gives Instants that never go backwards.
type clock struct {
	now        func() time.Time
	start      time.Time
	first      int64 // Instant.Rate at start
	rate, wall atomic.Int64
}

// begin continues from the last Instant that was kept, zero for none.
func (c *clock) begin(now func() time.Time, last Instant) {
	c.now, c.start = now, now()
	c.first = max(c.start.UnixNano(), last.Rate)
	c.rate.Store(c.first)
	c.wall.Store(max(c.start.UnixNano(), last.Wall))
}

func (c *clock) instant() Instant {
	t := c.now()
	return Instant{
		Rate: raise(&c.rate, c.first+int64(t.Sub(c.start))), // by the monotonic clock
		Wall: raise(&c.wall, t.UnixNano()),
	}
}

// behind is how far the clock on the wall is before a time that was seen already.
func (c *clock) behind() time.Duration {
	return max(0, time.Duration(c.wall.Load()-c.now().UnixNano()))
}

// raise makes the value at least n and returns it.
func raise(value *atomic.Int64, n int64) int64 {
	for {
		old := value.Load()
		if old >= n {
			return old
		}
		if value.CompareAndSwap(old, n) {
			return n
		}
	}
}
