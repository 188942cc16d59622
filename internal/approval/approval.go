// Package approval keeps what people accepted of each server: how it is reached,
// its instructions and every field of its tools, prompts and resource templates.
// Whatever a server says later is compared with that, so that a definition that
// changes after it was approved is refused until a person looked at the change.
//
// What is approved stands in gatehouse.lock, a file that people commit and review.
// What waits for a person stands in one private file per server. Several processes
// may share both.
package approval

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/finding"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

// Bounds on what a server may make this package keep. A definition beyond them is
// refused, never cut: a part that is not compared is a part that may change.
const (
	// MaxItems bounds the items of one server. The largest public servers list a
	// few hundred tools.
	MaxItems = 2000
	// MaxItemBytes bounds one canonical definition. It goes into a model's context
	// and a person must be able to read it.
	MaxItemBytes = 256 << 10
	// MaxServerBytes bounds all definitions of one server together, approved ones
	// and waiting ones each.
	MaxServerBytes = 16 << 20
	// MaxServers bounds the servers in one lock.
	MaxServers = 1000
	// MaxNameBytes bounds the name of a server or item; URI templates are names.
	MaxNameBytes = 4096
	// maxVersions bounds how often a waiting item is written anew, so that a server
	// that invents a definition for each list cannot keep the disk busy. Versions
	// beyond it are refused like all others; the last one written stays to be seen.
	maxVersions = 64
)

// Kind says what an Item defines.
type Kind string

const (
	KindSource       Kind = "source"       // how the server is reached; made by Source.Item
	KindInstructions Kind = "instructions" // a JSON string; its name is ""
	KindTool         Kind = "tool"
	KindPrompt       Kind = "prompt"
	KindTemplate     Kind = "template" // resource template
)

// kinds is the closed list, in the order people read it, with the surface on which
// rules report about each.
var kinds = []struct {
	kind    Kind
	surface rule.Surface
}{
	{KindSource, 0},
	{KindInstructions, rule.Instructions},
	{KindTool, rule.ToolDefinition},
	{KindPrompt, rule.PromptDefinition},
	{KindTemplate, rule.ResourceDefinition},
}

// rank is the place of the kind in the list, -1 for any other word.
func (k Kind) rank() int {
	for i := range kinds {
		if kinds[i].kind == k {
			return i
		}
	}
	return -1
}

// Item is one definition with all its fields.
type Item struct {
	Kind       Kind            `json:"kind"`
	Name       string          `json:"name,omitempty"`
	Definition json.RawMessage `json:"definition"` // canonical
	Digest     string          `json:"digest"`     // "sha256:" and the hexadecimal hash of Definition
}

// NewItem makes an Item of bytes that wire.Scan accepted.
func NewItem(kind Kind, name string, raw []byte) Item {
	canonical := wire.Canonical(raw)
	return Item{Kind: kind, Name: name, Definition: canonical, Digest: digest(canonical)}
}

func digest(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (i Item) key() key { return key{i.Kind, i.Name} }

// key is what an Item is found by within its server.
type key struct {
	kind Kind
	name string
}

func compareKeys(a, b key) int {
	if d := a.kind.rank() - b.kind.rank(); d != 0 {
		return d
	}
	return strings.Compare(a.name, b.name)
}

// Source is how a server is reached, from the configuration. It is part of what is
// approved: other code behind an unchanged tool list is another server.
type Source struct {
	Command []string // program and arguments, secrets already redacted
	URL     string
	Env     []string // names only, in any order
}

// Item is the source as an item that is approved, compared and shown like any
// other. Check accepts its digest, so that a caller can ask before it starts a
// command.
func (s Source) Item() Item {
	env := slices.Compact(slices.Sorted(slices.Values(s.Env)))
	fields := map[string]any{}
	if len(s.Command) > 0 {
		fields["command"] = s.Command
	}
	if s.URL != "" {
		fields["url"] = s.URL
	}
	if len(env) > 0 {
		fields["env"] = env
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		panic("approval: internal error: " + err.Error()) // strings always marshal
	}
	return NewItem(KindSource, "", raw)
}

// validate refuses what must never reach a file that people commit. The errors do
// not repeat the value.
func (s Source) validate() error {
	for _, name := range s.Env {
		if name == "" || strings.ContainsRune(name, '=') {
			return fmt.Errorf("an environment variable is given with its value; only names may be kept")
		}
	}
	if s.URL == "" {
		return nil
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return fmt.Errorf("the URL cannot be parsed")
	}
	if _, secret := u.User.Password(); secret {
		return fmt.Errorf("the URL holds a password; it may not be kept")
	}
	return nil
}

// Definition is everything that one server says of itself, in any order, and how
// it is reached.
type Definition struct {
	Source Source
	Items  []Item
}

// State is what a Book knows of a server or an item. Only Approved may pass.
type State string

const (
	Approved    State = "approved"
	Unknown     State = "unknown"     // the server was never seen
	Quarantined State = "quarantined" // the server waits for its first approval
	New         State = "new"         // the item is not in the approved set
	Drift       State = "drift"       // the item, or the source of the server, differs from the approved one
)

// Change is one difference between what is approved and what a server says now.
type Change struct {
	Server string
	Kind   Kind
	Name   string
	Old    Item // zero: not approved before
	New    Item // zero: the server no longer has it
	// Duplicate: the server has several definitions of this name, of which New is
	// one. None passes and none can be approved.
	Duplicate bool
	// Quarantined: nothing of the server is approved yet.
	Quarantined bool
	Findings    []finding.Finding // about New
	Since       time.Time         // when it first differed
	Versions    int               // how many different definitions were seen since then
}

// Waits reports whether a person must decide. An item that vanished keeps nothing
// from working.
func (c Change) Waits() bool { return c.New.Digest != "" }

// What names the change in one word: added, changed, removed or duplicate.
func (c Change) What() string {
	switch {
	case c.Duplicate:
		return "duplicate"
	case c.New.Digest == "":
		return "removed"
	case c.Old.Digest == "":
		return "added"
	}
	return "changed"
}

// RedefinitionRule is the rule id of the findings that Observe makes itself: one
// listing has two definitions of the same name, so that it depends on the reader
// which one counts.
const RedefinitionRule = "tool-redefinition"

// observation is a whole definition as it was read, checked and sorted.
type observation struct {
	items      []Item // the source first
	source     string // digest
	duplicates map[key]bool
	findings   []finding.Finding
}

func observe(server string, d Definition) (observation, error) {
	if err := d.Source.validate(); err != nil {
		return observation{}, err
	}
	if len(d.Items) > MaxItems {
		return observation{}, fmt.Errorf("the server defines %d items; at most %d are accepted", len(d.Items), MaxItems)
	}
	source := d.Source.Item()
	o := observation{items: append([]Item{source}, d.Items...), source: source.Digest, duplicates: map[key]bool{}}
	slices.SortStableFunc(o.items, func(a, b Item) int { return compareKeys(a.key(), b.key()) })
	if err := validateItems(o.items); err != nil {
		return observation{}, err
	}
	for i, item := range o.items[1:] {
		if k := item.key(); k == o.items[i].key() && !o.duplicates[k] {
			o.duplicates[k] = true
			o.findings = append(o.findings, redefinition(server, item))
		}
	}
	return o, nil
}

// validateItems checks a sorted definition. There is exactly one source, because
// Definition.Items may not bring another one.
func validateItems(items []Item) error {
	total := 0
	for i, item := range items {
		if total += len(item.Definition); total > MaxServerBytes {
			return fmt.Errorf("the definitions of the server have more than %d bytes together", MaxServerBytes)
		}
		if item.Kind == KindSource && i > 0 {
			return fmt.Errorf("a source among the items of the server")
		}
		if err := validateItem(item); err != nil {
			return err
		}
	}
	return nil
}

func validateItem(item Item) error {
	switch {
	case item.Kind.rank() < 0:
		return fmt.Errorf("an item of unknown kind %q", item.Kind)
	case (item.Kind == KindInstructions || item.Kind == KindSource) && item.Name != "":
		return fmt.Errorf("%s must have no name", item.Kind)
	case len(item.Name) > MaxNameBytes:
		return fmt.Errorf("the name of a %s has more than %d bytes", item.Kind, MaxNameBytes)
	case len(item.Definition) > MaxItemBytes:
		return fmt.Errorf("the definition of %s has %d bytes; at most %d are accepted", label(item.Kind, item.Name), len(item.Definition), MaxItemBytes)
	case item.Digest != digest(item.Definition):
		return fmt.Errorf("the digest of %s does not match its definition", label(item.Kind, item.Name))
	}
	return nil
}

func validateServer(server string) error {
	if server == "" || len(server) > MaxNameBytes {
		return fmt.Errorf("a server must have a name of at most %d bytes", MaxNameBytes)
	}
	return nil
}

// label names an item for people.
func label(kind Kind, name string) string {
	if name == "" {
		return string(kind)
	}
	return fmt.Sprintf("%s %q", kind, Visible(name))
}

func redefinition(server string, item Item) finding.Finding {
	return finding.Finding{
		Rule:     RedefinitionRule,
		Severity: rule.High,
		Surface:  kinds[item.Kind.rank()].surface.String(),
		Server:   server,
		Name:     item.Name,
		Detail:   fmt.Sprintf("the server defines more than one %s of this name; none of them can be used", item.Kind),
		Effect:   "quarantined",
	}
}

// subjectOf is the item that a finding is about; false if it is about none.
func subjectOf(f finding.Finding) (key, bool) {
	for _, k := range kinds[1:] {
		if k.surface.String() != f.Surface {
			continue
		}
		if k.kind == KindInstructions {
			return key{KindInstructions, ""}, true
		}
		return key{k.kind, f.Name}, true
	}
	return key{}, false
}
