package inside

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// match is a part of a rule.
type match []expr.Any

// redirect writes the rules, in one transaction. In words:
//
//	names, sent to whatever address     → the broker's socket for names
//	loopback addresses that rules name  → the broker's socket for connections
//	other loopback                      stays what it is
//	TCP to any other address            → the broker's socket for connections
//	everything else                     refused
func redirect(families []family, forwards []netip.AddrPort) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "gatehouse"})
	nat := conn.AddChain(&nftables.Chain{
		Name: "lead", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest,
	})
	drop := nftables.ChainPolicyDrop
	filter := conn.AddChain(&nftables.Chain{
		Name: "refuse", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter, Policy: &drop,
	})
	add := func(chain *nftables.Chain, parts ...match) {
		var all []expr.Any
		for _, p := range parts {
			all = append(all, p...)
		}
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: all})
	}
	for _, f := range families {
		add(nat, f.is(), protocol(unix.IPPROTO_UDP), port(portOfDNS), to(f.udp))
		add(nat, f.is(), protocol(unix.IPPROTO_TCP), port(portOfDNS), to(f.tcp))
		for _, a := range forwards {
			if a.Addr().Is6() == f.v6 {
				add(nat, f.is(), destination(netip.PrefixFrom(a.Addr(), a.Addr().BitLen())), protocol(unix.IPPROTO_TCP), port(a.Port()), to(f.tcp))
			}
		}
		add(nat, f.is(), destination(f.local()), accept())
		add(nat, f.is(), protocol(unix.IPPROTO_TCP), to(f.tcp))

		add(filter, f.is(), destination(f.local()), accept())
	}
	// Answers of our sockets, to addresses that only look remote.
	add(filter, established(), accept())
	// What is left is refused, and counted.
	for _, r := range refusals() {
		add(filter, r.match, match{&expr.Counter{}}, dropped())
	}
	return conn.Flush()
}

// refusal is a kind of packets that are refused.
type refusal struct {
	what  string
	match match
}

// refusals are the kinds that are counted, in the order of their rules. QUIC is what
// browsers and many libraries try before TCP.
func refusals() []refusal {
	return []refusal{
		{"QUIC", append(protocol(unix.IPPROTO_UDP), port(portOfQUIC)...)},
		{"UDP", protocol(unix.IPPROTO_UDP)},
		{"something else than TCP and UDP", nil},
	}
}

const portOfQUIC = 443

// countRefused reads the counters, by what they count. What cannot be read is 0.
func countRefused() map[string]uint64 {
	counts := map[string]uint64{}
	for _, r := range refusals() {
		counts[r.what] = 0
	}
	conn, err := nftables.New()
	if err != nil {
		return counts
	}
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: "gatehouse"}
	rules, err := conn.GetRules(table, &nftables.Chain{Name: "refuse", Table: table})
	if err != nil {
		return counts
	}
	kinds := refusals()
	for _, rule := range rules {
		for _, e := range rule.Exprs {
			if c, is := e.(*expr.Counter); is && len(kinds) > 0 {
				counts[kinds[0].what] = c.Packets
				kinds = kinds[1:]
			}
		}
	}
	return counts
}

const portOfDNS = 53

// is tells a packet of the family.
func (f family) is() match {
	number := byte(unix.NFPROTO_IPV4)
	if f.v6 {
		number = unix.NFPROTO_IPV6
	}
	return equal(&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, []byte{number})
}

// local is what the processes inside use to speak with each other.
func (f family) local() netip.Prefix {
	if f.v6 {
		return netip.PrefixFrom(f.loopback, 128)
	}
	return netip.PrefixFrom(f.loopback, 8).Masked()
}

func protocol(number byte) match {
	return equal(&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, []byte{number})
}

// port of the destination stands at the same place in TCP and UDP.
func port(number uint16) match {
	return equal(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, bigEndian(number))
}

func destination(p netip.Prefix) match {
	offset, length := uint32(16), uint32(4)
	if p.Addr().Is6() {
		offset, length = 24, 16
	}
	mask := make([]byte, length)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return match{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: length, Mask: mask, Xor: make([]byte, length)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Addr().AsSlice()},
	}
}

func established() match {
	return match{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func to(number uint16) match {
	return match{&expr.Immediate{Register: 1, Data: bigEndian(number)}, &expr.Redir{RegisterProtoMin: 1}}
}

func accept() match { return match{&expr.Verdict{Kind: expr.VerdictAccept}} }

func dropped() match { return match{&expr.Verdict{Kind: expr.VerdictDrop}} }

func equal(load expr.Any, value []byte) match {
	return match{load, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value}}
}

func bigEndian(number uint16) []byte { return binary.BigEndian.AppendUint16(nil, number) }
