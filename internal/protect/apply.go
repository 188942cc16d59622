package protect

import (
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/client"
)

// Outcome is what became of a file.
type Outcome struct {
	Path    string   `json:"path"`
	Servers []string `json:"servers"` // that were changed
	Problem string   `json:"problem,omitempty"`
}

// Apply carries out a plan. Files are changed one after the other; what cannot be changed
// stays as it is, and Problem says why. An error means that no further file was touched,
// and that the next run puts in order what was begun.
func (j Journal) Apply(p Plan, storeName string) ([]Outcome, error) {
	s, err := j.open()
	if err != nil {
		return nil, err
	}
	defer s.unlock()
	var out []Outcome
	for i := range p.Files {
		f := &p.Files[i]
		if f.changes() == 0 {
			continue
		}
		o, err := s.apply(f, storeName)
		if err != nil {
			o.Problem = err.Error()
		}
		out = append(out, o)
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// apply changes one file: on record, then the secrets, then the file, then the record
// again. A crash between two of these leaves what recover understands.
func (s *session) apply(f *FilePlan, storeName string) (Outcome, error) {
	o := Outcome{Path: f.Path}
	raw, err := readFile(f.target)
	if err == nil && digest(raw) != digest(f.raw) {
		err = client.ErrChanged
	}
	if err != nil {
		o.Problem = err.Error()
		return o, nil
	}
	known := s.find(f.target)
	if known == nil {
		known = &fileRecord{Path: f.Path, Target: f.target, Format: f.file.Format(), Clients: f.Clients, Original: digest(raw)}
		if err := s.backup(known, raw); err != nil {
			return o, err
		}
		s.record.Files = append(s.record.Files, known)
	}
	added, content, err := f.edit(storeName)
	if err != nil {
		o.Problem = err.Error()
		s.prune()
		return o, nil
	}
	known.Servers = append(known.Servers, added...)
	if err := s.save(); err != nil {
		return o, err
	}
	if err := s.keep(f, storeName); err == nil {
		err = replaceFile(f.target, raw, content)
		if err != nil {
			o.Problem = err.Error()
		}
	} else {
		o.Problem = err.Error()
	}
	if o.Problem != "" {
		return o, s.recover()
	}
	for _, r := range added {
		r.State = done
		o.Servers = append(o.Servers, r.Name)
	}
	return o, s.save()
}

// edit makes the new bytes of a file, one server after the other, so that each can be
// taken back by itself.
func (f *FilePlan) edit(storeName string) (added []*serverRecord, content []byte, err error) {
	content = f.raw
	for _, server := range f.Servers {
		if server.What != Change {
			continue
		}
		patch, err := f.file.Rewrite(content, []client.Change{server.change})
		if err != nil {
			return nil, nil, err
		}
		if content, err = patch.Apply(content); err != nil {
			return nil, nil, err
		}
		r := &serverRecord{Name: server.Name, State: adding, At: time.Now().UTC(), Patch: patch, Before: server.before, After: server.change}
		for _, m := range server.Moved {
			r.Store, r.Secrets = storeName, append(r.Secrets, m.name)
		}
		added = append(added, r)
	}
	return added, content, nil
}

// keep puts the secrets of a file in the store.
func (s *session) keep(f *FilePlan, storeName string) error {
	for _, server := range f.Servers {
		if server.What != Change {
			continue
		}
		for _, m := range server.Moved {
			store := s.Stores[storeName]
			if store == nil {
				return fmt.Errorf("there is no store called %q", storeName)
			}
			if err := store.Set(m.name, server.secrets[m.name]); err != nil {
				return err
			}
			if got, err := store.Get(m.name); err != nil || got != server.secrets[m.name] {
				return errors.Join(fmt.Errorf("the store does not give back the secret %s", m.Variable), err)
			}
		}
	}
	return nil
}
