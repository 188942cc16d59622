package approval

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"gatehouse/internal/wire"
)

// lockVersion is the version of the lock's format. Another one is refused.
const lockVersion = 1

// maxLockBytes bounds the lock file. It holds far more servers than a person
// reviews; beyond it new approvals are refused.
const maxLockBytes = 64 << 20

// fileLimits bound our own files. They are deeper than a definition may be by the
// levels around it.
var fileLimits = wire.Limits{
	Bytes:   maxLockBytes,
	Depth:   wire.DefaultLimits.Depth + 8,
	Strings: 8 * wire.DefaultLimits.Strings,
}

// approved is an item that may be used, and who said so.
type approved struct {
	Item
	By string
	At time.Time
}

// approvals are the approved items of one server, its source among them.
type approvals map[key]approved

type lockJSON struct {
	Version int              `json:"version"`
	Servers []lockServerJSON `json:"servers"`
}

type lockServerJSON struct {
	Name  string         `json:"name"`
	Items []lockItemJSON `json:"items"`
}

type lockItemJSON struct {
	Kind       Kind            `json:"kind"`
	Name       string          `json:"name,omitempty"`
	Digest     string          `json:"digest"`
	ApprovedBy string          `json:"approved_by"`
	ApprovedAt time.Time       `json:"approved_at"`
	Definition json.RawMessage `json:"definition"`
}

// encodeLock writes servers and items in one order and one form, so that a
// difference in git is a difference in what is approved. Hidden characters are
// escaped, because a reviewer must see them there too.
func encodeLock(path string, servers map[string]approvals) ([]byte, error) {
	lock := lockJSON{Version: lockVersion, Servers: []lockServerJSON{}}
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		server := lockServerJSON{Name: name}
		for _, k := range slices.SortedFunc(maps.Keys(servers[name]), compareKeys) {
			a := servers[name][k]
			server.Items = append(server.Items, lockItemJSON{a.Kind, a.Name, a.Digest, a.By, a.At, a.Definition})
		}
		lock.Servers = append(lock.Servers, server)
	}
	content, err := encode(lock, "  ")
	if err != nil {
		return nil, err
	}
	// What cannot be read back must not replace what can.
	if _, err := parseLock(path, content); err != nil {
		return nil, fmt.Errorf("the new content would be refused: %w", err)
	}
	return content, nil
}

func encode(v any, indent string) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return escapeHidden(out.Bytes()), nil
}

// readLock is the approved items of every server; none if there is no lock yet.
func readLock(path string) (map[string]approvals, error) {
	raw, err := readFile(path, maxLockBytes)
	if err != nil || raw == nil {
		return map[string]approvals{}, err
	}
	return parseLock(path, raw)
}

func parseLock(path string, raw []byte) (map[string]approvals, error) {
	s, root, err := scanStrict(path, raw, fileLimits)
	if err != nil {
		return nil, err
	}
	file, err := s.object(root, "version", "servers")
	if err != nil {
		return nil, err
	}
	if err := file.version(lockVersion); err != nil {
		return nil, err
	}
	list, err := file.array("servers")
	if err != nil {
		return nil, err
	}
	servers := map[string]approvals{}
	for v := range list.Items() {
		name, items, err := s.lockServer(v)
		if err != nil {
			return nil, err
		}
		if _, twice := servers[name]; twice {
			return nil, s.errorf(v, "server %q stands here a second time", Visible(name))
		}
		if servers[name] = items; len(servers) > MaxServers {
			return nil, s.errorf(v, "more than %d servers", MaxServers)
		}
	}
	return servers, nil
}

func (s strict) lockServer(v wire.Value) (string, approvals, error) {
	o, err := s.object(v, "name", "items")
	if err != nil {
		return "", nil, err
	}
	server, err := o.text("name", true)
	if err != nil {
		return "", nil, err
	}
	if err := validateServer(server); err != nil {
		return "", nil, s.errorf(v, "%s", err)
	}
	list, err := o.array("items")
	if err != nil {
		return "", nil, err
	}
	items := approvals{}
	total := 0
	for v := range list.Items() {
		a, err := s.lockItem(server, v)
		if err != nil {
			return "", nil, err
		}
		if _, twice := items[a.key()]; twice {
			return "", nil, s.errorf(v, "server %q: %s stands here a second time", Visible(server), label(a.Kind, a.Name))
		}
		items[a.key()] = a
		if total += len(a.Definition); total > MaxServerBytes || len(items) > MaxItems+1 {
			return "", nil, s.errorf(v, "server %q: more than %d items or %d bytes of definitions", Visible(server), MaxItems, MaxServerBytes)
		}
	}
	if _, ok := items[key{KindSource, ""}]; !ok {
		return "", nil, s.errorf(v, "server %q: the item of kind %q is missing", Visible(server), KindSource)
	}
	return server, items, nil
}

func (s strict) lockItem(server string, v wire.Value) (approved, error) {
	o, err := s.object(v, "kind", "name", "digest", "approved_by", "approved_at", "definition")
	if err != nil {
		return approved{}, err
	}
	item, err := o.item(server)
	if err != nil {
		return approved{}, err
	}
	by, err := o.text("approved_by", true)
	if err != nil {
		return approved{}, err
	}
	at, err := o.time("approved_at")
	if err != nil {
		return approved{}, err
	}
	return approved{item, by, at}, nil
}

// ReadApproved reads the approved items of the lock at path, by server, for programs
// that only look: the servers' sources are among them. There are none if there is no
// lock yet.
func ReadApproved(path string) (map[string][]Item, error) {
	lock, err := readLock(path)
	if err != nil {
		return nil, fmt.Errorf("reading approvals: %w", err)
	}
	out := map[string][]Item{}
	for server, items := range lock {
		for _, k := range slices.SortedFunc(maps.Keys(items), compareKeys) {
			out[server] = append(out[server], items[k].Item)
		}
	}
	return out, nil
}
