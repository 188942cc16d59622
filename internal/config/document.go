package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"unicode/utf16"
)

// Format is how a file is written.
type Format uint8

const (
	JSON Format = iota // with comments and trailing commas
	YAML
	TOML
)

func (f Format) String() string { return [...]string{"JSON", "YAML", "TOML"}[f] }

// Span is a part of a text, in bytes: from Start up to End.
type Span struct {
	Start int `json:"start"`
	End   int `json:"end"`
}

// Known reports whether the span says where something stands.
func (s Span) Known() bool { return s.End > s.Start }

// Document is a file of somebody else's, read as it is and not judged. Places in
// it are places in Text, which is the file without its byte order mark in UTF-8;
// Encode leads back to the bytes of the file.
type Document struct {
	Path   string
	Format Format
	Mode   fs.FileMode
	Text   []byte
	Root   Value // not there when the file is empty or cannot be understood
	// Problems are what is wrong with it. With Root there, each concerns one place,
	// such as a key that stands twice, of which only the first is read.
	Problems []Problem

	encoding encoding
	units    []int // of UTF-16 before each step of Text; counted when it is asked for
}

// ReadDocument reads a client's file of at most 16 MiB. The error says why it was
// not read: it is not there, unreadable, ErrNotRegular, ErrTooLarge, or no text.
func ReadDocument(path string, format Format) (*Document, error) {
	raw, mode, err := readWithMode(path, maxClientBytes)
	if err != nil {
		return nil, err
	}
	d, err := ParseDocument(path, raw, format)
	if err != nil {
		return nil, err
	}
	d.Mode = mode
	return d, nil
}

// ParseDocument reads the bytes of a file. The error is for bytes that are no text.
func ParseDocument(path string, raw []byte, format Format) (*Document, error) {
	text, err := decodeText(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	d := &Document{Path: path, Format: format, Text: text, encoding: encodingOf(raw)}
	if !bytes.Equal(d.Encode(text), raw) {
		return nil, fmt.Errorf("%s: %w", path, errors.New("the text is not proper UTF-16"))
	}
	r := &reader{path: path}
	if len(bytes.TrimSpace(text)) > 0 {
		d.Root.n = r.parse(text, format)
	}
	d.Problems = r.problems
	return d, nil
}

func (r *reader) parse(text []byte, format Format) *node {
	switch format {
	case YAML:
		return r.parseYAML(text)
	case TOML:
		return r.parseTOML(text)
	}
	return r.parseJSON(text)
}

// encoding is how the text of a file becomes bytes.
type encoding uint8

const (
	plain encoding = iota
	marked
	littleEndian
	bigEndian
)

var marks = [...][]byte{plain: nil, marked: {0xEF, 0xBB, 0xBF}, littleEndian: {0xFF, 0xFE}, bigEndian: {0xFE, 0xFF}}

func encodingOf(raw []byte) encoding {
	for _, e := range []encoding{marked, littleEndian, bigEndian} {
		if bytes.HasPrefix(raw, marks[e]) {
			return e
		}
	}
	return plain
}

// Encode turns a text into bytes the way those of the file are.
func (d *Document) Encode(text []byte) []byte {
	out := bytes.Clone(marks[d.encoding])
	switch d.encoding {
	case littleEndian:
		for _, unit := range utf16.Encode([]rune(string(text))) {
			out = append(out, byte(unit), byte(unit>>8))
		}
	case bigEndian:
		for _, unit := range utf16.Encode([]rune(string(text))) {
			out = append(out, byte(unit>>8), byte(unit))
		}
	default:
		out = append(out, text...)
	}
	return out
}

// InFile is where a part of Text stands in the bytes of the file.
func (d *Document) InFile(s Span) Span {
	if !s.Known() {
		return s
	}
	return Span{d.offset(s.Start), d.offset(s.End)}
}

// step is how many bytes of Text lie between two counts of units.
const step = 4096

func (d *Document) offset(at int) int {
	mark := len(marks[d.encoding])
	if d.encoding != littleEndian && d.encoding != bigEndian {
		return mark + at
	}
	if d.units == nil {
		d.units = []int{0}
		for start := 0; start+step <= len(d.Text); start += step {
			d.units = append(d.units, d.units[start/step]+unitsOf(d.Text[start:start+step]))
		}
	}
	return mark + 2*(d.units[at/step]+unitsOf(d.Text[at/step*step:at]))
}

// unitsOf counts the units of UTF-16 that begin in a piece of UTF-8: one for each
// character, and another for those of four bytes.
func unitsOf(text []byte) (n int) {
	for _, b := range text {
		if b&0xC0 != 0x80 {
			n++
		}
		if b >= 0xF0 {
			n++
		}
	}
	return n
}

// Value is a value of a Document. The zero Value is not there: it has no kind, no
// text and no members.
type Value struct{ n *node }

// Exists reports whether the value stands in the file.
func (v Value) Exists() bool { return v.n != nil }

// IsMapping reports whether the value has members.
func (v Value) IsMapping() bool { return v.n != nil && v.n.kind == mapping }

// IsList reports whether the value is a list.
func (v Value) IsList() bool { return v.n != nil && v.n.kind == list }

// IsNull reports whether the value is there and says nothing.
func (v Value) IsNull() bool { return v.n != nil && v.n.kind == null }

// IsText reports whether the value is a text.
func (v Value) IsText() bool { return v.n != nil && v.n.kind == text }

// Text is the text of a scalar; of a number or a switch, as it is written.
func (v Value) Text() (string, bool) {
	if v.n == nil || !v.n.scalar() {
		return "", false
	}
	return v.n.text, true
}

// Bool is the value of a switch.
func (v Value) Bool() (on, ok bool) {
	if v.n == nil || v.n.kind != boolean {
		return false, false
	}
	return v.n.text == "true", true
}

// Kind says in words what the value is.
func (v Value) Kind() string {
	if v.n == nil {
		return "nothing"
	}
	return v.n.kind.String()
}

// Get finds a value along names.
func (v Value) Get(names ...string) Value {
	for _, name := range names {
		if v.n == nil {
			return Value{}
		}
		v.n = v.n.get(name)
	}
	return v
}

// Len counts members or elements.
func (v Value) Len() int {
	if v.n == nil {
		return 0
	}
	return len(v.n.members) + len(v.n.list)
}

// Members yields the members of a mapping in the order of the file.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if v.n == nil {
			return
		}
		for _, m := range v.n.members {
			if !yield(m.name, Value{m.value}) {
				return
			}
		}
	}
}

// List yields the elements of a list.
func (v Value) List() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.n == nil {
			return
		}
		for _, n := range v.n.list {
			if !yield(Value{n}) {
				return
			}
		}
	}
}

// Span is where the value stands in Text.
func (v Value) Span() Span {
	if v.n == nil {
		return noSpan
	}
	return v.n.span
}

// Key is where the name of a member stands in Text.
func (v Value) Key(name string) Span {
	if v.n != nil {
		for _, m := range v.n.members {
			if m.name == name {
				return m.key
			}
		}
	}
	return noSpan
}

// Line counts from 1; 0 if the value is not there.
func (v Value) Line() int {
	if v.n == nil {
		return 0
	}
	return v.n.pos.line
}
