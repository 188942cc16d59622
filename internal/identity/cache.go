package identity

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// maxKnown bounds each of the two generations of tokens that were verified. A
	// token and its principal take about a kilobyte.
	maxKnown = 10_000
	// knownFor is how long a verified token is not verified again: so long, at most,
	// it outlives the key that signed it.
	knownFor = 5 * time.Minute
)

type digest [sha256.Size]byte

// verified is what is known of a token.
type verified struct {
	principal *Principal // nil: the token is no good
	issuer    *issuer
	audience  audience
	bound     string // thumbprint of the certificate that must come with it; empty: none
	until     time.Time
}

// cache remembers tokens that were verified, by their digest: the tokens themselves
// are not kept. When a generation is full it becomes the old one, and what is in use
// moves over from there.
type cache struct {
	mu         sync.RWMutex // guards what follows
	young, old map[digest]*verified
}

func newCache() *cache { return &cache{young: map[digest]*verified{}} }

// get is what is known of a token now, nil if nothing.
func (c *cache) get(d digest, now time.Time) *verified {
	c.mu.RLock()
	v, young := c.young[d]
	if !young {
		v = c.old[d]
	}
	c.mu.RUnlock()
	if v == nil || !now.Before(v.until) {
		return nil
	}
	if !young {
		c.put(d, v)
	}
	return v
}

func (c *cache) put(d digest, v *verified) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= maxKnown {
		c.young, c.old = map[digest]*verified{}, c.young
	}
	c.young[d] = v
}
