package approval

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/wire"
)

// Op says what happened to a field or to a part of its text.
type Op string

const (
	Same      Op = "same"
	Added     Op = "added"
	Removed   Op = "removed"
	Changed   Op = "changed"   // a text of which parts stayed
	Reordered Op = "reordered" // an array with the same elements in another order
)

// Line is the difference of one field.
type Line struct {
	Op      Op     `json:"op"`
	Pointer string `json:"pointer"` // JSON Pointer (RFC 6901) into the definition, hidden characters shown
	Parts   []Part `json:"parts"`
}

// Part is a piece of a field. In its text hidden characters are shown as Visible
// shows them, except that the text goes on in a new line where the field does.
type Part struct {
	Op   Op     `json:"op"`
	Text string `json:"text"`
}

// Diff lists in which fields two definitions differ, either of which may be absent
// (empty). The order of an object's members is no difference. Definitions with
// different digests always differ in at least one line.
func Diff(old, new json.RawMessage) []Line {
	a, okOld := root(old)
	b, okNew := root(new)
	d := &differ{words: maxWordCells}
	if okOld && okNew {
		d.value("", a, b)
	} else if !bytes.Equal(old, new) {
		d.opaque(Removed, old)
		d.opaque(Added, new)
	}
	return d.lines
}

// root is the value of a definition; not ok if it is not strict JSON.
func root(raw json.RawMessage) (wire.Value, bool) {
	if len(raw) == 0 {
		return wire.Value{}, true
	}
	doc, err := wire.Scan(raw, fileLimits)
	return doc.Root, err == nil
}

type differ struct {
	lines []Line
	words int // what is left of maxWordCells
}

func (d *differ) add(op Op, pointer, text string) {
	d.lines = append(d.lines, Line{op, Visible(pointer), []Part{{op, text}}})
}

func (d *differ) opaque(op Op, raw []byte) {
	if len(raw) > 0 {
		d.add(op, "", shown(string(raw)))
	}
}

// shown is text that appeared or vanished; the ends of its lines are shown too,
// because they are part of what changed.
func shown(text string) string { return visible(text, "\\n\n") }

func (d *differ) value(pointer string, a, b wire.Value) {
	if a.Kind() != b.Kind() {
		d.leaves(Removed, pointer, a)
		d.leaves(Added, pointer, b)
		return
	}
	switch a.Kind() {
	case 0:
	case '{':
		d.objects(pointer, a, b)
	case '[':
		d.arrays(pointer, a, b)
	case '"':
		d.texts(pointer, a.Text(), b.Text())
	default:
		if !bytes.Equal(a.Raw(), b.Raw()) {
			d.leaves(Removed, pointer, a)
			d.leaves(Added, pointer, b)
		}
	}
}

func (d *differ) objects(pointer string, a, b wire.Value) {
	old, new := maps.Collect(a.Members()), maps.Collect(b.Members())
	names := maps.Clone(old)
	maps.Copy(names, new)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		d.value(child(pointer, name), old[name], new[name])
	}
}

// element is an array element that has no equal one in the other array.
type element struct {
	index int
	value wire.Value
}

// arrays pairs equal elements wherever they stand, and of the rest the first with
// the first and so on.
func (d *differ) arrays(pointer string, a, b wire.Value) {
	old, new := canonicalItems(a), canonicalItems(b)
	gone, came := without(a, old, new), without(b, new, old)
	if len(gone) == 0 && len(came) == 0 {
		if !slices.Equal(old, new) {
			d.add(Reordered, pointer, fmt.Sprintf("the same %d elements in another order", len(old)))
		}
		return
	}
	for i := range max(len(gone), len(came)) {
		switch {
		case i >= len(gone):
			d.leaves(Added, child(pointer, strconv.Itoa(came[i].index)), came[i].value)
		case i >= len(came):
			d.leaves(Removed, child(pointer, strconv.Itoa(gone[i].index)), gone[i].value)
		default:
			d.value(child(pointer, strconv.Itoa(came[i].index)), gone[i].value, came[i].value)
		}
	}
}

func canonicalItems(v wire.Value) []string {
	var list []string
	for item := range v.Items() {
		list = append(list, string(wire.Canonical(item.Raw())))
	}
	return list
}

// without is the elements of v, whose canonical forms are own, that have no
// partner in other.
func without(v wire.Value, own, other []string) []element {
	count := map[string]int{}
	for _, s := range other {
		count[s]++
	}
	var rest []element
	i := 0
	for item := range v.Items() {
		if count[own[i]]--; count[own[i]] < 0 {
			rest = append(rest, element{i, item})
		}
		i++
	}
	return rest
}

func (d *differ) texts(pointer, a, b string) {
	if a == b {
		return
	}
	if parts, ok := d.changedWords(a, b); ok {
		d.lines = append(d.lines, Line{Changed, Visible(pointer), parts})
		return
	}
	d.add(Removed, pointer, quote(a))
	d.add(Added, pointer, quote(b))
}

func quote(text string) string { return `"` + shown(text) + `"` }

// leaves lists every field of a value that is in one definition only.
func (d *differ) leaves(op Op, pointer string, v wire.Value) {
	empty := true
	switch v.Kind() {
	case 0:
		return
	case '{':
		members := maps.Collect(v.Members())
		for _, name := range slices.Sorted(maps.Keys(members)) {
			d.leaves(op, child(pointer, name), members[name])
			empty = false
		}
		if empty {
			d.add(op, pointer, "{}")
		}
	case '[':
		i := 0
		for item := range v.Items() {
			d.leaves(op, child(pointer, strconv.Itoa(i)), item)
			i++
		}
		if i == 0 {
			d.add(op, pointer, "[]")
		}
	case '"':
		d.add(op, pointer, quote(v.Text()))
	default:
		d.add(op, pointer, string(v.Raw()))
	}
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func child(pointer, name string) string { return pointer + "/" + pointerEscapes.Replace(name) }
