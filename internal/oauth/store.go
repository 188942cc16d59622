package oauth

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/config"
)

// Grant is what a principal was granted for one server. Its secrets print as
// "[redacted]" however they are printed.
type Grant struct {
	Principal string
	Server    string // id of the configuration
	URL       string // of the server; a token never goes to another one
	Resource  string // the resource indicator that the token was asked for
	Issuer    string // the authorization server that the token is from

	ClientID   string
	Client     config.Secret `json:"-"` // the client's secret, if a registration gave it one
	AuthMethod string        // how the client authenticates at the token endpoint

	Access  config.Secret `json:"-"` // zero if there is no token
	Refresh config.Secret `json:"-"` // zero if there is none
	Expires time.Time     // of Access; zero if unknown

	Requested []string // scopes that were ever asked for
	Scopes    []string // that were granted
	Wanted    []string // that the server asked for since; the next login asks for them

	// Metadata is where the server said, when it last refused a request, that its
	// metadata is. A login that is not refused itself needs it.
	Metadata string
}

// registration is what an authorization server knows the gateway by. It belongs to
// that server alone: "clients MUST NOT reuse" it for another.
type registration struct {
	Issuer      string
	RedirectURI string
	ClientID    string
	Secret      config.Secret `json:"-"`
	AuthMethod  string
	Expires     time.Time // of Secret; zero if it does not expire
}

// Store keeps grants and registrations in a folder, one encrypted file each. Several
// processes may use one folder.
type Store struct {
	dir string
	key config.Secret

	mu    sync.Mutex // guards what follows
	aead  cipher.AEAD
	inUse map[string][]string // tokens by the file they are from

	secrets atomic.Pointer[[]string]
}

// Secrets are the tokens that clients of this Store use now, so that they can be
// looked for in what passes. The slice is another one when they have changed, and
// must not be changed.
func (s *Store) Secrets() []string {
	if list := s.secrets.Load(); list != nil {
		return *list
	}
	return nil
}

// shortestSecret is the length from which a token is looked for; a shorter one would
// be found in ordinary text.
const shortestSecret = 8

// use notes the tokens of one file.
func (s *Store) use(name string, g *Grant) {
	var tokens []string
	if g != nil {
		for _, t := range []config.Secret{g.Access, g.Refresh, g.Client} {
			if text := open(t); len(text) >= shortestSecret {
				tokens = append(tokens, text)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Equal(s.inUse[name], tokens) {
		return
	}
	if s.inUse == nil {
		s.inUse = map[string][]string{}
	}
	s.inUse[name] = tokens
	all := slices.Concat(slices.Collect(maps.Values(s.inUse))...)
	s.secrets.Store(&all)
}

const (
	keyName  = "key"
	keyBytes = 32
	fileKind = ".grant"
	regKind  = ".client"
	// magic begins each file; the number is that of its form.
	magic = "gatehouse-token-1\n"
	// maxFileBytes of one file: tokens are a few KiB.
	maxFileBytes = 256 << 10
	// minKeyText is the shortest configured key; a guess must not be feasible.
	minKeyText = 16
)

// NewStore makes a Store of a folder. Files are encrypted with key, or, if that is the
// zero Secret, with a key in a file of the folder. Neither the folder nor the key is
// made before there is something to keep.
func NewStore(dir string, key config.Secret) *Store { return &Store{dir: dir, key: key} }

// cipher is made when it is first needed.
func (s *Store) cipher() (cipher.AEAD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aead != nil {
		return s.aead, nil
	}
	secret, err := storeKey(s.dir, s.key)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	s.aead, err = cipher.NewGCMWithRandomNonce(block)
	return s.aead, err
}

func storeKey(dir string, configured config.Secret) ([]byte, error) {
	if !configured.IsZero() {
		text, err := configured.Resolve()
		if err != nil {
			return nil, err
		}
		if len(text) < minKeyText {
			return nil, fmt.Errorf("token_key has %d characters, want at least %d", len(text), minKeyText)
		}
		return hkdf.Key(sha256.New, []byte(text), nil, "gatehouse token store", keyBytes)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, keyName)
	raw, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		fresh := make([]byte, keyBytes)
		rand.Read(fresh)
		if err := writeOnce(path, fresh); err != nil {
			return nil, err
		}
		raw, err = readPrivate(path) // another process may have been first
	}
	if err != nil {
		return nil, err
	}
	if len(raw) != keyBytes {
		return nil, fmt.Errorf("%s is damaged: %d bytes, want %d", path, len(raw), keyBytes)
	}
	return raw, nil
}

// readPrivate reads a file that nobody else may read.
func readPrivate(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	if err := onlyOurs(path, info); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(raw) > maxFileBytes {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFileBytes)
	}
	return raw, err
}

// writeOnce makes a file whole, or leaves the one that is there.
func writeOnce(path string, content []byte) error {
	name, err := writeTemporary(path, content)
	if err != nil {
		return err
	}
	defer os.Remove(name)
	if err := os.Link(name, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// write replaces a file as a whole.
func write(path string, content []byte) error {
	name, err := writeTemporary(path, content)
	if err != nil {
		return err
	}
	if err := os.Rename(name, path); err != nil {
		os.Remove(name)
		return err
	}
	return nil
}

// writeTemporary writes a file beside path, on disk and readable by its owner only.
func writeTemporary(path string, content []byte) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// name is the file of a grant. What it stands for is not to be read from it.
func (s *Store) name(kind string, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16]) + kind
}

func (s *Store) grantName(principal, server, url string) string {
	return s.name(fileKind, principal, server, url)
}

// load decrypts a file into what; the error wraps fs.ErrNotExist if there is none.
// A file that lies under another name is refused: the name is authenticated too.
func (s *Store) load(name string, what any) error {
	raw, err := readPrivate(filepath.Join(s.dir, name))
	if err != nil {
		return err
	}
	sealed, ok := strings.CutPrefix(string(raw), magic)
	if !ok {
		return fmt.Errorf("%s is no file of the token store, or of a later version", name)
	}
	aead, err := s.cipher()
	if err != nil {
		return err
	}
	plain, err := aead.Open(nil, nil, []byte(sealed), []byte(magic+name))
	if err != nil {
		return fmt.Errorf("%s cannot be decrypted; was it encrypted with another token_key?", name)
	}
	return json.Unmarshal(plain, what) // our own, and authenticated
}

func (s *Store) save(name string, what any) error {
	plain, err := json.Marshal(what)
	if err != nil {
		return err
	}
	aead, err := s.cipher()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	return write(filepath.Join(s.dir, name), aead.Seal([]byte(magic), nil, plain, []byte(magic+name)))
}

// storedGrant is a Grant with its secrets open. It exists only on its way into
// encryption and out of it.
type storedGrant struct {
	Grant
	ClientSecret, AccessToken, RefreshToken string
}

// Grant is what the principal was granted for a server, nil if nothing.
func (s *Store) Grant(principal, server, url string) (*Grant, error) {
	g, err := s.read(s.grantName(principal, server, url))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a stored token: %w", err)
	}
	if g.Principal != principal || g.Server != server || g.URL != url {
		return nil, errors.New("reading a stored token: it is for another server")
	}
	return g, nil
}

func (s *Store) read(name string) (*Grant, error) {
	var stored storedGrant
	if err := s.load(name, &stored); err != nil {
		return nil, err
	}
	g := stored.Grant
	g.Client, g.Access, g.Refresh = seal(stored.ClientSecret), seal(stored.AccessToken), seal(stored.RefreshToken)
	return &g, nil
}

// Save stores a grant in the place of the one before.
func (s *Store) Save(g *Grant) error {
	stored := storedGrant{Grant: *g, ClientSecret: open(g.Client), AccessToken: open(g.Access), RefreshToken: open(g.Refresh)}
	if err := s.save(s.grantName(g.Principal, g.Server, g.URL), stored); err != nil {
		return fmt.Errorf("storing a token: %w", err)
	}
	return nil
}

// Grants lists everything that is stored, by server and principal. What cannot be
// read is an error beside the rest.
func (s *Store) Grants() ([]*Grant, error) {
	names, err := filepath.Glob(filepath.Join(s.dir, "*"+fileKind))
	if err != nil {
		return nil, err
	}
	var list []*Grant
	var problems []error
	for _, name := range names {
		g, err := s.read(filepath.Base(name))
		if err != nil {
			problems = append(problems, fmt.Errorf("reading a stored token: %w", err))
			continue
		}
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b *Grant) int {
		return cmp.Or(cmp.Compare(a.Server, b.Server), cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.URL, b.URL))
	})
	return list, errors.Join(problems...)
}

// Forget removes what the principal was granted for a server: under this URL, even if
// it cannot be read, and under every other URL that the server had before. What else
// cannot be read is an error, since it may be one of those.
func (s *Store) Forget(principal, server, url string) (removed int, err error) {
	remove := func(name string) {
		e := os.Remove(filepath.Join(s.dir, name))
		switch {
		case e == nil:
			removed++
		case !errors.Is(e, fs.ErrNotExist):
			err = errors.Join(err, fmt.Errorf("removing a stored token: %w", e))
		}
	}
	remove(s.grantName(principal, server, url))
	grants, problems := s.Grants()
	for _, g := range grants {
		if g.Principal == principal && g.Server == server {
			remove(s.grantName(g.Principal, g.Server, g.URL))
		}
	}
	return removed, errors.Join(err, problems)
}

type storedRegistration struct {
	registration
	ClientSecret string
}

// registered is the registration at an authorization server for a redirect URI, nil
// if there is none that is still good.
func (s *Store) registered(issuer, redirectURI string) (*registration, error) {
	var stored storedRegistration
	err := s.load(s.name(regKind, issuer), &stored)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a stored registration: %w", err)
	}
	r := stored.registration
	r.Secret = seal(stored.ClientSecret)
	if r.Issuer != issuer || r.RedirectURI != redirectURI || (!r.Expires.IsZero() && time.Now().After(r.Expires)) {
		return nil, nil
	}
	return &r, nil
}

func (s *Store) register(r *registration) error {
	if err := s.save(s.name(regKind, r.Issuer), storedRegistration{*r, open(r.Secret)}); err != nil {
		return fmt.Errorf("storing a registration: %w", err)
	}
	return nil
}

// lock lets one process at a time change a grant, so that a refresh token that may
// be used once is used once.
func (s *Store) lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("locking a stored token: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(s.dir, name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking a stored token: %w", err)
	}
	again := time.NewTicker(lockPause)
	defer again.Stop()
	for {
		err := tryLock(f)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, errHeld) {
			f.Close()
			return nil, fmt.Errorf("locking a stored token: %w", err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-again.C:
		}
	}
}

// lockPause is how long another process is given before it is asked again.
const lockPause = 20 * time.Millisecond

var errHeld = errors.New("another process holds it")

// seal makes a Secret; that of an empty text is the zero Secret.
func seal(text string) config.Secret {
	if text == "" {
		return config.Secret{}
	}
	return config.NewSecret(text)
}

// open is the value of a Secret that seal made.
func open(s config.Secret) string {
	text, _ := s.Resolve() // a value at hand has no error
	return text
}
