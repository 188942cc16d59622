package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/golang-jwt/jwt/v5"

	"gatehouse/internal/config"
	"gatehouse/internal/wire"
)

// leeway is how far the clocks of the gateway and an issuer may differ.
const leeway = 30 * time.Second

// claimLimits bound the header and the claims of a token.
var claimLimits = wire.Limits{Bytes: maxToken, Depth: 16, Items: 2000, Members: 500, Strings: 4000}

// token identifies the bearer of an access token.
func (i *Identifier) token(ctx context.Context, r *Request, c credential) (*Principal, error) {
	if len(c.text) > maxToken {
		return nil, malformed("the token is too large") // not even worth a digest
	}
	now := time.Now()
	// Sum256 only reads the bytes, which spares a copy for each request.
	sum := digest(sha256.Sum256(unsafe.Slice(unsafe.StringData(c.text), len(c.text))))
	v := i.known.get(sum, now)
	if v == nil || !c.from(v.issuer) {
		var err error
		if v, err = i.verify(ctx, c, now); err != nil {
			return nil, err
		}
		i.known.put(sum, v)
	}
	// RFC 9068, section 4: "The resource server MUST validate that the aud claim
	// contains a resource indicator value corresponding to an identifier the resource
	// server expects for itself."
	if !v.audience.covers(r.Mount) {
		return nil, noGood("the token is for another address of this gateway", nil)
	}
	switch {
	case v.bound != "" && v.bound != thumbprint(r.TLS):
		// RFC 8705, section 3: a bound token from anybody else is a stolen one.
		return nil, noGood("the token is bound to a client certificate that did not come with it", nil)
	case v.bound == "" && i.certificates != nil && thumbprint(r.TLS) != "":
		return nil, malformed("the request has a token and a client certificate to which it is not bound; send one")
	}
	return v.principal, v.issuer.needScopes(v.principal)
}

// verify checks a token that is not known.
func (i *Identifier) verify(ctx context.Context, c credential, now time.Time) (*verified, error) {
	if !isToken68(c.text) {
		return nil, malformed("the header does not hold one token")
	}
	t, err := parseJWT(c.text)
	switch {
	case err != nil:
		return nil, noGood("the token cannot be read", err)
	case t == nil && (c.issuer != nil || i.asked == nil):
		return nil, noGood("the token is of a form that cannot be checked here", nil)
	case t == nil:
		return i.asked.introspect(ctx, c.text, now)
	}
	s, claimed := c.issuer, t.claims.Get("iss").Text()
	if s == nil {
		s = i.issuers[claimed]
	}
	// OpenID Connect Core, section 3.1.3.7, and RFC 9068, section 4: the issuer "MUST
	// exactly match the value of the iss claim". Bytes are compared.
	if s == nil || claimed != s.URL {
		return nil, noGood("the token's issuer is not one of this gateway's", fmt.Errorf("it is %.200q", claimed))
	}
	return s.verify(ctx, t, now)
}

// from reports whether the credential came in the header of an issuer. A token that
// was taken there may not be taken elsewhere.
func (c credential) from(s *issuer) bool {
	return c.issuer == s || c.issuer == nil && s.Header == ""
}

// signedToken is a JWT in the compact form of RFC 7515. Nothing of it is verified.
type signedToken struct {
	header, claims wire.Value
	signed         string // what the signature is of
	signature      []byte
}

// strict base64url: one form for each value.
var base64url = base64.RawURLEncoding.Strict()

// parseJWT takes a JWT apart; nil without an error for a text that is none.
func parseJWT(text string) (*signedToken, error) {
	if strings.Count(text, ".") != 2 {
		return nil, nil
	}
	last := strings.LastIndexByte(text, '.')
	head, body, _ := strings.Cut(text[:last], ".")
	t := &signedToken{signed: text[:last]}
	var err error
	if t.header, err = decodeObject(head); err != nil {
		return nil, nil
	}
	if t.claims, err = decodeObject(body); err != nil {
		return nil, fmt.Errorf("its claims: %w", err)
	}
	if t.signature, err = base64url.DecodeString(text[last+1:]); err != nil {
		return nil, errors.New("its signature is not base64url")
	}
	return t, nil
}

// decodeObject decodes a JSON object, strictly: a decoder that takes the last of two equal
// members may read another issuer than the one that signed.
func decodeObject(encoded string) (wire.Value, error) {
	raw, err := base64url.DecodeString(encoded)
	if err != nil {
		return wire.Value{}, errors.New("not base64url")
	}
	doc, err := wire.Scan(raw, claimLimits)
	if err != nil {
		return wire.Value{}, err
	}
	if doc.Root.Kind() != '{' {
		return wire.Value{}, errors.New("no JSON object")
	}
	return doc.Root, nil
}

// verify checks a JWT whose issuer claims to be s: what costs nothing first, the
// signature last, so that a token that is no good anyway makes nobody fetch keys.
func (s *issuer) verify(ctx context.Context, t *signedToken, now time.Time) (*verified, error) {
	if err := s.checkHeader(t.header); err != nil {
		return nil, noGood("the token is not signed as this gateway wants it", err)
	}
	if err := s.checkPurpose(t.header, t.claims); err != nil {
		return nil, noGood("the token is no access token", err)
	}
	expires, err := lifetime(t.claims, now)
	if err != nil {
		return nil, err
	}
	if expires.IsZero() { // RFC 9068, section 2.2: exp is REQUIRED
		return nil, noGood("the token does not say when it expires", nil)
	}
	v, err := s.read(t.claims, ByJWT, expires)
	if err != nil {
		return nil, err
	}
	algorithm := t.header.Get("alg").Text()
	key, err := s.signingKey(ctx, t.header.Get("kid"), algorithm)
	if err != nil {
		return nil, err
	}
	if err := jwt.GetSigningMethod(algorithm).Verify(t.signed, t.signature, key); err != nil {
		return nil, noGood("the token's signature is not valid", nil)
	}
	v.until = earlier(expires.Add(leeway), now.Add(knownFor))
	return v, nil
}

// checkHeader refuses what decides how a token is verified and is not ours to
// follow. Keys in the header, or addresses of keys (jwk, x5c, jku, x5u), are not
// looked at: who signs must not choose the key (RFC 8725, section 3.10).
func (s *issuer) checkHeader(header wire.Value) error {
	// RFC 8725, section 3.1: "Libraries MUST enable the caller to specify a supported
	// set of algorithms and MUST NOT use any other algorithms".
	if algorithm := header.Get("alg").Text(); !slices.Contains(s.Algorithms, algorithm) {
		return fmt.Errorf("its algorithm is %.20q", algorithm)
	}
	// RFC 7515, section 4.1.11: extensions that are not understood make it invalid,
	// and none is understood here.
	if header.Get("crit").Exists() {
		return errors.New("it has critical extensions")
	}
	return nil
}

// notAccess are values of Keycloak's claim typ.
var notAccess = []string{"ID", "Refresh", "Offline", "Logout", "Initial-Access-Token", "Registration-Access-Token"}

// checkPurpose refuses tokens that were made for something else. RFC 8725, section
// 3.11: explicit typing; what issuers did before that is known for the larger ones.
func (s *issuer) checkPurpose(header, claims wire.Value) error {
	typ := strings.TrimPrefix(strings.ToLower(header.Get("typ").Text()), "application/")
	switch {
	case typ == "at+jwt":
	case s.Typ == config.AccessTokenOnly || (typ != "jwt" && header.Get("typ").Exists()):
		return fmt.Errorf("its typ is %.40q", typ)
	}
	if s.Header != "" {
		return nil // an assertion of a proxy, which is for this audience whatever it is
	}
	// OpenID Connect Core, section 3.3.2.11: the hashes stand in ID tokens.
	if claims.Get("at_hash").Exists() || claims.Get("c_hash").Exists() || claims.Get("token_use").Text() == "id" ||
		slices.Contains(notAccess, claims.Get("typ").Text()) {
		return errors.New("it is an ID token or a token for an issuer")
	}
	return nil
}

// lifetime checks the times of a token and returns when it expires, the zero time if
// it does not say.
func lifetime(claims wire.Value, now time.Time) (expires time.Time, err error) {
	times := map[string]time.Time{}
	for _, name := range []string{"exp", "nbf", "iat"} {
		v := claims.Get(name)
		if !v.Exists() {
			continue
		}
		t, ok := numericDate(v)
		if !ok {
			return time.Time{}, noGood("the token has a time that is none", errors.New(name))
		}
		times[name] = t
	}
	expires = times["exp"]
	switch {
	case !expires.IsZero() && !now.Before(expires.Add(leeway)):
		return time.Time{}, noGood("the token has expired", nil)
	case now.Add(leeway).Before(times["nbf"]):
		return time.Time{}, noGood("the token is not valid yet", nil)
	case now.Add(leeway).Before(times["iat"]):
		return time.Time{}, noGood("the token was issued in the future", nil)
	}
	return expires, nil
}

// latestDate is the end of the year 9999, beyond which times cannot be written.
const latestDate = 253402300799

// numericDate is RFC 7519, section 2: seconds, perhaps with a fraction.
func numericDate(v wire.Value) (time.Time, bool) {
	if v.Kind() != '0' {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(string(v.Raw()), 64)
	if err != nil || seconds < 0 || seconds > latestDate {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

// read makes a principal of the claims of a token.
func (s *issuer) read(claims wire.Value, means Means, expires time.Time) (*verified, error) {
	v := &verified{issuer: s, audience: s.audienceOf(texts(claims.Get("aud")))}
	if !v.audience.any() {
		return nil, noGood("the token is for somebody else", fmt.Errorf("its audience is %.300q", texts(claims.Get("aud"))))
	}
	if confirmation := claims.Get("cnf"); confirmation.Exists() {
		v.bound = confirmation.Get("x5t#S256").Text()
		// RFC 9449, section 7.2: a token bound to a key (DPoP) must not be taken from a
		// bearer.
		if v.bound == "" {
			return nil, noGood("the token is bound in a way that cannot be checked here", nil)
		}
	}
	p, err := s.principal(claims)
	if err != nil {
		return nil, noGood("the token does not say whose it is", err)
	}
	p.Means, p.Expires = means, expires
	v.principal = s.teams.join(p, groupsOf(s.Name, texts(claimAt(claims, s.TeamsClaim)))...)
	return v, nil
}

func (s *issuer) principal(claims wire.Value) (*Principal, error) {
	p := &Principal{Kind: User, Issuer: s.Name, Scopes: scopesOf(claims)}
	for _, claim := range []string{"client_id", "azp", "appid", "cid"} {
		if p.Client = claims.Get(claim).Text(); p.Client != "" {
			break
		}
	}
	subject, sub := claimAt(claims, s.SubjectClaim), claims.Get("sub")
	// RFC 9068, section 2.2: without a resource owner, "the value of sub SHOULD
	// correspond to an identifier the authorization server uses to indicate the client
	// application". The other two are how Entra and Auth0 say it.
	ofClient := !sub.Exists() || sub.Text() == p.Client
	name := subject.Text()
	if !subject.Exists() && ofClient {
		name = p.Client
	}
	if (ofClient && name == p.Client) || claims.Get("idtyp").Text() == "app" || claims.Get("gty").Text() == "client-credentials" {
		p.Kind = Agent
	}
	if !isName(name) {
		return nil, fmt.Errorf("the claim %s is missing, too long or not printable", s.SubjectClaim)
	}
	if verified := claims.Get("email_verified"); strings.TrimPrefix(s.SubjectClaim, "/") == "email" && verified.Exists() && !verified.IsTrue() && verified.Text() != "true" {
		return nil, errors.New("the e-mail address is not verified")
	}
	p.ID = string(p.Kind) + ":" + s.Name + "/" + name
	if p.Name = claimAt(claims, s.NameClaim).Text(); !isName(p.Name) {
		p.Name = name
	}
	return p, nil
}

// needScopes refuses a token that lacks a scope which every one needs.
func (s *issuer) needScopes(p *Principal) error {
	for _, scope := range s.Scopes {
		if !slices.Contains(p.Scopes, scope) {
			return tooLittle(s.Scopes) // all of them: one challenge, one more login
		}
	}
	return nil
}

// scopesOf reads scope, a text with blanks (RFC 9068, section 2.2.3), and scp, which
// some issuers write instead, also as an array.
func scopesOf(claims wire.Value) []string {
	var scopes []string
	for _, name := range []string{"scope", "scp"} {
		for _, text := range texts(claims.Get(name)) {
			scopes = append(scopes, strings.Fields(text)...)
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// claimAt is a claim by its name or, where that begins with a slash, by a JSON
// Pointer (RFC 6901).
func claimAt(claims wire.Value, name string) wire.Value {
	path, deep := strings.CutPrefix(name, "/")
	if !deep {
		return claims.Get(name)
	}
	for step := range strings.SplitSeq(path, "/") {
		claims = claims.Get(strings.NewReplacer("~1", "/", "~0", "~").Replace(step))
	}
	return claims
}

// texts is a text, or the texts of an array.
func texts(v wire.Value) []string {
	if text := v.Text(); text != "" {
		return []string{text}
	}
	var out []string
	for item := range v.Items() {
		if text := item.Text(); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// audience is where a token may be used.
type audience struct {
	all     bool     // at every mount
	servers []string // mounts of single servers
}

func (a audience) any() bool { return a.all || len(a.servers) > 0 }

func (a audience) covers(mount string) bool {
	return a.all || mount != "" && slices.Contains(a.servers, mount)
}

// audienceOf reads the audiences of a token: the gateway, /mcp, or /mcp/{server}. A
// token for /mcp reaches the same servers as those for each of them do. A slash at
// the end makes no difference: some clients add one.
func (s *issuer) audienceOf(list []string) audience {
	var a audience
	for _, name := range list {
		if slices.Contains(s.Audiences, name) {
			a.all = true
		}
		path, ours := strings.CutPrefix(strings.TrimSuffix(name, "/"), s.resource)
		if !ours || s.resource == "" {
			continue
		}
		server, one := strings.CutPrefix(path, "/mcp/")
		switch {
		case path == "" || path == "/mcp":
			a.all = true
		case one:
			if mount, err := url.PathUnescape(server); err == nil {
				a.servers = append(a.servers, mount)
			}
		}
	}
	return a
}
