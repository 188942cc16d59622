package egress

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Protocol is what may be spoken with a destination.
type Protocol string

// The protocols of a rule. Without one, port 443 is TLS and port 80 is HTTP. On any
// other port whoever speaks first decides: what looks like TLS or HTTP is held to
// the rules of these, and anything else passes as TCP.
const (
	TLS  Protocol = "tls"  // the ClientHello names the host
	HTTP Protocol = "http" // every request names the host
	TCP  Protocol = "tcp"  // anything
)

// Rule allows connections to one host, or to one family of hosts.
type Rule struct {
	// Host is a name, an address in its usual form, "localhost" for both loopback
	// addresses of this machine, "*.example.com" for every name below example.com
	// but not itself, or "*" for every name.
	Host string
	// Ports that may be reached; at least one. Port 53 is never among them, because
	// names are answered by the broker.
	Ports []uint16
	// Protocol that must be spoken, the usual one of the port if empty.
	Protocol Protocol
	// UnsafePrefixes hold the addresses that the host's name may have though they
	// are not public. A rule whose Host is an address needs none: it says itself
	// where it leads.
	UnsafePrefixes []netip.Prefix
}

const (
	maxRules      = 256 // of one server; each lookup goes through all of them
	maxRulePorts  = 64  // of one rule
	portOfDNS     = 53
	portOfHTTP    = 80
	portOfHTTPS   = 443
	localhost     = "localhost"
	anyName       = "*"
	wildcardStart = "*."
)

// site is a rule that has been checked.
type site struct {
	Rule
	address netip.Addr // valid if Host is an address
}

// compile checks rules and puts the most specific first: addresses and names, then
// wildcards, the longest first. Two rules that speak of the same host and port are
// refused, so that their order never matters.
func compile(rules []Rule) ([]site, error) {
	if len(rules) > maxRules {
		return nil, fmt.Errorf("%d rules, want at most %d", len(rules), maxRules)
	}
	type place struct {
		host string
		port uint16
	}
	seen := map[place]bool{}
	var sites []site
	for i, r := range rules {
		s, err := check(r)
		if err != nil {
			return nil, fmt.Errorf("rule %d, %q: %w", i+1, r.Host, err)
		}
		for _, host := range s.hosts() {
			for _, port := range s.Ports {
				if seen[place{host, port}] {
					return nil, fmt.Errorf("rule %d, %q: port %d stands in two rules", i+1, r.Host, port)
				}
				seen[place{host, port}] = true
			}
		}
		sites = append(sites, s)
	}
	slices.SortStableFunc(sites, func(a, b site) int {
		return cmp.Or(cmp.Compare(a.width(), b.width()), cmp.Compare(len(b.Host), len(a.Host)))
	})
	return sites, nil
}

func check(r Rule) (site, error) {
	s := site{Rule: r}
	s.Host = canonicalName(r.Host)
	s.address, _ = netip.ParseAddr(s.Host)
	base := strings.TrimPrefix(s.Host, wildcardStart)
	switch {
	case s.address.IsValid() && (s.address.String() != s.Host || !dialable(s.address)):
		return site{}, fmt.Errorf("not an address in its usual form that one can connect to")
	case s.Host == anyName && r.Host != anyName, s.Host != anyName && !plainHost(base):
		return site{}, fmt.Errorf("neither a name nor an address in its usual form")
	case s.wildcard() && addressLike(base):
		return site{}, fmt.Errorf("a wildcard before an address")
	case s.Host != localhost && strings.HasSuffix("."+base, "."+localhost):
		return site{}, fmt.Errorf("only %q itself is known", localhost)
	case len(r.Ports) == 0 || len(r.Ports) > maxRulePorts:
		return site{}, fmt.Errorf("%d ports, want 1 to %d", len(r.Ports), maxRulePorts)
	case slices.Contains(r.Ports, 0):
		return site{}, fmt.Errorf("there is no port 0")
	case slices.Contains(r.Ports, portOfDNS):
		return site{}, fmt.Errorf("port 53 is for names, which are answered here")
	case len(r.UnsafePrefixes) > 0 && (s.address.IsValid() || s.Host == localhost || s.Host == anyName):
		return site{}, fmt.Errorf("unsafe prefixes are for names")
	}
	switch r.Protocol {
	case "", TLS, HTTP, TCP:
	default:
		return site{}, fmt.Errorf("unknown protocol %q", r.Protocol)
	}
	for _, p := range r.UnsafePrefixes {
		if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
			return site{}, fmt.Errorf("unsafe prefix %v is not in its usual form", p)
		}
	}
	return s, nil
}

func addressLike(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// never are addresses that nobody may name, because they are no destination or
// hide another address.
var never = prefixes("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", synthetic4.String(),
	"::/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "ff00::/8", synthetic6.String())

// dialable reports whether a rule may name an address.
func dialable(a netip.Addr) bool { return a.Zone() == "" && !within(never, a) }

// canonicalName is the form in which names are compared: lower case, no dot at the
// end.
func canonicalName(host string) string {
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// loopbackHosts are what "localhost" stands for: it is not asked of a resolver,
// which could say something else.
var loopbackHosts = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}

func (s site) hosts() []string {
	if s.Host != localhost {
		return []string{s.Host}
	}
	var hosts []string
	for _, a := range loopbackHosts {
		hosts = append(hosts, a.String())
	}
	return append(hosts, localhost)
}

func (s site) wildcard() bool { return s.Host == anyName || strings.HasPrefix(s.Host, wildcardStart) }

func (s site) width() int {
	switch {
	case s.Host == anyName:
		return 2
	case s.wildcard():
		return 1
	}
	return 0
}

// names reports whether the rule speaks of a name in canonical form. A wildcard
// does not mean the name that it stands before.
func (s site) names(name string) bool {
	switch {
	case s.address.IsValid() || s.Host == localhost:
		return false
	case s.Host == anyName:
		return true
	case s.wildcard():
		return strings.HasSuffix(name, s.Host[1:]) && len(name) > len(s.Host)-1
	}
	return name == s.Host
}

// holds reports whether the rule names an address itself.
func (s site) holds(a netip.Addr) bool {
	if s.Host == localhost {
		return slices.Contains(loopbackHosts, a)
	}
	return s.address.IsValid() && s.address == a
}

// protocol is what must be spoken on a port, "" if whoever speaks first decides.
func (s site) protocol(port uint16) Protocol {
	switch {
	case s.Protocol != "":
		return s.Protocol
	case port == portOfHTTPS:
		return TLS
	case port == portOfHTTP:
		return HTTP
	}
	return ""
}

// find returns the most specific rule that allows a port of what matches, and
// whether any rule matches at all.
func find(sites []site, port uint16, matches func(site) bool) (found site, allowed, known bool) {
	for _, s := range sites {
		if !matches(s) {
			continue
		}
		known = true
		if slices.Contains(s.Ports, port) {
			return s, true, true
		}
	}
	return site{}, false, known
}
