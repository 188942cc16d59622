package policy

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cedar-policy/cedar-go/types"
)

// maxCached bounds what is remembered of principals and of resources each. A
// resource takes about a kilobyte; when there are more, all are made anew.
const maxCached = 4096

// maxCachedName bounds the names of resources that are remembered, in bytes: callers
// choose URIs, which may be as long as a message.
const maxCachedName = 512

// cache remembers values that cost more to make than to keep.
type cache[K comparable, V any] struct {
	mu     sync.RWMutex
	values map[K]V
}

func (c *cache[K, V]) get(key K, make func() (V, error)) (V, error) {
	c.mu.RLock()
	v, found := c.values[key]
	c.mu.RUnlock()
	if found {
		return v, nil
	}
	v, err := make()
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.values == nil || len(c.values) >= maxCached {
		c.values = map[K]V{}
	}
	c.values[key] = v
	return v, nil
}

// contextEntry is the context of a principal's last request.
type contextEntry struct {
	clientName   string
	address      netip.Addr
	score        float64
	conversation []string
	record       types.Record
}

type atomicContext = atomic.Pointer[contextEntry]

// fits reports whether another request has the same context.
func (c *contextEntry) fits(r *Request) bool {
	return c.clientName == r.ClientName && c.address == r.Address && c.score == r.Score && slices.Equal(c.conversation, r.Conversation)
}
