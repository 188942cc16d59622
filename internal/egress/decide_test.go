package egress

import (
	"net/netip"
	"testing"
)

func TestDecide_opens_what_a_rule_names_and_nothing_else(t *testing.T) {
	b, err := NewBroker([]Rule{{Host: "api.example.com", Ports: []uint16{443}}}, quietLog, Options{})
	if err != nil {
		t.Fatal(err)
	}
	allowed, reason := b.nameAllowed("api.example.com")
	if reason != "" {
		t.Fatal(reason)
	}
	api := netip.AddrFrom4(address4(allowed))
	if number, reason := b.nameAllowed("other.example"); reason != NameNotAllowed {
		t.Errorf("another name: %d, %q", number, reason)
	}
	for to, want := range map[netip.AddrPort]Reason{
		netip.AddrPortFrom(api, 443): "", netip.AddrPortFrom(api, 8080): PortNotAllowed, {}: AddressNotAllowed,
		netip.MustParseAddrPort("8.8.8.8:443"): AddressNotAllowed, netip.MustParseAddrPort("10.0.0.1:443"): AddressNotAllowed,
		netip.MustParseAddrPort("127.0.0.1:5432"): AddressNotAllowed, netip.MustParseAddrPort("169.254.169.254:80"): AddressNotAllowed,
		netip.MustParseAddrPort("[::1]:80"): AddressNotAllowed, netip.MustParseAddrPort("[64:ff9b::a00:1]:80"): AddressNotAllowed,
		netip.MustParseAddrPort("198.18.7.7:443"): AddressNotAllowed,
	} {
		if _, _, got := b.decide(to); got != want {
			t.Errorf("%v: %q, want %q", to, got, want)
		}
	}
}
