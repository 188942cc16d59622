package questionabuse

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"gatehouse/internal/rule/names"
)

// judge says how likely it is that an address that a person is asked to visit pretends to
// be another or hides where it leads, and why. "Clients MUST show the full URL": a person
// reads it, so what counts is what deceives a reader.
func judge(address string) (confidence float64, detail string) {
	u, err := url.Parse(strings.TrimSpace(address))
	switch {
	case err != nil:
		return sure, "an address that cannot be read"
	case u.Scheme != "http" && u.Scheme != "https":
		return sure, "an address that is none of the web"
	case u.User != nil:
		return sure, "an address with a user name before the host, which readers take for the host"
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.IsLoopback() {
			return 0, ""
		}
		return sure, "an address with a number in place of a host name"
	}
	switch {
	case host == "localhost" || strings.HasSuffix(host, ".localhost"):
		return 0, ""
	case host == "" || isNumber(host):
		return sure, "an address with a number in place of a host name"
	case slices.Contains(shorteners, strings.TrimPrefix(host, "www.")):
		return sure, "a short address, which hides where it leads"
	case strings.ContainsFunc(host, unicode.IsSpace):
		return sure, "an address that cannot be read"
	}
	if confidence, detail = imitates(strings.Split(host, ".")); confidence > 0 {
		return confidence, detail
	}
	if u.Scheme == "http" {
		return fair, "an address without encryption"
	}
	return 0, ""
}

// isNumber says whether browsers read a host as an IPv4 address in another notation.
func isNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	return last != "" && strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x")
}

var shorteners = []string{
	"bit.ly", "tinyurl.com", "t.co", "goo.gl", "is.gd", "v.gd", "ow.ly", "buff.ly", "cutt.ly", "rb.gy", "rebrand.ly", "shorturl.at", "tiny.cc", "t.ly", "bl.ink", "lnkd.in", "s.id", "shorte.st", "adf.ly", "u.to", "qr.ae", "clck.ru", "da.gd", "tny.im",
}

// brands are names that people trust with their accounts.
var brands = []string{
	"google", "github", "gitlab", "microsoft", "apple", "icloud", "paypal", "amazon", "slack", "openai", "anthropic", "okta", "stripe", "dropbox", "facebook", "instagram", "linkedin", "atlassian", "notion", "salesforce", "docusign", "coinbase", "binance", "netflix", "whatsapp", "telegram", "outlook", "office365", "cloudflare", "bankofamerica", "americanexpress",
}

// imitates looks at the labels of a host.
func imitates(labels []string) (confidence float64, detail string) {
	for i, label := range labels {
		if strings.HasPrefix(label, "xn--") {
			decoded, ok := names.Punycode(label[len("xn--"):])
			if !ok {
				return sure, "an address whose host cannot be read"
			}
			label = decoded
		}
		if mixed(label) {
			return sure, "an address with letters that look like others"
		}
		for _, brand := range brands {
			switch {
			case label == brand && i+2 < len(labels) && slices.Contains([]string{"com", "net", "org", "io", "co"}, labels[i+1]):
				return sure, "an address that begins like that of " + brand
			case label != brand && unswapped(label) == brand:
				return sure, "an address that looks like that of " + brand
			case label != brand && (strings.HasPrefix(label, brand+"-") || strings.HasSuffix(label, "-"+brand)):
				return fair, "an address that names " + brand + " beside other words"
			}
		}
	}
	return 0, ""
}

var swaps = strings.NewReplacer("rn", "m", "vv", "w", "0", "o", "1", "l", "3", "e", "5", "s", "4", "a", "$", "s")

func unswapped(label string) string { return swaps.Replace(label) }

// lookalikes are letters of other alphabets that look like Latin ones.
const lookalikes = "асеоірхуѕјһӏԁԛԝьвкмнтгορανικυχτηω"

// mixed says whether a label mixes Latin letters with ones that look like them, or has
// nothing but the latter.
func mixed(label string) bool {
	latin, other, alike := false, false, true
	for _, r := range label {
		switch {
		case !unicode.IsLetter(r):
		case unicode.Is(unicode.Latin, r):
			latin, alike = true, false
		case unicode.In(r, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee):
			other = true
			alike = alike && strings.ContainsRune(lookalikes, r)
		default:
			alike = false
		}
	}
	return other && (latin || alike)
}
