package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/config"
)

func Test_without_identity_there_is_the_local_user(t *testing.T) {
	i, err := New(&config.Config{}, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []http.Header{nil, {}, {"Authorization": {"Bearer whatever"}}, {"X-Forwarded-User": {"root"}}} {
		p, err := i.Identify(t.Context(), &Request{Header: h, Local: true})
		if err != nil || p.ID != LocalUser() || p.Kind != Local || p.Means != ByLocal {
			t.Errorf("%v: %+v, %v", h, p, err)
		}
	}
	var c *Challenge
	if _, err := i.Identify(t.Context(), &Request{Header: http.Header{}}); !errors.As(err, &c) || c.Status != http.StatusForbidden || c.Authenticate != "" {
		t.Errorf("from elsewhere: %v", err)
	}
	if i.Metadata("") != nil || i.ClientCAs() != nil {
		t.Error("offers what is not configured")
	}
}

func Test_local_callers_once_others_are_identified(t *testing.T) {
	local := &Request{Header: http.Header{}, Local: true}
	newRig(t, nil).refused(t, local, 401, "no credential")
	newRig(t, nil).refused(t, &Request{Local: true}, 401, "identity.local: allow")

	r := newRig(t, func(c *config.Config) {
		c.Identity.Local = config.Allow
		c.Teams = append(c.Teams, config.Team{Name: "admins", Users: []string{LocalUser()}})
	})
	if p := r.accepted(t, local); p.ID != LocalUser() || !slices.Equal(p.Teams, []string{"admins"}) {
		t.Errorf("identified %+v", p)
	}
	r.accepted(t, &Request{Local: true})
	r.refused(t, &Request{Header: http.Header{}}, 401, "no credential")
	// A reverse proxy of this machine connects over loopback for everybody.
	r.refused(t, &Request{Header: http.Header{"X-Forwarded-For": {"203.0.113.1"}}, Local: true}, 401, "no credential")
	// A credential that is no good does not fall back to the local user.
	bad := bearing("nonsense")
	bad.Local = true
	r.refused(t, bad, 401, "of a form")

	denied := newRig(t, func(c *config.Config) { c.Identity = config.Identity{Local: config.Deny} })
	if _, err := denied.Identify(t.Context(), local); err == nil {
		t.Error("local: deny alone lets the local user in")
	}
}

func Test_requests_that_can_be_read_in_two_ways(t *testing.T) {
	secret, path := makeKey(t, Key{Name: "ci"})
	r := newRig(t, func(c *config.Config) {
		c.Identity.Keys = path
		c.Identity.Proxies = []config.Proxy{{Name: "edge", From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, User: "X-Forwarded-User"}}
		second := corpIssuer()
		second.Name, second.Header = "access", "X-Access-Jwt"
		c.Identity.Issuers = append(c.Identity.Issuers, second)
	})
	token := good(nil)
	tests := map[string]struct {
		header http.Header
		query  string
		status int
		detail string
	}{
		"two Authorization headers":  {http.Header{"Authorization": {"Bearer " + token, "Bearer " + token}}, "", 400, "two Authorization"},
		"two tokens in one header":   {http.Header{"Authorization": {"Bearer " + token + ", Bearer " + token}}, "", 400, "one token"},
		"two tokens behind Bearer":   {http.Header{"Authorization": {"Bearer " + token + " " + token}}, "", 400, "one token"},
		"a line break":               {http.Header{"Authorization": {"Bearer " + token + "\r\nX: y"}}, "", 400, "one token"},
		"no token":                   {http.Header{"Authorization": {"Bearer "}}, "", 400, "one token"},
		"no scheme":                  {http.Header{"Authorization": {token}}, "", 401, "must be Bearer"},
		"an empty header":            {http.Header{"Authorization": {""}}, "", 401, "must be Bearer"},
		"Basic":                      {http.Header{"Authorization": {"Basic YTpi"}}, "", 401, "must be Bearer"},
		"a token and a proxy's user": {http.Header{"Authorization": {"Bearer " + token}, "X-Forwarded-User": {"alice"}}, "", 400, "two kinds"},
		"a key and a proxy's user":   {http.Header{"Authorization": {"Bearer " + secret}, "X-Forwarded-User": {"alice"}}, "", 400, "two kinds"},
		"a token in two headers":     {http.Header{"Authorization": {"Bearer " + token}, "X-Access-Jwt": {token}}, "", 400, "two kinds"},
		"two assertions":             {http.Header{"X-Access-Jwt": {token, token}}, "", 400, "two headers"},
		"a token in the address":     {http.Header{}, "access_token=" + token, 400, "access_token"},
		"in other letters":           {http.Header{}, "Access_Token=" + token, 400, "access_token"},
		"in the address, too":        {http.Header{"Authorization": {"Bearer " + token}}, "access_token=" + token, 400, "access_token"},
		"a key in the address":       {http.Header{}, "k=" + secret, 400, "an API key"},
		"a token of another header":  {http.Header{"X-Access-Jwt": {"a.b"}}, "", 401, "of a form"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			query, err := url.ParseQuery(test.query)
			if err != nil {
				t.Fatal(err)
			}
			c := r.refused(t, &Request{Header: test.header, Query: query, Remote: netip.MustParseAddr("10.1.2.3"), Local: true}, test.status, test.detail)
			if strings.Contains(c.Error()+c.Authenticate+r.log.String(), token[:40]) || strings.Contains(c.Error(), secret[shownLength:]) {
				t.Error("a credential stands in the error or the log")
			}
		})
	}
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER  "} {
		r.accepted(t, &Request{Header: http.Header{"Authorization": {scheme + token}}})
	}
	r.accepted(t, &Request{Header: http.Header{"Authorization": {"Bearer " + token}}, Query: url.Values{"cursor": {"7"}}})
}

func Test_an_assertion_of_a_proxy_is_good_in_its_header_only(t *testing.T) {
	r := newRig(t, func(c *config.Config) {
		c.Identity.Issuers[0].Header = "X-Access-Jwt"
		c.Identity.Issuers[0].Scopes = nil
	})
	token := good(object{"scope": nil})
	p := r.accepted(t, &Request{Header: http.Header{"X-Access-Jwt": {token}}})
	if p.ID != "user:corp/alice" {
		t.Errorf("identified %s", p.ID)
	}
	r.refused(t, &Request{Header: http.Header{"X-Access-Jwt": {good(object{"iss": "https://other.example"})}}}, 401, "not one of this gateway's")
	// It is known now, and still no access token.
	r.refused(t, bearing(token), 401, "not one of this gateway's")
	if r.Metadata("") != nil {
		t.Error("sends clients to an issuer that gives them no token")
	}
}

func Test_challenges(t *testing.T) {
	r := newRig(t, nil)
	at := func(mount string, h http.Header) *Request { return &Request{Header: h, Mount: mount} }
	tests := map[string]struct {
		req    *Request
		status int
		want   string
	}{
		"nothing":   {at("", http.Header{}), 401, `Bearer realm="gatehouse", scope="mcp", resource_metadata="https://gatehouse.example.com/.well-known/oauth-protected-resource/mcp"`},
		"at files":  {at("files", http.Header{}), 401, `Bearer realm="gatehouse", scope="mcp", resource_metadata="https://gatehouse.example.com/.well-known/oauth-protected-resource/mcp/files"`},
		"no good":   {bearing(good(object{"exp": 1})), 401, `Bearer realm="gatehouse", error="invalid_token", error_description="the token has expired", scope="mcp", resource_metadata="https://gatehouse.example.com/.well-known/oauth-protected-resource/mcp"`},
		"twice":     {at("", http.Header{"Authorization": {"a", "b"}}), 400, `Bearer realm="gatehouse", error="invalid_request", error_description="the request has two Authorization headers", scope="mcp", resource_metadata="https://gatehouse.example.com/.well-known/oauth-protected-resource/mcp"`},
		"no scopes": {bearing(good(object{"scope": "x"})), 403, `Bearer realm="gatehouse", error="insufficient_scope", error_description="the token lacks a scope; needed are mcp", scope="mcp", resource_metadata="https://gatehouse.example.com/.well-known/oauth-protected-resource/mcp"`},
		"a mount that wants to say more": {at("a\", error=\"x\r\nSet-Cookie: a", http.Header{}), 401,
			`Bearer realm="gatehouse", scope="mcp", resource_metadata="https://gatehouse.example.com/.well-known/oauth-protected-resource/mcp/a%22%2C%20error=%22x%0D%0ASet-Cookie:%20a"`},
	}
	for name, test := range tests {
		if c := r.refused(t, test.req, test.status, ""); c.Authenticate != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, c.Authenticate, test.want)
		}
	}
}

func Test_step_up_names_all_scopes_at_once(t *testing.T) {
	r := newRig(t, nil)
	p := r.accepted(t, bearing(good(nil)))
	if c := r.StepUp(p, "", []string{"read"}); c != nil {
		t.Errorf("has the scope already: %v", c)
	}
	c := r.StepUp(p, "files", []string{"read", "files:write", "files:delete"})
	if c == nil || c.Status != http.StatusForbidden || !strings.Contains(c.Authenticate, `error="insufficient_scope"`) ||
		!strings.Contains(c.Authenticate, `scope="mcp read files:write files:delete"`) || !strings.Contains(c.Authenticate, "/mcp/files\"") {
		t.Errorf("challenge %+v", c)
	}
	// A key has no authorization server to go to.
	if c := r.StepUp(&Principal{ID: "key:ci", Means: ByKey}, "", []string{"read"}); c == nil || c.Authenticate != "" {
		t.Errorf("challenge %+v", c)
	}
}

func Test_metadata_of_each_mount(t *testing.T) {
	const tail = `"authorization_servers":["https://login.example.com/tenant"],"scopes_supported":["mcp"],"bearer_methods_supported":["header"],"resource_name":"Gatehouse"}`
	r := newRig(t, nil)
	behind := newRig(t, func(c *config.Config) { c.Identity.Resource = "https://example.com/tools" })
	for _, test := range []struct {
		r         *rig
		path, res string
	}{
		{r, "/.well-known/oauth-protected-resource", home},
		{r, "/.well-known/oauth-protected-resource/", home},
		{r, "/.well-known/oauth-protected-resource/mcp", home + "/mcp"},
		{r, "/.well-known/oauth-protected-resource/mcp/files", home + "/mcp/files"},
		{behind, "/.well-known/oauth-protected-resource/tools/mcp/files", "https://example.com/tools/mcp/files"},
		{behind, "/.well-known/oauth-protected-resource/mcp/files", "https://example.com/tools/mcp/files"},
	} {
		doc, ok := test.r.MetadataAt(test.path)
		if want := `{"resource":"` + test.res + `",` + tail; !ok || string(doc) != want {
			t.Errorf("%s: %s\nwant %s", test.path, doc, want)
		}
	}
	for _, path := range []string{"/", "/mcp", "/.well-known/openid-configuration", "/.well-known/oauth-protected-resource/mcp/", "/.well-known/oauth-protected-resource/mcp/a/b", "/.well-known/oauth-protected-resourcex"} {
		if doc, ok := r.MetadataAt(path); ok {
			t.Errorf("%s: %s", path, doc)
		}
	}
	if diff := cmp.Diff(string(r.Metadata("files")), `{"resource":"`+home+`/mcp/files",`+tail); diff != "" {
		t.Error(diff)
	}
}

func signature(secret string, at time.Time, user, groups string) string {
	sum := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(sum, "%d\n%s\n%s\n", at.Unix(), user, groups)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(sum.Sum(nil)))
}

func Test_proxies(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	r := newRig(t, func(c *config.Config) {
		c.Identity.Issuers = nil
		c.Identity.Proxies = []config.Proxy{
			{Name: "edge", From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, User: "X-Forwarded-User", Teams: "X-Forwarded-Groups"},
			{Name: "signer", User: "X-Signed-User", Teams: "X-Signed-Groups", SignatureHeader: "X-Signature", SignatureSecret: config.NewSecret(secret)},
			{Name: "strict", From: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, User: "X-Strict-User", SignatureHeader: "X-Signature", SignatureSecret: config.NewSecret(secret)},
		}
		c.Teams = []config.Team{{Name: "data", Groups: []string{"edge/eng", "signer/eng"}}}
	})
	from := func(address string, pairs ...string) *Request {
		h := http.Header{}
		for n := 0; n < len(pairs); n += 2 {
			h.Add(pairs[n], pairs[n+1])
		}
		return &Request{Header: h, Remote: netip.MustParseAddr(address)}
	}
	p := r.accepted(t, from("::ffff:10.1.2.3", "X-Forwarded-User", "alice", "X-Forwarded-Groups", "eng, all,"))
	want := &Principal{ID: "proxy:edge/alice", Kind: User, Name: "alice", Teams: []string{"data", "edge/all", "edge/eng"}, Means: ByProxy, Issuer: "edge"}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	now := time.Now()
	if p := r.accepted(t, from("203.0.113.1", "X-Signed-User", "bob", "X-Signed-Groups", "eng", "X-Signature", signature(secret, now, "bob", "eng"))); p.ID != "proxy:signer/bob" {
		t.Errorf("identified %s", p.ID)
	}
	r.accepted(t, from("192.0.2.1", "X-Strict-User", "eve", "X-Signature", signature(secret, now, "eve", "")))

	tests := map[string]struct {
		req    *Request
		status int
		detail string
	}{
		"from anybody else":         {from("203.0.113.1", "X-Forwarded-User", "root"), 401, "no credential"},
		"from this machine":         {from("127.0.0.1", "X-Forwarded-User", "root"), 401, "no credential"},
		"twice":                     {from("10.1.2.3", "X-Forwarded-User", "root", "X-Forwarded-User", "alice"), 400, "twice"},
		"in one line":               {from("10.1.2.3", "X-Forwarded-User", "root, alice"), 400, "twice"},
		"groups twice":              {from("10.1.2.3", "X-Forwarded-User", "alice", "X-Forwarded-Groups", "admin", "X-Forwarded-Groups", "eng"), 400, "twice"},
		"nobody":                    {from("10.1.2.3", "X-Forwarded-User", ""), 401, "names nobody"},
		"no signature":              {from("203.0.113.1", "X-Signed-User", "root"), 401, "no credential"},
		"another secret":            {from("203.0.113.1", "X-Signed-User", "root", "X-Signature", signature(secret+"x", now, "root", "")), 401, "not valid"},
		"of another user":           {from("203.0.113.1", "X-Signed-User", "root", "X-Signature", signature(secret, now, "bob", "")), 401, "not valid"},
		"of other groups":           {from("203.0.113.1", "X-Signed-User", "bob", "X-Signed-Groups", "admin", "X-Signature", signature(secret, now, "bob", "eng")), 401, "not valid"},
		"too old":                   {from("203.0.113.1", "X-Signed-User", "bob", "X-Signature", signature(secret, now.Add(-signedFor-time.Second), "bob", "")), 401, "not valid"},
		"ahead":                     {from("203.0.113.1", "X-Signed-User", "bob", "X-Signature", signature(secret, now.Add(signedFor+5*time.Second), "bob", "")), 401, "not valid"},
		"nonsense":                  {from("203.0.113.1", "X-Signed-User", "bob", "X-Signature", "v1=00"), 401, "not valid"},
		"listed, but not signed":    {from("192.0.2.1", "X-Strict-User", "root"), 401, "not valid"},
		"signed, but from anywhere": {from("203.0.113.1", "X-Strict-User", "eve", "X-Signature", signature(secret, now, "eve", "")), 401, "no credential"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { r.refused(t, test.req, test.status, test.detail) })
	}
}

func Test_files_that_cannot_be_used_refuse_to_start(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, identity := range map[string]config.Identity{
		"no CA file":       {Certificates: config.Certificates{CA: empty + "x"}},
		"an empty CA file": {Certificates: config.Certificates{CA: empty}},
		"an issuer's CA":   {Issuers: []config.Issuer{{Name: "corp", URL: corpURL, CA: empty}}},
		"a short secret":   {Proxies: []config.Proxy{{Name: "p", User: "X-User", SignatureHeader: "X-S", SignatureSecret: config.NewSecret("short")}}},
	} {
		if i, err := New(&config.Config{Identity: identity}, slog.Default()); err == nil || i != nil {
			t.Errorf("%s: started", name)
		}
	}
}

// introspecting is a rig whose issuer answers for opaque tokens.
func introspecting(t *testing.T, answer func(token string) object) *rig {
	r := newRig(t, func(c *config.Config) {
		c.Identity.Issuers[0].Introspection = config.Introspection{ClientID: "gate way", ClientSecret: config.NewSecret("s:e/c")}
	})
	r.corp.introspect = func(form url.Values, who string) object {
		if who != "gate+way:s%3Ae%2Fc" || form.Get("token_type_hint") != "access_token" {
			return nil
		}
		return answer(form.Get("token"))
	}
	return r
}

func Test_opaque_tokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revoked := false
		r := introspecting(t, func(string) object {
			if revoked {
				return object{"active": false}
			}
			return claims(object{"active": true, "token_type": "bearer", "iss": nil})
		})
		p := r.accepted(t, bearing("opaque1"))
		if p.ID != "user:corp/alice" || p.Means != ByOpaque || !slices.Contains(p.Teams, "data") {
			t.Errorf("identified %+v", p)
		}
		revoked = true
		time.Sleep(askedFor - time.Second)
		r.accepted(t, bearing("opaque1"))
		if n := r.corp.count("/tenant/introspect"); n != 1 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(2 * time.Second)
		for range 100 {
			r.refused(t, bearing("opaque1"), 401, "says that the token is not valid")
		}
		if n := r.corp.count("/tenant/introspect"); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

func Test_opaque_tokens_are_known_no_longer_than_they_live(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(10 * time.Second)
		r := introspecting(t, func(string) object { return claims(object{"active": time.Now().Before(end), "exp": end.Unix()}) })
		r.accepted(t, bearing("opaque1"))
		time.Sleep(10 * time.Second)
		r.refused(t, bearing("opaque1"), 401, "not valid")
	})
}

func Test_attacks_with_opaque_tokens(t *testing.T) {
	tests := map[string]struct {
		change object
		status int
		detail string
	}{
		"not active":         {object{"active": false}, 401, "not valid"},
		"active as text":     {object{"active": "true"}, 401, "not valid"},
		"no answer to that":  {object{"active": nil}, 401, "not valid"},
		"another audience":   {object{"aud": "https://other.example"}, 401, "for somebody else"},
		"no audience":        {object{"aud": nil}, 401, "for somebody else"},
		"another issuer":     {object{"iss": "https://evil.example"}, 401, "issuer"},
		"expired":            {object{"exp": time.Now().Add(-time.Hour).Unix()}, 401, "expired"},
		"bound to a key":     {object{"token_type": "DPoP"}, 401, "no bearer's"},
		"bound by a claim":   {object{"cnf": object{"jkt": "x"}}, 401, "bound"},
		"lacks a scope":      {object{"scope": "read"}, 403, "needed are mcp"},
		"of nobody":          {object{"sub": nil, "client_id": nil}, 401, "whose it is"},
		"an end that is not": {object{"exp": "soon"}, 401, "a time that is none"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := introspecting(t, func(string) object { return apply(claims(object{"active": true}), test.change) })
			r.refused(t, bearing("opaque1"), test.status, test.detail)
		})
	}
	t.Run("a token that nobody signed is not asked about", func(t *testing.T) {
		r := introspecting(t, func(string) object { return claims(object{"active": true}) })
		r.refused(t, bearing(sign(header(nil), claims(nil), "thief")), 401, "signature")
		if r.corp.count("/tenant/introspect") > 0 {
			t.Error("asked")
		}
	})
	t.Run("the issuer is down", func(t *testing.T) {
		r := introspecting(t, nil)
		r.corp.down = true
		r.refused(t, bearing("opaque1"), 503, "cannot be asked")
	})
	t.Run("the issuer does not know the gateway", func(t *testing.T) {
		r := introspecting(t, func(string) object { return nil })
		r.refused(t, bearing("opaque1"), 503, "cannot be asked")
	})
}
