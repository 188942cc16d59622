package report

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/statefile"
)

const (
	// maxLastBytes bounds what is kept of one scan: some 300 bytes for each finding.
	maxLastBytes = 16 << 20
	// maxKept bounds the scans that are kept: one for each set of places. The oldest go.
	maxKept = 50

	keyFile = "key"
)

// Store keeps, for whoever scans, the last scan of each set of places, and the key under
// which values of secrets have the same fingerprint from one scan to the next.
type Store struct {
	dir string
	key []byte
}

// OpenStore opens the store in a folder, and makes what is not there. All of it can be
// read by its owner only.
func OpenStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("preparing the folder of scans: %w", err)
	}
	unlock, err := statefile.LockWait(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("opening the folder of scans: %w", err)
	}
	defer unlock()
	s := &Store{dir: dir}
	path := filepath.Join(dir, keyFile)
	s.key, err = statefile.Read(path, sha256.Size)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.key = make([]byte, sha256.Size)
		rand.Read(s.key) // never fails
		err = statefile.Replace(path, s.key)
	case err == nil:
		err = guarded(path, s.key)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key of fingerprints: %w", err)
	}
	return s, nil
}

// guarded refuses a key that somebody else can read: with it, values of secrets could be
// tried until one fits.
func guarded(path string, key []byte) error {
	if len(key) != sha256.Size {
		return fmt.Errorf("%s has %d bytes, expected %d; remove it, and the next scan makes another", path, len(key), sha256.Size)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 && os.PathSeparator == '/' {
		return fmt.Errorf("%s can be read by others (%v); remove it, and the next scan makes another", path, perm)
	}
	return nil
}

// Key is for client.NewFingerprints.
func (s *Store) Key() []byte { return s.key }

// file is where a scan of these places is kept.
func (s *Store) file(places []string) string {
	return filepath.Join(s.dir, "last-"+check.Bind(places...)+".json")
}

// Last is the last scan of the same places, and nil if there was none.
func (s *Store) Last(places []string) (*Last, error) {
	path := s.file(places)
	raw, err := statefile.Read(path, maxLastBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the last scan: %w", err)
	}
	var l Last
	err = json.Unmarshal(raw, &l)
	if err == nil && l.Schema != lastSchema {
		err = fmt.Errorf("it is in the form %.40q, expected %q", l.Schema, lastSchema)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the last scan: %s: %w; remove it, and the next scan makes another", path, err)
	}
	return &l, nil
}

// Keep keeps a report for the next scan of the same places.
func (s *Store) Keep(places []string, r *Report) error {
	raw, err := json.Marshal(r.Last())
	if err != nil {
		return fmt.Errorf("keeping the scan: %w", err)
	}
	if len(raw) > maxLastBytes {
		return fmt.Errorf("keeping the scan: it takes %d bytes, want at most %d", len(raw), maxLastBytes)
	}
	if err := statefile.Replace(s.file(places), raw); err != nil {
		return fmt.Errorf("keeping the scan: %w", err)
	}
	return s.prune()
}

// prune removes the oldest scans beyond maxKept.
func (s *Store) prune() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("keeping the scan: %w", err)
	}
	var kept []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), "last-") && info.Mode().IsRegular() {
			kept = append(kept, info)
		}
	}
	slices.SortFunc(kept, func(a, b fs.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, info := range kept[min(len(kept), maxKept):] {
		if err := os.Remove(filepath.Join(s.dir, info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keeping the scan: %w", err)
		}
	}
	return nil
}
