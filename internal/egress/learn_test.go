package egress

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLearned(t *testing.T) {
	got := Learned([]Event{
		{Kind: Opened, Name: "b.example", Port: 443, Protocol: TLS},
		{Kind: Opened, Name: "a.example", Port: 8443},
		{Kind: Opened, Name: "b.example", Port: 80, Protocol: HTTP},
		{Kind: Opened, Name: "b.example", Port: 443, Protocol: TLS},
		{Kind: Opened, Name: "a.example", Port: 8080, Protocol: HTTP},
		{Kind: Opened, Name: "93.184.215.14", Port: 5432},
		{Kind: Closed, Name: "c.example", Port: 443, Protocol: TLS},
		{Kind: Refused, Name: "d.example", Port: 443, Protocol: TLS},
		{Kind: NameRefused, Name: "e.example"},
	})
	want := []Rule{
		{Host: "93.184.215.14", Ports: []uint16{5432}},
		{Host: "a.example", Ports: []uint16{8443}},
		{Host: "a.example", Ports: []uint16{8080}, Protocol: HTTP},
		{Host: "b.example", Ports: []uint16{80, 443}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := NewBroker(got, quietLog, Options{}); err != nil {
		t.Error(err)
	}
}

func TestDecide_learning_opens_what_is_public_and_nothing_else(t *testing.T) {
	for _, learn := range []bool{false, true} {
		b, err := NewBroker([]Rule{{Host: "api.example.com", Ports: []uint16{443}}}, quietLog, Options{UnsafeLearn: learn})
		if err != nil {
			t.Fatal(err)
		}
		allowed, reason := b.nameAllowed("api.example.com")
		if reason != "" {
			t.Fatal(reason)
		}
		api := netip.AddrFrom4(address4(allowed))
		if number, reason := b.nameAllowed("other.example"); (reason == "") != learn {
			t.Errorf("learning %v: another name: %d, %q", learn, number, reason)
		}
		for text, want := range map[string]Reason{
			"10.0.0.1:443": AddressNotAllowed, "127.0.0.1:5432": AddressNotAllowed, "169.254.169.254:80": AddressNotAllowed,
			"[::1]:80": AddressNotAllowed, "[64:ff9b::a00:1]:80": AddressNotAllowed, "198.18.7.7:443": AddressNotAllowed,
		} {
			if _, _, got := b.decide(netip.MustParseAddrPort(text)); got != want {
				t.Errorf("learning %v: %s: %q, want %q", learn, text, got, want)
			}
		}
		if _, _, got := b.decide(netip.AddrPort{}); got != AddressNotAllowed {
			t.Errorf("learning %v: nothing: %q", learn, got)
		}
		for _, to := range []netip.AddrPort{netip.AddrPortFrom(api, 8080), netip.MustParseAddrPort("8.8.8.8:443")} {
			if _, _, got := b.decide(to); (got == "") != learn {
				t.Errorf("learning %v: %v: %q", learn, to, got)
			}
		}
		if _, _, got := b.decide(netip.AddrPortFrom(api, 443)); got != "" {
			t.Errorf("learning %v: what the rule allows: %q", learn, got)
		}
	}
}
