package config

import (
	"bytes"
	"errors"

	"github.com/pelletier/go-toml/v2/unstable"
)

// parseTOML turns TOML into a tree. What the library's reader of single
// expressions leaves to its caller is checked here: a key or a table that stands
// twice.
func (r *reader) parseTOML(source []byte) *node {
	t := &tomlTree{jsonTree: jsonTree{reader: r, newlines: newlinesOf(source)}, source: source, seen: map[*node]map[string]int{}, closed: map[*node]bool{}}
	if at, why := unboundedTOML(source); why != "" {
		r.refuse(t.position(at), "", "%s", why)
		return nil
	}
	root := &node{kind: mapping, pos: position{1, 1}, span: Span{0, len(source)}}
	table := root
	p := unstable.Parser{}
	p.Reset(source)
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.KeyValue:
			t.keyValue(&p, table, e)
		case unstable.Table, unstable.ArrayTable:
			table = t.table(root, e)
		}
		if t.puts > maxTOMLKeys {
			t.refuse(table.pos, "", "more than %d keys", maxTOMLKeys)
			return nil
		}
	}
	if err := p.Error(); err != nil {
		t.refuseTOML(&p, err)
		return nil
	}
	return root
}

type tomlTree struct {
	jsonTree
	source []byte
	seen   map[*node]map[string]int
	closed map[*node]bool // tables with a header, and values: nothing is added a second time
	puts   int
}

// maxTOMLKeys bounds the work for a path of keys, each of which is looked for among its
// neighbours. A server takes about ten.
const maxTOMLKeys = 20_000

// refuseTOML says where the reader stopped. Its message may quote a value.
func (t *tomlTree) refuseTOML(p *unstable.Parser, err error) {
	at := position{}
	var syntax *unstable.ParserError
	if errors.As(err, &syntax) && len(syntax.Highlight) > 0 {
		at = t.position(int(p.Range(syntax.Highlight).Offset))
	}
	t.refuse(at, "", "this is not valid TOML")
}

type tomlKey struct {
	name string
	span Span
}

func (t *tomlTree) keys(it unstable.Iterator) []tomlKey {
	var out []tomlKey
	for it.Next() {
		n := it.Node()
		start := int(n.Raw.Offset)
		out = append(out, tomlKey{string(n.Data), Span{start, start + int(n.Raw.Length)}})
	}
	return out
}

// table finds or makes the mapping that a header names. In a path that leads
// through an array of tables, the last of them is meant.
func (t *tomlTree) table(root *node, e *unstable.Node) *node {
	keys := t.keys(e.Key())
	if len(keys) > maxDepth {
		t.refuse(t.position(keys[0].span.Start), "", "nested more than %d levels deep", maxDepth)
		return &node{kind: mapping}
	}
	parent := t.descend(root, keys[:len(keys)-1])
	last := keys[len(keys)-1]
	at := t.position(last.span.Start)
	// A table stands wherever its lines do, so it has no one span.
	fresh := &node{kind: mapping, pos: at, span: noSpan}
	found := parent.get(last.name)
	if e.Kind == unstable.ArrayTable {
		if found == nil {
			found = &node{kind: list, pos: at, span: noSpan}
			t.put(parent, last, found)
		}
		if found.kind != list || t.closed[found] {
			t.refuse(at, "", "the key %s stands here a second time, and is no list of tables", quote(last.name))
			return fresh
		}
		found.list = append(found.list, fresh)
		return fresh
	}
	if found != nil && found.kind == mapping && !t.closed[found] {
		t.closed[found] = true
		return found
	}
	t.put(parent, last, fresh) // refuses what is there already
	t.closed[fresh] = true
	return fresh
}

func (t *tomlTree) descend(n *node, keys []tomlKey) *node {
	for _, key := range keys {
		next := n.get(key.name)
		if next != nil && next.kind == list && len(next.list) > 0 && next.list[len(next.list)-1].kind == mapping && !t.closed[next] {
			next = next.list[len(next.list)-1]
		}
		if next == nil || next.kind != mapping {
			fresh := &node{kind: mapping, pos: t.position(key.span.Start), span: noSpan}
			t.put(n, key, fresh)
			next = fresh
		}
		n = next
	}
	return n
}

func (t *tomlTree) put(parent *node, key tomlKey, value *node) {
	t.puts++
	if t.seen[parent] == nil {
		t.seen[parent] = map[string]int{}
	}
	parent.add(t.reader, t.seen[parent], member{name: key.name, pos: t.position(key.span.Start), value: value, key: key.span})
}

func (t *tomlTree) keyValue(p *unstable.Parser, table *node, e *unstable.Node) {
	keys := t.keys(e.Key())
	if len(keys) > maxDepth {
		t.refuse(t.position(keys[0].span.Start), "", "nested more than %d levels deep", maxDepth)
		return
	}
	last := keys[len(keys)-1]
	value := t.value(p, e.Value())
	value.span = t.valueSpan(last.span.End)
	value.pos = t.position(max(value.span.Start, last.span.Start))
	t.closed[value] = true
	t.put(t.descend(table, keys[:len(keys)-1]), last, value)
}

func (t *tomlTree) value(p *unstable.Parser, in *unstable.Node) *node {
	out := &node{kind: text, span: noSpan}
	switch in.Kind {
	case unstable.Array:
		out.kind = list
		for it := in.Children(); it.Next(); {
			if child := it.Node(); child.Kind != unstable.Comment {
				out.list = append(out.list, t.value(p, child))
			}
		}
	case unstable.InlineTable:
		out.kind = mapping
		for it := in.Children(); it.Next(); {
			if child := it.Node(); child.Kind == unstable.KeyValue {
				t.keyValue(p, out, child)
			}
		}
	case unstable.Bool:
		out.kind, out.text = boolean, string(in.Data)
	case unstable.Integer, unstable.Float:
		out.kind, out.text = number, string(in.Data)
	default:
		out.text = string(in.Data)
	}
	return out
}

// valueSpan finds the value behind a key: after the sign, up to where it ends.
func (t *tomlTree) valueSpan(afterKey int) Span {
	sign := bytes.IndexByte(t.source[afterKey:], '=')
	if sign < 0 {
		return noSpan
	}
	start := afterKey + sign + 1
	for start < len(t.source) && (t.source[start] == ' ' || t.source[start] == '\t') {
		start++
	}
	return Span{start, endOfTOML(t.source, start)}
}

// endOfTOML is where the value that begins at start ends.
func endOfTOML(source []byte, start int) int {
	depth := 0
	for i := start; i < len(source); i++ {
		switch c := source[i]; {
		case c == '"' || c == '\'':
			if i = endOfTOMLString(source, i); depth == 0 {
				return i
			}
			i--
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return trimEnd(source, start, i)
			}
		case depth == 0 && (c == ',' || c == '#' || c == '\n'):
			return trimEnd(source, start, i)
		case c == '#':
			i = endOfLine(source, i)
		}
	}
	return trimEnd(source, start, len(source))
}

func trimEnd(source []byte, start, end int) int {
	for end > start && isSpace(source[end-1]) {
		end--
	}
	return end
}

func endOfLine(source []byte, at int) int {
	if n := bytes.IndexByte(source[at:], '\n'); n >= 0 {
		return at + n
	}
	return len(source)
}

// endOfTOMLString is where the string that begins at start has ended.
func endOfTOMLString(source []byte, start int) int {
	quote := source[start]
	length := 1
	if start+2 < len(source) && source[start+1] == quote && source[start+2] == quote {
		length = 3
	}
	end := bytes.Repeat([]byte{quote}, length)
	for i := start + length; i < len(source); i++ {
		switch {
		case source[i] == '\\' && quote == '"':
			i++
		case source[i] == '\n' && length == 1:
			return i // not closed; the reader refuses it
		case bytes.HasPrefix(source[i:], end):
			i += length
			for length == 3 && i < len(source) && source[i] == quote {
				i++ // """a"""" ends with a quotation mark of its own
			}
			return i
		}
	}
	return len(source)
}

// unboundedTOML says what is too much, and where.
func unboundedTOML(source []byte) (offset int, why string) {
	b := bounds{}
	for i := 0; i < len(source); i++ {
		switch source[i] {
		case '"', '\'':
			i = endOfTOMLString(source, i) - 1
		case '#':
			i = endOfLine(source, i)
		default:
			if why = b.exceeded(source[i]); why != "" {
				return i, why
			}
		}
	}
	return 0, ""
}
