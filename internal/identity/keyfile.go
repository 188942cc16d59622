package identity

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"slices"
	"time"

	"gatehouse/internal/statefile"
	"gatehouse/internal/wire"
)

const (
	// maxAPIKeys bounds the keys of one file, those that ended included.
	maxAPIKeys = 50_000
	// maxKeyBytes bounds the file; a key takes about 300 bytes.
	maxKeyBytes = 32 << 20
	// keysVersion is the form of the file.
	keysVersion = 1
)

var keyLimits = wire.Limits{Bytes: maxKeyBytes, Depth: 8, Items: maxAPIKeys, Members: 20, Strings: 40 * maxAPIKeys}

// Key is what is kept of an API key. The key itself cannot be made of it.
type Key struct {
	Name    string // of the principal, key:NAME; the keys of a rotation share it
	Shown   string // the part that may be seen, "gh_" and eight characters
	Digest  [sha256.Size]byte
	Teams   []string
	Scopes  []string
	Created time.Time
	Expires time.Time // zero: never
	Revoked time.Time // zero: it was not
}

// Good reports whether the key is taken at a time.
func (k Key) Good(at time.Time) bool {
	return k.Revoked.IsZero() && (k.Expires.IsZero() || at.Before(k.Expires))
}

// storedKey is a Key in the file. The names are stable.
type storedKey struct {
	Name    string     `json:"name"`
	Shown   string     `json:"key"`
	Digest  string     `json:"sha256"`
	Teams   []string   `json:"teams,omitempty"`
	Scopes  []string   `json:"scopes,omitempty"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`
	Revoked *time.Time `json:"revoked,omitempty"`
}

// ReadKeys reads the keys of a file, in the order in which they were made. A file
// that others can change is refused: whoever adds a line can be anybody.
func ReadKeys(path string) ([]Key, error) {
	raw, err := readKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading API keys: %w", err)
	}
	keys, err := parseKeys(raw)
	if err != nil {
		return nil, fmt.Errorf("reading API keys: %s: %w", path, err)
	}
	return keys, nil
}

func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("%s has mode %04o and can be changed by others; run chmod 600 on it", path, info.Mode().Perm())
	case info.Size() > maxKeyBytes:
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxKeyBytes)
	}
	return io.ReadAll(io.LimitReader(f, maxKeyBytes+1))
}

var shownForm = regexp.MustCompile(`^gh_[0-9A-Za-z]{8}$`)

func parseKeys(raw []byte) ([]Key, error) {
	doc, err := wire.Scan(raw, keyLimits)
	if err != nil {
		return nil, err
	}
	if version, ok := doc.Root.Get("version").Int(); !ok || version != keysVersion {
		return nil, errors.New("this is no file of API keys that this version of Gatehouse understands")
	}
	var file struct {
		Version int         `json:"version"`
		Keys    []storedKey `json:"keys"`
	}
	decoder := json.NewDecoder(bytes.NewReader(raw)) // scanned strictly above
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	var keys []Key
	seen := make(map[string]bool, len(file.Keys))
	for _, stored := range file.Keys {
		key, err := stored.key()
		if err != nil {
			return nil, err
		}
		if seen[key.Shown] {
			return nil, fmt.Errorf("%s stands there twice", key.Shown)
		}
		seen[key.Shown] = true
		keys = append(keys, key)
	}
	return keys, nil
}

func (s storedKey) key() (Key, error) {
	k := Key{Name: s.Name, Shown: s.Shown, Teams: s.Teams, Scopes: s.Scopes, Created: s.Created}
	sum, err := hex.DecodeString(s.Digest)
	if err != nil || len(sum) != len(k.Digest) || !shownForm.MatchString(s.Shown) || !isKeyName(s.Name) {
		return k, fmt.Errorf("the key %.20q is not as Gatehouse writes it", s.Shown)
	}
	copy(k.Digest[:], sum)
	// A time that is there and zero would mean the opposite of what it says.
	if s.Expires != nil {
		if k.Expires = *s.Expires; k.Expires.IsZero() {
			return k, fmt.Errorf("%s has no proper time in expires", s.Shown)
		}
	}
	if s.Revoked != nil {
		if k.Revoked = *s.Revoked; k.Revoked.IsZero() {
			return k, fmt.Errorf("%s has no proper time in revoked", s.Shown)
		}
	}
	return k, nil
}

func (k Key) stored() storedKey {
	s := storedKey{Name: k.Name, Shown: k.Shown, Digest: hex.EncodeToString(k.Digest[:]), Teams: k.Teams, Scopes: k.Scopes, Created: k.Created}
	if !k.Expires.IsZero() {
		s.Expires = &k.Expires
	}
	if !k.Revoked.IsZero() {
		s.Revoked = &k.Revoked
	}
	return s
}

var (
	// ErrKeyExists says that a key of the name was made before. A name is used once:
	// what was granted to one principal must not fall to another.
	ErrKeyExists = errors.New("there is or was a key of this name")
	// ErrKeyName says that a text cannot name a key.
	ErrKeyName = errors.New("a name is one printable word without slash and colon")
	// ErrNoKey says that there is no such key.
	ErrNoKey = errors.New("there is no such key")
)

// CreateKey makes a key with the name, teams, scopes and end of k and adds it to the
// file, which is made if there is none. The key is returned here and never again.
func CreateKey(path string, k Key) (secret string, made Key, err error) {
	if !isKeyName(k.Name) {
		return "", Key{}, ErrKeyName
	}
	err = changeKeys(path, func(keys []Key) ([]Key, error) {
		if slices.ContainsFunc(keys, func(other Key) bool { return other.Name == k.Name }) {
			return nil, ErrKeyExists
		}
		if secret, made, err = forge(keys, k); err != nil {
			return nil, err
		}
		return append(keys, made), nil
	})
	if err != nil {
		return "", Key{}, err
	}
	return secret, made, nil
}

// RotateKey makes a further key for a name, with the rights of the newest one. The
// keys from before end after overlap, or when they would have ended if that is
// sooner. expires is the end of the new one; zero: it has none.
func RotateKey(path, name string, overlap time.Duration, expires time.Time) (secret string, made Key, err error) {
	now := time.Now().UTC().Truncate(time.Second)
	err = changeKeys(path, func(keys []Key) ([]Key, error) {
		newest := -1
		for n := range keys {
			if keys[n].Name != name || !keys[n].Good(now) {
				continue
			}
			newest = n
			if end := now.Add(overlap); keys[n].Expires.IsZero() || keys[n].Expires.After(end) {
				keys[n].Expires = end
			}
		}
		if newest < 0 {
			return nil, ErrNoKey
		}
		k := keys[newest]
		k.Expires = expires
		if secret, made, err = forge(keys, k); err != nil {
			return nil, err
		}
		return append(keys, made), nil
	})
	if err != nil {
		return "", Key{}, err
	}
	return secret, made, nil
}

// RevokeKey ends all keys of a name, or the one whose visible part is given, and
// returns how many it ended.
func RevokeKey(path, which string) (revoked int, err error) {
	now := time.Now().UTC().Truncate(time.Second)
	err = changeKeys(path, func(keys []Key) ([]Key, error) {
		known := false
		for n := range keys {
			if keys[n].Name != which && keys[n].Shown != which {
				continue
			}
			known = true
			if keys[n].Revoked.IsZero() {
				keys[n].Revoked = now
				revoked++
			}
		}
		if !known {
			return nil, ErrNoKey
		}
		return keys, nil
	})
	return revoked, err
}

// forge makes a key whose visible part no other has.
func forge(keys []Key, k Key) (secret string, made Key, err error) {
	if len(keys) >= maxAPIKeys {
		return "", Key{}, fmt.Errorf("the file holds %d keys already", maxAPIKeys)
	}
	for {
		if secret, err = newKey(); err != nil {
			return "", Key{}, err
		}
		if shown := secret[:shownLength]; !slices.ContainsFunc(keys, func(other Key) bool { return other.Shown == shown }) {
			k.Shown, k.Digest = shown, sha256.Sum256([]byte(secret))
			k.Created, k.Revoked = time.Now().UTC().Truncate(time.Second), time.Time{}
			return secret, k, nil
		}
	}
}

// changeKeys replaces the file by what change makes of its keys. No other process
// changes it in between.
func changeKeys(path string, change func([]Key) ([]Key, error)) error {
	unlock, err := statefile.LockWait(path + ".lock")
	if err != nil {
		return fmt.Errorf("writing API keys: %w", err)
	}
	defer unlock()
	keys, err := ReadKeys(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if keys, err = change(keys); err != nil {
		return err
	}
	stored := make([]storedKey, len(keys))
	for n, k := range keys {
		stored[n] = k.stored()
	}
	raw, err := json.MarshalIndent(map[string]any{"version": keysVersion, "keys": stored}, "", " ")
	if err == nil {
		err = statefile.Replace(path, append(raw, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing API keys: %w", err)
	}
	return nil
}
