package limit

import (
	"context"
	"time"
)

// Kind is how a counter counts.
type Kind uint8

const (
	// Rate is a generic cell rate algorithm: one time says when the whole burst is
	// there again, and a take moves it by Interval.
	Rate Kind = iota + 1
	// Window is an amount that is taken until a point in time, from which nothing is.
	Window
	// Passing is a Window that a restart forgets.
	Passing
	// Concurrent is what is in use now; a restart ends all use.
	Concurrent
)

// kept tells the kinds that outlive the process.
func (k Kind) kept() bool { return k == Rate || k == Window }

// Take asks one counter for something.
type Take struct {
	Key  []byte // name of the quota, NUL, and what tells its counters apart
	Kind Kind

	Interval, Burst int64 // of a Rate: nanoseconds for each, and how many may come at once

	Amount, Limit Amount // of the others: what is taken, and of how much
	Ends          int64  // of a window that begins now: when, in nanoseconds of Instant.Wall
	Check         bool   // look whether there is room and take nothing

	Report bool // what is too much is taken down and passes

	// Set by the store.
	Exceeded bool
	Wait     time.Duration // until there is room, as far as time makes some
	Used     Amount        // before this take

	shard int // of the embedded store, while it takes
	cell  *cell
	next  cell // what cell becomes
}

// Instant is a point in time by the clock of a store. Neither part ever goes
// backwards, so that setting a clock back gives nothing twice.
type Instant struct {
	Rate int64 // for rates: nanoseconds that go on as time does, whatever happens to the clock
	Wall int64 // for days and months: nanoseconds since 1970 by the clock on the wall
}

// Store holds the counters. An implementation for several gateways does each
// method in one step of its server.
type Store interface {
	// Now is the time by which the store counts.
	Now() Instant

	// Take takes everything that takes asks for, or nothing if one of them is
	// refused; those that only report neither refuse nor are taken when exceeded. What
	// is granted is kept, whatever happens to the process, before Take returns. After
	// an error the caller must refuse.
	Take(ctx context.Context, now Instant, takes []Take) (granted bool, err error)

	// Settle ends what Take granted: it gives back what is Concurrent, and adds to
	// windows, whatever their limit; an Amount of nothing empties a window.
	Settle(ctx context.Context, now Instant, takes []Take) error

	// Counters shows every counter in no particular order. key is good during the call.
	Counters(ctx context.Context, visit func(Counter)) error

	Close() error
}

// Counter is what a store holds under one key.
type Counter struct {
	Key  []byte
	Kind Kind
	At   int64  // of a Rate: when the whole burst is there again; of a window: when it ends
	Used Amount // of all others than a Rate
}
