package advisory

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/statefile"
)

// A snapshot is a text: one line that describes it, then a line for each package, sorted
// by its key, so that a package is found by halving and nothing else is decoded.
//
//	{"schema":"gatehouse.advisories/1","made":…,"sha256":…}
//	npm/mcp-remote<TAB>[{"id":"CVE-2025-6514",…}]

// Schema names the form of a snapshot.
const Schema = "gatehouse.advisories/1"

const (
	// maxSnapshotBytes bounds a snapshot. Everything of three ecosystems takes tens of
	// megabytes.
	maxSnapshotBytes = 256 << 20
	// maxHeaderBytes bounds the first line: a few sources.
	maxHeaderBytes = 64 << 10
)

// ErrDamaged says that a snapshot is not what was written.
var ErrDamaged = errors.New("the snapshot of advisories is damaged")

// Header describes a snapshot.
type Header struct {
	Schema     string    `json:"schema"`
	Made       time.Time `json:"made"`
	Newest     time.Time `json:"newest"` // when the newest advisory in it was last changed
	Sources    []From    `json:"sources"`
	Packages   int       `json:"packages"`
	Advisories int       `json:"advisories"`
	SHA256     string    `json:"sha256"` // of what follows the first line
}

// From says where the advisories of an ecosystem are from.
type From struct {
	Ecosystem  Ecosystem `json:"ecosystem"`
	From       string    `json:"from"`
	SHA256     string    `json:"sha256,omitempty"` // of the file that was fetched
	Newest     time.Time `json:"newest"`
	Advisories int       `json:"advisories"`
	Skipped    int       `json:"skipped,omitempty"` // that could not be understood
}

// Of says where the advisories of an ecosystem are from, if everything known of it was
// put in.
func (h Header) Of(e Ecosystem) (From, bool) {
	i := slices.IndexFunc(h.Sources, func(f From) bool { return f.Ecosystem == e })
	if i < 0 {
		return From{}, false
	}
	return h.Sources[i], true
}

// stale is the age from which advisories are called old.
const stale = 14 * 24 * time.Hour

// Old reports whether advisories end too long ago.
func (f From) Old(now time.Time) bool { return now.Sub(f.Newest) > stale }

// Old reports whether the advisories of any ecosystem are old, or there are none.
func (h Header) Old(now time.Time) bool {
	return len(h.Sources) == 0 || slices.ContainsFunc(h.Sources, func(f From) bool { return f.Old(now) })
}

// Snapshot is what was known at one time. It is immutable.
type Snapshot struct {
	Header
	body []byte
}

// Open reads the snapshot at path and checks that it is whole.
func Open(path string) (*Snapshot, error) {
	raw, err := statefile.Read(path, maxSnapshotBytes)
	if err != nil {
		return nil, fmt.Errorf("reading advisories: %w", err)
	}
	return Parse(raw)
}

// Parse reads a snapshot, which must not change afterwards.
func Parse(raw []byte) (*Snapshot, error) {
	line, body, found := bytes.Cut(raw, []byte{'\n'})
	if !found || len(line) > maxHeaderBytes {
		return nil, fmt.Errorf("%w: it does not begin with a description", ErrDamaged)
	}
	s := &Snapshot{body: body}
	if err := json.Unmarshal(line, &s.Header); err != nil {
		return nil, fmt.Errorf("%w: its description cannot be read", ErrDamaged)
	}
	if s.Schema != Schema {
		return nil, fmt.Errorf("the snapshot of advisories has the schema %q, expected %s", clip(s.Schema, 60), Schema)
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != s.SHA256 {
		return nil, fmt.Errorf("%w: its content is not what its description says", ErrDamaged)
	}
	if err := ordered(body); err != nil {
		return nil, err
	}
	return s, nil
}

// ordered checks what Find relies on: each line begins with a key and a tab, and the keys
// go up. The checksum is made by whoever made the content.
func ordered(body []byte) error {
	var before []byte
	for len(body) > 0 {
		line, rest, whole := bytes.Cut(body, []byte{'\n'})
		at := bytes.IndexByte(line, '\t')
		if !whole || at <= 0 || bytes.Compare(before, line[:at]) >= 0 {
			return fmt.Errorf("%w: its lines are not in order", ErrDamaged)
		}
		before, body = line[:at], rest
	}
	return nil
}

// write makes the bytes of a snapshot.
func write(h Header, packages map[string][]Advisory) ([]byte, error) {
	keys := make([]string, 0, len(packages))
	for k := range packages {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var body bytes.Buffer
	h.Advisories = 0
	for _, k := range keys {
		list := merge(packages[k])
		raw, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		body.WriteString(k)
		body.WriteByte('\t')
		body.Write(raw)
		body.WriteByte('\n')
		h.Advisories += len(list)
	}
	sum := sha256.Sum256(body.Bytes())
	h.Schema, h.Packages, h.SHA256 = Schema, len(keys), hex.EncodeToString(sum[:])
	first, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return append(append(first, '\n'), body.Bytes()...), nil
}

func key(e Ecosystem, name string) string { return string(e) + "/" + Name(e, name) }

// Find lists the advisories of a package, whatever its version.
func (s *Snapshot) Find(e Ecosystem, name string) ([]Advisory, error) {
	want := key(e, name)
	if strings.ContainsAny(want, "\t\n") {
		return nil, nil // no package has such a name
	}
	// The first offset from which on the next whole line is want or later.
	at := sort.Search(len(s.body), func(i int) bool {
		line, ok := s.lineFrom(i)
		return !ok || keyOf(line) >= want
	})
	line, ok := s.lineFrom(at)
	if !ok || keyOf(line) != want {
		return nil, nil
	}
	var list []Advisory
	if err := json.Unmarshal(line[len(want)+1:], &list); err != nil {
		return nil, fmt.Errorf("%w: what it says of %s cannot be read", ErrDamaged, want)
	}
	return list, nil
}

// lineFrom is the first line that begins at or behind an offset.
func (s *Snapshot) lineFrom(at int) (line []byte, ok bool) {
	if at > 0 {
		next := bytes.IndexByte(s.body[at-1:], '\n')
		if next < 0 {
			return nil, false
		}
		at += next
	}
	if at >= len(s.body) {
		return nil, false
	}
	line, _, _ = bytes.Cut(s.body[at:], []byte{'\n'})
	return line, true
}

func keyOf(line []byte) string {
	k, _, _ := bytes.Cut(line, []byte{'\t'})
	return string(k)
}

// Set is several snapshots, asked together.
type Set []*Snapshot

// Find is what all snapshots say of a package.
func (s Set) Find(e Ecosystem, name string) ([]Advisory, error) {
	var lists [][]Advisory
	for _, one := range s {
		list, err := one.Find(e, name)
		if err != nil {
			return nil, err
		}
		lists = append(lists, list)
	}
	return merge(lists...), nil
}

//go:embed builtin.jsonl
var builtIn string

// known is an advisory as builtin.jsonl has it.
type known struct {
	Ecosystem Ecosystem `json:"ecosystem"`
	Package   string    `json:"package"`
	Advisory
}

// BuiltInDate is when somebody last looked through builtin.jsonl.
var BuiltInDate = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)

// BuiltIn is the snapshot that comes with the program. It covers no ecosystem: it has the
// faults of MCP servers and SDKs that were looked up by hand.
var BuiltIn = sync.OnceValues(func() (*Snapshot, error) {
	packages := map[string][]Advisory{}
	for line := range strings.Lines(builtIn) {
		var k known
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&k); err != nil {
			return nil, fmt.Errorf("reading the advisories that come with the program: %w", err)
		}
		at := key(k.Ecosystem, k.Package)
		packages[at] = append(packages[at], k.Advisory)
	}
	raw, err := write(Header{Made: BuiltInDate, Newest: BuiltInDate}, packages)
	if err != nil {
		return nil, err
	}
	return Parse(raw)
})
