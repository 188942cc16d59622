package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"unicode/utf16"
	"unicode/utf8"
)

// A file becomes a tree of nodes first, YAML and JSON alike, so that keys,
// types and positions are checked in one place.

type position struct{ line, column int } // from 1

type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	list
	mapping
)

func (k kind) String() string {
	return [...]string{"nothing", "true or false", "a number", "text", "a list", "a mapping"}[k]
}

type node struct {
	pos     position
	kind    kind
	text    string // of a scalar: as written, without its quotes
	list    []*node
	members []member

	size, height int // of the tree below, aliases written out

	span Span // of a document; without a length where it is not known
}

type member struct {
	name  string
	pos   position
	value *node
	key   Span
}

const (
	// maxDepth bounds nesting. Our own files need four levels; clients keep
	// servers inside larger settings.
	maxDepth = 64
	// maxNodes bounds the tree with all aliases written out, against files that
	// grow when they are read ("billion laughs").
	maxNodes = 50_000
)

// get finds a member; nil when there is none.
func (n *node) get(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// add appends a member and refuses a second one of the same name. seen holds the
// line of each name of the mapping.
func (n *node) add(r *reader, seen map[string]int, m member) {
	if line, twice := seen[m.name]; twice {
		r.refuse(m.pos, "", "the key %s stands here a second time; the first is on line %d", quote(m.name), line)
		return
	}
	seen[m.name] = m.pos.line
	n.adopt(m.value)
	n.members = append(n.members, m)
}

// adopt counts a child into the size and height of its parent.
func (n *node) adopt(child *node) *node {
	n.size += child.size
	n.height = max(n.height, child.height+1)
	return child
}

// at is the position of the value found along names, or of the nearest thing
// around it.
func (n *node) at(names ...string) position {
	for _, name := range names {
		next := n.get(name)
		if next == nil {
			break
		}
		n = next
	}
	return n.pos
}

// describe says what a value is, for a field that never holds a secret.
func (n *node) describe() string {
	switch n.kind {
	case text:
		return quote(n.text)
	case number, boolean:
		return quoteBare(n.text)
	}
	return n.kind.String()
}

func quoteBare(s string) string {
	if len(s) > maxQuoted {
		return "a long value"
	}
	return s
}

// scalar reports whether the node is a piece of text as people write it: true
// and 8080 are arguments as good as any.
func (n *node) scalar() bool { return n.kind == text || n.kind == number || n.kind == boolean }

const (
	// maxConfigBytes bounds our own file. A server takes about 200 bytes.
	maxConfigBytes = 1 << 20
	// maxClientBytes bounds a client's file. Some keep their history beside the
	// servers and reach several MiB.
	maxClientBytes = 16 << 20
)

// readSource reads a regular file of at most limit bytes as UTF-8 text. A pipe
// or a device could block or never end.
func readSource(path string, limit int64) (abs string, source []byte, err error) {
	abs, err = filepath.Abs(path)
	if err != nil {
		return "", nil, fmt.Errorf("reading configuration: %w", err)
	}
	raw, err := readRegular(abs, limit)
	if err != nil {
		return "", nil, fmt.Errorf("reading configuration: %w", err)
	}
	source, err = decodeText(raw)
	if err != nil {
		return "", nil, fmt.Errorf("reading configuration: %s: %w", abs, err)
	}
	return abs, source, nil
}

// Why a file is not read although it is there.
var (
	ErrNotRegular = errors.New("is not a regular file")
	ErrTooLarge   = errors.New("is larger than")
)

func readRegular(path string, limit int64) ([]byte, error) {
	raw, _, err := readWithMode(path, limit)
	return raw, err
}

// readWithMode reads a regular file. The mode is that of the file that was read,
// whatever stands at its path by then.
func readWithMode(path string, limit int64) ([]byte, fs.FileMode, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s %w", path, ErrNotRegular)
	}
	// What was a file a moment ago may be a pipe now: opening one waits for a writer.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s %w", path, ErrNotRegular)
	}
	raw, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, 0, err
	}
	if int64(len(raw)) > limit {
		return nil, 0, fmt.Errorf("%s %w %d bytes", path, ErrTooLarge, limit)
	}
	return raw, info.Mode(), nil
}

// decodeText removes a byte order mark and turns UTF-16, which Windows editors
// write, into UTF-8.
func decodeText(raw []byte) ([]byte, error) {
	var source []byte
	switch {
	case bytes.HasPrefix(raw, []byte{0xEF, 0xBB, 0xBF}):
		source = raw[3:]
	case bytes.HasPrefix(raw, []byte{0xFF, 0xFE}):
		source = decodeUTF16(raw[2:], func(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 })
	case bytes.HasPrefix(raw, []byte{0xFE, 0xFF}):
		source = decodeUTF16(raw[2:], func(b []byte) uint16 { return uint16(b[1]) | uint16(b[0])<<8 })
	default:
		source = raw
	}
	if !utf8.Valid(source) {
		return nil, errors.New("the text is neither UTF-8 nor UTF-16 with a byte order mark")
	}
	if bytes.IndexByte(source, 0) >= 0 {
		return nil, errors.New("the text holds a NUL character")
	}
	return source, nil
}

// decodeUTF16 returns invalid UTF-8 for input that is not UTF-16.
func decodeUTF16(raw []byte, unit func([]byte) uint16) []byte {
	if len(raw)%2 != 0 {
		return []byte{0xFF}
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = unit(raw[2*i:])
	}
	return []byte(string(utf16.Decode(units)))
}
