// Package egress makes connections to places that somebody else named. A URL that
// came from outside, by way of a server's metadata, a redirect or a document, may
// point at the machine's own network; the guard here looks at the address at the
// moment at which it is dialled, and dials exactly the address it looked at.
//
// It does not guard URLs that a person wrote into the configuration as a server.
//
// A Broker serves the network of one sandbox by the same care: it answers names,
// takes every connection that is made inside, and connects those that a Rule
// allows. Package inside makes the network that leads everything to it.
package egress

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// ErrRefused says that a place may not be reached. The text of an error that wraps
// it names the place and is for the log: whoever chose the place must not learn
// from us what is there.
var ErrRefused = errors.New("the address is not allowed")

// Resolver looks up the addresses of a name; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Guard decides what may be dialled. The zero Guard allows public addresses only.
type Guard struct {
	// UnsafePrefixes may be reached although they are not public.
	UnsafePrefixes []netip.Prefix
	// UnsafeHosts are names, in lower case, whose addresses may be private or of
	// this machine. Link-local addresses, where metadata services are, and
	// multicast stay refused.
	UnsafeHosts []string
	// Resolver is the system's if nil.
	Resolver Resolver
	// Roots vouch for certificates; the system's authorities if nil.
	Roots *x509.CertPool
}

const (
	// maxAddresses of one name are tried. More do not make a name more reachable,
	// and each may take the time of a dial.
	maxAddresses = 4
	dialTimeout  = 5 * time.Second // for each address
)

// DialContext resolves the host of addr once, refuses it if any of its addresses
// may not be reached, and dials one of those it has just checked: a name that
// resolves to something else a moment later has no effect.
func (g *Guard) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %q", ErrRefused, addr)
	}
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil, fmt.Errorf("%w: over %s", ErrRefused, network)
	}
	addresses, err := g.check(ctx, host)
	if err != nil {
		return nil, err
	}
	return dialFirst(ctx, network, addresses, port)
}

// dialFirst connects to the first of some addresses that answers.
func dialFirst(ctx context.Context, network string, addresses []netip.Addr, port string) (conn net.Conn, err error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	for _, a := range addresses[:min(len(addresses), maxAddresses)] {
		if conn, err = dialer.DialContext(ctx, network, net.JoinHostPort(a.String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// check returns all addresses of a host, at least one, each of them allowed.
func (g *Guard) check(ctx context.Context, host string) ([]netip.Addr, error) {
	if !plainHost(host) {
		return nil, fmt.Errorf("%w: %q is neither a name nor an address in its usual form", ErrRefused, host)
	}
	addresses, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("%q has no address", host)
	}
	for i, a := range addresses {
		// A resolver may write an IPv4 address as ::ffff:a.b.c.d.
		addresses[i] = a.Unmap()
		if !g.allows(host, addresses[i]) {
			return nil, fmt.Errorf("%w: %q is %v", ErrRefused, host, a)
		}
	}
	return addresses, nil
}

func (g *Guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	var resolver Resolver = net.DefaultResolver
	if g.Resolver != nil {
		resolver = g.Resolver
	}
	return resolver.LookupNetIP(ctx, "ip", host)
}

func (g *Guard) allows(host string, a netip.Addr) bool {
	if Public(a) || (a.Zone() == "" && within(g.UnsafePrefixes, a)) {
		return true
	}
	return g.named(host) && (a.IsPrivate() || a.IsLoopback() || sharedV4.Contains(a)) && a.Zone() == "" && !within(metadata, a)
}

func (g *Guard) named(host string) bool {
	return slices.Contains(g.UnsafeHosts, strings.ToLower(strings.TrimSuffix(host, ".")))
}

var (
	// sharedV4 is used as one more private range by some networks.
	sharedV4 = netip.MustParsePrefix("100.64.0.0/10")
	// metadata services stand in ranges that are otherwise private.
	metadata = prefixes("fd00:ec2::254/128", "fd20:ce::254/128", "100.100.100.200/32")
)

// mayBePlain reports whether plain http may be spoken with a host: only within
// this machine, and only if that is allowed. Dialling looks at the address again.
func (g *Guard) mayBePlain(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.IsLoopback() && g.allows(host, a)
	}
	return strings.EqualFold(host, "localhost") && (g.named("localhost") || within(g.UnsafePrefixes, loopbackV4))
}

var loopbackV4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func (g *Guard) checkLiteral(host string) error {
	if a, err := netip.ParseAddr(host); err == nil && !g.allows(host, a) {
		return fmt.Errorf("%w: %v", ErrRefused, a)
	}
	return nil
}
