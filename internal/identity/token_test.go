package identity

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/config"
	"gatehouse/internal/decision"
	"gatehouse/internal/egress"
)

func Test_a_token_identifies_its_user(t *testing.T) {
	r := newRig(t, nil)
	if r.corp.count("/tenant/jwks") != 0 {
		t.Error("keys were read before there was a token")
	}
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	got := r.accepted(t, bearing(good(object{"exp": until.Unix()})))
	want := &Principal{
		ID: "user:corp/alice", Kind: User, Name: "alice@example.com", Teams: []string{"corp/all", "corp/data-eng", "data", "ops"},
		Client: "inspector", Scopes: []string{"mcp", "read"}, Means: ByJWT, Issuer: "corp", Expires: until,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func Test_forms_of_tokens_that_are_good(t *testing.T) {
	tests := map[string]struct {
		token string
		id    string
	}{
		"ES256":                    {sign(header(object{"alg": "ES256", "kid": "e1"}), claims(nil), "ec"), "user:corp/alice"},
		"EdDSA":                    {sign(header(object{"alg": "EdDSA", "kid": "d1"}), claims(nil), "ed"), "user:corp/alice"},
		"no kid, one key fits":     {sign(header(object{"kid": nil}), claims(nil), "rsa"), "user:corp/alice"},
		"typ JWT":                  {sign(header(object{"typ": "JWT"}), claims(nil), "rsa"), "user:corp/alice"},
		"typ as a media type":      {sign(header(object{"typ": "application/at+jwt"}), claims(nil), "rsa"), "user:corp/alice"},
		"no typ":                   {sign(header(object{"typ": nil}), claims(nil), "rsa"), "user:corp/alice"},
		"for the whole gateway":    {good(object{"aud": home}), "user:corp/alice"},
		"a slash behind":           {good(object{"aud": home + "/mcp/"}), "user:corp/alice"},
		"several audiences":        {good(object{"aud": []string{"https://other.example", home}}), "user:corp/alice"},
		"scp as an array":          {good(object{"scope": nil, "scp": []string{"mcp"}}), "user:corp/alice"},
		"a fraction of a second":   {good(object{"exp": float64(time.Now().Unix()) + 60.5}), "user:corp/alice"},
		"within the leeway":        {good(object{"exp": time.Now().Add(-leeway / 2).Unix(), "nbf": time.Now().Add(leeway / 2).Unix()}), "user:corp/alice"},
		"client credentials":       {good(object{"sub": "nightly", "client_id": "nightly"}), "agent:corp/nightly"},
		"client without a subject": {good(object{"sub": nil, "client_id": "nightly"}), "agent:corp/nightly"},
		"an app at Entra":          {good(object{"sub": "0815", "client_id": nil, "appid": "app", "idtyp": "app"}), "agent:corp/0815"},
		"a key of the sender in the header is not looked at": {sign(header(object{"jwk": jwk("k1", pairs()["thief"]), "jku": "https://thief.example/jwks"}), claims(nil), "rsa"), "user:corp/alice"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if p := newRig(t, nil).accepted(t, bearing(test.token)); p.ID != test.id {
				t.Errorf("identified %s, want %s", p.ID, test.id)
			}
		})
	}
}

// Each attack differs in one thing from a token that the test above shows to be
// taken.
func Test_attacks_with_tokens_are_refused(t *testing.T) {
	now := time.Now()
	public, _ := x509.MarshalPKIXPublicKey(pairs()["rsa"].Public())
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	valid := good(nil)
	parts := strings.Split(valid, ".")
	unsigned := func(head object) string { return b64(encode(head)) + "." + parts[1] + "." }
	tests := map[string]struct {
		token  string
		status int
		detail string
	}{
		"another audience":               {good(object{"aud": "https://other.example/mcp"}), 401, "for somebody else"},
		"an audience that begins alike":  {good(object{"aud": home + ".evil.example/mcp"}), 401, "for somebody else"},
		"a path that begins alike":       {good(object{"aud": home + "/mcpx"}), 401, "for somebody else"},
		"no audience":                    {good(object{"aud": nil}), 401, "for somebody else"},
		"a client as audience":           {good(object{"aud": "inspector"}), 401, "for somebody else"},
		"another server's audience":      {good(object{"aud": home + "/mcp/files"}), 401, "another address of this gateway"},
		"expired":                        {good(object{"exp": now.Add(-leeway - 2*time.Second).Unix()}), 401, "has expired"},
		"never expires":                  {good(object{"exp": nil}), 401, "when it expires"},
		"expires as text":                {good(object{"exp": "4102444800"}), 401, "a time that is none"},
		"expires beyond all times":       {good(object{"exp": 1e300}), 401, "a time that is none"},
		"not yet valid":                  {good(object{"nbf": now.Add(leeway + 5*time.Second).Unix()}), 401, "not valid yet"},
		"issued in the future":           {good(object{"iat": now.Add(leeway + 5*time.Second).Unix()}), 401, "in the future"},
		"another issuer":                 {good(object{"iss": "https://evil.example"}), 401, "not one of this gateway's"},
		"an issuer that begins alike":    {good(object{"iss": corpURL + "/"}), 401, "not one of this gateway's"},
		"no issuer":                      {good(object{"iss": nil}), 401, "not one of this gateway's"},
		"no subject":                     {good(object{"sub": nil, "client_id": nil}), 401, "whose it is"},
		"a subject of two lines":         {good(object{"sub": "alice\nuser:corp/root"}), 401, "whose it is"},
		"a subject with hidden text":     {good(object{"sub": "alice\u200b"}), 401, "whose it is"},
		"a subject that is a number":     {good(object{"sub": 7}), 401, "whose it is"},
		"alg none":                       {unsigned(object{"alg": "none"}), 401, "not signed as"},
		"alg NoNe":                       {unsigned(object{"alg": "NoNe", "kid": "k1"}), 401, "not signed as"},
		"alg empty":                      {unsigned(object{"kid": "k1"}), 401, "not signed as"},
		"HS256 with the public key":      {sign(header(object{"alg": "HS256"}), claims(nil), publicPEM), 401, "not signed as"},
		"an algorithm not configured":    {sign(header(object{"alg": "PS256"}), claims(nil), "rsa"), 401, "not signed as"},
		"RS256 with the id of an EC key": {sign(header(object{"kid": "e1"}), claims(nil), "rsa"), 401, "issuer does not have"},
		"unknown kid":                    {sign(header(object{"kid": "k9"}), claims(nil), "rsa"), 401, "issuer does not have"},
		"kid that is a path":             {sign(header(object{"kid": "../../../../dev/null"}), claims(nil), "rsa"), 401, "issuer does not have"},
		"kid that is a query":            {sign(header(object{"kid": "k1' OR '1'='1"}), claims(nil), "rsa"), 401, "issuer does not have"},
		"kid that is a list":             {sign(header(object{"kid": []string{"k1"}}), claims(nil), "rsa"), 401, "no proper name"},
		"kid that is huge":               {sign(header(object{"kid": strings.Repeat("k", maxKeyID+1)}), claims(nil), "rsa"), 401, "no proper name"},
		"signed by another key":          {sign(header(nil), claims(nil), "thief"), 401, "signature is not valid"},
		"the thief's key in the header":  {sign(header(object{"jwk": jwk("k1", pairs()["thief"])}), claims(nil), "thief"), 401, "signature is not valid"},
		"the thief's key behind jku":     {sign(header(object{"jku": "https://thief.example/jwks", "kid": "t"}), claims(nil), "thief"), 401, "issuer does not have"},
		"claims of another token":        {parts[0] + "." + strings.Split(good(object{"sub": "root"}), ".")[1] + "." + parts[2], 401, "signature is not valid"},
		"no signature":                   {parts[0] + "." + parts[1] + ".", 401, "signature is not valid"},
		"critical extensions":            {sign(header(object{"crit": []string{"b64"}, "b64": false}), claims(nil), "rsa"), 401, "not signed as"},
		"an empty crit":                  {sign(header(object{"crit": []string{}}), claims(nil), "rsa"), 401, "not signed as"},
		"an ID token by its hash":        {good(object{"at_hash": "x"}), 401, "no access token"},
		"an ID token of Cognito":         {good(object{"token_use": "id"}), 401, "no access token"},
		"an ID token of Keycloak":        {good(object{"typ": "ID"}), 401, "no access token"},
		"a logout token":                 {sign(header(object{"typ": "logout+jwt"}), claims(nil), "rsa"), 401, "no access token"},
		"a proof of possession":          {sign(header(object{"typ": "dpop+jwt"}), claims(nil), "rsa"), 401, "no access token"},
		"typ that is a list":             {sign(header(object{"typ": []string{"at+jwt"}}), claims(nil), "rsa"), 401, "no access token"},
		"bound to a key":                 {good(object{"cnf": object{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}), 401, "bound in a way"},
		"bound to a certificate":         {good(object{"cnf": object{"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}}), 401, "did not come with it"},
		"bound to nothing":               {good(object{"cnf": nil, "cnf ": 1}) + "x", 401, "signature"},
		"cnf null":                       {signRaw(string(encode(header(nil))), strings.Replace(string(encode(claims(nil))), `{`, `{"cnf":null,`, 1), "RS256", "rsa"), 401, "bound in a way"},
		"two issuers":                    {signRaw(string(encode(header(nil))), strings.Replace(string(encode(claims(nil))), `{`, `{"iss":"https://evil.example",`, 1), "RS256", "rsa"), 401, "cannot be read"},
		"an issuer in another case":      {signRaw(string(encode(header(nil))), strings.Replace(string(encode(claims(nil))), `{`, `{"Iss":"https://evil.example",`, 1), "RS256", "rsa"), 401, "cannot be read"},
		"lacks a scope":                  {good(object{"scope": "read"}), 403, "needed are mcp"},
		"no scope":                       {good(object{"scope": nil}), 403, "needed are mcp"},
		"a scope that begins alike":      {good(object{"scope": "mcpx"}), 403, "needed are mcp"},
		"opaque":                         {"2YotnFZFEjr1zCsicMWpAA", 401, "of a form"},
		"encrypted":                      {"eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d", 401, "of a form"},
		"too large":                      {strings.Repeat("a", maxToken+1), 400, "too large"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			c := r.refused(t, bearing(test.token), test.status, test.detail)
			if tail := test.token[max(0, len(test.token)-20):]; strings.Contains(c.Error()+c.Authenticate+r.log.String(), tail) {
				t.Error("the token stands in the error or the log")
			}
			if r.corp.count("/jwks") > 0 {
				t.Error("an address of the token was asked")
			}
			// The same Identifier takes the good one: nothing else was the reason.
			if p := r.accepted(t, bearing(good(nil))); p.ID != "user:corp/alice" {
				t.Errorf("then identified %s", p.ID)
			}
		})
	}
}

func Test_a_key_is_good_once_its_issuer_has_it(t *testing.T) {
	r := newRig(t, nil)
	r.corp.keys = append(r.corp.keys, jwk("k9", pairs()["thief"]))
	r.accepted(t, bearing(sign(header(object{"kid": "k9"}), claims(nil), "thief")))
}

func Test_keys_that_must_not_verify(t *testing.T) {
	usual := jwk("k1", pairs()["rsa"])
	for name, change := range map[string]object{
		"for encryption":          {"use": "enc"},
		"for another algorithm":   {"alg": "RS512"},
		"for wrapping":            {"use": nil, "key_ops": []string{"wrapKey"}},
		"symmetric":               {"kty": "oct", "k": "AAAA"},
		"with an exponent of one": {"e": "AQ"},
		"with an even exponent":   {"e": b64([]byte{1, 0, 0})},
		"too small":               {"n": jwk("", pairs()["weak"])["n"]},
		"too large":               {"n": b64([]byte(strings.Repeat("\xff", maxRSA/8+1)))},
		"with another id":         {"kid": "other"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.corp.keys = []object{apply(clone(usual), change), jwk("e1", pairs()["ec"])}
			r.refused(t, bearing(good(nil)), 401, "issuer does not have")
		})
	}
	r := newRig(t, nil)
	r.corp.keys = []object{apply(clone(usual), object{"alg": "RS256", "key_ops": []string{"verify"}})}
	r.accepted(t, bearing(good(nil)))

	t.Run("a point that is not on the curve", func(t *testing.T) {
		r := newRig(t, nil)
		bad := jwk("e1", pairs()["ec"])
		bad["y"] = bad["x"]
		r.corp.keys = []object{bad, usual}
		r.refused(t, bearing(sign(header(object{"alg": "ES256", "kid": "e1"}), claims(nil), "ec")), 401, "issuer does not have")
	})
	t.Run("two keys fit a token without kid", func(t *testing.T) {
		r := newRig(t, nil)
		r.corp.keys = []object{usual, jwk("k2", pairs()["rsa2"])}
		r.refused(t, bearing(sign(header(object{"kid": nil}), claims(nil), "rsa")), 401, "issuer does not have")
	})
}

func Test_only_tokens_that_call_themselves_access_tokens(t *testing.T) {
	r := newRig(t, func(c *config.Config) { c.Identity.Issuers[0].Typ = config.AccessTokenOnly })
	r.accepted(t, bearing(good(nil)))
	r.refused(t, bearing(sign(header(object{"typ": "JWT"}), claims(nil), "rsa")), 401, "no access token")
	r.refused(t, bearing(sign(header(object{"typ": nil}), claims(nil), "rsa")), 401, "no access token")
}

func Test_a_token_for_one_server_is_good_there_only(t *testing.T) {
	r := newRig(t, nil)
	at := func(mount, token string) *Request {
		req := bearing(token)
		req.Mount = mount
		return req
	}
	narrow := good(object{"aud": home + "/mcp/files"})
	r.accepted(t, at("files", narrow))
	// Now it is known, which must not open the other doors.
	r.refused(t, at("", narrow), 401, "another address")
	r.refused(t, at("mail", narrow), 401, "another address")
	wide := good(nil)
	r.accepted(t, at("", wide))
	r.accepted(t, at("files", wide))
}

func Test_users_of_different_issuers_never_collide(t *testing.T) {
	other := corpIssuer()
	other.Name, other.URL = "partner", "https://login.partner.example"
	r := newRig(t, func(c *config.Config) { c.Identity.Issuers = append(c.Identity.Issuers, other) })
	partner := newFake(other.URL)
	partner.keys = []object{jwk("k1", pairs()["rsa2"])}
	r.issuers[other.URL].http = &http.Client{Transport: partner}

	ours := r.accepted(t, bearing(good(nil)))
	theirs := r.accepted(t, bearing(sign(header(nil), claims(object{"iss": other.URL}), "rsa2")))
	if ours.ID == theirs.ID || theirs.ID != "user:partner/alice" {
		t.Errorf("%s and %s", ours.ID, theirs.ID)
	}
	if diff := cmp.Diff([]string{"partner/all", "partner/data-eng"}, theirs.Teams); diff != "" {
		t.Errorf("the partner put its user into our teams:\n%s", diff)
	}
	// Neither key signs for the other.
	r.refused(t, bearing(sign(header(nil), claims(object{"iss": other.URL, "sub": "a"}), "rsa")), 401, "signature is not valid")
	r.refused(t, bearing(sign(header(nil), claims(object{"sub": "b"}), "rsa2")), 401, "signature is not valid")
}

func Test_claims_are_found_where_the_configuration_says(t *testing.T) {
	r := newRig(t, func(c *config.Config) {
		i := &c.Identity.Issuers[0]
		i.SubjectClaim, i.TeamsClaim, i.Audiences = "email", "/realm_access/roles", []string{"api://gatehouse"}
	})
	p := r.accepted(t, bearing(good(object{"aud": "api://gatehouse", "realm_access": object{"roles": []any{"data-eng", 7, "bad\nname", ""}}})))
	if p.ID != "user:corp/alice@example.com" || cmp.Diff([]string{"corp/data-eng", "data"}, p.Teams) != "" {
		t.Errorf("identified %+v", p)
	}
	r.refused(t, bearing(good(object{"email_verified": false})), 401, "whose it is")
	r.refused(t, bearing(good(object{"email": nil})), 401, "whose it is")
}

func Test_known_tokens_end(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		token := good(object{"exp": time.Now().Add(2 * time.Minute).Unix()})
		r.accepted(t, bearing(token))
		time.Sleep(2*time.Minute + leeway - time.Second)
		r.accepted(t, bearing(token))
		time.Sleep(2 * time.Second)
		r.refused(t, bearing(token), 401, "expired")
	})
}

func Test_keys_rotate_and_the_issuer_is_down(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		long := func(key, kid string) *Request {
			return bearing(sign(header(object{"kid": kid}), claims(object{"exp": time.Now().Add(24 * time.Hour).Unix()}), key))
		}
		old := long("rsa", "k1")
		r.accepted(t, old)

		// A new key is found when the first token is signed with it.
		r.corp.with(func() { r.corp.keys = append(r.corp.keys, jwk("k2", pairs()["rsa2"])) })
		time.Sleep(retryAfter)
		r.accepted(t, long("rsa2", "k2"))

		// A thousand unknown ids make one request.
		time.Sleep(retryAfter)
		before := r.corp.count("/tenant/jwks")
		for n := range 1000 {
			r.refused(t, long("rsa", "x"+strings.Repeat("y", n%300)), 401, "issuer does not have")
		}
		if asked := r.corp.count("/tenant/jwks") - before; asked != 1 {
			t.Errorf("asked %d times, want once", asked)
		}

		// A key that the issuer removed ends soon, also for tokens that are known.
		r.corp.with(func() { r.corp.keys = r.corp.keys[3:] })
		time.Sleep(freshFor)
		_, _ = r.Identify(t.Context(), long("rsa2", "k2")) // makes the keys be read
		synctest.Wait()
		r.refused(t, old, 401, "issuer does not have")

		// While the issuer is down, known keys go on, but not for ever.
		r.corp.with(func() { r.corp.down = true })
		time.Sleep(keptFor - time.Minute)
		r.accepted(t, long("rsa2", "k2"))
		synctest.Wait()
		r.refused(t, long("rsa", "k3"), 503, "cannot be reached")
		time.Sleep(2 * time.Minute)
		c := r.refused(t, bearing(sign(header(object{"kid": "k2"}), claims(object{"sub": "new"}), "rsa2")), 503, "cannot be reached")
		if c.Authenticate != "" {
			t.Errorf("a client is told to log in again: %s", c.Authenticate)
		}
		time.Sleep(knownFor)
		r.refused(t, long("rsa2", "k2"), 503, "cannot be reached")

		r.corp.with(func() { r.corp.down = false })
		time.Sleep(retryAfter)
		r.accepted(t, long("rsa2", "k2"))
	})
}

func Test_many_first_tokens_read_the_keys_once(t *testing.T) {
	r := newRig(t, nil)
	token := good(nil)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { r.accepted(t, bearing(token)) })
	}
	all.Wait()
	if n := r.corp.count("/tenant/jwks"); n != 1 {
		t.Errorf("read %d times", n)
	}
}

func Test_metadata_of_another_issuer_is_not_used(t *testing.T) {
	for name, change := range map[string]object{
		"another issuer": {"issuer": "https://evil.example"},
		"a slash more":   {"issuer": corpURL + "/"},
		"no issuer":      {"issuer": nil},
		"no keys":        {"jwks_uri": nil},
	} {
		r := newRig(t, nil)
		apply(r.corp.meta, change)
		c := r.refused(t, bearing(good(nil)), 503, "cannot be reached")
		if c.Err == nil || r.corp.count("/tenant/jwks") > 0 {
			t.Errorf("%s: %v", name, c)
		}
	}
}

// An issuer inside the private network is reached where the configuration says it
// is; its metadata must not lead anywhere else in there.
func Test_metadata_does_not_lead_into_the_network(t *testing.T) {
	hit := false
	inside := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hit = true }))
	if l, err := net.Listen("tcp", "127.0.0.2:0"); err == nil { // where the system has it
		inside.Listener.Close()
		inside.Listener = l
	}
	inside.StartTLS()
	defer inside.Close()
	var jwksURL string
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(encode(object{"issuer": server.URL, "jwks_uri": jwksURL}))
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(encode(object{"keys": []object{jwk("k1", pairs()["rsa"])}}))
	})
	conf := corpIssuer()
	conf.URL = server.URL
	c := &config.Config{Identity: config.Identity{Resource: home, Issuers: []config.Issuer{conf}}}
	token := good(object{"iss": server.URL})
	identify := func() error {
		i, err := New(c, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = i.Identify(t.Context(), bearing(token))
		return err
	}
	for _, jwksURL = range []string{inside.URL, strings.Replace(inside.URL, "https", "http", 1), "https://169.254.169.254/latest", "http://169.254.169.254/latest", "http://[::1]:1/", "file:///etc/passwd", "http://example.com/jwks"} {
		if err := identify(); !errors.Is(err, egress.ErrRefused) || hit {
			t.Errorf("%s: %v, reached %v", jwksURL, err, hit)
		}
	}
	jwksURL = server.URL + "/jwks"
	if err := identify(); err != nil {
		t.Errorf("at the issuer itself: %v", err)
	}
}

func Test_a_challenge_is_a_refusal(t *testing.T) {
	c := newRig(t, nil).refused(t, bearing("x"), 401, "")
	if r := decision.From(c); r.Reason != decision.Unidentified || r.Detail != c.Detail {
		t.Errorf("refused with %+v", r)
	}
}

func FuzzToken(f *testing.F) {
	valid := good(nil)
	for _, seed := range []string{valid, "a.b.c", "e30.e30.", "gh_", strings.Replace(valid, ".", "..", 1)} {
		f.Add(seed)
	}
	r := newRig(f, nil)
	f.Fuzz(func(t *testing.T, token string) {
		p, err := r.Identify(context.Background(), bearing(token))
		if (p == nil) == (err == nil) {
			t.Fatalf("principal %v with error %v", p, err)
		}
		// Whoever has not the issuer's key can only repeat what it signed.
		if p != nil && strings.TrimLeft(token, " ") != valid {
			t.Errorf("identified %s by another token", p.ID)
		}
	})
}
