package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/config"
)

func withKeys(t testing.TB, path string) *rig {
	return newRig(t, func(c *config.Config) {
		c.Identity = config.Identity{Keys: path}
	})
}

func Test_a_key_identifies_its_principal(t *testing.T) {
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	secret, path := makeKey(t, Key{Name: "ci", Teams: []string{"builders"}, Scopes: []string{"read"}, Expires: until})
	got := withKeys(t, path).accepted(t, bearing(secret))
	want := &Principal{ID: "key:ci", Kind: Agent, Name: "ci", Teams: []string{"builders", "data"}, Scopes: []string{"read"}, Means: ByKey, Expires: until}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	raw, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(raw), secret[shownLength+1:keyLength-checksumLength]) || !strings.Contains(string(raw), secret[:shownLength]) {
		t.Errorf("the file holds %s", raw)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func Test_keys_that_are_no_good(t *testing.T) {
	secret, path := makeKey(t, Key{Name: "ci"})
	other, _ := newKey()
	forged := secret[:shownLength] + other[shownLength:keyLength-checksumLength]
	r := withKeys(t, path)
	for name, test := range map[string]struct{ key, detail string }{
		"one letter differs":           {strings.Replace(secret, secret[20:21], "-", 1), "cut off or mistyped"},
		"cut off":                      {secret[:keyLength-1], "cut off or mistyped"},
		"longer":                       {secret + "0", "cut off or mistyped"},
		"the visible part alone":       {secret[:shownLength], "cut off or mistyped"},
		"of another":                   {other, "no such API key"},
		"visible part of a known one":  {forged + checksum(forged), "no such API key"},
		"what the file holds (SHA256)": {fmt.Sprintf("gh_%x", sha256.Sum256([]byte(secret))), "cut off or mistyped"},
	} {
		c := r.refused(t, bearing(test.key), 401, test.detail)
		if strings.Contains(c.Error()+r.log.String(), test.key[shownLength:]) && len(test.key) > shownLength {
			t.Errorf("%s: the key stands in the error or the log", name)
		}
	}
	r.accepted(t, bearing(secret))
}

func Test_keys_rotate_expire_and_are_revoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, path := makeKey(t, Key{Name: "ci", Teams: []string{"data"}, Expires: time.Now().Add(48 * time.Hour)})
		r := withKeys(t, path)
		r.accepted(t, bearing(first))
		second, made, err := RotateKey(path, "ci", time.Hour, time.Now().Add(72*time.Hour))
		if err != nil || made.Name != "ci" || cmp.Diff([]string{"data"}, made.Teams) != "" {
			t.Fatalf("made %+v, %v", made, err)
		}
		time.Sleep(lookEvery)
		if a, b := r.accepted(t, bearing(first)), r.accepted(t, bearing(second)); a.ID != b.ID {
			t.Errorf("%s became %s", a.ID, b.ID)
		}
		time.Sleep(time.Hour)
		r.refused(t, bearing(first), 401, "has expired")
		r.accepted(t, bearing(second))

		if n, err := RevokeKey(path, "ci"); n != 2 || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
		time.Sleep(lookEvery)
		r.refused(t, bearing(second), 401, "was revoked")
		if _, _, err := RotateKey(path, "ci", time.Hour, time.Time{}); !errors.Is(err, ErrNoKey) {
			t.Errorf("rotated what was revoked: %v", err)
		}
		if _, _, err := CreateKey(path, Key{Name: "ci"}); !errors.Is(err, ErrKeyExists) {
			t.Errorf("a name was given to another: %v", err)
		}
	})
}

func Test_one_key_of_a_rotation_can_be_revoked(t *testing.T) {
	first, path := makeKey(t, Key{Name: "ci"})
	second, _, err := RotateKey(path, "ci", time.Hour, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := RevokeKey(path, first[:shownLength]); n != 1 || err != nil {
		t.Errorf("revoked %d, %v", n, err)
	}
	r := withKeys(t, path)
	r.refused(t, bearing(first), 401, "revoked")
	r.accepted(t, bearing(second))
	if _, err := RevokeKey(path, "nobody"); !errors.Is(err, ErrNoKey) {
		t.Errorf("revoked nobody: %v", err)
	}
}

// A file that cannot be read may hold a key that was revoked: no key is good then,
// not even one that was.
func Test_a_file_that_cannot_be_used_makes_no_key_good(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret, path := makeKey(t, Key{Name: "ci"})
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r := withKeys(t, path)
		for name, content := range map[string]string{
			"cut off":        string(whole[:len(whole)/2]),
			"empty":          "",
			"another form":   strings.Replace(string(whole), `"version": 1`, `"version": 2`, 1),
			"unknown member": strings.Replace(string(whole), `"name"`, `"expire": "2020-01-01T00:00:00Z", "name"`, 1),
			"no time":        strings.Replace(string(whole), `"name"`, `"revoked": "0001-01-01T00:00:00Z", "name"`, 1),
			"a member twice": strings.Replace(string(whole), `"name"`, `"name": "root", "name"`, 1),
			"a short digest": strings.Replace(string(whole), `"sha256": "`, `"sha256": "00`, 1),
		} {
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(lookEvery)
			r.accepted(t, bearing(secret))
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(lookEvery)
			c := r.refused(t, bearing(secret), 503, "cannot be checked")
			if c.Authenticate != "" {
				t.Errorf("%s: %s", name, c.Authenticate)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		r.refused(t, bearing(secret), 401, "no such API key")
	})
}

func Test_a_file_that_others_can_change_is_refused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has other permissions")
	}
	secret, path := makeKey(t, Key{Name: "ci"})
	if err := os.Chmod(path, 0o620); err != nil {
		t.Fatal(err)
	}
	withKeys(t, path).refused(t, bearing(secret), 503, "can be changed by others")
	if _, _, err := CreateKey(path, Key{Name: "more"}); err == nil {
		t.Error("a key was added")
	}
}

func Test_names_of_keys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	for _, name := range []string{"", "two words", "a/b", "a:b", "a\nb", "a\u200bb", strings.Repeat("a", maxName+1)} {
		if _, _, err := CreateKey(path, Key{Name: name}); err == nil {
			t.Errorf("made %q", name)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a file: %v", err)
	}
}

func Test_changes_by_many_lose_none(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			if _, _, err := CreateKey(path, Key{Name: fmt.Sprint("k", n)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if keys, err := ReadKeys(path); len(keys) != 20 || err != nil {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

// manyKeys writes a file of n keys and returns every thousandth.
func manyKeys(t testing.TB, n int) (some []string, path string) {
	t.Helper()
	stored := make([]storedKey, n)
	for at := range stored {
		secret, err := newKey()
		if err != nil {
			t.Fatal(err)
		}
		k := Key{Name: fmt.Sprint("key", at), Shown: secret[:shownLength], Digest: sha256.Sum256([]byte(secret)), Created: time.Now()}
		stored[at] = k.stored()
		if at%1000 == 0 {
			some = append(some, secret)
		}
	}
	path = filepath.Join(t.TempDir(), "keys")
	raw, err := json.Marshal(object{"version": 1, "keys": stored})
	if err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return some, path
}

func Test_ten_thousand_keys(t *testing.T) {
	some, path := manyKeys(t, 10_000)
	r := withKeys(t, path)
	for n, secret := range some {
		if p := r.accepted(t, bearing(secret)); p.ID != fmt.Sprintf("key:key%d", n*1000) {
			t.Errorf("identified %s", p.ID)
		}
	}
	other, _ := newKey()
	r.refused(t, bearing(other), 401, "no such API key")
	if len(some) != 10 {
		t.Errorf("tried %d", len(some))
	}
}

// authority makes client certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{}
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.cert = a.issue(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "ca"}}, nil)
	return a
}

func (a *authority) issue(t *testing.T, template *x509.Certificate, parent *x509.Certificate) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	template.NotBefore = time.Now().Add(-2 * time.Hour)
	key := a.key
	if parent == nil {
		parent = template
	} else {
		key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (a *authority) client(t *testing.T, change func(*x509.Certificate)) *x509.Certificate {
	spiffe, _ := url.Parse("spiffe://example.com/ci")
	template := &x509.Certificate{
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, URIs: []*url.URL{spiffe}, EmailAddresses: []string{"alice@example.com"},
		Subject: pkix.Name{CommonName: "builder", OrganizationalUnit: []string{"eng"}}, DNSNames: []string{"a.example", "b.example"},
	}
	if change != nil {
		change(template)
	}
	return a.issue(t, template, a.cert)
}

func (a *authority) rig(t *testing.T, change func(*config.Config)) *rig {
	t.Helper()
	r := newRig(t, func(c *config.Config) {
		c.Identity.Certificates = config.Certificates{Name: config.ByURI, Teams: "ou"}
		c.Teams = []config.Team{{Name: "data", Groups: []string{"certificates/eng"}}}
		if change != nil {
			change(c)
		}
	})
	// Files of certificates are the subject of another test.
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	r.conf.Certificates.CA = "ca.pem"
	r.certificates = newCertificates(r.conf.Certificates, roots, r.teams)
	return r
}

func showing(certs ...*x509.Certificate) *Request {
	return &Request{Header: http.Header{}, TLS: &tls.ConnectionState{PeerCertificates: certs}}
}

func Test_certificates(t *testing.T) {
	a := newAuthority(t)
	r := a.rig(t, nil)
	leaf := a.client(t, nil)
	got := r.accepted(t, showing(leaf))
	want := &Principal{ID: "cert:spiffe://example.com/ci", Kind: Agent, Name: "spiffe://example.com/ci", Teams: []string{"certificates/eng", "data"}, Means: ByCertificate, Expires: leaf.NotAfter}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if again := r.accepted(t, showing(leaf)); again != got {
		t.Error("verified again")
	}
	for form, want := range map[string]string{config.ByEmail: "cert:alice@example.com", config.ByCN: "cert:builder"} {
		named := a.rig(t, func(c *config.Config) { c.Identity.Certificates.Name = form })
		if p := named.accepted(t, showing(leaf)); p.ID != want {
			t.Errorf("identified %s, want %s", p.ID, want)
		}
	}

	expired := a.client(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	server := a.client(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	nameless := a.client(t, func(c *x509.Certificate) { c.URIs = nil })
	r.refused(t, showing(expired), 401, "not valid here")
	r.refused(t, showing(server), 401, "not valid here")
	r.refused(t, showing(newAuthority(t).client(t, nil)), 401, "not valid here")
	r.refused(t, showing(nameless), 401, "does not name its holder")
	two := a.rig(t, func(c *config.Config) { c.Identity.Certificates.Name = config.ByDNS })
	two.refused(t, showing(leaf), 401, "2 names")
	// The handshake says nothing: only what is verified here counts.
	forged := showing(newAuthority(t).client(t, nil))
	forged.TLS.VerifiedChains = [][]*x509.Certificate{{leaf}}
	r.refused(t, forged, 401, "not valid here")
}

func Test_tokens_bound_to_a_certificate(t *testing.T) {
	a := newAuthority(t)
	r := a.rig(t, nil)
	leaf, other := a.client(t, nil), a.client(t, nil)
	sum := sha256.Sum256(leaf.Raw)
	bound := good(object{"cnf": object{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}})
	with := func(token string, certs ...*x509.Certificate) *Request {
		req := bearing(token)
		req.TLS = &tls.ConnectionState{PeerCertificates: certs}
		return req
	}
	if p := r.accepted(t, with(bound, leaf)); p.ID != "user:corp/alice" {
		t.Errorf("identified %s", p.ID)
	}
	// It is known now; that does not unbind it.
	r.refused(t, with(bound, other), 401, "did not come with it")
	r.refused(t, with(bound), 401, "did not come with it")
	r.refused(t, bearing(bound), 401, "did not come with it")
	r.refused(t, with(good(nil), leaf), 400, "send one")
	r.accepted(t, with(good(nil)))

	secret, path := makeKey(t, Key{Name: "ci"})
	both := a.rig(t, func(c *config.Config) { c.Identity.Keys = path })
	both.refused(t, with(secret, leaf), 400, "two kinds")
}

func benchmarkIdentify(b *testing.B, r *rig, req *Request) {
	if _, err := r.Identify(context.Background(), req); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Identify(context.Background(), req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIdentify_cached_token(b *testing.B) {
	token := good(nil)
	b.Logf("a token of %d bytes", len(token))
	benchmarkIdentify(b, newRig(b, nil), bearing(token))
}

func BenchmarkIdentify_new_token(b *testing.B) {
	for _, algorithm := range []struct{ name, kid, key string }{{"RS256", "k1", "rsa"}, {"ES256", "e1", "ec"}} {
		b.Run(algorithm.name, func(b *testing.B) {
			r := newRig(b, nil)
			req := bearing(sign(header(object{"alg": algorithm.name, "kid": algorithm.kid}), claims(nil), algorithm.key))
			for b.Loop() {
				r.known = newCache()
				if _, err := r.Identify(context.Background(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkIdentify_key_of_10000(b *testing.B) {
	some, path := manyKeys(b, 10_000)
	benchmarkIdentify(b, withKeys(b, path), bearing(some[5]))
}

func BenchmarkIdentify_local(b *testing.B) {
	i, err := New(&config.Config{}, slog.Default())
	if err != nil {
		b.Fatal(err)
	}
	benchmarkIdentify(b, &rig{Identifier: i}, &Request{Header: http.Header{}, Local: true})
}
