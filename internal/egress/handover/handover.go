// Package handover carries the listening sockets of a sandbox's network namespace
// to the broker outside. A socket stays in the namespace in which it was made, so
// whoever holds it serves that namespace from without: nothing inside has to be
// trusted with a decision, and there is no protocol that a server inside could
// speak to the broker.
//
// Three packets are exchanged over a pair of unix sockets that keep packets apart:
//
//	broker → inside  greeting, and the addresses on loopback to redirect as well
//	inside → broker  the sockets, two for each family: TCP, UDP
//	broker → inside  ready
//
// Anything further from inside is a violation, and the end of the connection is the
// end of the sandbox.
package handover

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

const (
	greeting = "gatehouse-egress-1"
	gift     = "sockets"
	ready    = "ready"
	// MaxForwards are the addresses on loopback that rules may name.
	MaxForwards = 64
	// maxPacket holds the greeting with that many addresses.
	maxPacket = 4096
	// timeout of the whole exchange. Both sides have nothing else to do.
	timeout = 10 * time.Second
)

var errUnexpected = errors.New("not what was to be said")

func encodeForwards(list []netip.AddrPort) (string, error) {
	if len(list) > MaxForwards {
		return "", fmt.Errorf("%d addresses on loopback, want at most %d", len(list), MaxForwards)
	}
	lines := []string{greeting}
	for _, a := range list {
		lines = append(lines, a.String())
	}
	return strings.Join(lines, "\n"), nil
}

func decodeForwards(packet string) ([]netip.AddrPort, error) {
	first, rest, more := strings.Cut(packet, "\n")
	if first != greeting {
		return nil, errUnexpected
	}
	var list []netip.AddrPort
	for more {
		var line string
		line, rest, more = strings.Cut(rest, "\n")
		a, err := netip.ParseAddrPort(line)
		if err != nil || !a.Addr().IsLoopback() || len(list) == MaxForwards {
			return nil, errUnexpected
		}
		list = append(list, a)
	}
	return list, nil
}
