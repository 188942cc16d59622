package advisory

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/internal/statefile"
)

// DefaultURL is where OSV publishes an archive for each ecosystem.
const DefaultURL = "https://osv-vulnerabilities.storage.googleapis.com"

const (
	// maxArchiveBytes bounds what is fetched for one ecosystem.
	maxArchiveBytes = 1 << 30
	// maxSignatureBytes and maxKeyBytes bound two small files.
	maxSignatureBytes, maxKeyBytes = 4 << 10, 16 << 10
)

// Update says from where a snapshot is made anew.
type Update struct {
	// From is a URL or a file: a snapshot of ours, an archive of OSV for one ecosystem, or
	// what DefaultURL is, a place with NAME/all.zip for each ecosystem.
	From string
	// Ecosystems are asked for at such a place; all if empty.
	Ecosystems []Ecosystem
	// Key is the file with the public Ed25519 key (PEM) that must have signed a snapshot;
	// the signature is expected at From + ".sig". Archives of OSV are not signed.
	Key string
	// Force takes a snapshot that is older or much smaller than the one before.
	Force bool
	// Client is http.DefaultClient if nil.
	Client *http.Client
	// Progress is told what is being done; nil for silence.
	Progress func(string)
	Now      time.Time
}

// Run makes the snapshot at path anew and returns it. The old one stays if anything is
// wrong with the new one.
func (u Update) Run(ctx context.Context, path string) (*Snapshot, error) {
	raw, err := u.make(ctx)
	if err != nil {
		return nil, err
	}
	made, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	if err := u.compare(path, made); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := statefile.Replace(path, raw); err != nil {
		return nil, fmt.Errorf("writing advisories: %w", err)
	}
	return made, nil
}

// compare refuses what an attacker on the way, or a broken mirror, would hand out: an old
// snapshot in which the new faults are missing, or a part of one.
func (u Update) compare(path string, made *Snapshot) error {
	if u.Force {
		return nil
	}
	old, err := Open(path)
	if err != nil {
		return nil // there is none, or none worth keeping
	}
	for _, before := range old.Sources {
		f, covered := made.Of(before.Ecosystem)
		switch {
		case !covered:
			return fmt.Errorf("it has nothing of %s, which the one that is here has; --force takes it all the same", before.Ecosystem)
		case f.Newest.Before(before.Newest):
			return fmt.Errorf("of %s it ends on %s and the one that is here on %s; --force takes it all the same", f.Ecosystem, day(f.Newest), day(before.Newest))
		case 2*f.Advisories < before.Advisories:
			return fmt.Errorf("of %s it has %d advisories and the one that is here %d; --force takes it all the same", f.Ecosystem, f.Advisories, before.Advisories)
		}
	}
	return nil
}

func day(t time.Time) string { return t.Format(time.DateOnly) }

func (u Update) make(ctx context.Context) ([]byte, error) {
	from := u.From
	if from == "" {
		from = DefaultURL
	}
	if e, isArchive := archiveOf(from); isArchive {
		return u.collect(ctx, map[Ecosystem]string{e: from}, []Ecosystem{e})
	}
	if info, err := os.Stat(from); isURL(from) && path.Ext(from) != ".advisories" || err == nil && info.IsDir() {
		places, list := map[Ecosystem]string{}, u.Ecosystems
		if len(list) == 0 {
			list = Ecosystems()
		}
		for _, e := range list {
			places[e] = strings.TrimRight(from, "/") + "/" + string(e) + "/all.zip"
		}
		return u.collect(ctx, places, list)
	}
	return u.snapshot(ctx, from)
}

// archiveOf is the ecosystem of an archive, by the folder in which OSV keeps it or by its
// name: npm/all.zip, npm.zip.
func archiveOf(from string) (Ecosystem, bool) {
	slashed := filepath.ToSlash(from)
	for _, e := range Ecosystems() {
		if strings.HasSuffix(slashed, "/"+string(e)+"/all.zip") || path.Base(slashed) == string(e)+".zip" {
			return e, true
		}
	}
	return "", false
}

func isURL(s string) bool { return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") }

// collect makes a snapshot of archives.
func (u Update) collect(ctx context.Context, places map[Ecosystem]string, list []Ecosystem) ([]byte, error) {
	if u.Key != "" {
		return nil, errors.New("archives of OSV are not signed; --key belongs to a snapshot of Gatehouse (NAME.advisories)")
	}
	h := Header{Made: u.Now.UTC().Truncate(time.Second)}
	packages := map[string][]Advisory{}
	for _, e := range list {
		c := &collection{packages: packages, from: From{Ecosystem: e, From: shown(places[e])}}
		u.tell("reading %s from %s", e, c.from.From)
		if err := u.read(ctx, c, places[e]); err != nil {
			return nil, fmt.Errorf("%s: %w", e, err)
		}
		h.Sources = append(h.Sources, c.from)
		if c.from.Newest.After(h.Newest) {
			h.Newest = c.from.Newest
		}
	}
	return write(h, packages)
}

func (u Update) read(ctx context.Context, c *collection, place string) error {
	file, err := os.CreateTemp("", "gatehouse-advisories-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	in, err := u.open(ctx, place)
	if err != nil {
		return err
	}
	defer in.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(file, sum), io.LimitReader(in, maxArchiveBytes+1))
	if err != nil {
		return fmt.Errorf("fetching %s: %w", c.from.From, err)
	}
	if n > maxArchiveBytes {
		return fmt.Errorf("%s is larger than %d bytes", c.from.From, int64(maxArchiveBytes))
	}
	c.from.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return c.archive(file, n)
}

// snapshot takes a snapshot that somebody else made, and checks who.
func (u Update) snapshot(ctx context.Context, from string) ([]byte, error) {
	u.tell("reading %s", shown(from))
	raw, err := u.all(ctx, from, maxSnapshotBytes)
	if err != nil {
		return nil, err
	}
	if u.Key == "" {
		return raw, nil
	}
	key, err := readKey(u.Key)
	if err != nil {
		return nil, err
	}
	signature, err := u.all(ctx, from+".sig", maxSignatureBytes)
	if err != nil {
		return nil, fmt.Errorf("reading its signature: %w", err)
	}
	if decoded, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(signature))); err == nil {
		signature = decoded
	}
	if !ed25519.Verify(key, raw, signature) {
		return nil, errors.New("its signature is not of this key")
	}
	return raw, nil
}

func readKey(path string) (ed25519.PublicKey, error) {
	text, err := statefile.Read(path, maxKeyBytes)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("reading the key: %s is not PEM", path)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	public, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("reading the key: %s is not an Ed25519 key", path)
	}
	return public, nil
}

func (u Update) all(ctx context.Context, from string, most int64) ([]byte, error) {
	in, err := u.open(ctx, from)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	raw, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", shown(from), err)
	}
	if int64(len(raw)) > most {
		return nil, fmt.Errorf("%s is larger than %d bytes", shown(from), most)
	}
	return raw, nil
}

func (u Update) open(ctx context.Context, place string) (io.ReadCloser, error) {
	if !isURL(place) {
		info, err := os.Stat(place)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is not a file", place)
		}
		return os.Open(place)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, place, nil)
	if err != nil {
		return nil, fmt.Errorf("%s is not a URL", shown(place))
	}
	client := u.Client
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(request)
	if err != nil {
		// A *url.Error repeats the URL, with what is secret in its query.
		if failed := (*url.Error)(nil); errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, fmt.Errorf("fetching %s: %w", shown(place), err)
	}
	if answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		return nil, fmt.Errorf("%s answers %s", shown(place), answer.Status)
	}
	return answer.Body, nil
}

// shown is a place without a password.
func shown(place string) string {
	if !isURL(place) {
		return place
	}
	u, err := url.Parse(place)
	if err != nil {
		return "the place that was named"
	}
	u.RawQuery = ""
	return u.Redacted()
}

func (u Update) tell(format string, args ...any) {
	if u.Progress != nil {
		u.Progress(fmt.Sprintf(format, args...))
	}
}
