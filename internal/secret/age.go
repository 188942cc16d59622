package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"filippo.io/age"

	"gatehouse/internal/statefile"
)

// Age keeps each secret in a file of its own, encrypted with age.
type Age struct {
	Dir      string // of the files
	Identity string // the file with the key
}

var _ Store = Age{}

// IdentityFile is where the key is that decrypts age files: the file that the
// variable GATEHOUSE_AGE_IDENTITY names, else age-identity.txt in the user's
// configuration folder.
func IdentityFile() (string, error) {
	if path := os.Getenv("GATEHOUSE_AGE_IDENTITY"); path != "" {
		return filepath.Abs(path)
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("finding the age identity: %w", err)
	}
	return filepath.Join(dir, "gatehouse", "age-identity.txt"), nil
}

func (a Age) path(name string) string { return filepath.Join(a.Dir, filepath.FromSlash(name)+".age") }

// Reference is age:PATH, with the whole path.
func (a Age) Reference(name string) string { return "age:" + a.path(name) }

// Get reads a secret.
func (a Age) Get(name string) (string, error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	value, err := Decrypt(a.path(name), a.Identity)
	if errors.Is(err, fs.ErrNotExist) {
		if _, missing := os.Stat(a.path(name)); missing != nil {
			return "", fmt.Errorf("%s: %w", a.path(name), ErrNotFound)
		}
	}
	return value, err
}

// Set keeps a secret. The key is made if there is none yet.
func (a Age) Set(name, value string) error {
	if err := check(name, value); err != nil {
		return err
	}
	identity, err := EnsureIdentity(a.Identity)
	if err != nil {
		return err
	}
	sealed, err := Seal([]byte(value), identity)
	if err != nil {
		return err
	}
	path := a.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keeping a secret: %w", err)
	}
	if err := statefile.Replace(path, sealed); err != nil {
		return fmt.Errorf("keeping a secret: %w", err)
	}
	return nil
}

// Delete forgets a secret.
func (a Age) Delete(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := os.Remove(a.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting a secret: %w", err)
	}
	return nil
}

// maxIdentity bounds a file of keys; a key has a hundred bytes.
const maxIdentity = 64 << 10

// Decrypt reads a file that was encrypted for one of the keys in the file identity.
func Decrypt(path, identity string) (string, error) {
	keys, err := readIdentities(identity)
	if err != nil {
		return "", err
	}
	// What age adds to a secret is a header and a few bytes for each piece.
	sealed, err := statefile.Read(path, 2*maxBytes)
	if err != nil {
		return "", fmt.Errorf("reading a secret: %w", err)
	}
	value, err := open(sealed, maxBytes, keys)
	if err != nil {
		return "", fmt.Errorf("reading a secret: %s: %w", path, err)
	}
	if len(value) == 0 {
		return "", fmt.Errorf("reading a secret: %s is empty", path)
	}
	return string(value), nil
}

func readIdentities(path string) ([]age.Identity, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the age identity: %w", err)
	}
	// A key that others can read opens everything to them. SSH treats its keys the
	// same way.
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, fmt.Errorf("reading the age identity: %s has mode %04o and can be used by others; run chmod 600 on it", path, mode)
	}
	raw, err := statefile.Read(path, maxIdentity)
	if err != nil {
		return nil, fmt.Errorf("reading the age identity: %w", err)
	}
	keys, err := age.ParseIdentities(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("reading the age identity: %s is no list of age keys", path) // the error may repeat one
	}
	return keys, nil
}

// EnsureIdentity is the first key of a file, which is made with a fresh key if it is
// not there.
func EnsureIdentity(path string) (key string, err error) {
	_, err = os.Stat(path)
	if err == nil {
		keys, err := readIdentities(path)
		if err != nil {
			return "", err
		}
		for _, k := range keys {
			if x, ok := k.(*age.X25519Identity); ok {
				return x.String(), nil
			}
		}
		return "", fmt.Errorf("reading the age identity: %s has no key that begins with AGE-SECRET-KEY-1", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the age identity: %w", err)
	}
	key, err = NewIdentity()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("making an age identity: %w", err)
	}
	if err = keepIdentity(path, key); errors.Is(err, fs.ErrExist) {
		return EnsureIdentity(path)
	}
	if err != nil {
		return "", fmt.Errorf("making an age identity: %w", err)
	}
	return key, nil
}

// keepIdentity writes a key: whole, so that a crash leaves no file without one, and never
// in the place of a file that came meanwhile, as what was encrypted for its key would be lost.
func keepIdentity(path, key string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".gatehouse-*.tmp") // of mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = fmt.Fprintf(file, "# The key to the secrets that Gatehouse keeps. Whoever has it can read them.\n%s\n", key)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Link(file.Name(), path)
}

// NewIdentity is a fresh key.
func NewIdentity() (string, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return "", fmt.Errorf("making an age identity: %w", err)
	}
	return identity.String(), nil
}

// Seal encrypts for a key.
func Seal(plain []byte, key string) ([]byte, error) {
	identity, err := age.ParseX25519Identity(key)
	if err != nil {
		return nil, errors.New("the age identity is no key")
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, identity.Recipient())
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	return out.Bytes(), nil
}

// Open decrypts at most limit bytes that Seal encrypted for a key.
func Open(sealed []byte, limit int64, key string) ([]byte, error) {
	identity, err := age.ParseX25519Identity(key)
	if err != nil {
		return nil, errors.New("the age identity is no key")
	}
	return open(sealed, limit, []age.Identity{identity})
}

func open(sealed []byte, limit int64, keys []age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), keys...)
	if err != nil {
		return nil, fmt.Errorf("decrypting: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("decrypting: %w", err)
	}
	if int64(len(plain)) > limit {
		return nil, fmt.Errorf("decrypting: more than %d bytes", limit)
	}
	return plain, nil
}
