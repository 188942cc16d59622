package approval

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/internal/wire"
)

// strict reads one of our own files: a mistake in it is an error with file and
// line, never a field that is passed over.
type strict struct {
	file string
	raw  []byte
}

// scanStrict is the root value of the file.
func scanStrict(file string, raw []byte, lim wire.Limits) (strict, wire.Value, error) {
	s := strict{file, raw}
	doc, err := wire.Scan(raw, lim)
	var syntax *wire.SyntaxError
	if errors.As(err, &syntax) {
		return s, wire.Value{}, fmt.Errorf("%s:%d: %s", file, s.line(syntax.Offset), syntax.Reason)
	}
	if err != nil {
		return s, wire.Value{}, fmt.Errorf("%s: %w", file, err)
	}
	return s, doc.Root, nil
}

func (s strict) line(offset int) int {
	return 1 + bytes.Count(s.raw[:min(offset, len(s.raw))], []byte("\n"))
}

func (s strict) errorf(at wire.Value, format string, args ...any) error {
	start, _ := at.Span()
	return fmt.Errorf("%s:%d: %s", s.file, s.line(start), fmt.Sprintf(format, args...))
}

// object is an object whose members are all known.
type object struct {
	strict
	at      wire.Value
	members map[string]wire.Value
}

func (s strict) object(v wire.Value, known ...string) (object, error) {
	if v.Kind() != '{' {
		return object{}, s.errorf(v, "an object must stand here")
	}
	o := object{s, v, map[string]wire.Value{}}
	for name, value := range v.Members() {
		if !slices.Contains(known, name) {
			return object{}, s.errorf(value, "unknown field %q", Visible(name))
		}
		o.members[name] = value
	}
	return o, nil
}

// text is a string; "" if it is absent and may be.
func (o object) text(name string, required bool) (string, error) {
	v := o.members[name]
	switch {
	case !v.Exists() && !required:
		return "", nil
	case v.Kind() != '"':
		return "", o.wrong(name, "a string")
	}
	return v.Text(), nil
}

func (o object) time(name string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, o.members[name].Text())
	if err != nil {
		return time.Time{}, o.wrong(name, "a time such as 2026-01-31T12:00:00Z")
	}
	return t.UTC(), nil
}

// flag is false if it is absent.
func (o object) flag(name string) (bool, error) {
	switch o.members[name].Kind() {
	case 0, 'f':
		return false, nil
	case 't':
		return true, nil
	}
	return false, o.wrong(name, "true or false")
}

func (o object) array(name string) (wire.Value, error) {
	v := o.members[name]
	if v.Kind() != '[' {
		return v, o.wrong(name, "an array")
	}
	return v, nil
}

// version refuses every format but the one we write.
func (o object) version(want int) error {
	if got := o.members["version"]; string(got.Raw()) != fmt.Sprint(want) {
		return o.wrong("version", fmt.Sprint(want))
	}
	return nil
}

func (o object) wrong(name, want string) error {
	if v := o.members[name]; v.Exists() {
		return o.errorf(v, "%q must be %s", name, want)
	}
	return o.errorf(o.at, "%q is missing; it must be %s", name, want)
}

// item reads kind, name, digest and definition, and compares the digest. It names
// the server and item if they do not match.
func (o object) item(server string) (Item, error) {
	kind, err := o.text("kind", true)
	if err != nil {
		return Item{}, err
	}
	name, err := o.text("name", false)
	if err != nil {
		return Item{}, err
	}
	want, err := o.text("digest", true)
	if err != nil {
		return Item{}, err
	}
	definition := o.members["definition"]
	if !definition.Exists() {
		return Item{}, o.wrong("definition", "the definition")
	}
	item := NewItem(Kind(kind), name, definition.Raw())
	if item.Digest != want {
		return Item{}, o.errorf(o.members["digest"], "server %q, %s: the digest is not that of the definition, whose digest is %s; one of them was edited", Visible(server), label(item.Kind, name), item.Digest)
	}
	if err := validateItem(item); err != nil {
		return Item{}, o.errorf(o.at, "server %q: %s", Visible(server), err)
	}
	return item, nil
}
