package protect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/config"
	"gatehouse/internal/secret"
	"gatehouse/internal/statefile"
)

// Journal is what was changed, in the state folder. It holds what stood in the files,
// secrets included, so it is encrypted with a key that is kept where the secrets are.
type Journal struct {
	Dir string // state/protect
	// Stores are where secrets may be, by the name that the record has for them. The key
	// of the record is in one of them.
	Stores map[string]secret.Store
	// Default is the store for a record that is made now.
	Default string
}

// keyName is the name of the key of the record in a store.
const keyName = "protect/record-key"

// maxRecord bounds the record: two times the text of what was changed.
const maxRecord = 64 << 20

// envelope is the file that holds the record.
type envelope struct {
	Schema string `json:"schema"`
	Key    string `json:"key"` // the store that has the key
	Sealed []byte `json:"sealed"`
}

const recordSchema = "gatehouse.protect-record/1"

type record struct {
	Files []*fileRecord `json:"files"`
}

type fileRecord struct {
	Path     string          `json:"path"`
	Target   string          `json:"target"` // links resolved
	Format   config.Format   `json:"format"`
	Clients  []string        `json:"clients"`
	Original string          `json:"original"` // digest of the file before the first change
	Backup   string          `json:"backup"`   // name of a file beside the record
	Servers  []*serverRecord `json:"servers"`  // in the order in which they were changed
}

// state says how far the change of a server is.
type state string

const (
	adding   state = "adding"   // the file may have it
	done     state = "done"     // the file has it, or has been changed since
	removing state = "removing" // the file may have it no longer
)

type serverRecord struct {
	Name    string        `json:"name"`
	State   state         `json:"state"`
	At      time.Time     `json:"at"`
	Patch   client.Patch  `json:"patch"`
	Before  client.Change `json:"before"` // what the entry said
	After   client.Change `json:"after"`  // what it says
	Store   string        `json:"store,omitempty"`
	Secrets []string      `json:"secrets,omitempty"` // names in the store
}

// session is a Journal that is held by this process.
type session struct {
	Journal
	record record
	key    string
	store  string // that has the key
	unlock func()
}

// open takes the journal for this process and brings the record in line with the files.
func (j Journal) open() (*session, error) {
	if err := os.MkdirAll(j.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the record of protected files: %w", err)
	}
	unlock, err := statefile.LockWait(filepath.Join(j.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("opening the record of protected files: %w", err)
	}
	s := &session{Journal: j, unlock: unlock}
	if err := s.load(); err != nil {
		unlock()
		return nil, fmt.Errorf("opening the record of protected files: %w", err)
	}
	if err := s.recover(); err != nil {
		unlock()
		return nil, fmt.Errorf("recovering the record of protected files: %w", err)
	}
	return s, nil
}

func (s *session) path() string { return filepath.Join(s.Dir, "record.json") }

func (s *session) load() error {
	raw, err := statefile.Read(s.path(), maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var e envelope
	if err := json.Unmarshal(raw, &e); err != nil {
		return fmt.Errorf("%s: %w", s.path(), err)
	}
	if e.Schema != recordSchema {
		return fmt.Errorf("%s: made by another version of Gatehouse", s.path())
	}
	store := s.Stores[e.Key]
	if store == nil {
		return fmt.Errorf("%s: its key is in a store called %q, which is not known here", s.path(), e.Key)
	}
	if s.key, err = store.Get(keyName); err != nil {
		return err
	}
	s.store = e.Key
	plain, err := secret.Open(e.Sealed, maxRecord, s.key)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path(), err)
	}
	if err := json.Unmarshal(plain, &s.record); err != nil {
		return fmt.Errorf("%s: %w", s.path(), err)
	}
	for _, f := range s.record.Files {
		if target, err := filepath.EvalSymlinks(f.Target); err == nil {
			f.Target = target // a link may have come in its place, which is to stay one
		}
	}
	return nil
}

// save writes the record. Until it returns nothing else may happen.
func (s *session) save() error {
	if err := s.ensureKey(); err != nil {
		return err
	}
	plain, err := json.Marshal(s.record)
	if err != nil {
		return err
	}
	sealed, err := secret.Seal(plain, s.key)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(envelope{recordSchema, s.store, sealed})
	if err != nil {
		return err
	}
	if len(raw) > maxRecord {
		return fmt.Errorf("the record of protected files would have %d bytes, of at most %d", len(raw), maxRecord)
	}
	if err := statefile.Replace(s.path(), raw); err != nil {
		return fmt.Errorf("writing the record of protected files: %w", err)
	}
	return nil
}

func (s *session) ensureKey() error {
	if s.key != "" {
		return nil
	}
	s.store = s.Default
	store := s.Stores[s.store]
	if store == nil {
		return fmt.Errorf("there is no store called %q", s.store)
	}
	key, err := store.Get(keyName)
	if errors.Is(err, secret.ErrNotFound) {
		if key, err = secret.NewIdentity(); err == nil {
			err = store.Set(keyName, key)
		}
	}
	s.key = key
	return err
}

// backup keeps the bytes of a file from before the first change.
func (s *session) backup(f *fileRecord, raw []byte) error {
	if err := s.ensureKey(); err != nil {
		return err
	}
	sealed, err := secret.Seal(raw, s.key)
	if err != nil {
		return err
	}
	f.Backup = "backup-" + digest([]byte(f.Target))[:16] + ".age"
	if err := statefile.Replace(filepath.Join(s.Dir, f.Backup), sealed); err != nil {
		return fmt.Errorf("backing up %s: %w", f.Path, err)
	}
	return nil
}

// Backup is a protected file as it was before the first change.
func (j Journal) Backup(path string) ([]byte, error) {
	s, err := j.open()
	if err != nil {
		return nil, err
	}
	defer s.unlock()
	f := s.find(path)
	if f == nil {
		return nil, fmt.Errorf("%s: %w", path, ErrNothing)
	}
	// A file grows by some bytes for each piece when it is sealed.
	sealed, err := statefile.Read(filepath.Join(s.Dir, f.Backup), 2*maxFile)
	if err != nil {
		return nil, fmt.Errorf("reading the backup of %s: %w", path, err)
	}
	return secret.Open(sealed, maxFile, s.key)
}

// find is the record of a file, by its path or by what the path leads to.
func (s *session) find(path string) *fileRecord {
	for _, f := range s.record.Files {
		if f.Target == path || f.Path == path {
			return f
		}
	}
	return nil
}

// recover finishes what was interrupted: a change that did not reach its file is
// forgotten with its secrets, and one that did is kept.
func (s *session) recover() error {
	changed := false
	for _, f := range s.record.Files {
		raw, unreadable := readFile(f.Target)
		var forgotten []*serverRecord
		known := []string{f.Original, digest(raw)}
		f.Servers = slices.DeleteFunc(f.Servers, func(r *serverRecord) bool {
			if r.State == done {
				return false
			}
			if unreadable != nil && !errors.Is(unreadable, fs.ErrNotExist) {
				return false // what it says cannot be told
			}
			changed, known = true, append(known, r.Patch.Before, r.Patch.After)
			if unreadable == nil && f.has(r, raw) {
				r.State = done
				return false
			}
			forgotten = append(forgotten, r)
			return true
		})
		if len(known) > 2 {
			if err := sweep(f.Target, known); err != nil {
				return err
			}
		}
		for _, r := range forgotten {
			if err := s.forget(r); err != nil {
				return err
			}
		}
	}
	if !changed {
		return nil
	}
	s.prune()
	return s.save()
}

// has reports whether a file holds a change, or a part of it: a reference whose secret
// would be lost.
func (f *fileRecord) has(r *serverRecord, raw []byte) bool {
	if digest(raw) == r.Patch.After || r.Patch.Stands(f.file(), raw) {
		return true
	}
	said, ok := f.file().Said(raw, r.After.Path)
	if !ok {
		return false
	}
	for name, reference := range r.After.Env {
		if said.Env[name] == reference {
			return true
		}
	}
	return slices.Equal(said.Words, r.After.Command)
}

func (f *fileRecord) file() client.File { return client.FileAt(f.Path, f.Format) }

// forget takes the secrets of a server out of their store.
func (s *session) forget(r *serverRecord) error {
	for _, name := range r.Secrets {
		store := s.Stores[r.Store]
		if store == nil {
			return fmt.Errorf("there is no store called %q", r.Store)
		}
		if err := store.Delete(name); err != nil {
			return err
		}
	}
	return nil
}

// prune drops files of which nothing is left, and their backups.
func (s *session) prune() {
	s.record.Files = slices.DeleteFunc(s.record.Files, func(f *fileRecord) bool {
		if len(f.Servers) > 0 {
			return false
		}
		if f.Backup != "" {
			os.Remove(filepath.Join(s.Dir, f.Backup)) // one that stays is encrypted, and is replaced by the next
		}
		return true
	})
}
