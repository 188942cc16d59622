package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"strings"
	"sync"
	"time"
)

// An API key is "gh_", eight characters that may be seen and say which key it is,
// "_", 43 characters with 256 random bits, and six with a checksum of everything
// before. What is kept of it is its SHA-256: there is nothing to guess from that.
const (
	keyPrefix      = "gh_"
	visibleLength  = 8
	secretLength   = 43
	checksumLength = 6
	keyLength      = len(keyPrefix) + visibleLength + len("_") + secretLength + checksumLength
	shownLength    = len(keyPrefix) + visibleLength
)

// base62 is the alphabet of keys: a double click selects a whole one.
const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newKey makes an API key.
func newKey() (string, error) {
	text, err := randomText(visibleLength + secretLength)
	if err != nil {
		return "", err
	}
	key := keyPrefix + text[:visibleLength] + "_" + text[visibleLength:]
	return key + checksum(key), nil
}

func randomText(length int) (string, error) {
	out := make([]byte, length)
	for n := range out {
		at, err := rand.Int(rand.Reader, big.NewInt(int64(len(base62))))
		if err != nil {
			return "", fmt.Errorf("making a key: %w", err)
		}
		out[n] = base62[at.Int64()]
	}
	return string(out), nil
}

// checksum tells a key that was cut off or mistyped from one that is wrong, and lets
// scanners recognise a key in what was not meant to hold one.
func checksum(text string) string {
	sum := crc32.ChecksumIEEE([]byte(text))
	out := [checksumLength]byte{}
	for n := len(out) - 1; n >= 0; n-- {
		out[n], sum = base62[sum%62], sum/62
	}
	return string(out[:])
}

func hasChecksum(key string) bool {
	return len(key) == keyLength && checksum(key[:keyLength-checksumLength]) == key[keyLength-checksumLength:]
}

// lookEvery is how soon a key that another process made or revoked is noticed.
const lookEvery = time.Second

// keyRing identifies callers by the keys of a file.
type keyRing struct {
	path  string
	teams membership
	log   *slog.Logger

	mu      sync.Mutex // guards what follows
	looked  time.Time  // when the file was last looked at
	file    fs.FileInfo
	byShown map[string]*knownKey
	failure error // why the file cannot be used; then no key is good
}

// knownKey is what a key is compared with.
type knownKey struct {
	Key
	principal *Principal
}

// identify finds the key. The time that takes depends on neither the number of keys
// nor on how much of the key is right.
func (k *keyRing) identify(text string) (*Principal, error) {
	if !hasChecksum(text) {
		return nil, noGood("the API key is not complete; it was cut off or mistyped", nil)
	}
	now := time.Now()
	found, err := k.find(text[:shownLength], now)
	if err != nil {
		return nil, unavailable("API keys cannot be checked now", err)
	}
	sum := sha256.Sum256([]byte(text))
	same := subtle.ConstantTimeCompare(sum[:], found.Digest[:]) == 1
	switch {
	case !same:
		return nil, noGood("there is no such API key", nil)
	case !found.Revoked.IsZero():
		return nil, noGood("the API key was revoked", nil)
	case !found.Expires.IsZero() && !now.Before(found.Expires):
		return nil, noGood("the API key has expired", nil)
	}
	return found.principal, nil
}

// nobody is compared with where there is no key of the visible part.
var nobody knownKey

func (k *keyRing) find(shown string, now time.Time) (*knownKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.looked) >= lookEvery {
		k.look()
		k.looked = now
	}
	if k.failure != nil {
		return nil, k.failure
	}
	if found := k.byShown[shown]; found != nil {
		return found, nil
	}
	return &nobody, nil
}

// look reads the file again if it is another one. The caller holds mu.
func (k *keyRing) look() {
	info, err := os.Stat(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		k.file, k.byShown, k.failure = nil, nil, nil // no key was made yet, or all are gone
		return
	}
	if err == nil && k.failure == nil && sameFile(info, k.file) {
		return
	}
	keys, err := ReadKeys(k.path)
	if err != nil {
		if k.failure == nil {
			k.log.Error("API keys cannot be used", "error", err)
		}
		// The keys from before may hold one that was revoked since.
		k.file, k.byShown, k.failure = nil, nil, err
		return
	}
	k.file, k.failure, k.byShown = info, nil, make(map[string]*knownKey, len(keys))
	for _, key := range keys {
		p := &Principal{ID: "key:" + key.Name, Kind: Agent, Name: key.Name, Teams: key.Teams, Scopes: key.Scopes, Means: ByKey, Expires: key.Expires}
		k.byShown[key.Shown] = &knownKey{key, k.teams.join(p)}
	}
}

// sameFile tells whether a file was written anew. It is then another file under the
// same name, even if its size and, on a coarse clock, its time are the same.
func sameFile(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// isKeyName reports whether a text can name an API key.
func isKeyName(name string) bool { return isName(name) && !strings.ContainsAny(name, "/: ") }
