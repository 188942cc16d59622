package protect

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
)

// Selection says whose protection is taken back; empty is everybody's.
type Selection struct {
	Clients []string // by ID
	Servers []string // by name
}

// Back is what taking back would do in one file.
type Back struct {
	Path    string       `json:"path"`
	Clients []string     `json:"clients"`
	Exact   bool         `json:"exact"` // the file gets the bytes back that it had
	Servers []BackServer `json:"servers"`
	Problem string       `json:"problem,omitempty"`

	record  *fileRecord
	raw     []byte
	content []byte
	gone    bool
}

// BackServer is what happens to one server. Nothing in it is secret.
type BackServer struct {
	Name    string   `json:"name"`
	How     How      `json:"how"`
	Why     string   `json:"why,omitempty"`
	Secrets []string `json:"secrets,omitempty"` // references whose values stand in the file again

	record *serverRecord
}

// How a server is put back.
type How string

const (
	Restored How = "restored" // as it stood, to the byte
	Undone   How = "undone"   // the same in other bytes, or with what was changed meanwhile
	Gone     How = "gone"     // it is no longer in the file
	Stays    How = "stays"    // it was changed so that it cannot be told what to put back
)

// PlanBack says what Unprotect would do. Without a record the error is ErrNothing.
func (j Journal) PlanBack(sel Selection) ([]Back, error) {
	s, err := j.open()
	if err != nil {
		return nil, err
	}
	defer s.unlock()
	return s.planBack(sel)
}

func (s *session) planBack(sel Selection) ([]Back, error) {
	var out []Back
	for _, f := range s.record.Files {
		if len(sel.Clients) > 0 && !slices.ContainsFunc(f.Clients, func(id string) bool { return slices.Contains(sel.Clients, id) }) {
			continue
		}
		if b, any := s.back(f, sel); any {
			out = append(out, b)
		}
	}
	if len(out) == 0 {
		return nil, ErrNothing
	}
	return out, nil
}

// back takes servers back in the order opposite to that in which they were changed.
func (s *session) back(f *fileRecord, sel Selection) (b Back, any bool) {
	b = Back{Path: f.Path, Clients: f.Clients, record: f}
	var err error
	if b.raw, err = readFile(f.Target); err != nil {
		b.gone = errors.Is(err, fs.ErrNotExist)
		b.Problem = err.Error()
	}
	b.content = b.raw
	for _, r := range slices.Backward(f.Servers) {
		if len(sel.Servers) > 0 && !slices.Contains(sel.Servers, r.Name) {
			continue
		}
		any = true
		server := BackServer{Name: r.Name, record: r}
		switch {
		case b.gone:
			server.How, server.Why = Gone, "its file is no longer there"
		case b.Problem != "":
			server.How, server.Why = Stays, b.Problem
		default:
			b.content, server.How, server.Why = takeBack(f, r, b.content)
		}
		if store := s.Stores[r.Store]; store != nil {
			for _, name := range r.Secrets {
				server.Secrets = append(server.Secrets, store.Reference(name))
			}
		}
		b.Servers = append(b.Servers, server)
	}
	if b.gone {
		b.Problem = ""
	}
	b.Exact = b.Problem == "" && !b.gone && digest(b.content) == f.Original
	return b, any
}

// takeBack gives the bytes of a file without one change: the bytes that stood there; or, if
// the client has written the file anew, the same said in its way; or, if the command behind
// ours was edited, that command.
func takeBack(f *fileRecord, r *serverRecord, raw []byte) (content []byte, how How, why string) {
	file := f.file()
	if content, err := r.Patch.RevertIn(file, raw); err == nil {
		return content, Restored, ""
	}
	said, ok := file.Said(raw, r.After.Path)
	if !ok {
		return raw, Gone, "it is no longer in the file"
	}
	if !inventory.Of(entryOf(said.Words)).Protected && !slices.Equal(said.Words, r.After.Command) {
		return raw, Gone, "it no longer runs through Gatehouse"
	}
	change := client.Change{Path: r.Before.Path, Env: map[string]string{}}
	ours := slices.Index(r.After.Command, "--") + 1
	switch {
	case slices.Equal(said.Words, r.After.Command):
		change.Command = r.Before.Command
	case len(said.Words) > ours && slices.Equal(said.Words[:ours], r.After.Command[:ours]):
		change.Command, why = said.Words[ours:], "its command was edited since; the edited one stays"
	default:
		return raw, Stays, "what stands in front of its command was edited since; change it by hand, with what `gatehouse unprotect --backup FILE` prints"
	}
	for name, value := range r.Before.Env {
		if said.Env[name] == r.After.Env[name] {
			change.Env[name] = value
		}
	}
	patch, err := file.Rewrite(raw, []client.Change{change})
	if err == nil {
		content, err = patch.Apply(raw)
	}
	if err != nil {
		return raw, Stays, err.Error()
	}
	return content, Undone, why
}

// Unprotect takes changes back. What cannot be taken back stays on record.
func (j Journal) Unprotect(sel Selection) ([]Back, error) {
	s, err := j.open()
	if err != nil {
		return nil, err
	}
	defer s.unlock()
	plan, err := s.planBack(sel)
	if err != nil {
		return nil, err
	}
	for i := range plan {
		if err := s.restore(&plan[i]); err != nil {
			return plan[:i+1], err
		}
	}
	return plan, nil
}

// restore takes back what stands in the file. What is gone is only forgotten, and not its
// secrets: their values stand nowhere else any more.
func (s *session) restore(b *Back) error {
	var taken, ended []*serverRecord
	for _, server := range b.Servers {
		switch server.How {
		case Restored, Undone:
			server.record.State = removing
			taken = append(taken, server.record)
			ended = append(ended, server.record)
		case Gone:
			ended = append(ended, server.record)
		}
	}
	if len(taken) > 0 {
		if err := s.save(); err != nil {
			return err
		}
		if err := replaceFile(b.record.Target, b.raw, b.content); err != nil {
			b.Problem, b.Exact = err.Error(), false
			for i := range b.Servers {
				b.Servers[i].How, b.Servers[i].Why = Stays, b.Problem
			}
			return s.recover()
		}
	}
	for _, r := range taken {
		if err := s.forget(r); err != nil {
			return fmt.Errorf("%s is as it was, but its secret is still in the store: %w", r.Name, err)
		}
	}
	if len(ended) == 0 {
		return nil
	}
	b.record.Servers = slices.DeleteFunc(b.record.Servers, func(r *serverRecord) bool { return slices.Contains(ended, r) })
	s.prune()
	return s.save()
}
