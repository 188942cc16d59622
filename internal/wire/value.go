package wire

import (
	"bytes"
	"cmp"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Value is one JSON value inside bytes that Scan accepted. The zero Value is an
// absent one: every method that reads works on it and finds nothing. Changing it
// is a mistake of the caller, and Replace and Set panic.
type Value struct {
	doc        []byte
	start, end int
}

// Exists tells a value, null included, from an absent one.
func (v Value) Exists() bool { return v.end > v.start }

// Kind is the first byte of the value, '0' for every number, 0 if absent.
func (v Value) Kind() byte {
	if !v.Exists() {
		return 0
	}
	if c := v.doc[v.start]; c != '-' && (c < '0' || c > '9') {
		return c
	}
	return '0'
}

// Raw is the bytes of the value as they were sent; nil if absent.
func (v Value) Raw() []byte {
	if !v.Exists() {
		return nil
	}
	return v.doc[v.start:v.end:v.end]
}

// Span is where the value stands in the scanned bytes.
func (v Value) Span() (start, end int) { return v.start, v.end }

// Text is the decoded string, "" if the value is no string.
func (v Value) Text() string {
	if v.Kind() != '"' {
		return ""
	}
	return unescape(v.doc[v.start+1 : v.end-1])
}

// Int is the value of an integer literal that fits.
func (v Value) Int() (int64, bool) {
	n, err := strconv.ParseInt(string(v.Raw()), 10, 64)
	return n, err == nil
}

// IsTrue reports whether the value is the literal true.
func (v Value) IsTrue() bool { return v.Kind() == 't' }

// Get is the member of an object with exactly this name.
func (v Value) Get(key string) Value {
	for m := range v.members() {
		if m.is(v.doc, key) {
			return Value{v.doc, m.valueStart, m.valueEnd}
		}
	}
	return Value{}
}

// Lookalike is a member name that is none of keys, but that a decoder which does
// not tell upper from lower case takes for one of them. Scan refuses "name" next
// to "Name"; this finds a "Name" that stands alone, which such a decoder reads
// where Get finds nothing (CVE-2026-27896).
func (v Value) Lookalike(keys ...string) (string, bool) {
	for name := range v.Members() {
		if IsLookalike(name, keys...) {
			return name, true
		}
	}
	return "", false
}

// IsLookalike is Lookalike for one member name.
func IsLookalike(name string, keys ...string) bool { return lookalike([]byte(name), keys) }

func lookalike(name []byte, keys []string) bool {
	for _, key := range keys {
		// Other forms of an ASCII letter are never shorter, so most names end here.
		if len(name) >= len(key) && string(name) != key && bytes.EqualFold(name, []byte(key)) {
			return true
		}
	}
	return false
}

// At follows member names from object to object.
func (v Value) At(keys ...string) Value {
	for _, key := range keys {
		v = v.Get(key)
	}
	return v
}

// Members are the members of an object in the order they were sent.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for m := range v.members() {
			if !yield(unescape(v.doc[m.keyStart:m.keyEnd]), Value{v.doc, m.valueStart, m.valueEnd}) {
				return
			}
		}
	}
}

// Items are the elements of an array in order.
func (v Value) Items() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind() != '[' {
			return
		}
		for pos := skipSpace(v.doc, v.start+1); v.doc[pos] != ']'; {
			end := skipValue(v.doc, pos)
			if !yield(Value{v.doc, pos, end}) {
				return
			}
			pos = skipSeparator(v.doc, end)
		}
	}
}

type memberSpan struct {
	keyStart, keyEnd     int // between the quotes
	valueStart, valueEnd int
}

func (m memberSpan) is(doc []byte, key string) bool {
	return equalText(doc[m.keyStart:m.keyEnd], key)
}

// equalText says whether the inside of a JSON string stands for a text.
func equalText(inside []byte, text string) bool {
	if bytes.IndexByte(inside, '\\') >= 0 {
		return unescape(inside) == text
	}
	return string(inside) == text
}

func (v Value) members() iter.Seq[memberSpan] {
	return func(yield func(memberSpan) bool) {
		if v.Kind() != '{' {
			return
		}
		for pos := skipSpace(v.doc, v.start+1); v.doc[pos] != '}'; {
			m := memberSpan{keyStart: pos + 1}
			pos = skipString(v.doc, pos)
			m.keyEnd = pos - 1
			m.valueStart = skipSpace(v.doc, skipSpace(v.doc, pos)+1)
			m.valueEnd = skipValue(v.doc, m.valueStart)
			if !yield(m) {
				return
			}
			pos = skipSeparator(v.doc, m.valueEnd)
		}
	}
}

// The skip functions walk bytes that Scan accepted and check nothing.

func skipSpace(doc []byte, pos int) int {
	for isSpace(doc[pos]) {
		pos++
	}
	return pos
}

func skipSeparator(doc []byte, pos int) int {
	pos = skipSpace(doc, pos)
	if doc[pos] == ',' {
		pos = skipSpace(doc, pos+1)
	}
	return pos
}

func skipString(doc []byte, pos int) int {
	pos++
	for {
		pos += bytes.IndexByte(doc[pos:], '"')
		slashes := 0
		for doc[pos-1-slashes] == '\\' {
			slashes++
		}
		pos++
		if slashes%2 == 0 {
			return pos
		}
	}
}

func skipValue(doc []byte, pos int) int {
	switch doc[pos] {
	case '"':
		return skipString(doc, pos)
	case '{', '[':
		return skipNested(doc, pos)
	}
	return skipLiteral(doc, pos)
}

func skipNested(doc []byte, pos int) int {
	for depth := 0; ; {
		switch doc[pos] {
		case '"':
			pos = skipString(doc, pos)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return pos + 1
			}
		}
		pos++
	}
}

func skipLiteral(doc []byte, pos int) int {
	for pos < len(doc) && !isSpace(doc[pos]) && doc[pos] != ',' && doc[pos] != ']' && doc[pos] != '}' {
		pos++
	}
	return pos
}

// Text is the decoded text of Strings[i].
func (d *Document) Text(i int) string { return decode(d.Raw, d.Strings[i]) }

// View is the decoded text of Strings[i] without a copy of its own. A text with
// escapes is written into buf, which is returned as it has grown, and lasts until buf
// is used again; any other is part of Raw.
func (d *Document) View(i int, buf []byte) (text string, grown []byte) {
	s := d.Strings[i]
	b := d.Raw[s.Start:s.End]
	if s.Escaped {
		buf = appendUnescaped(buf[:0], b)
		b = buf
	}
	// Raw does not change (Scan), and buf is the caller's promise.
	return unsafe.String(unsafe.SliceData(b), len(b)), buf
}

// Around is the object that has Strings[i] in the value of a member; absent if there is
// none. It is looked for backwards: for one string of each object of a document, that
// takes at most the length of the document for each level of nesting.
func (d *Document) Around(i int) Value {
	key := int(d.Strings[i].Key)
	if key < 0 || d.Strings[i].IsKey {
		return Value{}
	}
	depth, before := 0, key-1 // the string that comes next on the way back
	for pos := int(d.Strings[key].Start) - 2; pos >= 0; pos-- {
		switch d.Raw[pos] {
		case '"':
			pos = int(d.Strings[before].Start) - 1
			before--
		case '}', ']':
			depth++
		case '{', '[':
			if depth--; depth < 0 {
				return Value{d.Raw, pos, skipNested(d.Raw, pos)}
			}
		}
	}
	return Value{}
}

// bytes is the decoded text without a copy where it holds no escapes.
func (d *Document) bytes(str String) []byte {
	if str.Escaped {
		return []byte(decode(d.Raw, str))
	}
	return d.Raw[str.Start:str.End]
}

// Pointer is the JSON Pointer (RFC 6901) of the value or member name that holds
// the byte at offset.
func (d *Document) Pointer(offset int) string {
	var path strings.Builder
	for v := d.Root; ; {
		step, inner := v.child(offset)
		if !inner.Exists() {
			return path.String()
		}
		path.WriteByte('/')
		path.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
		v = inner
	}
}

func (v Value) child(offset int) (string, Value) {
	for m := range v.members() {
		if m.keyStart-1 <= offset && offset < m.valueEnd {
			return unescape(v.doc[m.keyStart:m.keyEnd]), Value{v.doc, m.valueStart, m.valueEnd}
		}
	}
	i := 0
	for item := range v.Items() {
		if item.start <= offset && offset < item.end {
			return strconv.Itoa(i), item
		}
		i++
	}
	return "", Value{}
}

// Edit replaces the bytes from Start to End.
type Edit struct {
	Start, End int
	New        []byte
}

// Splice applies edits, which must not overlap, to a copy of raw. It panics if
// they do. Set and Remove of one object may overlap; Update never does.
func Splice(raw []byte, edits ...Edit) []byte {
	// What is inserted goes before what is replaced at the same place.
	edits = slices.SortedStableFunc(slices.Values(edits), func(a, b Edit) int {
		return cmp.Or(a.Start-b.Start, a.End-b.End)
	})
	size := len(raw)
	for _, e := range edits {
		size += len(e.New) - (e.End - e.Start)
	}
	out := make([]byte, 0, max(size, 0))
	pos := 0
	for _, e := range edits {
		if e.Start < pos || e.End < e.Start || e.End > len(raw) {
			panic("wire: internal error: edits overlap or lie outside the text")
		}
		out = append(append(out, raw[pos:e.Start]...), e.New...)
		pos = e.End
	}
	return append(out, raw[pos:]...)
}

// Replace is the edit that puts raw in the place of the value, which must exist.
func (v Value) Replace(raw []byte) Edit {
	if !v.Exists() {
		panic("wire: internal error: an absent value cannot be replaced")
	}
	return Edit{v.start, v.end, raw}
}

// Remove is the edit that takes the named member out of the object v, together
// with one comma; it reports whether there is such a member.
func (v Value) Remove(key string) (Edit, bool) {
	previousEnd := v.start + 1
	first := true
	for m := range v.members() {
		if !m.is(v.doc, key) {
			previousEnd, first = m.valueEnd, false
			continue
		}
		next := skipSpace(v.doc, m.valueEnd)
		switch {
		case first && v.doc[next] == ',':
			return Edit{Start: previousEnd, End: next + 1}, true
		case first:
			// The whole object, so that a member set in the same Splice overlaps
			// instead of leaving its comma behind.
			return v.Replace([]byte("{}")), true
		}
		return Edit{Start: previousEnd, End: m.valueEnd}, true
	}
	return Edit{}, false
}

// Set is the edit that gives the object v the member key with this value,
// replacing the one it has. v must be an object.
func (v Value) Set(key string, raw []byte) Edit {
	v.mustBeObject()
	if old := v.Get(key); old.Exists() {
		return old.Replace(raw)
	}
	member := append(append(AppendString(nil, key), ':'), raw...)
	if v.doc[skipSpace(v.doc, v.start+1)] == '}' {
		return v.Replace(slices.Concat([]byte("{"), member, []byte("}")))
	}
	return Edit{v.start + 1, v.start + 1, append(member, ',')}
}

// Change is a new value for a member of an object. A nil Raw takes it out.
type Change struct {
	Key string
	Raw []byte
}

// Update is the one edit that makes all changes, which must name different
// members, to the object v. Members that stay keep their bytes and order; new
// ones follow in the order of changes. v must be an object.
func (v Value) Update(changes ...Change) Edit {
	v.mustBeObject()
	out := []byte{'{'}
	done := make([]bool, len(changes))
	for m := range v.members() {
		value := v.doc[m.valueStart:m.valueEnd]
		for i, c := range changes {
			if m.is(v.doc, c.Key) {
				value, done[i] = c.Raw, true
			}
		}
		if value != nil {
			out = append(append(out, v.doc[m.keyStart-1:m.keyEnd+1]...), ':')
			out = append(append(out, value...), ',')
		}
	}
	for i, c := range changes {
		if !done[i] && c.Raw != nil {
			out = append(AppendString(out, c.Key), ':')
			out = append(append(out, c.Raw...), ',')
		}
	}
	if last := len(out) - 1; out[last] == ',' {
		out = out[:last]
	}
	return v.Replace(append(out, '}'))
}

func (v Value) mustBeObject() {
	if v.Kind() != '{' {
		panic("wire: internal error: only an object has members")
	}
}

// Canonical writes a text that Scan accepted in one form only: members sorted by
// the bytes of their decoded names, no white space, strings with the fewest
// escapes. Number literals stay as they were sent, so that 1 and 1.0 differ:
// computing them would lose large integers.
func Canonical(raw []byte) []byte {
	c := canonicalizer{doc: raw, pos: skipSpace(raw, 0), out: make([]byte, 0, len(raw))}
	c.value()
	return c.out
}

// canonicalizer reads a document once, from front to back. Looking for the end of
// each value first would read a deep document as often as it is deep.
type canonicalizer struct {
	doc     []byte
	pos     int
	out     []byte
	entries []entry // of all open objects, innermost last
	sorted  []byte  // scratch
}

// entry is a member of an open object and where it was written, comma included.
type entry struct {
	key        string
	start, end int
}

func (c *canonicalizer) value() {
	switch c.doc[c.pos] {
	case '{':
		c.object()
	case '[':
		c.array()
	case '"':
		c.text()
	default:
		start := c.pos
		c.pos = skipLiteral(c.doc, start)
		c.out = append(c.out, c.doc[start:c.pos]...)
	}
}

func (c *canonicalizer) object() {
	first := len(c.entries)
	c.out = append(c.out, '{')
	for c.pos = skipSpace(c.doc, c.pos+1); c.doc[c.pos] != '}'; c.pos = skipSeparator(c.doc, c.pos) {
		start := len(c.out)
		key := unescape(c.text())
		c.out = append(c.out, ':')
		c.pos = skipSpace(c.doc, skipSpace(c.doc, c.pos)+1)
		c.value()
		c.out = append(c.out, ',')
		c.entries = append(c.entries, entry{key, start, len(c.out)})
	}
	c.sort(c.entries[first:])
	c.entries = c.entries[:first]
	c.close('}')
}

func (c *canonicalizer) sort(entries []entry) {
	byKey := func(a, b entry) int { return strings.Compare(a.key, b.key) }
	if slices.IsSortedFunc(entries, byKey) {
		return
	}
	start := entries[0].start
	slices.SortFunc(entries, byKey)
	c.sorted = c.sorted[:0]
	for _, e := range entries {
		c.sorted = append(c.sorted, c.out[e.start:e.end]...)
	}
	copy(c.out[start:], c.sorted)
}

func (c *canonicalizer) array() {
	c.out = append(c.out, '[')
	for c.pos = skipSpace(c.doc, c.pos+1); c.doc[c.pos] != ']'; c.pos = skipSeparator(c.doc, c.pos) {
		c.value()
		c.out = append(c.out, ',')
	}
	c.close(']')
}

// close turns the last comma, if there is one, into the closing byte.
func (c *canonicalizer) close(closing byte) {
	if last := len(c.out) - 1; c.out[last] == ',' {
		c.out = c.out[:last]
	}
	c.out = append(c.out, closing)
	c.pos++
}

// text writes a string and returns what stood between its quotes.
func (c *canonicalizer) text() []byte {
	start := c.pos
	c.pos = skipString(c.doc, start)
	inside := c.doc[start+1 : c.pos-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		c.out = append(c.out, c.doc[start:c.pos]...)
	} else {
		c.out = AppendString(c.out, unescape(inside))
	}
	return inside
}

// AppendString appends s as a JSON string with the fewest escapes; invalid UTF-8
// becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	done := 0 // what of s is in dst
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if c < utf8.RuneSelf || r == utf8.RuneError && size == 1 {
			dst = appendEscape(append(dst, s[done:i]...), r)
			done = i + size
		}
		i += size
	}
	return append(append(dst, s[done:]...), '"')
}

func appendEscape(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	switch r {
	case utf8.RuneError:
		return utf8.AppendRune(dst, r)
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
}
