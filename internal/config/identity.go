package config

import (
	"cmp"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Values of Identity.Local.
const (
	Allow = "allow"
	Deny  = "deny"
)

// Identity says who may be a caller, and how callers prove it. The zero Identity
// knows one caller, the local user.
type Identity struct {
	Resource     string // the address that clients use, without /mcp and without a slash at its end
	Local        string // Allow or Deny; empty: Allow as long as nothing else identifies callers
	Issuers      []Issuer
	Keys         string // file with the API keys, absolute; empty: there are none
	Certificates Certificates
	Proxies      []Proxy
}

// Issuer is an authorization server whose access tokens are taken.
type Issuer struct {
	Name          string   // as principals are named after it
	URL           string   // exactly as the issuer writes itself
	Header        string   // that holds the token, canonical; empty: Authorization
	Audiences     []string // that are taken besides Identity.Resource
	Scopes        []string // that every token needs
	Algorithms    []string // JWS algorithms, asymmetric ones only
	Typ           string   // AccessTokenOnly or AnyTyp
	SubjectClaim  string
	NameClaim     string
	TeamsClaim    string // empty: no groups are read
	JWKSURL       string // empty: as the issuer's metadata says
	Introspection Introspection
	CA            string // file with the authorities that vouch for the issuer, absolute; empty: the system's
}

// Values of Issuer.Typ: which values of the header parameter typ are taken.
const (
	AccessTokenOnly = "at+jwt"
	AnyTyp          = "any" // but for kinds that are known to be no access tokens
)

// Introspection is how the gateway asks an issuer about tokens that it cannot read
// itself, RFC 7662. Without a ClientID it does not ask.
type Introspection struct {
	ClientID     string
	ClientSecret Secret
	URL          string // empty: as the issuer's metadata says
}

// Certificates says which client certificates are taken. Without a CA none are.
type Certificates struct {
	CA   string // file with the authorities, absolute
	Name string // ByURI, ByEmail, ByDNS or ByCN
	// Teams is "ou" if the organizational units of the subject are groups, else "none".
	Teams string
}

// Values of Certificates.Name: what names the holder of a certificate.
const (
	ByURI   = "uri"
	ByEmail = "email"
	ByDNS   = "dns"
	ByCN    = "cn"
)

// Proxy is a proxy in front of the gateway that has identified the caller.
type Proxy struct {
	Name            string         // as principals are named after it
	From            []netip.Prefix // addresses that it connects from; none: any, and then it signs
	User            string         // header that names the caller, canonical
	Teams           string         // header with the caller's groups, separated by commas; empty: none
	SignatureHeader string         // canonical; empty: it does not sign
	SignatureSecret Secret
}

// Team is a group of principals.
type Team struct {
	Name   string
	Users  []string // principals, as user:ISSUER/SUBJECT
	Groups []string // ISSUER/GROUP, as issuers, proxies and certificates name them
	Keys   []string // names of API keys
}

// Configured reports whether callers can be anyone but the local user.
func (i *Identity) Configured() bool {
	return len(i.Issuers) > 0 || i.Keys != "" || i.Certificates.CA != "" || len(i.Proxies) > 0
}

// LocalAllowed reports whether a caller of this machine needs no credential.
func (i *Identity) LocalAllowed() bool {
	return i.Local == Allow || i.Local == "" && !i.Configured()
}

// Equal reports whether two sections say the same. References are not resolved.
func (i *Identity) Equal(o *Identity) bool {
	return i.Resource == o.Resource && i.Local == o.Local && i.Keys == o.Keys && i.Certificates == o.Certificates &&
		slices.EqualFunc(i.Issuers, o.Issuers, Issuer.equal) && slices.EqualFunc(i.Proxies, o.Proxies, Proxy.equal)
}

func (a Issuer) equal(b Issuer) bool {
	return a.Name == b.Name && a.URL == b.URL && a.Header == b.Header && a.Typ == b.Typ && a.SubjectClaim == b.SubjectClaim &&
		a.NameClaim == b.NameClaim && a.TeamsClaim == b.TeamsClaim && a.JWKSURL == b.JWKSURL && a.CA == b.CA &&
		slices.Equal(a.Audiences, b.Audiences) && slices.Equal(a.Scopes, b.Scopes) && slices.Equal(a.Algorithms, b.Algorithms) &&
		a.Introspection.ClientID == b.Introspection.ClientID && a.Introspection.URL == b.Introspection.URL &&
		a.Introspection.ClientSecret.Equal(b.Introspection.ClientSecret)
}

func (a Proxy) equal(b Proxy) bool {
	return a.Name == b.Name && a.User == b.User && a.Teams == b.Teams && slices.Equal(a.From, b.From) &&
		a.SignatureHeader == b.SignatureHeader && a.SignatureSecret.Equal(b.SignatureSecret)
}

// Equal reports whether two teams have the same members.
func (t Team) Equal(o Team) bool {
	return t.Name == o.Name && slices.Equal(t.Users, o.Users) && slices.Equal(t.Groups, o.Groups) && slices.Equal(t.Keys, o.Keys)
}

const (
	// maxIssuers and maxProxies are more than one gateway can sensibly believe.
	maxIssuers, maxProxies = 50, 50
	// maxTeams and maxMembers keep the section one that a person can review; larger
	// groups belong into the identity provider.
	maxTeams, maxMembers = 500, 1000
	// maxName bounds the name of a claim, a group, a subject and the like, in bytes.
	maxName = 255
)

// CertificateGroups is what groups of certificates are named after, where groups of
// an issuer are named after the issuer.
const CertificateGroups = "certificates"

// signingAlgorithms are the asymmetric ones of RFC 7518 and RFC 8037. A symmetric
// one would make a public key a signing key, and none signs nothing.
var signingAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

func defaultIssuer() Issuer {
	return Issuer{Typ: AnyTyp, SubjectClaim: "sub", NameClaim: "preferred_username", Algorithms: []string{"RS256", "PS256", "ES256", "EdDSA"}}
}

func identityKey(c *Config) key {
	i := &c.Identity
	return section("identity", "Who may be a caller, and how callers prove it.",
		plainText("resource", "Address that clients use, without /mcp.", &i.Resource, checkResource),
		oneOf("local", "Whether a caller of this machine without credentials is the local user.", &i.Local, Allow, Deny).without("default"),
		mapOf("issuers", "Authorization servers whose access tokens are taken, by a name of your choice.", issuerKeys(new(defaultIssuer())), func(r *reader, n *node, field string) { r.issuers(n, field, i) }),
		keysKey(i),
		section("certificates", "Client certificates that are taken.", certificateKeys(&i.Certificates)...),
		mapOf("proxies", "Proxies in front of the gateway that identify callers, by a name of your choice.", proxyKeys(&Proxy{}), func(r *reader, n *node, field string) { r.proxies(n, field, i) }),
	)
}

// mapOf reads a mapping of names to sections.
func mapOf(name, doc string, keys []key, read func(r *reader, n *node, field string)) key {
	return key{name, schema{
		"type": "object", "description": doc,
		"propertyNames": schema{"pattern": serverID.String()}, "additionalProperties": objectSchema("", keys).without("description"),
	}, read}
}

func (s schema) without(word string) schema {
	delete(s, word)
	return s
}

// keysKey is a section that is there even if it is empty.
func keysKey(i *Identity) key {
	k := section("keys", "API keys, which `gatehouse key` makes.", path("file", "File that holds what API keys are recognised by.", ".gatehouse/keys", &i.Keys))
	inner := k.read
	k.read = func(r *reader, n *node, field string) {
		i.Keys = defaultKeys
		inner(r, n, field)
	}
	return k
}

// defaultKeys stands for the file in the state folder, which is known at the end.
const defaultKeys = "\x00"

func issuerKeys(i *Issuer) []key {
	return []key{
		plainText("url", "Issuer, exactly as it writes itself.", &i.URL, checkIssuer),
		headerKey("header", "Header that holds the token, for a proxy that sends its own; Authorization if left out.", &i.Header),
		textList("audiences", "Audiences that are taken besides resource.", "audience", &i.Audiences, checkWord),
		textList("scopes", "Scopes that every token needs.", "scope", &i.Scopes, checkNeededScope),
		{"algorithms", schema{"type": "array", "minItems": 1, "items": schema{"enum": signingAlgorithms}, "default": i.Algorithms, "description": "Signatures that are taken."}, func(r *reader, n *node, field string) {
			i.Algorithms = r.texts(n, field, "algorithm", checkAlgorithm)
			if n.kind == list && len(n.list) == 0 {
				r.refuse(n.pos, field, "an empty list takes no token; leave the key out")
			}
		}},
		oneOf("typ", "Whether only tokens that call themselves access tokens are taken.", &i.Typ, AccessTokenOnly, AnyTyp),
		claim("subject_claim", "Claim that identifies the user.", &i.SubjectClaim),
		claim("name_claim", "Claim with a name for people.", &i.NameClaim),
		claim("teams_claim", "Claim with the user's groups.", &i.TeamsClaim).without("default"),
		plainText("jwks_url", "Where the issuer's keys are, instead of what its metadata says.", &i.JWKSURL, checkEndpoint),
		section("introspection", "Asks the issuer about tokens that cannot be read here.",
			plainText("client_id", "As registered at the issuer.", &i.Introspection.ClientID, checkClientID),
			reference("client_secret", "As registered at the issuer: env:NAME or file:PATH.", &i.Introspection.ClientSecret),
			plainText("url", "Where to ask, instead of what the issuer's metadata says.", &i.Introspection.URL, checkEndpoint),
		),
		path("ca", "File with the authorities that vouch for the issuer's certificate, PEM.", "", &i.CA),
	}
}

func certificateKeys(c *Certificates) []key {
	const name = "What names the holder of a certificate: a URI, e-mail address or DNS name of subjectAltName, or the common name."
	return []key{
		path("ca", "File with the authorities whose client certificates are taken, PEM.", "", &c.CA),
		oneOf("name", name, &c.Name, ByURI, ByEmail, ByDNS, ByCN).withDefault(ByURI),
		oneOf("teams", "Whether organizational units are groups.", &c.Teams, "none", "ou").withDefault("none"),
	}
}

func proxyKeys(p *Proxy) []key {
	return []key{
		{"from", schema{"type": "array", "minItems": 1, "items": schema{"type": "string"}, "description": "Addresses and ranges that it connects from."}, func(r *reader, n *node, field string) {
			r.texts(n, field, "address", func(entry string) string { return addPrefix(&p.From, entry) })
		}},
		headerKey("user", "Header that names the caller.", &p.User),
		headerKey("teams", "Header with the caller's groups, separated by commas.", &p.Teams),
		section("signature", "How the proxy signs these headers.",
			headerKey("header", "Header with the signature.", &p.SignatureHeader),
			reference("secret", "Shared with the proxy, at least 32 characters: env:NAME or file:PATH.", &p.SignatureSecret),
		),
	}
}

func teamsKey(c *Config) key {
	return mapOf("teams", "Groups of principals, by a name of your choice.", teamKeys(&Team{}), func(r *reader, n *node, field string) {
		r.named(n, field, maxTeams, func(m member, field string) {
			t := Team{Name: m.name}
			r.section(m.value, field, teamKeys(&t))
			c.Teams = append(c.Teams, t)
		})
		slices.SortFunc(c.Teams, func(a, b Team) int { return strings.Compare(a.Name, b.Name) })
	})
}

func teamKeys(t *Team) []key {
	return []key{
		textList("users", "Principals, such as user:ISSUER/SUBJECT or local:NAME.", "principal", &t.Users, checkWord),
		textList("groups", "Groups as issuers name them, ISSUER/GROUP.", "group", &t.Groups, checkWord),
		textList("keys", "Names of API keys.", "name", &t.Keys, checkWord),
	}
}

// withDefault names what holds when nothing is said, where the field itself must
// stay empty until something is.
func (k key) withDefault(word string) key {
	k.schema["default"] = word
	return k
}

func textList(name, doc, what string, to *[]string, check func(string) string) key {
	return key{name, schema{"type": "array", "items": schema{"type": "string"}, "description": doc}, func(r *reader, n *node, field string) {
		if n.kind == list && len(n.list) > maxMembers {
			r.refuse(n.pos, field, "found %d %ss, expected at most %d", len(n.list), what, maxMembers)
			return
		}
		*to = r.texts(n, field, what, check)
	}}
}

// claim is the name of a claim or, where it lies deeper, a JSON Pointer to it.
func claim(name, doc string, to *string) key {
	return key{name, schema{"type": "string", "default": *to, "description": doc}, func(r *reader, n *node, field string) {
		if n.kind != text || checkWord(n.text) != "" || n.text == "/" {
			r.wrong(n, field, "the name of a claim, such as groups, or where it lies, such as /realm_access/roles")
			return
		}
		*to = n.text
	}}
}

func headerKey(name, doc string, to *string) key {
	return key{name, schema{"type": "string", "pattern": headerName.String(), "description": doc}, func(r *reader, n *node, field string) {
		canonical, problem := checkHeader(n.text, nil)
		switch {
		case n.kind != text:
			r.wrongKind(n, field, "the name of an HTTP header")
		case canonical == "Authorization" || canonical == "Cookie":
			r.refuse(n.pos, field, "%s has a meaning of its own; name another header", canonical)
		case problem != "":
			r.refuse(n.pos, field, "%s", problem)
		default:
			*to = canonical
		}
	}}
}

// named reads a mapping of ids to anything.
func (r *reader) named(n *node, field string, most int, read func(m member, field string)) {
	if n.kind == null {
		return
	}
	if n.kind != mapping || len(n.members) > most {
		r.wrongKind(n, field, "a mapping with at most "+strconv.Itoa(most)+" names")
		return
	}
	for _, m := range n.members {
		at := join(field, m.name)
		if !serverID.MatchString(m.name) {
			r.refuse(m.pos, at, "expected a name of up to 32 lower-case letters, digits and hyphens, beginning with a letter, such as %q", normalID(m.name))
			continue
		}
		if m.value.kind != mapping {
			r.refuse(m.pos, at, "found %s, expected a mapping", m.value.kind)
			continue
		}
		read(m, at)
	}
}

func (r *reader) issuers(n *node, field string, to *Identity) {
	r.named(n, field, maxIssuers, func(m member, field string) {
		i := defaultIssuer()
		i.Name = m.name
		r.section(m.value, field, issuerKeys(&i))
		r.checkIssuerSection(m, field, i)
		to.Issuers = append(to.Issuers, i)
	})
	slices.SortFunc(to.Issuers, func(a, b Issuer) int { return strings.Compare(a.Name, b.Name) })
}

func (r *reader) checkIssuerSection(m member, field string, i Issuer) {
	in := m.value.get("introspection")
	switch {
	case i.Name == CertificateGroups:
		r.refuse(m.pos, field, "this name is used for certificates; choose another")
	case m.value.get("url") == nil:
		r.refuse(m.pos, field, "url is missing: the issuer, exactly as it writes itself")
	case in != nil && in.kind == mapping && i.Introspection.ClientID == "":
		r.refuse(in.pos, field+".introspection", "client_id is missing; issuers do not answer strangers")
	case in != nil && in.kind == mapping && i.Introspection.ClientSecret.IsZero():
		r.refuse(in.pos, field+".introspection", "client_secret is missing; issuers do not answer strangers")
	}
	if strings.TrimPrefix(i.SubjectClaim, "/") == "email" {
		r.warn(m.value.at("subject_claim"), field+".subject_claim", "at some issuers users choose their own e-mail address; sub never changes")
	}
}

func (r *reader) proxies(n *node, field string, to *Identity) {
	r.named(n, field, maxProxies, func(m member, field string) {
		p := Proxy{Name: m.name}
		r.section(m.value, field, proxyKeys(&p))
		signs := p.SignatureHeader != "" && !p.SignatureSecret.IsZero()
		switch {
		case p.Name == CertificateGroups:
			r.refuse(m.pos, field, "this name is used for certificates; choose another")
		case p.User == "" && m.value.get("user") == nil:
			r.refuse(m.pos, field, "user is missing: the header that names the caller")
		case m.value.get("signature") != nil && !signs:
			r.refuse(m.value.at("signature"), field+".signature", "header and secret belong together; write both")
		case m.value.get("from") == nil && !signs:
			r.refuse(m.pos, field, "anyone could send these headers; name the addresses that the proxy connects from, or how it signs")
		case p.User != "" && p.User == p.Teams || signs && (p.SignatureHeader == p.User || p.SignatureHeader == p.Teams):
			r.refuse(m.pos, field, "the same header stands here twice")
		}
		to.Proxies = append(to.Proxies, p)
	})
	slices.SortFunc(to.Proxies, func(a, b Proxy) int { return strings.Compare(a.Name, b.Name) })
}

// checkIdentity refuses what does not go together.
func (r *reader) checkIdentity(root *node, c *Config) {
	i, n := &c.Identity, root.get("identity")
	if n != nil && n.kind == mapping {
		r.checkCallers(n, c)
	}
	if i.Keys == defaultKeys {
		i.Keys = filepath.Join(c.State, "keys")
	}
	if i.Certificates.CA != "" {
		i.Certificates.Name = cmp.Or(i.Certificates.Name, ByURI)
		i.Certificates.Teams = cmp.Or(i.Certificates.Teams, "none")
	}
	if teams := root.get("teams"); teams != nil && teams.kind == mapping {
		r.checkTeams(teams, c)
	}
}

func (r *reader) checkCallers(n *node, c *Config) {
	i, places := &c.Identity, map[string]string{}
	asks := ""
	for _, issuer := range i.Issuers {
		at := n.at("issuers", issuer.Name)
		field := "identity.issuers." + issuer.Name
		if other, twice := places[issuer.URL+" "+issuer.Header]; twice && issuer.URL != "" {
			r.refuse(at, field, "%s has this url already", other)
		}
		places[issuer.URL+" "+issuer.Header] = issuer.Name
		if issuer.Introspection.ClientID == "" {
			continue
		}
		// A token that says nothing of its issuer would have to be shown to all of
		// them, and each could use it at the others' servers.
		if asks != "" {
			r.refuse(at, field+".introspection", "%s has introspection already; it cannot be told which of the two issued a token", asks)
		}
		asks = issuer.Name
	}
	if len(i.Issuers) > 0 && i.Resource == "" {
		r.refuse(n.at("issuers"), "identity.resource", "is missing: the address that clients use, such as https://gatehouse.example.com; tokens must be for it")
	}
	if section := n.get("certificates"); section != nil && section.kind == mapping && i.Certificates.CA == "" {
		r.refuse(section.pos, "identity.certificates", "ca is missing: the authorities whose certificates are taken")
	}
	if i.Certificates.CA != "" && c.TLS.Cert == "" {
		r.refuse(n.at("certificates"), "identity.certificates", "clients show certificates over TLS only; the gateway needs the tls section too")
	}
	for _, p := range i.Proxies {
		at, field := n.at("proxies", p.Name), "identity.proxies."+p.Name
		if slices.ContainsFunc(i.Issuers, func(issuer Issuer) bool { return issuer.Name == p.Name }) {
			r.refuse(at, field, "an issuer has this name; groups are named after both, so choose another")
		}
		if i.Local == Allow && slices.ContainsFunc(p.From, holdsLoopback) {
			r.refuse(n.at("local"), "identity.local", "the proxy %s connects from this machine, so everyone behind it would be the local user", p.Name)
		}
	}
	if i.Local == Allow && i.Configured() {
		r.warn(n.at("local"), "identity.local", "every program of this machine is the local user and needs no credential")
	}
}

// holdsLoopback reports whether an address of this machine is in the range.
func holdsLoopback(from netip.Prefix) bool {
	return from.Overlaps(netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8)) || from.Contains(netip.IPv6Loopback())
}

func (r *reader) checkTeams(n *node, c *Config) {
	for _, t := range c.Teams {
		field, at := "teams."+t.Name, n.get(t.Name)
		for _, user := range t.Users {
			if problem := c.Identity.unknownUser(user); problem != "" {
				r.refuse(at.at("users"), field+".users", "found %s, %s", quote(user), problem)
			}
		}
		for _, group := range t.Groups {
			if problem := c.Identity.unknownGroup(group); problem != "" {
				r.refuse(at.at("groups"), field+".groups", "found %s, %s", quote(group), problem)
			}
		}
		if len(t.Keys) > 0 && c.Identity.Keys == "" {
			r.refuse(at.at("keys"), field+".keys", "there are no API keys without identity.keys")
		}
	}
}

// unknownUser says why nobody can be this principal, "" if somebody can.
func (i *Identity) unknownUser(id string) string {
	kind, name, _ := strings.Cut(id, ":")
	source, subject, within := strings.Cut(name, "/")
	switch {
	case kind == "key":
		return "expected API keys under keys"
	case kind == "local" && name != "":
		return ""
	case kind == "cert" && name != "":
		if i.Certificates.CA == "" {
			return "but there is no identity.certificates"
		}
		return ""
	case (kind != "user" && kind != "agent" && kind != "proxy") || !within || subject == "":
		return "expected a principal, such as user:ISSUER/SUBJECT, agent:ISSUER/CLIENT, proxy:NAME/USER, cert:NAME or local:NAME"
	case kind == "proxy" && !slices.ContainsFunc(i.Proxies, func(p Proxy) bool { return p.Name == source }):
		return "but there is no such proxy"
	case kind != "proxy" && !slices.ContainsFunc(i.Issuers, func(issuer Issuer) bool { return issuer.Name == source }):
		return "but there is no such issuer"
	}
	return ""
}

// unknownGroup says why nobody can be in this group, "" if somebody can.
func (i *Identity) unknownGroup(group string) string {
	source, name, _ := strings.Cut(group, "/")
	if name == "" {
		return "expected ISSUER/GROUP"
	}
	if source == CertificateGroups {
		if i.Certificates.Teams != "ou" {
			return "but certificates name no groups without identity.certificates.teams: ou"
		}
		return ""
	}
	for _, issuer := range i.Issuers {
		if issuer.Name == source {
			if issuer.TeamsClaim == "" {
				return "but the issuer has no teams_claim"
			}
			return ""
		}
	}
	for _, p := range i.Proxies {
		if p.Name == source {
			if p.Teams == "" {
				return "but the proxy has no header for teams"
			}
			return ""
		}
	}
	return "but there is no such issuer or proxy"
}

// checkResource accepts the form in which resource indicators are compared, RFC
// 8707, section 2: absolute, without a fragment.
func checkResource(raw string) string {
	if checkIssuer(raw) != "" || strings.HasSuffix(raw, "/") || strings.HasSuffix(raw, "/mcp") || strings.ToLower(raw) != raw {
		return "expected the https address that clients use, in lower case, without /mcp and a slash at the end, such as https://gatehouse.example.com"
	}
	return ""
}

// checkEndpoint accepts an https URL, and http to this machine.
func checkEndpoint(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.ContainsAny(raw, "# \\") ||
		!(u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())) {
		return "expected an https URL"
	}
	return ""
}

// checkNeededScope refuses what is no right: "offline_access" asks for a refresh
// token, which protected resources "SHOULD NOT" ask for (2026-07-28, Authorization).
func checkNeededScope(scope string) string {
	if scope == "offline_access" {
		return "which is between a client and its authorization server"
	}
	return checkScope(scope)
}

func checkAlgorithm(name string) string {
	if !slices.Contains(signingAlgorithms, name) {
		return "expected an asymmetric signature, one of " + strings.Join(signingAlgorithms, ", ")
	}
	return ""
}

// word is text without control characters, as names of claims and groups are.
var word = regexp.MustCompile(`^[^\x00-\x1f\x7f]+$`)

func checkWord(text string) string {
	if !word.MatchString(text) || len(text) > maxName {
		return "expected a text of at most " + strconv.Itoa(maxName) + " bytes on one line"
	}
	return ""
}

// addPrefix reads an address or a range of them.
func addPrefix(to *[]netip.Prefix, entry string) string {
	p, err := netip.ParsePrefix(entry)
	if ip, e := netip.ParseAddr(entry); e == nil && ip.Zone() == "" {
		p, err = netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	// A range of everything names nobody.
	if err != nil || p != p.Masked() || p.Bits() == 0 || p.Addr().Is4In6() {
		return "expected an address or a range, such as 10.1.0.0/16"
	}
	*to = append(*to, p)
	return ""
}
