// Package issuer is an issuer of access tokens under the control of a test: it signs
// what a good one signs and what only an attacker would.
package issuer

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Resource is the address of the gateway that tokens are for.
const Resource = "https://gatehouse.example.com"

// Set is header parameters or claims. In a change, nil takes one out.
type Set = map[string]any

// Issuer is one authorization server with keys that rotate.
type Issuer struct {
	URL string

	t       testing.TB
	site    *httptest.Server
	mu      sync.Mutex // guards what follows
	keys    []*rsa.PrivateKey
	serial  int // of the newest key
	down    bool
	fetched map[string]int // by path
}

// bits of the keys, the fewest that are taken.
const bits = 2048

// New starts an issuer on this machine, which ends with the test.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{t: t, fetched: map[string]int{}}
	i.Rotate()
	i.site = httptest.NewServer(i)
	t.Cleanup(i.site.Close)
	i.URL = i.site.URL
	return i
}

// Config is the issuer as the configuration of a gateway has it.
func (i *Issuer) Config() Set {
	return Set{"url": i.URL, "scopes": []string{"mcp"}, "teams_claim": "groups"}
}

// ServeHTTP serves the metadata and the keys.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetched[r.URL.Path]++
	var answer Set
	switch {
	case i.down:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case r.URL.Path == "/.well-known/oauth-authorization-server":
		answer = Set{"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token"}
	case r.URL.Path == "/keys":
		key := i.keys[len(i.keys)-1]
		answer = Set{"keys": []Set{{"kty": "RSA", "kid": i.kid(), "use": "sig", "alg": "RS256", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes())}}}
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

func (i *Issuer) kid() string { return "key-" + big.NewInt(int64(i.serial)).String() }

// Rotate makes the issuer sign with a new key and show no other.
func (i *Issuer) Rotate() {
	i.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, key)
	i.serial++
}

// Down makes the issuer answer nothing of use, or work again.
func (i *Issuer) Down(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// KeyReads is how often the keys were asked for.
func (i *Issuer) KeyReads() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetched["/keys"]
}

// Fetched is how often a path was asked for.
func (i *Issuer) Fetched(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetched[path]
}

// PublicPEM is the public key as people publish it, which an attacker knows.
func (i *Issuer) PublicPEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(i.key().Public())
	if err != nil {
		i.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func (i *Issuer) key() *rsa.PrivateKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[len(i.keys)-1]
}

// Claims are those of a good token of somebody, with changes.
func (i *Issuer) Claims(subject string, changes Set) Set {
	now := time.Now()
	return change(Set{
		"iss": i.URL, "sub": subject, "aud": Resource + "/mcp", "client_id": "inspector", "scope": "mcp",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "groups": []string{},
	}, changes)
}

// Header is that of a good token, with changes.
func (i *Issuer) Header(changes Set) Set {
	i.mu.Lock()
	defer i.mu.Unlock()
	return change(Set{"alg": "RS256", "kid": i.kid(), "typ": "at+jwt"}, changes)
}

func change(to, changes Set) Set {
	for name, value := range changes {
		if to[name] = value; value == nil {
			delete(to, name)
		}
	}
	return to
}

// Token is a good token of somebody but for the changes in its claims.
func (i *Issuer) Token(subject string, changes Set) string {
	i.t.Helper()
	return i.Sign(i.Header(nil), i.Claims(subject, changes), i.key())
}

// Sign signs any header and claims with any key, by the algorithm in the header.
func (i *Issuer) Sign(header, claims Set, key any) string {
	i.t.Helper()
	text := encode(i.marshal(header)) + "." + encode(i.marshal(claims))
	algorithm, _ := header["alg"].(string)
	method := jwt.GetSigningMethod(algorithm)
	if method == nil || strings.EqualFold(algorithm, "none") {
		return text + "."
	}
	signature, err := method.Sign(text, key)
	if err != nil {
		i.t.Fatal(err)
	}
	return text + "." + encode(signature)
}

// Forge is a token of somebody with a header of the attacker's and signed by a key of
// the attacker's.
func (i *Issuer) Forge(subject string, header Set) string {
	i.t.Helper()
	return i.Sign(i.Header(header), i.Claims(subject, nil), thief())
}

// ThiefKey is the public key of whoever forges, as a JSON Web Key under an id.
func ThiefKey(id string) Set {
	key := thief()
	return Set{"kty": "RSA", "kid": id, "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes())}
}

var thief = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic("issuer: internal error: " + err.Error())
	}
	return key
})

func (i *Issuer) marshal(s Set) []byte {
	raw, err := json.Marshal(s)
	if err != nil {
		i.t.Fatal(err)
	}
	return raw
}

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
