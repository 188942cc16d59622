package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Values of Auth.Type.
const (
	OAuth             = "oauth"              // a person logs in with `gatehouse login`
	ClientCredentials = "client-credentials" // the gateway has an account of its own
	Enterprise        = "enterprise"         // the company's identity provider vouches for the user
	WorkloadIdentity  = "workload-identity"  // the platform that the gateway runs on vouches for it
)

// Auth is how the gateway gets a token for a server that wants one. A server
// without the section is treated as one with an empty section.
type Auth struct {
	Type              string // OAuth, ClientCredentials or Enterprise
	Issuer            string // the only authorization server to use; "" for the one that the server names
	ClientID          string // registered beforehand at the authorization server; "" if not
	ClientSecret      Secret
	ClientKey         Secret // private key in PEM, for private_key_jwt instead of a secret
	ClientMetadataURL string // a client ID that is the URL of a metadata document
	RedirectPort      int    // for the redirect to this machine; 0 for any
	Scopes            []string
	Assertion         Secret // who the gateway is, as its platform says; read anew each time
	IdP               IdP
	Proxy             string // URL of the egress proxy for what the server names; "" for none

	// What the server's metadata may name although it is not public.
	UnsafePrefixes []netip.Prefix
	UnsafeHosts    []string // lower case
}

// IdP is the identity provider of an enterprise.
type IdP struct {
	Issuer       string
	ClientID     string
	ClientSecret Secret
	IDToken      Secret // who the user is, as the provider said; read anew each time
}

// Equal reports whether two sections say the same. References are not resolved.
func (a *Auth) Equal(b *Auth) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Type == b.Type && a.Issuer == b.Issuer && a.ClientID == b.ClientID && a.ClientMetadataURL == b.ClientMetadataURL &&
		a.RedirectPort == b.RedirectPort && a.Proxy == b.Proxy &&
		a.ClientSecret.Equal(b.ClientSecret) && a.ClientKey.Equal(b.ClientKey) && a.Assertion.Equal(b.Assertion) && a.IdP.equal(b.IdP) &&
		slices.Equal(a.Scopes, b.Scopes) && slices.Equal(a.UnsafePrefixes, b.UnsafePrefixes) && slices.Equal(a.UnsafeHosts, b.UnsafeHosts)
}

func (a IdP) equal(b IdP) bool {
	return a.Issuer == b.Issuer && a.ClientID == b.ClientID && a.ClientSecret.Equal(b.ClientSecret) && a.IDToken.Equal(b.IDToken)
}

// secrets are the values that may not be seen by anyone but the server that they
// are for.
func (a *Auth) secrets() []string {
	if a == nil {
		return nil
	}
	var values []string
	for _, s := range []Secret{a.ClientSecret, a.ClientKey, a.Assertion, a.IdP.ClientSecret, a.IdP.IDToken} {
		if value, err := s.Resolve(); err == nil {
			values = append(values, value)
		}
	}
	return values
}

// IsZero tells a secret that is not configured.
func (s Secret) IsZero() bool { return len(s.parts()) == 0 }

func authKey(s *Server) key {
	k := section("auth", "How the gateway gets a token for a server that wants one.", authKeys(&Auth{Type: OAuth})...)
	k.read = func(r *reader, n *node, field string) {
		s.Auth = &Auth{Type: OAuth}
		r.section(n, field, authKeys(s.Auth))
	}
	return k
}

func authKeys(a *Auth) []key {
	return []key{
		oneOf("type", "How the gateway gets its token.", &a.Type, OAuth, ClientCredentials, Enterprise, WorkloadIdentity),
		plainText("issuer", "The only authorization server to use.", &a.Issuer, checkIssuer),
		plainText("client_id", "As registered at the authorization server.", &a.ClientID, checkClientID),
		reference("client_secret", "As registered at the authorization server: env:NAME or file:PATH.", &a.ClientSecret),
		reference("client_key", "Private key (PEM) that authenticates the gateway instead of a secret: env:NAME or file:PATH.", &a.ClientKey),
		plainText("client_metadata_url", "URL of a client ID metadata document.", &a.ClientMetadataURL, checkMetadataURL),
		count("redirect_port", "Port of this machine that the browser comes back to.", &a.RedirectPort, 65535).without("default"),
		{"scopes", schema{"type": "array", "items": schema{"type": "string"}, "description": "What to ask for, instead of what the server names."}, func(r *reader, n *node, field string) {
			a.Scopes = r.texts(n, field, "scope", checkScope)
		}},
		reference("assertion", "JWT in which the platform says who the gateway is, with type: workload-identity, read anew each time: env:NAME or file:PATH.", &a.Assertion),
		section("idp", "The company's identity provider, with type: enterprise.",
			plainText("issuer", "Issuer of the identity provider.", &a.IdP.Issuer, checkIssuer),
			plainText("client_id", "As registered at the identity provider.", &a.IdP.ClientID, checkClientID),
			reference("client_secret", "As registered at the identity provider: env:NAME or file:PATH.", &a.IdP.ClientSecret),
			reference("id_token", "The user's ID token, read anew each time: env:NAME or file:PATH.", &a.IdP.IDToken),
		),
		plainText("proxy", "Egress proxy for requests to what the server names.", &a.Proxy, checkProxy),
		{"unsafe_addresses", schema{"type": "array", "items": schema{"type": "string"}, "description": "Addresses, ranges and host names that the server's metadata may name although they are not public."}, func(r *reader, n *node, field string) { r.unsafeAddresses(n, field, a) }},
	}
}

// without leaves a word out of the schema.
func (k key) without(word string) key {
	delete(k.schema, word)
	return k
}

func plainText(name, doc string, to *string, check func(string) string) key {
	return key{name, schema{"type": "string", "description": doc}, func(r *reader, n *node, field string) {
		if n.kind != text {
			r.wrongKind(n, field, "text")
			return
		}
		if problem := check(n.text); problem != "" {
			r.refuse(n.pos, field, "%s", problem) // without the text, which may hold a secret
			return
		}
		*to = n.text
	}}
}

// reference reads a secret that must not stand in the file itself.
func reference(name, doc string, to *Secret) key {
	return key{name, schema{"type": "string", "pattern": "^(env|file):.+$", "description": doc}, func(r *reader, n *node, field string) {
		if n.kind != text {
			r.wrongKind(n, field, "env:NAME or file:PATH")
			return
		}
		value, err := ParseReference(n.text, field, r.dir)
		switch {
		case err != nil:
			r.refuse(n.pos, field, "%v", err)
		case value.plain():
			r.refuse(n.pos, field, "a secret does not stand in this file; write env:NAME or file:PATH")
		default:
			r.warnAboutSecret(n.pos, field, value)
			*to = value
		}
	}}
}

// checkAuth refuses what does not go together.
func (r *reader) checkAuth(n *node, field string, s Server) {
	a, section := s.Auth, n.get("auth")
	if a == nil || section == nil {
		return
	}
	at := n.at("auth")
	field += ".auth"
	refuse := func(name, format string, args ...any) {
		r.refuse(section.at(name), field+"."+name, format, args...)
	}
	if _, both := s.Headers["Authorization"]; both {
		r.refuse(at, field, "headers sets Authorization as well; keep one")
	}
	has := func(s Secret) bool { return !s.IsZero() }
	if has(a.ClientSecret) && has(a.ClientKey) {
		refuse("client_key", "stands next to client_secret; keep one")
	}
	if (has(a.ClientSecret) || has(a.ClientKey)) && a.ClientID == "" {
		r.refuse(at, field, "a secret or key belongs to a client_id; write it too")
	}
	if a.Type != OAuth {
		if a.ClientMetadataURL != "" {
			refuse("client_metadata_url", "belongs to type: %s", OAuth)
		}
		if a.RedirectPort != 0 {
			refuse("redirect_port", "belongs to type: %s", OAuth)
		}
		if a.ClientID == "" {
			r.refuse(at, field, "type: %s needs a client_id", a.Type)
		}
	}
	if a.Type == ClientCredentials && !has(a.ClientSecret) && !has(a.ClientKey) {
		r.refuse(at, field, "type: %s needs a client_secret or a client_key", a.Type)
	}
	switch {
	case a.Type == WorkloadIdentity && !has(a.Assertion):
		r.refuse(at, field, "type: %s needs an assertion", a.Type)
	case a.Type != WorkloadIdentity && has(a.Assertion):
		refuse("assertion", "belongs to type: %s", WorkloadIdentity)
	}
	switch idp := a.IdP; {
	case a.Type == Enterprise && (idp.Issuer == "" || idp.ClientID == "" || !has(idp.IDToken)):
		r.refuse(at, field, "type: %s needs idp with issuer, client_id and id_token", a.Type)
	case a.Type != Enterprise && section.get("idp") != nil:
		refuse("idp", "belongs to type: %s", Enterprise)
	}
	if len(a.UnsafeHosts)+len(a.UnsafePrefixes) > 0 {
		r.warn(section.at("unsafe_addresses"), field+".unsafe_addresses", "the server may make the gateway send requests to these places, which are not public")
	}
}

// checkIssuer accepts what RFC 8414, section 2, asks of an issuer, and http to this
// machine, which is refused later unless the address is allowed.
func checkIssuer(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || strings.ContainsAny(raw, "#? \\") ||
		!(u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())) {
		return "expected an https URL without query and fragment, exactly as the authorization server writes its issuer"
	}
	return ""
}

// checkMetadataURL: "the client_id … MUST use the https scheme and contain a path
// component".
func checkMetadataURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(raw, "# \\") || len(u.Path) < 2 {
		return "expected an https URL with a path, such as https://example.com/gatehouse.json"
	}
	return ""
}

func checkProxy(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" {
		return "expected the URL of a proxy, such as http://proxy.example:3128, without a password"
	}
	return ""
}

// maxClientID bounds a client ID; the longest in use are URLs.
const maxClientID = 2048

// checkClientID: RFC 6749, appendix A.1, "client-id = *VSCHAR".
func checkClientID(id string) string {
	if id == "" || len(id) > maxClientID || strings.ContainsFunc(id, func(c rune) bool { return c < 0x20 || c > 0x7e }) {
		return "expected the client ID as the authorization server gave it"
	}
	return ""
}

// scopeToken is RFC 6749, section 3.3.
var scopeToken = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]{1,256}$`) })

func checkScope(scope string) string {
	if !scopeToken().MatchString(scope) {
		return "expected one scope, without spaces and quotes"
	}
	return ""
}

var hostName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?$`) })

func (r *reader) unsafeAddresses(n *node, field string, a *Auth) {
	r.texts(n, field, "address", func(entry string) string {
		if p, err := netip.ParsePrefix(entry); err == nil && p == p.Masked() {
			a.UnsafePrefixes = append(a.UnsafePrefixes, p)
			return ""
		}
		if ip, err := netip.ParseAddr(entry); err == nil && ip.Zone() == "" {
			a.UnsafePrefixes = append(a.UnsafePrefixes, netip.PrefixFrom(ip, ip.BitLen()))
			return ""
		}
		if hostName().MatchString(entry) && strings.ContainsFunc(entry[strings.LastIndexByte(entry, '.')+1:], func(c rune) bool { return c > '9' }) {
			a.UnsafeHosts = append(a.UnsafeHosts, entry)
			return ""
		}
		return "expected an address, a range such as 10.1.0.0/16, or a host name in lower case"
	})
}
