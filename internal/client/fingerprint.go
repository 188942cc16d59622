package client

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

// Fingerprints tells values apart without saying what they are. Under one key the
// same value has the same fingerprint, so that one secret in two servers is seen;
// without the key nobody can try values until one fits.
type Fingerprints struct{ key []byte }

// NewFingerprints uses a key, or, without one, a random key: fingerprints are then
// equal within one report only.
func NewFingerprints(key []byte) *Fingerprints {
	if len(key) == 0 {
		key = make([]byte, sha256.Size)
		rand.Read(key) // never fails
	}
	return &Fingerprints{key}
}

// fingerprintBytes is enough to tell the values of one machine apart.
const fingerprintBytes = 6

// Of is the fingerprint of a value.
func (p *Fingerprints) Of(value string) string {
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(value))
	return hex.EncodeToString(mac.Sum(nil)[:fingerprintBytes])
}
