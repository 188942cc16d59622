package checklist

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/check"
	"gatehouse/internal/inventory"
	"gatehouse/internal/statefile"
)

// Attestation is the word of a person on one question about one server, as the server is
// set up now.
type Attestation struct {
	Server   string    `json:"server"` // inventory.Server.ID
	Item     string    `json:"item"`
	By       string    `json:"by"`
	Note     string    `json:"note"`
	At       time.Time `json:"at"`
	Expires  time.Time `json:"expires"`
	Evidence string    `json:"evidence"` // Evidence of the server at that time
}

// Evidence names how a server is set up. When its version, command, variables or grants
// change, so does it, and what people said of it counts no longer.
func Evidence(s inventory.Server) string {
	facts := []string{s.ID, string(s.Kind), s.Package, s.Version, string(s.Pin)}
	for _, e := range s.Entries {
		facts = append(facts, e.File, strings.Join(e.Path, "\x01"), strings.Join(e.Shown, "\x01"), e.ShownURL)
		for _, v := range e.Env {
			facts = append(facts, v.Name, string(v.Kind), v.Reference)
			if !v.Secret { // a token that is changed is still the same question
				facts = append(facts, string(v.Raw))
			}
		}
		for _, v := range e.Headers {
			facts = append(facts, v.Name, string(v.Kind), v.Reference)
		}
	}
	return check.Bind(facts...)
}

const (
	// MaxAttestation bounds how long the word of a person counts.
	MaxAttestation = 366 * 24 * time.Hour
	// maxNote and maxBy bound what is kept for people to read.
	maxNote, maxBy = 1000, 100
	// maxAttestations and maxStore bound the file: the oldest are dropped.
	maxAttestations, maxStore = 5000, 16 << 20
)

// Store keeps attestations in a file of the state folder.
type Store struct{ Path string }

type stored struct {
	Schema       string        `json:"schema"`
	Attestations []Attestation `json:"attestations"`
}

const storeSchema = "gatehouse.attestations/1"

// All lists what is kept, oldest first.
func (s Store) All() ([]Attestation, error) {
	raw, err := statefile.Read(s.Path, maxStore)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading attestations: %w", err)
	}
	var kept stored
	if err := json.Unmarshal(raw, &kept); err != nil {
		return nil, fmt.Errorf("reading attestations: %s: %w", s.Path, err)
	}
	if kept.Schema != storeSchema {
		return nil, fmt.Errorf("reading attestations: %s was made by another version of Gatehouse", s.Path)
	}
	return kept.Attestations, nil
}

// Add keeps the word of a person, for a question that is unknown.
func (s Store) Add(a Attestation, answers []Answer) error {
	i := slices.IndexFunc(answers, func(answer Answer) bool { return answer.Item == a.Item })
	switch {
	case i < 0:
		return fmt.Errorf("there is no item %q; expected %s", a.Item, strings.Join(Items(), ", "))
	case answers[i].Status == Fail:
		return fmt.Errorf("%s fails, which nobody can attest away: %s", a.Item, strings.Join(answers[i].Evidence, "; "))
	case answers[i].Status == Pass && answers[i].Attested == nil:
		return fmt.Errorf("%s passes without it", a.Item)
	case answers[i].Status == Unknown && answers[i].Attest == "":
		return fmt.Errorf("%s is not for people to say: %s", a.Item, strings.Join(answers[i].Evidence, "; "))
	case strings.TrimSpace(a.By) == "" || len(a.By) > maxBy || strings.TrimSpace(a.Note) == "" || len(a.Note) > maxNote:
		return fmt.Errorf("expected who attests it, in at most %d bytes, and how they know, in at most %d", maxBy, maxNote)
	case !a.Expires.After(a.At) || a.Expires.Sub(a.At) > MaxAttestation:
		return errors.New("expected an end between now and a year from now")
	}
	if err := os.MkdirAll(filepath.Dir(s.Path), 0o700); err != nil {
		return fmt.Errorf("keeping an attestation: %w", err)
	}
	unlock, err := statefile.LockWait(s.Path + ".lock")
	if err != nil {
		return fmt.Errorf("keeping an attestation: %w", err)
	}
	defer unlock()
	all, err := s.All()
	if err != nil {
		return err
	}
	all = append(all, a)
	raw, err := json.MarshalIndent(stored{storeSchema, all[max(0, len(all)-maxAttestations):]}, "", "  ")
	if err == nil {
		err = statefile.Replace(s.Path, append(raw, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keeping an attestation: %w", err)
	}
	return nil
}
