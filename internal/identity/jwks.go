package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/wire"
)

const (
	// maxKeys of one issuer are kept; issuers have two or three, the largest a dozen.
	maxKeys = 100
	// maxKeyID bounds what is compared.
	maxKeyID = 512
	// freshFor is how long keys are used before they are read again, which is done
	// while they are in use: so long, at most, a key lives on that its issuer removed.
	freshFor = 15 * time.Minute
	// keptFor is how long keys are used when they cannot be read again. A gateway that
	// outlives an outage of the issuer is worth more than the risk that a key was
	// removed just then; not for ever, because who can keep the issuer from being
	// reached could keep a stolen key alive.
	keptFor = 4 * time.Hour
	// retryAfter is the time between two readings. Everybody can send a token with a
	// key that nobody knows.
	retryAfter = 10 * time.Second
	// RSA keys below minRSA bits are broken (RFC 7518, section 3.3: "A key of size 2048
	// bits or larger MUST be used"); above maxRSA they cost too much to verify.
	minRSA, maxRSA = 2048, 8192
)

// signingKey is one public key of an issuer.
type signingKey struct {
	id        string
	algorithm string // the only one that it is for; empty: any of its kind
	public    any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// fits reports whether the key is for an algorithm. A key of one kind must never be
// used as one of another (RFC 8725, section 3.1).
func (k signingKey) fits(algorithm string) bool {
	if k.algorithm != "" && k.algorithm != algorithm {
		return false
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		return algorithm == map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[public.Params().BitSize]
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}

// keySet is the keys of one issuer, read when the first token needs them.
type keySet struct {
	load func(context.Context) ([]signingKey, error)

	mu      sync.Mutex // guards what follows
	keys    []signingKey
	read    time.Time     // when keys were last read
	tried   time.Time     // when reading last began
	failure error         // of the last reading; nil: it succeeded
	reading chan struct{} // closed at the end of the reading under way; nil: none is
}

var (
	errUnknownKey = errors.New("the issuer has no such key")
	errAmbiguous  = errors.New("the token does not say which of several keys it is of")
)

// find is the key with an id for an algorithm. Without an id it is the one key that
// fits. errUnknownKey and errAmbiguous are about the token, any other error is about
// the issuer.
func (s *keySet) find(ctx context.Context, id, algorithm string) (any, error) {
	s.mu.Lock()
	key, err := s.match(id, algorithm)
	due := time.Since(s.tried) >= retryAfter
	switch {
	case err == nil && (time.Since(s.read) < freshFor || !due || s.reading != nil):
		s.mu.Unlock()
		return key, nil
	case err == nil:
		s.begin(ctx)
		s.mu.Unlock()
		return key, nil // the next token will see what comes of it
	case s.reading == nil && !due:
		defer s.mu.Unlock()
		return nil, s.because(err)
	case s.reading == nil:
		s.begin(ctx)
	}
	done := s.reading
	s.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if key, err = s.match(id, algorithm); err != nil {
		return nil, s.because(err)
	}
	return key, nil
}

// because tells a key that does not exist from one that may: if the keys could not
// be read, nothing is known of it.
func (s *keySet) because(err error) error {
	if s.failure != nil {
		return fmt.Errorf("reading the issuer's keys: %w", s.failure)
	}
	return err
}

// match looks among the keys at hand.
func (s *keySet) match(id, algorithm string) (any, error) {
	if time.Since(s.read) >= keptFor {
		return nil, errUnknownKey
	}
	var found any
	for _, k := range s.keys {
		if (id != "" && k.id != id) || !k.fits(algorithm) {
			continue
		}
		if found != nil {
			return nil, errAmbiguous
		}
		found = k.public
	}
	if found == nil {
		return nil, errUnknownKey
	}
	return found, nil
}

// begin reads the keys. The caller that is first to need them may be gone before
// they have come; the others still want them.
func (s *keySet) begin(ctx context.Context) {
	done := make(chan struct{})
	s.reading, s.tried = done, time.Now()
	go func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		defer stop()
		keys, err := s.load(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.failure = err; err == nil {
			s.keys, s.read = keys, time.Now()
		}
		s.reading = nil
		close(done)
	}()
}

// signingKey finds the key that a token names.
func (s *issuer) signingKey(ctx context.Context, kid wire.Value, algorithm string) (any, error) {
	id := kid.Text()
	if kid.Exists() && (id == "" || len(id) > maxKeyID) {
		return nil, noGood("the token's key has no proper name", nil)
	}
	key, err := s.keys.find(ctx, id, algorithm)
	switch {
	case errors.Is(err, errUnknownKey), errors.Is(err, errAmbiguous):
		return nil, noGood("the token is signed with a key that its issuer does not have", err)
	case err != nil:
		return nil, unavailable("the issuer "+s.Name+" cannot be reached, so its tokens cannot be checked; try again later", err)
	}
	return key, nil
}

func (s *issuer) loadKeys(ctx context.Context) ([]signingKey, error) {
	place, err := s.endpointOf(ctx, s.JWKSURL, "jwks_uri")
	if err != nil {
		return nil, err
	}
	doc, err := s.document(ctx, place)
	if err != nil {
		return nil, err
	}
	var keys []signingKey
	for item := range doc.Get("keys").Items() {
		// RFC 7517, section 5: keys that are not understood, or are out of the supported
		// range, are ignored.
		if key, ok := parseKey(item); ok && len(keys) < maxKeys {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key among the issuer's that can be used")
	}
	return keys, nil
}

// parseKey reads a JSON Web Key (RFC 7517) that verifies signatures.
func parseKey(v wire.Value) (signingKey, bool) {
	key := signingKey{id: v.Get("kid").Text(), algorithm: v.Get("alg").Text()}
	if use := v.Get("use"); use.Exists() && use.Text() != "sig" {
		return key, false
	}
	if operations := v.Get("key_ops"); operations.Exists() && !contains(operations, "verify") {
		return key, false
	}
	switch v.Get("kty").Text() {
	case "RSA":
		key.public = rsaKey(v)
	case "EC":
		key.public = ecKey(v)
	case "OKP":
		if x, err := base64url.DecodeString(v.Get("x").Text()); err == nil && len(x) == ed25519.PublicKeySize && v.Get("crv").Text() == "Ed25519" {
			key.public = ed25519.PublicKey(x)
		}
	}
	return key, key.public != nil
}

func contains(list wire.Value, text string) bool {
	for item := range list.Items() {
		if item.Text() == text {
			return true
		}
	}
	return false
}

// rsaKey is RFC 7518, section 6.3.1; nil if it cannot be used.
func rsaKey(v wire.Value) any {
	n, err1 := base64url.DecodeString(v.Get("n").Text())
	e, err2 := base64url.DecodeString(v.Get("e").Text())
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	if err1 != nil || err2 != nil || modulus.BitLen() < minRSA || modulus.BitLen() > maxRSA ||
		exponent.BitLen() > 31 || exponent.Int64() < 3 || exponent.Bit(0) == 0 {
		return nil
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}
}

// ecKey is RFC 7518, section 6.2.1; nil if it cannot be used, also if the point is
// not on the curve.
func ecKey(v wire.Value) any {
	curve, known := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[v.Get("crv").Text()]
	x, err1 := base64url.DecodeString(v.Get("x").Text())
	y, err2 := base64url.DecodeString(v.Get("y").Text())
	if !known || err1 != nil || err2 != nil {
		return nil
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return nil
	}
	const uncompressed = 4 // SEC 1, section 2.3.3
	public, err := ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{uncompressed}, x...), y...))
	if err != nil {
		return nil
	}
	return public
}
