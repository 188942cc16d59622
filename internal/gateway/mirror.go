package gateway

import (
	"bytes"
	"iter"
	"slices"
	"strings"

	"gatehouse/internal/wire"
)

// annotation marks a property of an input schema that HTTP clients repeat as a
// header.
const annotation = "x-mcp-header"

// mirrored yields the arguments of a tool that are repeated as headers, each as the
// names that lead to it, and the names of the headers without their prefix.
func mirrored(tool wire.Value) iter.Seq2[[]string, string] {
	return func(yield func([]string, string) bool) {
		eachProperty(nil, tool.Get("inputSchema"), func(path []string, property wire.Value) bool {
			wanted := property.Get(annotation)
			return wanted.Kind() != '"' || yield(path, wanted.Text())
		})
	}
}

// eachProperty walks the properties of a schema and theirs, until yield says no.
func eachProperty(path []string, schema wire.Value, yield func(path []string, property wire.Value) bool) bool {
	for name, property := range schema.Get("properties").Members() {
		at := append(slices.Clip(path), name)
		if !yield(at, property) || !eachProperty(at, property, yield) {
			return false
		}
	}
	return true
}

// properMirrors reports whether every header that a tool wants can be sent and told
// from the others. Over HTTP, clients must leave out a tool in which a name is empty,
// no token or used twice, in which the argument is no text, integer or boolean, or in
// which it cannot be found by way of properties alone. That holds here for every
// tool, whatever its own transport, since clients reach all of them over HTTP.
func properMirrors(tool []byte) bool {
	if !mayHold(tool, annotation) {
		return true
	}
	doc, err := wire.Scan(tool, wire.Limits{})
	if err != nil {
		return false
	}
	schema := doc.Root.Get("inputSchema")
	seen := map[string]bool{}
	proper := eachProperty(nil, schema, func(_ []string, property wire.Value) bool {
		wanted := property.Get(annotation)
		if !wanted.Exists() {
			return true
		}
		name := strings.ToLower(wanted.Text())
		if !isToken(name) || seen[name] || !slices.Contains([]string{"string", "integer", "boolean"}, property.Get("type").Text()) {
			return false
		}
		seen[name] = true
		return true
	})
	return proper && len(seen) == annotations(schema)
}

// mayHold reports whether a JSON text may have a member with this name: the name
// stands there, or something is escaped.
func mayHold(raw []byte, name string) bool {
	return bytes.Contains(raw, []byte(name)) || bytes.Contains(raw, []byte(`\u`))
}

// isToken reports whether a text may be part of the name of a header (RFC 9110
// section 5.6.2).
func isToken(name string) bool {
	const others = "!#$%&'*+-.^_`|~"
	for _, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(others, c) >= 0) {
			return false
		}
	}
	return name != ""
}

// annotations counts those of a schema, wherever they stand.
func annotations(schema wire.Value) int {
	count := 0
	for item := range schema.Items() {
		count += annotations(item)
	}
	for key, value := range schema.Members() {
		switch key {
		case annotation:
			count++
		case "const", "enum", "default", "examples": // data, not schemas
		case "properties", "patternProperties", "dependentSchemas", "$defs", "definitions":
			for _, each := range value.Members() { // whose names are free
				count += annotations(each)
			}
		default:
			count += annotations(value)
		}
	}
	return count
}
