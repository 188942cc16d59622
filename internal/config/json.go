package config

import (
	"bytes"
	"fmt"
	"sort"
	"strings"

	"github.com/tailscale/hujson"
)

// parseJSON turns JSON with comments and trailing commas into a tree.
func (r *reader) parseJSON(source []byte) *node {
	j := jsonTree{reader: r, newlines: newlinesOf(source)}
	if offset, why := unboundedJSON(source); why != "" {
		r.refuse(j.position(offset), "", "%s", why)
		return nil
	}
	value, err := hujson.Parse(source)
	if err != nil {
		r.refuseJSON(err)
		return nil
	}
	return j.node(value)
}

// refuseJSON repeats where the parser stopped and what it said, except for the
// literal that it quotes, which may be a secret.
func (r *reader) refuseJSON(err error) {
	var at position
	message := err.Error()
	if _, scanErr := fmt.Sscanf(message, "hujson: line %d, column %d:", &at.line, &at.column); scanErr == nil {
		message = strings.SplitN(message, ": ", 3)[2]
	}
	if strings.HasPrefix(message, "invalid literal") {
		message = "invalid literal"
	}
	r.refuse(at, "", "this is not valid JSON: %s", message)
}

type jsonTree struct {
	*reader
	newlines []int
}

func newlinesOf(source []byte) []int {
	var offsets []int
	for i, b := range source {
		if b == '\n' {
			offsets = append(offsets, i)
		}
	}
	return offsets
}

func (j jsonTree) position(offset int) position {
	line := sort.SearchInts(j.newlines, offset)
	start := 0
	if line > 0 {
		start = j.newlines[line-1] + 1
	}
	return position{line + 1, offset - start + 1}
}

func (j jsonTree) node(value hujson.Value) *node {
	out := &node{pos: j.position(value.StartOffset), span: Span{value.StartOffset, value.EndOffset}}
	switch v := value.Value.(type) {
	case hujson.Literal:
		j.literal(out, v)
	case *hujson.Array:
		out.kind = list
		for _, element := range v.Elements {
			out.list = append(out.list, j.node(element))
		}
	case *hujson.Object:
		out.kind = mapping
		j.members(out, v.Members)
	}
	return out
}

func (j jsonTree) literal(out *node, literal hujson.Literal) {
	switch literal.Kind() {
	case '"':
		out.kind, out.text = text, literal.String()
	case '0':
		out.kind, out.text = number, string(literal)
	case 't', 'f':
		out.kind, out.text = boolean, string(literal)
	}
}

// members checks for duplicate keys itself: hujson accepts them, and which one
// counts differs between clients.
func (j jsonTree) members(out *node, members []hujson.ObjectMember) {
	seen := map[string]int{}
	for _, m := range members {
		name, _ := m.Name.Value.(hujson.Literal)
		out.add(j.reader, seen, member{
			name: name.String(), pos: j.position(m.Name.StartOffset), value: j.node(m.Value),
			key: Span{m.Name.StartOffset, m.Name.EndOffset},
		})
	}
}

// maxSigns bounds the values of JSON and TOML by what stands between them. A value
// takes some hundred bytes of memory, and two of the file: 16 MiB would become 2 GiB.
// Clients that keep their history beside their servers have some ten thousand values.
const maxSigns = 500_000

// bounds counts brackets, and the signs between values, before a parser that recurses
// and keeps every value meets them.
type bounds struct{ depth, signs int }

// exceeded says which bound a sign outside strings and comments passes, if any.
func (b *bounds) exceeded(sign byte) string {
	switch sign {
	case '{', '[':
		b.depth++
		b.signs++
	case '}', ']':
		b.depth--
	case ',', ':', '=':
		b.signs++
	}
	switch {
	case b.depth > maxDepth:
		return fmt.Sprintf("nested more than %d levels deep", maxDepth)
	case b.signs > maxSigns:
		return fmt.Sprintf("more than %d values", maxSigns)
	}
	return ""
}

// unboundedJSON says what is too much, and where.
func unboundedJSON(source []byte) (offset int, why string) {
	b := bounds{}
	for i := 0; i < len(source); i++ {
		switch source[i] {
		case '"':
			i = endOfString(source, i)
		case '/':
			i = endOfComment(source, i)
		default:
			if why = b.exceeded(source[i]); why != "" {
				return i, why
			}
		}
	}
	return 0, ""
}

func endOfString(source []byte, start int) int {
	for i := start + 1; i < len(source); i++ {
		switch source[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(source)
}

func endOfComment(source []byte, start int) int {
	var end []byte
	switch rest := source[start:]; {
	case bytes.HasPrefix(rest, []byte("//")):
		end = []byte("\n")
	case bytes.HasPrefix(rest, []byte("/*")):
		end = []byte("*/")
	default:
		return start
	}
	length := bytes.Index(source[start+2:], end)
	if length < 0 {
		return len(source)
	}
	return start + 2 + length + len(end) - 1
}
