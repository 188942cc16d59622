package egress

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"
)

// Names have addresses of our own making inside a sandbox, one for each name: what
// is connected to says exactly which name was meant, also where the real address is
// shared by thousands of names, and nothing of the real network is told to the
// server. Both ranges are never routed on the internet: one is for benchmarks
// (RFC 2544), the other is a unique local prefix (RFC 4193).
var (
	synthetic4 = netip.MustParsePrefix("198.18.0.0/15")
	synthetic6 = netip.MustParsePrefix("fd67:6174:6568:6f75::/64")
)

// Nameserver is the address to write into resolv.conf inside. Every query to port
// 53 is answered by the broker, wherever it was sent; this address only has to be
// one that no name gets.
var Nameserver = netip.AddrFrom4([4]byte{198, 18, 0, 1})

const (
	// maxNames of one server. Only wildcards make more names than there are rules.
	// An address never changes its name, so none is given back.
	maxNames = 16 << 10
	// firstName leaves out the network's own address and the name server's.
	firstName = 2
	// maxWildcardName bounds a name that only a wildcard allows. What a server puts
	// into such a name reaches the name servers of the domain when it connects.
	maxWildcardName = 128
	maxLabel        = 63 // RFC 1035, section 2.3.4
)

// nameTable gives each name its address. It is safe for concurrent use.
type nameTable struct {
	mu    sync.Mutex
	index map[string]uint32
	names []string
}

// number is the place of a name in the table, which it takes if it has none.
func (t *nameTable) number(name string) (uint32, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n, ok := t.index[name]; ok {
		return n, true
	}
	if len(t.names) >= maxNames {
		return 0, false
	}
	if t.index == nil {
		t.index = map[string]uint32{}
	}
	n := uint32(len(t.names)) + firstName
	t.index[name] = n
	t.names = append(t.names, name)
	return n, true
}

// name is what an address stands for.
func (t *nameTable) name(a netip.Addr) (string, bool) {
	var n uint32
	switch {
	case synthetic4.Contains(a):
		b := a.As4()
		n = binary.BigEndian.Uint32(b[:]) - base4()
	case synthetic6.Contains(a):
		b := a.As16()
		low := binary.BigEndian.Uint64(b[8:])
		if low > 1<<31 {
			return "", false
		}
		n = uint32(low)
	default:
		return "", false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n < firstName || n-firstName >= uint32(len(t.names)) {
		return "", false
	}
	return t.names[n-firstName], true
}

func base4() uint32 {
	b := synthetic4.Addr().As4()
	return binary.BigEndian.Uint32(b[:])
}

func address4(n uint32) [4]byte {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], base4()+n)
	return b
}

func address6(n uint32) [16]byte {
	b := synthetic6.Addr().As16()
	binary.BigEndian.PutUint64(b[8:], uint64(n))
	return b
}

// properName reports whether a canonical name is one that a host on the internet
// has: letters, digits, hyphens and underscores in labels of the usual length.
func properName(name string) bool {
	if !plainHost(name) || addressLike(name) {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel {
			return false
		}
	}
	return true
}
