package argumenturl

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/argument"
	"gatehouse/internal/rule/names"
)

// metadata are the addresses at which clouds tell a machine its own credentials.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // AWS, Google Cloud, Azure, DigitalOcean, Oracle
	netip.MustParseAddr("169.254.170.2"),   // AWS ECS
	netip.MustParseAddr("169.254.170.23"),  // AWS EKS
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd00:ec2::23"),    // AWS EKS
	netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("192.0.0.192"),     // Oracle
	netip.MustParseAddr("168.63.129.16"),   // Azure
}

var metadataNames = []string{"metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal", "metadata.tencentyun.com", "metadata.platformequinix.com"}

// resolvers answer names with the address that the name holds.
var resolvers = []string{".nip.io", ".sslip.io", ".xip.io", ".traefik.me"}

// loopbackNames are public names of the machine itself.
var loopbackNames = []string{"localtest.me", "lvh.me", "vcap.me", "lacolhost.com"}

func judgeHost(host, written string, hasScheme bool) flaw {
	addr, spelling := address(host)
	if !hasScheme && strings.Count(host, ".") < 3 && !strings.ContainsAny(host, ":x") {
		addr = netip.Addr{} // a version
	}
	for _, suffix := range resolvers {
		if name, found := strings.CutSuffix(host, suffix); found {
			addr, spelling = embedded(name), unusual
		}
	}
	switch {
	case slices.Contains(metadataNames, host):
		return flaw{"the metadata service of a cloud, which gives out credentials", certain, rule.Critical}
	case addr.IsValid() && slices.Contains(metadata, addr):
		return flaw{"the metadata service of a cloud, which gives out credentials", certain, rule.Critical}
	case addr.IsValid() && inside(addr) && (spelling == unusual || !strings.EqualFold(written, host)):
		return flaw{"an inside address in a spelling that hides it", certain, rule.High}
	case slices.ContainsFunc(loopbackNames, func(name string) bool { return host == name || strings.HasSuffix(host, "."+name) }):
		return flaw{"a public name of the machine itself", reported, rule.Medium}
	case addr.IsValid() && inside(addr):
		return flaw{"an address inside the network", doubtful, rule.Low}
	case host == "localhost" || strings.HasSuffix(host, ".localhost"):
		return flaw{"the machine itself", doubtful, rule.Low}
	case addr.IsValid() && spelling == unusual:
		return flaw{"an address in a spelling that hides it", reported, rule.Medium}
	}
	return flaw{}
}

// shared is 100.64.0.0/10, which carriers and clouds use inside (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

func inside(a netip.Addr) bool {
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified() || shared.Contains(a) || a.Is4() && a.As4()[0] == 0
}

// plainHost writes a host as resolvers read it: decoded, in lower case, with the dots
// and digits of ASCII, without a dot at its end.
func plainHost(host string) string {
	host = argument.Unescape(host)
	host = strings.Map(func(r rune) rune {
		switch {
		case r == '\u3002' || r == '\uff0e' || r == '\uff61' || r == '\u2024':
			return '.'
		case r >= '\uff01' && r <= '\uff5e':
			return r - 0xfee0
		case r >= '\u2460' && r <= '\u2468':
			return r - '\u2460' + '1'
		case r == '\u24ea':
			return '0'
		case r >= '\u24b6' && r <= '\u24cf':
			return r - '\u24b6' + 'a'
		case r >= '\u24d0' && r <= '\u24e9':
			return r - '\u24d0' + 'a'
		case r == '\u200b' || r == '\u00ad' || r == '\u2060' || r == '\ufeff':
			return -1
		}
		return r
	}, host)
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

type spelling uint8

const (
	ordinary spelling = iota
	unusual
)

// wrapping are prefixes of IPv6 addresses that hold an IPv4 address, and where.
var wrapping = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},    // NAT64, RFC 6052
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12},  // local NAT64, RFC 8215
	{netip.MustParsePrefix("2002::/16"), 2},        // 6to4, RFC 3056
	{netip.MustParsePrefix("::/96"), 12},           // IPv4-compatible, RFC 4291
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // IPv4-translated, RFC 2765
}

// address reads a host as the parsers of C libraries and browsers do.
func address(host string) (netip.Addr, spelling) {
	if a, err := netip.ParseAddr(host); err == nil {
		if a = a.WithZone(""); a.Is4In6() {
			return a.Unmap(), unusual
		}
		if a.Is4() || a.IsLoopback() || a.IsUnspecified() {
			return a, ordinary
		}
		for _, w := range wrapping {
			if w.prefix.Contains(a) {
				b := a.As16()
				return netip.AddrFrom4([4]byte(b[w.at : w.at+4])), unusual
			}
		}
		return a, ordinary
	}
	return oldForm(host)
}

// oldForm reads what inet_aton reads: one to four parts, each decimal, octal or
// hexadecimal, the last one filling what is left.
func oldForm(host string) (netip.Addr, spelling) {
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, ordinary
	}
	var value uint64
	how := ordinary
	if len(parts) < 4 {
		how = unusual
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 0, 32)
		if err != nil || strings.ContainsAny(part, "_ob") || strings.Contains(part, "O") {
			return netip.Addr{}, ordinary
		}
		if strconv.FormatUint(n, 10) != strings.TrimLeft(part[:len(part)-1], "0")+part[len(part)-1:] {
			how = unusual // zeros before a part that is the same in octal hide nothing
		}
		left := 8
		if i == len(parts)-1 {
			left = 8 * (5 - len(parts))
		}
		if n >= 1<<left {
			return netip.Addr{}, ordinary
		}
		value = value<<left | n
	}
	if len(parts) == 1 && value < 1<<24 && !strings.HasPrefix(host, "0x") {
		return netip.Addr{}, ordinary // a number
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), how
}

// embedded is the address at the end of a name such as app.10.0.0.1, or app-10-0-0-1.
func embedded(name string) netip.Addr {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '-' })
	if len(parts) >= 4 {
		if a, err := netip.ParseAddr(strings.Join(parts[len(parts)-4:], ".")); err == nil {
			return a
		}
	}
	if last := parts[max(0, len(parts)-1):]; len(last) == 1 && len(last[0]) == 8 {
		if n, err := strconv.ParseUint(last[0], 16, 32); err == nil {
			return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		}
	}
	return netip.Addr{}
}

// lookAlike recognises a name whose letters imitate those of another one, in Unicode
// or in Punycode.
func lookAlike(host string) flaw {
	for label := range strings.SplitSeq(host, ".") {
		if encoded, found := strings.CutPrefix(label, "xn--"); found {
			decoded, ok := names.Punycode(encoded)
			if !ok {
				return flaw{"a name in Punycode that cannot be read", reported, rule.Medium}
			}
			label = decoded
		}
		if !strings.ContainsFunc(label, imitates) {
			continue // accents are spelling
		}
		if folded := string(rule.Fold(label).Text); isASCII(folded) && folded != "" && utf8.RuneCountInString(label) > 2 {
			return flaw{"a name whose letters imitate another one", reported, rule.High}
		}
	}
	return flaw{}
}

// imitates says whether a letter is of a script that has the shapes of Latin ones.
func imitates(r rune) bool {
	return unicode.In(r, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee, unicode.Lisu)
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}
