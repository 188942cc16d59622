package inside

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatehouse/internal/egress/handover"
)

// Setup makes the network of the calling thread's namespace and hands its sockets
// to the broker. It needs CAP_NET_ADMIN there, and returns when every connection
// that is made from now on is served. The first process of a sandbox calls it before
// it starts the server. Refused counts the packets that were refused since, by what
// they were.
//
// The namespace must have no interface that is up but loopback: in any other one this would
// take over the network of somebody else.
func Setup(broker *net.UnixConn) (refused func() map[string]uint64, err error) {
	forwards, err := handover.Await(broker)
	if err != nil {
		return nil, err
	}
	lo, err := loopback()
	if err != nil {
		return nil, err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return nil, fmt.Errorf("starting loopback: %w", err)
	}
	families, err := reachable(lo)
	if err != nil {
		return nil, err
	}
	sockets := &handover.Sockets{}
	defer sockets.Close() // the broker has its own
	for i := range families {
		if err := families[i].listen(sockets); err != nil {
			return nil, err
		}
	}
	if err := redirect(families, forwards); err != nil {
		return nil, fmt.Errorf("leading connections to the broker: %w", err)
	}
	if err := handover.Give(broker, sockets); err != nil {
		return nil, err
	}
	return countRefused, probe()
}

// probe makes sure that a packet to another machine is refused. It sends one to an
// address for documentation; were it to leave the process, nobody would have it.
func probe() error {
	conn, err := net.Dial("udp4", "192.0.2.1:443")
	if err != nil {
		return fmt.Errorf("probing the sandbox's network: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("probe")); !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("probing the sandbox's network: a packet was not refused (%v)", err)
	}
	return nil
}

// loopback is the only interface that may be up. Some kernels put tunnels that are
// down into every new namespace.
func loopback() (netlink.Link, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("listing network interfaces: %w", err)
	}
	var lo netlink.Link
	for _, l := range links {
		switch flags := l.Attrs().Flags; {
		case flags&net.FlagLoopback != 0:
			lo = l
		case flags&net.FlagUp != 0:
			return nil, fmt.Errorf("this network namespace has the interface %q; want a new one, with loopback only", l.Attrs().Name)
		}
	}
	if lo == nil {
		return nil, errors.New("this network namespace has no loopback")
	}
	return lo, nil
}

// family is IPv4 or IPv6.
type family struct {
	v6       bool
	loopback netip.Addr
	tcp, udp uint16 // ports of the sockets
}

// reachable makes every address local (AnyIP), so that connections to it end here.
// A kernel without IPv6 has one family; nothing can be reached over the other then.
func reachable(lo netlink.Link) ([]family, error) {
	families := []family{{loopback: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}
	everything := []net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}}
	if hasV6() {
		families = append(families, family{v6: true, loopback: netip.IPv6Loopback()})
		everything = append(everything, net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)})
	}
	for i := range everything {
		route := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: &everything[i], Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}
		if err := netlink.RouteReplace(route); err != nil {
			return nil, fmt.Errorf("making %v local: %w", &everything[i], err)
		}
	}
	return families, nil
}

// hasV6 reports whether ::1 can be bound, which it cannot where IPv6 is switched off.
func hasV6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// listen opens the sockets of a family. Their ports are the kernel's choice, so
// that none is taken from the server.
func (f *family) listen(into *handover.Sockets) error {
	at := netip.AddrPortFrom(f.loopback, 0)
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return fmt.Errorf("listening for connections: %w", err)
	}
	into.TCP = append(into.TCP, l)
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return fmt.Errorf("listening for names: %w", err)
	}
	into.UDP = append(into.UDP, c)
	f.tcp = l.Addr().(*net.TCPAddr).AddrPort().Port()
	f.udp = c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	return nil
}
