package oauth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"gatehouse/internal/config"
	"gatehouse/internal/wire"
)

func pemOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestClientCredentials(t *testing.T) {
	w := newWorld(t)
	w.challenge += `, scope="read"`
	c, _ := w.client(config.Auth{Type: config.ClientCredentials, ClientID: "robot", ClientSecret: config.NewSecret("robot-secret")})
	rt := c.Transport(http.DefaultTransport)
	if status, err := w.call(rt, "x"); status != http.StatusOK || err != nil {
		t.Fatalf("%d, %v", status, err)
	}
	form := w.tokens[0]
	if form.Get("grant_type") != "client_credentials" || form.Get("resource") != w.url() || form.Get("scope") != "read" || !strings.HasPrefix(w.basic[0], "Basic ") {
		t.Errorf("asked by %v with %q", form, w.basic[0])
	}
	if g, err := c.current(true); err != nil || !g.Refresh.IsZero() || g.Issuer != w.issuer.URL {
		t.Errorf("stored %+v, %v, want no refresh token", g, err)
	}
	w.expire()
	if status, err := w.call(rt, "x"); status != http.StatusOK || err != nil || w.tokens[1].Get("grant_type") != "client_credentials" {
		t.Errorf("after it expired: %d, %v, asked by %v", status, err, w.tokens[1])
	}
	w.with(func() { w.needs = []string{"write"} })
	if status, err := w.call(rt, "x"); status != http.StatusOK || err != nil || w.tokens[2].Get("scope") != "read write" {
		t.Errorf("a step up: %d, %v, asked by %v", status, err, w.tokens[2])
	}
	// The same again is not asked for.
	w.with(func() {
		for token := range w.issued {
			w.issued[token] = nil
		}
	})
	_, err := w.call(rt, "x")
	wantAuth(t, err, "it refuses this with the rights that were granted")
	if len(w.tokens) != 3 {
		t.Errorf("%d token requests, want 3", len(w.tokens))
	}
	w.expire()
	w.with(func() { w.refuse = "invalid_client" })
	_, err = w.call(rt, "x")
	wantAuth(t, err, "the log of the gateway says why")
}

func TestClientCredentials_with_a_key(t *testing.T) {
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsaKey, _ := rsa.GenerateKey(rand.Reader, 2048)
	public, edKey, _ := ed25519.GenerateKey(rand.Reader)
	for alg, pair := range map[string]struct{ private, public any }{
		"ES256": {p256, &p256.PublicKey}, "ES384": {p384, &p384.PublicKey}, "RS256": {rsaKey, &rsaKey.PublicKey}, "EdDSA": {edKey, public},
	} {
		w := newWorld(t)
		c, _ := w.client(config.Auth{Type: config.ClientCredentials, ClientID: "robot", ClientKey: config.NewSecret(pemOf(t, pair.private))})
		if status, err := w.call(c.Transport(http.DefaultTransport), "x"); status != http.StatusOK || err != nil {
			t.Fatalf("%s: %d, %v", alg, status, err)
		}
		form := w.tokens[0]
		if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || w.basic[0] != "" {
			t.Errorf("%s: asked by %v", alg, form)
		}
		// The audience is the issuer alone: no other server takes it.
		token, err := jwt.Parse(form.Get("client_assertion"), func(*jwt.Token) (any, error) { return pair.public, nil },
			jwt.WithValidMethods([]string{alg}), jwt.WithAudience(w.issuer.URL), jwt.WithIssuer("robot"), jwt.WithSubject("robot"), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
		if err != nil {
			t.Errorf("%s: %v", alg, err)
			continue
		}
		if claims := token.Claims.(jwt.MapClaims); len(claims["jti"].(string)) < 22 {
			t.Errorf("%s: claims %v", alg, claims)
		}
	}
}

func TestParseKey_refuses_and_never_repeats_the_key(t *testing.T) {
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	good := pemOf(t, p256)
	for name, text := range map[string]string{
		"nothing": "", "no PEM": "canary", "no key": "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n",
		"a weak curve": pemOf(t, p224), "two keys": good + good, "something behind it": good + "canary",
	} {
		if _, _, err := parseKey(text); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWorkloadIdentity(t *testing.T) {
	w := newWorld(t)
	w.challenge += `, scope="read"`
	c, _ := w.client(config.Auth{Type: config.WorkloadIdentity, ClientID: "pod", Assertion: config.NewSecret("what-the-platform-says")})
	rt := c.Transport(http.DefaultTransport)
	if status, err := w.call(rt, "x"); status != http.StatusOK || err != nil {
		t.Fatalf("%d, %v", status, err)
	}
	form := w.tokens[0]
	if form.Get("grant_type") != grantBearer || form.Get("assertion") != "what-the-platform-says" || form.Get("client_id") != "pod" || form.Get("resource") != w.url() || form.Get("scope") != "read" {
		t.Errorf("asked by %v", form)
	}
	// What was refused is not tried again at once.
	w.expire()
	w.with(func() { w.refuse = "invalid_grant" })
	for range 3 {
		_, err := w.call(rt, "x")
		wantAuth(t, err, "the log of the gateway says why")
	}
	if len(w.tokens) != 2 {
		t.Errorf("%d token requests, want one that is refused", len(w.tokens)-1)
	}
}

// idp is an identity provider that vouches with these claims.
func idp(t *testing.T, w *world, change func(claims jwt.MapClaims, header, body map[string]any)) *httptest.Server {
	t.Helper()
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			answer(rw, http.StatusOK, map[string]any{"issuer": server.URL, "token_endpoint": server.URL + "/token"})
		case "/token":
			r.ParseForm()
			for name, want := range map[string]string{
				"grant_type": grantExchange, "requested_token_type": "urn:ietf:params:oauth:token-type:id-jag", "subject_token": "the-users-identity",
				"subject_token_type": "urn:ietf:params:oauth:token-type:id_token", "audience": w.issuer.URL, "resource": w.url(), "client_id": "at-idp", "scope": "read",
			} {
				if got := r.PostForm.Get(name); got != want {
					t.Errorf("the exchange says %s=%q, want %q", name, got, want)
				}
			}
			token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"aud": w.issuer.URL, "client_id": "at-server", "sub": "user"})
			token.Header["typ"] = "oauth-id-jag+jwt"
			body := map[string]any{"issued_token_type": "urn:ietf:params:oauth:token-type:id-jag", "token_type": "N_A", "expires_in": 60}
			if change != nil {
				change(token.Claims.(jwt.MapClaims), token.Header, body)
			}
			signed, err := token.SignedString([]byte("key of the provider"))
			if err != nil {
				t.Error(err)
			}
			body["access_token"] = signed
			answer(rw, http.StatusOK, body)
		default:
			http.NotFound(rw, r)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func TestEnterprise(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(claims jwt.MapClaims, header, body map[string]any)
		good   bool
	}{
		{"as it should be", nil, true},
		{"another audience", func(c jwt.MapClaims, _, _ map[string]any) { c["aud"] = "https://attacker.example" }, false},
		{"two audiences", func(c jwt.MapClaims, _, _ map[string]any) {
			c["aud"] = []string{c["aud"].(string), "https://attacker.example"}
		}, false},
		{"another client", func(c jwt.MapClaims, _, _ map[string]any) { c["client_id"] = "other" }, false},
		{"another typ", func(_ jwt.MapClaims, h, _ map[string]any) { h["typ"] = "JWT" }, false},
		{"another token type", func(_ jwt.MapClaims, _, b map[string]any) {
			b["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token"
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.challenge += `, scope="read"`
			c, _ := w.client(config.Auth{
				Type: config.Enterprise, ClientID: "at-server", ClientSecret: config.NewSecret("secret-at-server"),
				IdP: config.IdP{Issuer: idp(t, w, test.change).URL, ClientID: "at-idp", IDToken: config.NewSecret("the-users-identity")},
			})
			status, err := w.call(c.Transport(http.DefaultTransport), "x")
			if !test.good {
				wantAuth(t, err, "")
				if len(w.tokens) > 0 {
					t.Error("the assertion was handed over")
				}
				return
			}
			if status != http.StatusOK || err != nil {
				t.Fatalf("%d, %v", status, err)
			}
			if form := w.tokens[0]; form.Get("grant_type") != grantBearer || form.Get("assertion") == "" || form.Get("resource") != w.url() || !strings.HasPrefix(w.basic[0], "Basic ") {
				t.Errorf("the assertion was traded by %v", form)
			}
		})
	}
}

func TestReadTokens(t *testing.T) {
	long := strings.Repeat("a", maxTokenBytes+1)
	for text, good := range map[string]bool{
		`{"access_token":"a","token_type":"Bearer"}`:                                 true,
		`{"access_token":"a","token_type":"bearer","expires_in":3600,"scope":"x y"}`: true,
		`{"access_token":"a","token_type":"Bearer","expires_in":99999999999999}`:     true,
		`{"access_token":"a","token_type":"DPoP"}`:                                   false,
		`{"access_token":"a","token_type":"mac"}`:                                    false,
		`{"access_token":"a"}`:                                                       false,
		`{"token_type":"Bearer"}`:                                                    false,
		`{"access_token":"","token_type":"Bearer"}`:                                  false,
		`{"access_token":7,"token_type":"Bearer"}`:                                   false,
		`{"access_token":"a b","token_type":"Bearer"}`:                               false,
		`{"access_token":"a\r\nX: y","token_type":"Bearer"}`:                         false,
		`{"access_token":"` + long + `","token_type":"Bearer"}`:                      false,
		`{"access_token":"a","token_type":"Bearer","refresh_token":"\u0000"}`:        false,
	} {
		doc, err := wire.Scan([]byte(text), documentLimits)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readTokens(doc.Root, grantCode)
		if (err == nil) != good {
			t.Errorf("%.80s: %v", text, err)
		}
		if strings.Contains(text, "3600") && (got.expires.IsZero() || len(got.scopes) != 2) {
			t.Errorf("%s: %+v", text, got)
		}
		if strings.Contains(text, "9999") && !got.expires.IsZero() {
			t.Errorf("%s: expires %v", text, got.expires)
		}
	}
}
