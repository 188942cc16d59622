package approval

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/finding"
	"gatehouse/internal/wire"
)

// pendingVersion is the version of the format of a pending file.
const pendingVersion = 1

// maxFindings bounds the findings kept for one server; rules report a few per
// item.
const maxFindings = 10_000

// waiting is what a person has not yet decided about one server.
type waiting struct {
	items    []waitingItem     // sorted by key
	findings []finding.Finding // about the server as a whole
}

// waitingItem is an item that differs from the approved one, or an approved item
// that the server no longer has: then its digest is "".
type waitingItem struct {
	Item
	duplicate bool
	since     time.Time
	versions  int
	findings  []finding.Finding
}

func (w *waiting) find(k key) *waitingItem {
	for i := range w.items {
		if w.items[i].key() == k {
			return &w.items[i]
		}
	}
	return nil
}

func (w *waiting) sort() {
	slices.SortStableFunc(w.items, func(a, b waitingItem) int { return compareKeys(a.key(), b.key()) })
}

// validate keeps a waiting server within the bounds of an approved one, counting
// also the approved items that vanished.
func (w *waiting) validate() error {
	total := 0
	for _, item := range w.items {
		total += len(item.Definition)
	}
	if len(w.items) > 2*MaxItems || total > MaxServerBytes {
		return fmt.Errorf("more than %d changes or %d bytes of definitions wait for approval", 2*MaxItems, MaxServerBytes)
	}
	return nil
}

// settle takes out what was approved meanwhile, here or by a colleague, and
// reports whether anything is left.
func (w *waiting) settle(set approvals) (left bool) {
	w.items = slices.DeleteFunc(w.items, func(item waitingItem) bool {
		a, known := set[item.key()]
		if item.Digest == "" {
			return !known
		}
		return !item.duplicate && known && a.Digest == item.Digest
	})
	return len(w.items) > 0
}

type pendingJSON struct {
	Version  int               `json:"version"`
	Server   string            `json:"server"`
	Findings []finding.Finding `json:"findings,omitempty"`
	Items    []pendingItemJSON `json:"items"`
}

type pendingItemJSON struct {
	Kind       Kind              `json:"kind"`
	Name       string            `json:"name,omitempty"`
	Removed    bool              `json:"removed,omitempty"`
	Duplicate  bool              `json:"duplicate,omitempty"`
	Since      time.Time         `json:"since"`
	Versions   int               `json:"versions"`
	Digest     string            `json:"digest,omitempty"`
	Definition json.RawMessage   `json:"definition,omitempty"`
	Findings   []finding.Finding `json:"findings,omitempty"`
}

// encodePending writes one server; two equal ones are equal bytes.
func encodePending(server string, w *waiting) ([]byte, error) {
	if err := w.validate(); err != nil {
		return nil, err
	}
	p := pendingJSON{Version: pendingVersion, Server: server, Findings: w.findings, Items: []pendingItemJSON{}}
	for _, item := range w.items {
		p.Items = append(p.Items, pendingItemJSON{
			Kind: item.Kind, Name: item.Name, Removed: item.Digest == "", Duplicate: item.duplicate,
			Since: item.since, Versions: item.versions, Digest: item.Digest, Definition: item.Definition, Findings: item.findings,
		})
	}
	content, err := encode(p, "")
	if err != nil {
		return nil, err
	}
	if _, _, err := parsePending("new content", content); err != nil {
		return nil, fmt.Errorf("the new content would be refused: %w", err)
	}
	return content, nil
}

// pendingFiles finds the files of one lock in a folder that several locks share.
type pendingFiles struct {
	dir    string
	suffix string
}

func newPendingFiles(dir, lockPath string) pendingFiles {
	return pendingFiles{dir, "." + shortHash(lockPath) + ".json"}
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}

// maxFileStem bounds the readable part of a file name.
const maxFileStem = 60

// path is the file of the server. The hash keeps servers apart whose names differ
// in what a file name cannot hold or does not tell apart.
func (p pendingFiles) path(server string) string {
	stem := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, server[:min(len(server), maxFileStem)])
	return filepath.Join(p.dir, stem+"-"+shortHash(server)+p.suffix)
}

func (p pendingFiles) read() (map[string]*waiting, error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, err
	}
	servers := map[string]*waiting{}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), p.suffix) {
			continue
		}
		if len(servers) >= MaxServers {
			return nil, fmt.Errorf("%s: more than %d servers wait for approval", p.dir, MaxServers)
		}
		path := filepath.Join(p.dir, entry.Name())
		raw, err := readFile(path, maxLockBytes)
		if err != nil {
			return nil, err
		}
		server, w, err := parsePending(path, raw)
		if err != nil {
			return nil, err
		}
		if p.path(server) != path {
			return nil, fmt.Errorf("%s: the file of another server", path)
		}
		servers[server] = w
	}
	return servers, nil
}

// write replaces or, if nothing waits, removes the file of the server.
func (p pendingFiles) write(server string, w *waiting) error {
	path := p.path(server)
	if w == nil {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return err
		}
		return nil
	}
	content, err := encodePending(server, w)
	if err != nil {
		return err
	}
	if old, err := readFile(path, maxLockBytes); err == nil && bytes.Equal(old, content) {
		return nil
	}
	return writeFile(path, content, 0o600)
}

func parsePending(path string, raw []byte) (string, *waiting, error) {
	s, root, err := scanStrict(path, raw, fileLimits)
	if err != nil {
		return "", nil, err
	}
	o, err := s.object(root, "version", "server", "findings", "items")
	if err != nil {
		return "", nil, err
	}
	if err := o.version(pendingVersion); err != nil {
		return "", nil, err
	}
	server, err := o.text("server", true)
	if err != nil {
		return "", nil, err
	}
	list, err := o.array("items")
	if err != nil {
		return "", nil, err
	}
	w := &waiting{}
	if w.findings, err = o.findings(); err != nil {
		return "", nil, err
	}
	for v := range list.Items() {
		item, err := s.pendingItem(server, v)
		if err != nil {
			return "", nil, err
		}
		w.items = append(w.items, item)
	}
	if err := w.validate(); err != nil {
		return "", nil, s.errorf(root, "%s", err)
	}
	return server, w, nil
}

func (s strict) pendingItem(server string, v wire.Value) (waitingItem, error) {
	o, err := s.object(v, "kind", "name", "removed", "duplicate", "since", "versions", "digest", "definition", "findings")
	if err != nil {
		return waitingItem{}, err
	}
	var item waitingItem
	removed, err := o.flag("removed")
	if err != nil {
		return item, err
	}
	if removed {
		item.Item, err = o.removedItem()
	} else {
		item.Item, err = o.item(server)
	}
	if err != nil {
		return item, err
	}
	if item.duplicate, err = o.flag("duplicate"); err != nil {
		return item, err
	}
	if item.since, err = o.time("since"); err != nil {
		return item, err
	}
	versions, ok := o.members["versions"].Int()
	if !ok || versions < 1 {
		return item, o.wrong("versions", "a positive number")
	}
	item.versions = int(versions)
	item.findings, err = o.findings()
	return item, err
}

func (o object) removedItem() (Item, error) {
	kind, err := o.text("kind", true)
	if err != nil {
		return Item{}, err
	}
	if Kind(kind).rank() < 0 {
		return Item{}, o.wrong("kind", "a known kind")
	}
	name, err := o.text("name", false)
	return Item{Kind: Kind(kind), Name: name}, err
}

func (o object) findings() ([]finding.Finding, error) {
	v := o.members["findings"]
	if !v.Exists() {
		return nil, nil
	}
	var list []finding.Finding
	dec := json.NewDecoder(bytes.NewReader(v.Raw()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&list); err != nil {
		return nil, o.errorf(v, "reading findings: %s", err)
	}
	return list, nil
}
