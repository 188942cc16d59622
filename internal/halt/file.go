package halt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/statefile"
	"gatehouse/internal/wire"
)

// fileVersion is the version of the format. Another one is not understood, and
// what is not understood halts everything.
const fileVersion = 1

// maxFile bounds the file; maxHalts with long names fit.
const maxFile = 64 << 20

type fileJSON struct {
	Version int        `json:"version"`
	Halts   []haltJSON `json:"halts"`
}

type haltJSON struct {
	What   What      `json:"what"`
	Server string    `json:"server,omitempty"`
	Name   string    `json:"name,omitempty"`
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"`
}

// read is the halts of the file at path; none if there is no file. Everything in it
// must be understood.
func read(path string) ([]Halt, error) {
	raw, err := statefile.Read(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

func parse(raw []byte) ([]Halt, error) {
	// First, because encoding/json takes two equal names, and names in another case.
	doc, err := wire.Scan(raw, wire.Limits{Bytes: maxFile})
	if err != nil {
		return nil, err
	}
	if name, found := lookalike(doc.Root); found {
		return nil, fmt.Errorf("unknown field %q", printable(name))
	}
	var file fileJSON
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("something stands behind the list")
	}
	if file.Version != fileVersion {
		return nil, fmt.Errorf("version is %d, expected %d", file.Version, fileVersion)
	}
	if len(file.Halts) > maxHalts || file.Halts == nil {
		return nil, fmt.Errorf("halts must be a list of at most %d", maxHalts)
	}
	var list []Halt
	for i, each := range file.Halts {
		h := Halt{Target{each.What, each.Server, each.Name}, each.Reason, each.By, each.Since, each.Until}
		if err := h.check(); err != nil {
			return nil, fmt.Errorf("halt %d: %w", i+1, err)
		}
		list = append(list, h)
	}
	return list, nil
}

// lookalike finds a name that only a reader who does not tell upper from lower case
// takes for one of ours.
func lookalike(root wire.Value) (string, bool) {
	if name, found := root.Lookalike("version", "halts"); found {
		return name, true
	}
	for each := range root.Get("halts").Items() {
		if name, found := each.Lookalike("what", "server", "name", "reason", "by", "since", "until"); found {
			return name, true
		}
	}
	return "", false
}

// change puts another list into the file while no other process does.
func change(path string, edit func([]Halt) ([]Halt, error)) error {
	unlock, err := statefile.LockWait(path + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	list, err := read(path)
	if err != nil {
		return err
	}
	if list, err = edit(list); err != nil {
		return err
	}
	raw, err := encode(list)
	if err != nil {
		return err
	}
	return statefile.Replace(path, raw)
}

func encode(list []Halt) ([]byte, error) {
	file := fileJSON{Version: fileVersion, Halts: []haltJSON{}}
	for _, h := range list {
		file.Halts = append(file.Halts, haltJSON{h.What, h.Server, h.Name, h.Reason, h.By, h.Since, h.Until})
	}
	raw, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return nil, err
	}
	// What cannot be read back would halt everything.
	if _, err := parse(raw); err != nil {
		return nil, fmt.Errorf("the new content would not be understood: %w", err)
	}
	return append(raw, '\n'), nil
}

// Add halts something, for the gateways whose halts are in the file at path. The
// same target halted again has the new reason and end. What ended is dropped.
func Add(path string, h Halt) error {
	h.Since, h.Until = h.Since.UTC().Truncate(time.Second), h.Until.UTC().Truncate(time.Second)
	if err := h.check(); err != nil {
		return fmt.Errorf("halting %s: %w", h.Target, err)
	}
	err := change(path, func(list []Halt) ([]Halt, error) {
		list = slices.DeleteFunc(list, func(old Halt) bool { return old.Target == h.Target || old.ended(h.Since) })
		return append(list, h), nil
	})
	if err != nil {
		return fmt.Errorf("halting %s: %w", h.Target, err)
	}
	return nil
}

// ErrNotHalted says that there is no halt of exactly that.
var ErrNotHalted = errors.New("it is not halted")

// Remove ends the halt of exactly the target and returns what remains.
func Remove(path string, t Target, now time.Time) (remaining []Halt, err error) {
	err = change(path, func(list []Halt) ([]Halt, error) {
		remaining = slices.DeleteFunc(slices.Clone(list), func(h Halt) bool { return h.Target == t || h.ended(now) })
		if !slices.ContainsFunc(list, func(h Halt) bool { return h.Target == t && !h.ended(now) }) {
			return nil, ErrNotHalted
		}
		return remaining, nil
	})
	if err != nil {
		return nil, fmt.Errorf("resuming %s: %w", t, err)
	}
	return remaining, nil
}

// List is the halts in the file at path that have not ended, in one order.
func List(path string, now time.Time) ([]Halt, error) {
	list, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("reading halts: %w", err)
	}
	list = slices.DeleteFunc(list, func(h Halt) bool { return h.ended(now) })
	slices.SortFunc(list, func(a, b Halt) int { return strings.Compare(a.Target.String(), b.Target.String()) })
	return list, nil
}
