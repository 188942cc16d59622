package egress

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func quietLog(Event) error { return nil }

func TestRules_that_are_refused(t *testing.T) {
	good := Rule{Host: "api.example.com", Ports: []uint16{443}}
	many := make([]Rule, maxRules+1)
	for i := range many {
		many[i] = Rule{Host: fmt.Sprintf("h%d.example.com", i), Ports: []uint16{443}}
	}
	ports := make([]uint16, maxRulePorts+1)
	for i := range ports {
		ports[i] = uint16(1000 + i)
	}
	public := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for name, rules := range map[string][]Rule{
		"no host":                     {{Ports: []uint16{443}}},
		"no port":                     {{Host: "a.example"}},
		"port 0":                      {{Host: "a.example", Ports: []uint16{0}}},
		"port 53":                     {{Host: "a.example", Ports: []uint16{53}}},
		"many ports":                  {{Host: "a.example", Ports: ports}},
		"many rules":                  many,
		"a URL":                       {{Host: "https://a.example", Ports: []uint16{443}}},
		"a port in the host":          {{Host: "a.example:443", Ports: []uint16{443}}},
		"a space":                     {{Host: "a .example", Ports: []uint16{443}}},
		"a letter that is not ASCII":  {{Host: "ex\u00e4mple.com", Ports: []uint16{443}}},
		"a number that is an address": {{Host: "2130706433", Ports: []uint16{443}}},
		"an octal address":            {{Host: "0177.0.0.1", Ports: []uint16{443}}},
		"a long form of an address":   {{Host: "2001:db8:0::1", Ports: []uint16{443}}},
		"IPv4 in IPv6":                {{Host: "::ffff:10.0.0.1", Ports: []uint16{443}}},
		"NAT64":                       {{Host: "64:ff9b::a00:1", Ports: []uint16{443}}},
		"6to4":                        {{Host: "2002:a00:1::", Ports: []uint16{443}}},
		"any address":                 {{Host: "0.0.0.0", Ports: []uint16{443}}},
		"any IPv6 address":            {{Host: "::", Ports: []uint16{443}}},
		"multicast":                   {{Host: "224.0.0.1", Ports: []uint16{443}}},
		"one of our addresses":        {{Host: "198.18.0.2", Ports: []uint16{443}}},
		"one of our IPv6 addresses":   {{Host: "fd67:6174:6568:6f75::2", Ports: []uint16{443}}},
		"a zone":                      {{Host: "fe80::1%eth0", Ports: []uint16{443}}},
		"a star in the middle":        {{Host: "a.*.example", Ports: []uint16{443}}},
		"a star in a label":           {{Host: "a*.example", Ports: []uint16{443}}},
		"two stars":                   {{Host: "*.*.example", Ports: []uint16{443}}},
		"many places on this machine": {{Host: "127.0.0.1", Ports: ports[:40]}, {Host: "::1", Ports: ports[:40]}},
		"a star and a dot":            {{Host: "*.", Ports: []uint16{443}}},
		"a star before an address":    {{Host: "*.127.0.0.1", Ports: []uint16{443}}},
		"below localhost":             {{Host: "a.localhost", Ports: []uint16{443}}},
		"all below localhost":         {{Host: "*.localhost", Ports: []uint16{443}}},
		"an unknown protocol":         {{Host: "a.example", Ports: []uint16{443}, Protocol: "quic"}},
		"one place twice":             {good, {Host: "API.example.com.", Ports: []uint16{80, 443}}},
		"localhost twice":             {{Host: "localhost", Ports: []uint16{80}}, {Host: "127.0.0.1", Ports: []uint16{80}}},
		"prefixes of an address":      {{Host: "10.0.0.1", Ports: []uint16{80}, UnsafePrefixes: public}},
		"prefixes of any name":        {{Host: "*", Ports: []uint16{80}, UnsafePrefixes: public}},
		"a prefix that is none":       {{Host: "a.example", Ports: []uint16{80}, UnsafePrefixes: []netip.Prefix{{}}}},
		"a prefix with host bits":     {{Host: "a.example", Ports: []uint16{80}, UnsafePrefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}}},
	} {
		if _, err := NewBroker(rules, quietLog, Options{}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := NewBroker([]Rule{good}, quietLog, Options{}); err != nil {
		t.Error(err)
	}
	if _, err := NewBroker(nil, nil, Options{}); err == nil {
		t.Error("a broker without a log")
	}
	for _, limits := range []Limits{{Connections: -1}, {BytesUp: -1}, {BytesDown: -1}, {BytesPerSecond: -1}} {
		if _, err := NewBroker(nil, quietLog, Options{Limits: limits}); err == nil {
			t.Errorf("%+v is taken", limits)
		}
	}
}

func TestRules_the_most_specific_decides_in_whatever_order(t *testing.T) {
	rules := []Rule{
		{Host: "*", Ports: []uint16{443, 8443}},
		{Host: "*.example.com", Ports: []uint16{8443}, Protocol: TCP},
		{Host: "*.deep.example.com", Ports: []uint16{8443}, Protocol: HTTP},
		{Host: "a.deep.example.com", Ports: []uint16{8443}, Protocol: TLS},
	}
	for turn := range rules {
		sites, err := compile(append(rules[turn:len(rules):len(rules)], rules[:turn]...))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]Protocol{
			"a.deep.example.com": TLS, "b.deep.example.com": HTTP, "deep.example.com": TCP, "example.com": "", "other.org": "",
		} {
			found, allowed, _ := find(sites, 8443, func(s site) bool { return s.names(name) })
			if !allowed || found.protocol(8443) != want {
				t.Errorf("%s: %q, allowed %v, want %q", name, found.protocol(8443), allowed, want)
			}
			if _, allowed, known := find(sites, 22, func(s site) bool { return s.names(name) }); allowed || !known {
				t.Errorf("%s: another port is allowed", name)
			}
		}
	}
}

func TestRules_ports_have_their_usual_protocol(t *testing.T) {
	for port, want := range map[uint16]Protocol{443: TLS, 80: HTTP, 5432: "", 22: ""} {
		if got := (site{}).protocol(port); got != want {
			t.Errorf("port %d: %q, want %q", port, got, want)
		}
		if got := (site{Rule: Rule{Protocol: TCP}}).protocol(port); got != TCP {
			t.Errorf("port %d: %q though the rule says otherwise", port, got)
		}
	}
}

func TestNames_keep_their_address_and_are_bounded(t *testing.T) {
	b, err := NewBroker([]Rule{{Host: "*", Ports: []uint16{443}}}, quietLog, Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[netip.Addr]string{}
	for i := range maxNames {
		name := fmt.Sprintf("h%d.example.com", i)
		n, reason := b.nameAllowed(name)
		if reason != "" {
			t.Fatalf("%s: %s", name, reason)
		}
		for _, a := range []netip.Addr{netip.AddrFrom4(address4(n)), netip.AddrFrom16(address6(n))} {
			if !synthetic4.Contains(a) && !synthetic6.Contains(a) || a == Nameserver || seen[a] != "" {
				t.Fatalf("%s is %v, which is also %q", name, a, seen[a])
			}
			seen[a] = name
		}
	}
	if _, reason := b.nameAllowed("one.more.example"); reason != TooManyNames {
		t.Errorf("one more name: %q", reason)
	}
	for a, name := range seen {
		if host, _, _ := b.decide(netip.AddrPortFrom(a, 443)); host != name {
			t.Fatalf("%v is %q, want %q", a, host, name)
		}
	}
	for _, text := range []string{"198.18.0.0", "198.18.0.1", "198.19.255.255", "fd67:6174:6568:6f75::", "fd67:6174:6568:6f75::1", "fd67:6174:6568:6f75:1::2", "fd67:6174:6568:6f75:8000::2", "fd67:6174:6568:6f76::2"} {
		if name, ok := b.names.name(netip.MustParseAddr(text)); ok {
			t.Errorf("%s is %q", text, name)
		}
	}
}

func TestNames_under_any_name_are_still_names(t *testing.T) {
	b, err := NewBroker([]Rule{{Host: "*", Ports: []uint16{443}}}, quietLog, Options{})
	if err != nil {
		t.Fatal(err)
	}
	label := strings.Repeat("a", maxLabel)
	for name, want := range map[string]bool{
		"example.com": true, "a-b_c.example.com": true, label + ".com": true, label + "a.com": false,
		strings.Repeat("abcdefg.", 15) + "example": true, strings.Repeat("abcdefg.", 16) + "example": false,
		"": false, ".": false, "a..b": false, ".a": false, "a b.com": false, "a/b.com": false, "127.0.0.1": false, "::1": false,
		"1.2": false, "0x7f": false, "localhost": true, "caf\u00e9.example": false, "a\x00.com": false,
	} {
		if _, reason := b.nameAllowed(name); (reason == "") != want {
			t.Errorf("%q: %q, want allowed %v", name, reason, want)
		}
	}
}

func TestRefused_names_do_not_fill_the_log(t *testing.T) {
	recorded := 0
	b, err := NewBroker(nil, func(Event) error { recorded++; return nil }, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxRefusedNames {
		b.refuseName(fmt.Sprintf("h%d.example", i/2), NameNotAllowed)
	}
	if recorded != maxRefusedNames {
		t.Errorf("%d on record, want %d", recorded, maxRefusedNames)
	}
}
