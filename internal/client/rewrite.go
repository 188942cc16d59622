package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/config"
)

// Change is what an entry shall say instead. What is not set stays.
type Change struct {
	Path    []string          // of the entry
	Command []string          // program and arguments, for an entry that has a command
	URL     string            // for an entry that has a URL
	Env     map[string]string // new values of variables that are there
	Headers map[string]string // new values of headers that are there
}

// Patch changes the bytes of one file and puts them back. It holds what stood there,
// secrets included: keep it as safe as the file.
type Patch struct {
	Before string `json:"before"` // SHA-256 of the whole file
	After  string `json:"after"`
	Edits  []Edit `json:"edits"` // in the order of the file
}

// Edit puts New in the place of Old. It begins at the name of a member.
type Edit struct {
	At   int      `json:"at"`   // in the file before all edits, in bytes
	Keys []string `json:"keys"` // lead to the member at which New begins
	Old  []byte   `json:"old"`
	New  []byte   `json:"new"`
}

// Errors of a Patch.
var (
	// ErrChanged says that the file is not what the patch was made for.
	ErrChanged = errors.New("the file has changed since")
	// errPlace says that a value cannot be changed where it stands.
	errPlace = errors.New("where it stands in the file cannot be told; change it by hand")
	// errDoubt says that a client may read something else in the file than we do, such as
	// the second of two keys of one name: what is changed would not be what it runs.
	errDoubt = errors.New("clients may read the file in different ways; change it by hand")
)

// Rewrite makes the patch that changes entries of a file, whose bytes are raw. The
// file is read again as it would be then: if anything but what was asked for would
// differ, there is no patch.
func (f File) Rewrite(raw []byte, changes []Change) (Patch, error) {
	d, err := config.ParseDocument(f.Path, raw, f.place.Format)
	if err != nil {
		return Patch{}, err
	}
	if len(d.Problems) > 0 {
		return Patch{}, fmt.Errorf("%s: line %d: %s: %w", f.Path, d.Problems[0].Line, d.Problems[0].Message, errDoubt)
	}
	w := &rewriting{document: d, touched: map[string]bool{}}
	for _, c := range changes {
		if err := w.change(c); err != nil {
			return Patch{}, fmt.Errorf("%s: %s: %w", f.Path, strings.Join(c.Path, "."), err)
		}
	}
	p, err := w.patch(raw)
	if err != nil {
		return Patch{}, fmt.Errorf("%s: %w", f.Path, err)
	}
	after, err := p.Apply(raw)
	if err != nil {
		return Patch{}, err
	}
	if err := w.verify(after, changes); err != nil {
		return Patch{}, fmt.Errorf("%s: %w", f.Path, err)
	}
	return p, nil
}

// Apply makes the change in the bytes that it was made for.
func (p Patch) Apply(raw []byte) ([]byte, error) {
	if digest(raw) != p.Before {
		return nil, ErrChanged
	}
	return replace(raw, p.Edits, func(e Edit) (int, []byte, []byte) { return e.At, e.Old, e.New })
}

// Revert gives back the bytes from before, exactly.
func (p Patch) Revert(raw []byte) ([]byte, error) {
	if digest(raw) != p.After {
		return nil, ErrChanged
	}
	moved := 0
	return replace(raw, p.Edits, func(e Edit) (int, []byte, []byte) {
		at := e.At + moved
		moved += len(e.New) - len(e.Old)
		return at, e.New, e.Old
	})
}

// RevertIn takes the changes back in a file that has changed elsewhere. Every edit
// must still stand as it was made; otherwise nothing is taken back, by ErrChanged.
func (p Patch) RevertIn(f File, raw []byte) ([]byte, error) {
	if digest(raw) == p.After {
		return p.Revert(raw)
	}
	d, err := config.ParseDocument(f.Path, raw, f.place.Format)
	if err != nil {
		return nil, err
	}
	var edits []Edit
	for _, e := range p.Edits {
		last := len(e.Keys) - 1
		if last < 0 {
			return nil, ErrChanged
		}
		key := d.InFile(locate(d.Root, e.Keys[:last]).Key(e.Keys[last]))
		if !key.Known() {
			return nil, ErrChanged
		}
		edits = append(edits, Edit{At: key.Start, Old: e.New, New: e.Old})
	}
	slices.SortFunc(edits, func(a, b Edit) int { return a.At - b.At })
	return replace(raw, edits, func(e Edit) (int, []byte, []byte) { return e.At, e.Old, e.New })
}

// Stands reports whether every edit is in the file as it was made.
func (p Patch) Stands(f File, raw []byte) bool {
	_, err := p.RevertIn(f, raw)
	return err == nil
}

// FileAt is a file that was read before, by its path and format, to take changes in it
// back. It has no entries.
func FileAt(path string, format config.Format) File {
	return File{Path: path, place: Place{Format: format}}
}

// Format is how the file is written.
func (f File) Format() config.Format { return f.place.Format }

// Said is what a file says of one entry, secrets included.
type Said struct {
	Words   []string
	URL     string
	Env     map[string]string // variables that stand as one name with one value
	Headers map[string]string
}

// Said reads one entry in the bytes of a file; false if it is not there or cannot be
// understood.
func (f File) Said(raw []byte, path []string) (Said, bool) {
	d, err := config.ParseDocument(f.Path, raw, f.place.Format)
	if err != nil {
		return Said{}, false
	}
	return said(d, path)
}

func said(d *config.Document, path []string) (Said, bool) {
	v := locate(d.Root, path)
	if !v.IsMapping() {
		return Said{}, false
	}
	r := &reading{file: &File{Path: d.Path}, document: d, prints: NewFingerprints([]byte("said"))}
	e := Entry{}
	if err := r.fill(&e, v); err != nil {
		return Said{}, false
	}
	said := Said{Words: e.Words, URL: e.URL, Env: map[string]string{}, Headers: map[string]string{}}
	for _, holder := range []config.Value{v, first(v, commandKeys)} {
		take(said.Env, holder, config.EnvKeys)
	}
	take(said.Headers, v, headerKeys)
	return said, true
}

// take collects the texts under the spellings of a key. The first spelling counts.
func take(to map[string]string, v config.Value, spellings []string) {
	for _, key := range spellings {
		for name, item := range v.Get(key).Members() {
			if _, there := to[name]; !there && item.IsText() {
				to[name], _ = item.Text()
			}
		}
	}
}

// headerKeys are the spellings of headers as one name with one value.
var headerKeys = []string{"headers", "http_headers"}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// replace puts pieces in the place of others. They are in order and do not overlap.
func replace(raw []byte, edits []Edit, piece func(Edit) (at int, old, fresh []byte)) ([]byte, error) {
	var out []byte
	end := 0
	for _, e := range edits {
		at, old, fresh := piece(e)
		if at < end || at > len(raw) || !bytes.HasPrefix(raw[at:], old) {
			return nil, ErrChanged
		}
		out = append(append(out, raw[end:at]...), fresh...)
		end = at + len(old)
	}
	return append(out, raw[end:]...), nil
}

// locate follows the path of an entry: names, and [i] in lists.
func locate(v config.Value, path []string) config.Value {
	for _, name := range path {
		if !v.IsList() {
			v = v.Get(name)
			continue
		}
		found := config.Value{}
		i := 0
		for element := range v.List() {
			if name == fmt.Sprintf("[%d]", i) {
				found = element
			}
			i++
		}
		v = found
	}
	return v
}

// rewriting collects edits in the text of a document.
type rewriting struct {
	document *config.Document
	edits    []textEdit
	touched  map[string]bool // the paths of what the edits change or add
}

// pathOf is a path as a key of touched.
func pathOf(keys ...string) string { return strings.Join(keys, "\x00") }

type textEdit struct {
	span config.Span // in Text
	keys []string
	text string
}

func (w *rewriting) change(c Change) error {
	entry := locate(w.document.Root, c.Path)
	if !entry.IsMapping() {
		return errPlace
	}
	if len(c.Command) > 0 {
		if err := w.command(entry, c); err != nil {
			return err
		}
	}
	if c.URL != "" {
		// Clients differ in which of several counts, so all that are there are changed.
		found := false
		for _, key := range config.URLKeys {
			if entry.Get(key).IsText() {
				found = true
				if err := w.set(entry, c.Path, key, w.quote(c.URL)); err != nil {
					return err
				}
			}
		}
		if !found {
			return errors.New("it has no URL")
		}
	}
	if err := w.members(entry, c.Path, config.EnvKeys, c.Env); err != nil {
		return err
	}
	return w.members(entry, c.Path, headerKeys, c.Headers)
}

// holder is a mapping in which variables may stand.
type holder struct {
	value config.Value
	path  []string
}

func (w *rewriting) members(entry config.Value, path []string, spellings []string, values map[string]string) error {
	holders := []holder{{entry, path}}
	if key := spelled(entry, commandKeys); entry.Get(key).IsMapping() { // Zed
		holders = append(holders, holder{entry.Get(key), append(slices.Clone(path), key)})
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		found := false
		for _, h := range holders {
			for _, key := range spellings {
				if at := h.value.Get(key); at.Get(name).Exists() {
					found = true
					if err := w.set(at, append(slices.Clone(h.path), key), name, w.quote(values[name])); err != nil {
						return err
					}
				}
			}
		}
		if !found {
			return fmt.Errorf("%s is not set as one name with one value", name)
		}
	}
	return nil
}

func (w *rewriting) command(entry config.Value, c Change) error {
	key := spelled(entry, commandKeys)
	path := c.Path
	if entry.Get(key).IsMapping() {
		path = append(slices.Clone(path), key)
		entry, key = entry.Get(key), "path"
	}
	args := spelled(entry, argsKeys)
	for _, name := range argsKeys { // one that says nothing is in the way of another
		if args == "" && entry.Get(name).Exists() {
			args = name
		}
	}
	program, rest := c.Command[0], c.Command[1:]
	switch {
	case !entry.Get(key).Exists():
		return errors.New("it has no command")
	case entry.Get(key).IsList():
		if args != "" {
			if err := w.set(entry, path, args, "[]"); err != nil {
				return err
			}
		}
		return w.set(entry, path, key, w.list(c.Command))
	case args != "":
		if err := w.set(entry, path, args, w.list(rest)); err != nil {
			return err
		}
		return w.set(entry, path, key, w.quote(program))
	case len(rest) == 0:
		return w.set(entry, path, key, w.quote(program))
	}
	return w.insert(entry, path, key, w.quote(program), w.list(rest))
}

// spelled is the spelling under which a member says something.
func spelled(v config.Value, spellings []string) string {
	for _, name := range spellings {
		if found := v.Get(name); found.Exists() && !found.IsNull() {
			return name
		}
	}
	return ""
}

// set replaces the value of a member. Its name and what stands between both stay.
func (w *rewriting) set(parent config.Value, path []string, key, value string) error {
	name, at := parent.Key(key), parent.Get(key).Span()
	if !name.Known() || !at.Known() || at.Start < name.End {
		return errPlace
	}
	text := w.document.Text
	between := string(text[name.End:at.Start])
	if w.document.Format == config.YAML && strings.Contains(between, "\n") {
		between = ": " // a value in brackets cannot stand where a list of lines may
	}
	w.touched[pathOf(append(slices.Clone(path), key)...)] = true
	w.edits = append(w.edits, textEdit{
		span: config.Span{Start: name.Start, End: at.End},
		keys: append(slices.Clone(path), key),
		text: string(text[name.Start:name.End]) + between + value,
	})
	return nil
}

// insert sets the command and puts arguments beside it. In braces they follow it; in
// lines they stand on a line of their own before it, so that a comment behind the
// command stays there.
func (w *rewriting) insert(entry config.Value, path []string, key, program, args string) error {
	if err := w.set(entry, path, key, program); err != nil {
		return err
	}
	w.touched[pathOf(append(slices.Clone(path), "args")...)] = true
	e := &w.edits[len(w.edits)-1]
	sign := map[config.Format]string{config.JSON: `"args": `, config.YAML: "args: ", config.TOML: "args = "}[w.document.Format]
	text := w.document.Text
	start := bytes.LastIndexByte(text[:e.span.Start], '\n') + 1
	indent := string(text[start:e.span.Start])
	if w.document.Format == config.JSON || strings.Trim(indent, " \t-") != "" {
		e.text += ", " + sign + args
		return nil
	}
	end := "\n"
	if bytes.Contains(text, []byte("\r\n")) {
		end = "\r\n"
	}
	e.text = sign + args + end + strings.ReplaceAll(indent, "-", " ") + e.text
	e.keys = append(slices.Clone(path), "args")
	return nil
}

// quote writes a text as all three formats read it: a JSON string, in which TOML
// wants DEL escaped too.
func (w *rewriting) quote(s string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.Encode(s) // a string is always encoded
	return strings.ReplaceAll(strings.TrimSuffix(out.String(), "\n"), "\x7f", `\u007f`)
}

func (w *rewriting) list(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = w.quote(word)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func (w *rewriting) patch(raw []byte) (Patch, error) {
	slices.SortFunc(w.edits, func(a, b textEdit) int { return a.span.Start - b.span.Start })
	p := Patch{Before: digest(raw)}
	mark := len(w.document.Encode(nil))
	for _, e := range w.edits {
		at := w.document.InFile(e.span)
		p.Edits = append(p.Edits, Edit{
			At: at.Start, Keys: e.keys, Old: bytes.Clone(raw[at.Start:at.End]), New: w.document.Encode([]byte(e.text))[mark:],
		})
	}
	after, err := replace(raw, p.Edits, func(e Edit) (int, []byte, []byte) { return e.At, e.Old, e.New })
	p.After = digest(after)
	return p, err
}

// verify reads the file as it will be and holds it against what was asked for: all of
// it says the same as before, but for what was touched.
func (w *rewriting) verify(raw []byte, changes []Change) error {
	after, err := config.ParseDocument(w.document.Path, raw, w.document.Format)
	if err != nil {
		return err
	}
	if len(after.Problems) > 0 || !w.same(w.document.Root, after.Root) {
		return errPlace
	}
	for _, c := range changes {
		is, ok := said(after, c.Path)
		if !ok || len(c.Command) > 0 && !slices.Equal(is.Words, c.Command) || c.URL != "" && is.URL != c.URL ||
			!holds(is.Env, c.Env) || !holds(is.Headers, c.Headers) {
			return errPlace
		}
	}
	return nil
}

// holds reports whether values are as they shall be.
func holds(have, want map[string]string) bool {
	for name, value := range want {
		if have[name] != value {
			return false
		}
	}
	return true
}

// same reports whether two values say the same.
func same(a, b config.Value) bool { return new(rewriting).same(a, b) }

// same compares two values, and all below them that was not touched.
func (w *rewriting) same(a, b config.Value, path ...string) bool {
	was, _ := a.Text()
	is, _ := b.Text()
	if a.Kind() != b.Kind() || was != is {
		return false
	}
	before, after := w.untouched(a, path), w.untouched(b, path)
	return slices.EqualFunc(before, after, func(a, b part) bool {
		return a.name == b.name && w.same(a.value, b.value, append(slices.Clone(path), a.name)...)
	})
}

// part is a member, or an element by its place.
type part struct {
	name  string
	value config.Value
}

func (w *rewriting) untouched(v config.Value, path []string) (parts []part) {
	add := func(name string, value config.Value) {
		if !w.touched[pathOf(append(slices.Clone(path), name)...)] {
			parts = append(parts, part{name, value})
		}
	}
	for name, member := range v.Members() {
		add(name, member)
	}
	i := 0
	for element := range v.List() {
		add(fmt.Sprintf("[%d]", i), element)
		i++
	}
	return parts
}
