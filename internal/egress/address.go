package egress

import (
	"net/netip"
	"strings"
)

// globalV6 is the only part of IPv6 that is assigned as global unicast (RFC 4291,
// section 2.4, and the IANA registry). Whatever lies outside of it, such as ::1,
// link-local and unique local addresses, IPv4-mapped and -compatible ones, NAT64
// (64:ff9b::/96 and 64:ff9b:1::/48), site-local and multicast, is refused without
// being listed.
var globalV6 = netip.MustParsePrefix("2000::/3")

// special are the ranges of the IANA special-purpose registries that are not
// ordinary places of the internet, and two that lead into a host's own network
// though the registries do not say so. Advisories against other gateways name the
// ones that were forgotten: NAT64 (CVE-2026-54450), 6to4 and site-local
// (CVE-2026-44430).
var special = prefixes(
	// IPv4
	"0.0.0.0/8",        // this network
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // shared, carrier-grade NAT; a cloud's metadata service at 100.100.100.200
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // a cloud's host agent, on a public address
	"169.254.0.0/16",   // link-local; metadata services at 169.254.169.254
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // IETF protocol assignments
	"192.0.2.0/24",     // documentation
	"192.31.196.0/24",  // AS112
	"192.52.193.0/24",  // AMT
	"192.88.99.0/24",   // 6to4 relay
	"192.168.0.0/16",   // private
	"192.175.48.0/24",  // AS112
	"198.18.0.0/15",    // benchmarking
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, and broadcast
	// IPv6, inside 2000::/3
	"2001::/23",         // IETF protocol assignments: Teredo, benchmarking, ORCHID and others
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4: an IPv4 address inside
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// Public reports whether an address is an ordinary place of the internet. An
// address with a zone is not, nor is one that holds an IPv4 address.
func Public(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" || a.Is4In6() || (a.Is6() && !globalV6.Contains(a)) {
		return false
	}
	return !within(special, a)
}

func within(ranges []netip.Prefix, a netip.Addr) bool {
	for _, p := range ranges {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// plainHost reports whether a host is an address in its one usual form or a name
// that nobody takes for an address. Some resolvers read 0x7f.1, 0177.0.0.1 and
// 2130706433 as 127.0.0.1; the URL standard calls such a host one that "ends in a
// number".
func plainHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == "" && !a.Is4In6()
	}
	name := strings.TrimSuffix(host, ".")
	if name == "" || len(name) > maxName {
		return false
	}
	for _, c := range []byte(name) {
		if !isNameByte(c) {
			return false
		}
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	return last != "" && !numeric(last)
}

// maxName is what the DNS can hold, RFC 1035, section 2.3.4.
const maxName = 253

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c) || c == '-' || c == '_' || c == '.'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// numeric tells a label that a resolver may read as a number: all digits, or 0x.
func numeric(label string) bool {
	if len(label) >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X') {
		return true
	}
	return strings.Trim(label, "0123456789") == ""
}
