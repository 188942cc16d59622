package identity

import (
	"net/http"
	"net/url"
	"strings"
)

// credential is the one thing by which a request says who sends it.
type credential struct {
	kind   credentialKind
	text   string  // of a token or key; secret
	issuer *issuer // whose header it came in; nil: Authorization
	proxy  *proxy
}

type credentialKind uint8

const (
	none credentialKind = iota
	bearer
	apiKey
	certificate
	forwarded
)

// maxToken bounds a token, in bytes. The largest in use carry some hundred groups
// and have 6 KiB.
const maxToken = 16 << 10

// credential finds the credential of a request. More than one is refused: what is in
// front of the gateway may have looked at another one than the gateway would.
func (i *Identifier) credential(r *Request) (credential, error) {
	found, count := credential{}, 0
	add := func(c credential) { found, count = c, count+1 }
	if values := r.Header["Authorization"]; len(values) > 0 {
		text, err := bearerToken(values)
		if err != nil {
			return credential{}, err
		}
		c := credential{kind: bearer, text: text}
		if i.keys != nil && strings.HasPrefix(text, keyPrefix) {
			c.kind = apiKey
		}
		add(c)
	}
	for _, s := range i.byHeader {
		if values := r.Header[s.Header]; len(values) > 0 {
			if len(values) > 1 {
				return credential{}, malformed("the request has two headers %s", s.Header)
			}
			add(credential{kind: bearer, text: values[0], issuer: s})
		}
	}
	for _, p := range i.proxies {
		if p.vouches(r) {
			add(credential{kind: forwarded, proxy: p})
			break
		}
	}
	// A certificate next to a token is one credential if the token is bound to it,
	// which the token itself says.
	if i.certificates != nil && r.TLS != nil && len(r.TLS.PeerCertificates) > 0 && found.kind != bearer {
		add(credential{kind: certificate})
	}
	if count > 1 {
		return credential{}, malformed("the request has credentials of two kinds; send one")
	}
	return found, nil
}

// bearerToken reads the header Authorization, RFC 6750, section 2.1. Whether what it
// holds is one token is checked when the token is looked at for the first time.
func bearerToken(values []string) (string, error) {
	if len(values) > 1 {
		return "", malformed("the request has two Authorization headers")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if len(scheme) != len("bearer") || !strings.EqualFold(scheme, "bearer") {
		return "", noGood("Authorization must be Bearer and a token", nil)
	}
	return strings.TrimLeft(token, " "), nil
}

// isToken68 is b64token of RFC 6750: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+"
// / "/" ) *"=".
func isToken68(text string) bool {
	text = strings.TrimRight(text, "=")
	for n := range len(text) {
		if !token68[text[n]] {
			return false
		}
	}
	return text != ""
}

var token68 = func() (set [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") {
		set[c] = true
	}
	return set
}()

// queryNames are parameters in which people put credentials.
var queryNames = []string{"access_token", "id_token", "token", "api_key", "apikey", "key", "authorization"}

// credentialInQuery is the name of a parameter with a credential, "" if there is
// none.
func credentialInQuery(query url.Values) string {
	for name, values := range query {
		for _, known := range queryNames {
			if strings.EqualFold(name, known) {
				return known
			}
		}
		for _, value := range values {
			if strings.HasPrefix(value, keyPrefix) && hasChecksum(value) {
				return "an API key"
			}
		}
	}
	return ""
}

// one is the only value of a header; ok is false if there are several.
func one(h http.Header, name string) (value string, ok bool) {
	values := h[name]
	switch len(values) {
	case 0:
		return "", true
	case 1:
		return values[0], true
	}
	return "", false
}
