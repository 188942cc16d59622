package identity

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"gatehouse/internal/config"
)

const (
	home    = "https://gatehouse.example.com"
	corpURL = "https://login.example.com/tenant"
)

// pairs are made once: RSA keys take long.
var pairs = sync.OnceValue(func() map[string]crypto.Signer {
	out := map[string]crypto.Signer{}
	for _, name := range []string{"rsa", "rsa2", "thief"} {
		out[name], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	out["weak"], _ = rsa.GenerateKey(rand.Reader, 1024)
	out["ec"], _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, out["ed"], _ = ed25519.GenerateKey(rand.Reader)
	return out
})

type object = map[string]any

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// jwk writes a public key as a JSON Web Key.
func jwk(id string, signer crypto.Signer) object {
	switch public := signer.Public().(type) {
	case *rsa.PublicKey:
		return object{"kty": "RSA", "kid": id, "use": "sig", "n": b64(public.N.Bytes()), "e": b64(big.NewInt(int64(public.E)).Bytes())}
	case *ecdsa.PublicKey:
		raw, _ := public.Bytes()
		half := (len(raw) - 1) / 2
		return object{"kty": "EC", "crv": "P-256", "kid": id, "x": b64(raw[1 : 1+half]), "y": b64(raw[1+half:])}
	case ed25519.PublicKey:
		return object{"kty": "OKP", "crv": "Ed25519", "kid": id, "x": b64(public)}
	}
	panic("no such key")
}

// fakeIssuer answers for an issuer within the test.
type fakeIssuer struct {
	mu         sync.Mutex
	url        string
	meta       object
	keys       []object
	down       bool
	introspect func(form url.Values, who string) object
	asked      map[string]int // by path
}

func newFake(address string) *fakeIssuer {
	f := &fakeIssuer{url: address, asked: map[string]int{}}
	f.meta = object{"issuer": address, "jwks_uri": address + "/jwks", "introspection_endpoint": address + "/introspect"}
	f.keys = []object{jwk("k1", pairs()["rsa"]), jwk("e1", pairs()["ec"]), jwk("d1", pairs()["ed"])}
	return f
}

func (f *fakeIssuer) with(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeIssuer) count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[path]
}

func (f *fakeIssuer) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[r.URL.Path]++
	if f.down {
		return nil, errors.New("no route to host")
	}
	u, _ := url.Parse(f.url)
	var body any
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server" + u.Path:
		body = f.meta
	case u.Path + "/jwks":
		body = object{"keys": f.keys}
	case u.Path + "/introspect":
		raw, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(raw))
		name, secret, _ := r.BasicAuth()
		body = f.introspect(form, name+":"+secret)
	}
	status := http.StatusOK
	if body == nil {
		status = http.StatusNotFound
	}
	raw, _ := json.Marshal(body)
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(raw)), Request: r}, nil
}

// rig is an Identifier with an issuer that it can ask.
type rig struct {
	*Identifier
	corp *fakeIssuer
	log  *bytes.Buffer
}

// corpIssuer is an issuer as the configuration has it if only its URL is given.
func corpIssuer() config.Issuer {
	return config.Issuer{
		Name: "corp", URL: corpURL, Typ: config.AnyTyp, SubjectClaim: "sub", NameClaim: "email", TeamsClaim: "groups",
		Algorithms: []string{"RS256", "ES256", "EdDSA"}, Scopes: []string{"mcp"},
	}
}

func newRig(t testing.TB, change func(*config.Config)) *rig {
	t.Helper()
	c := &config.Config{
		Identity: config.Identity{Resource: home, Issuers: []config.Issuer{corpIssuer()}},
		Teams: []config.Team{
			{Name: "data", Users: []string{"user:corp/bob"}, Groups: []string{"corp/data-eng"}, Keys: []string{"ci"}},
			{Name: "ops", Users: []string{"user:corp/alice"}},
		},
	}
	if change != nil {
		change(c)
	}
	log := &bytes.Buffer{}
	i, err := New(c, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Identifier: i, corp: newFake(corpURL), log: log}
	for _, s := range i.issuers {
		s.http = &http.Client{Transport: r.corp}
	}
	for _, s := range i.byHeader {
		s.http = &http.Client{Transport: r.corp}
	}
	return r
}

// claims are those of a good token, with changes; a nil value takes one out.
func claims(changes object) object {
	now := time.Now()
	out := object{
		"iss": corpURL, "sub": "alice", "aud": home + "/mcp", "client_id": "inspector", "scope": "mcp read",
		"exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "groups": []string{"data-eng", "all"}, "email": "alice@example.com",
	}
	return apply(out, changes)
}

func header(changes object) object {
	return apply(object{"alg": "RS256", "kid": "k1", "typ": "at+jwt"}, changes)
}

func apply(to, changes object) object {
	for name, value := range changes {
		if to[name] = value; value == nil {
			delete(to, name)
		}
	}
	return to
}

// sign makes a token of any header and claims; by is a name among pairs, or a secret
// for HMAC.
func sign(head, body object, by any) string {
	h, _ := json.Marshal(head)
	b, _ := json.Marshal(body)
	return signRaw(string(h), string(b), head["alg"], by)
}

func signRaw(head, body string, algorithm, by any) string {
	text := b64([]byte(head)) + "." + b64([]byte(body))
	method := jwt.GetSigningMethod(algorithm.(string))
	if name, ok := by.(string); ok {
		by = pairs()[name]
	}
	signature, err := method.Sign(text, by)
	if err != nil {
		panic(err)
	}
	return text + "." + b64(signature)
}

func good(changes object) string { return sign(header(nil), claims(changes), "rsa") }

func bearing(token string) *Request {
	return &Request{Header: http.Header{"Authorization": {"Bearer " + token}}, Remote: netip.MustParseAddr("203.0.113.9")}
}

// refused checks that a request is refused with a status and a detail.
func (r *rig) refused(t *testing.T, req *Request, status int, detail string) *Challenge {
	t.Helper()
	p, err := r.Identify(context.Background(), req)
	var c *Challenge
	if !errors.As(err, &c) || p != nil {
		t.Fatalf("identified %+v, error %v; want a challenge", p, err)
	}
	if c.Status != status || !strings.Contains(c.Error(), detail) {
		t.Errorf("status %d, %q; want %d, %q", c.Status, c.Error(), status, detail)
	}
	return c
}

func (r *rig) accepted(t *testing.T, req *Request) *Principal {
	t.Helper()
	p, err := r.Identify(context.Background(), req)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return p
}

// makeKey makes an API key in a file and returns both.
func makeKey(t testing.TB, k Key) (secret, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keys")
	secret, _, err := CreateKey(path, k)
	if err != nil {
		t.Fatal(err)
	}
	return secret, path
}

func clone(o object) object { return maps.Clone(o) }

func encode(o object) []byte {
	raw, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return raw
}
