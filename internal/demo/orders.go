package demo

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// order is something that a text tells its reader to do.
type order struct {
	tool      string
	arguments map[string]any
	text      string // as it stands there
}

// ordersForm finds "call TOOL with {", after which JSON follows.
var ordersForm = regexp.MustCompile(`(?i)\bcall ([A-Za-z0-9_.-]{1,128}) with \{`)

// maxOrders bounds what one text can make the client do.
const maxOrders = 20

// ordersIn reads the orders in a text, in the order in which they stand there.
func ordersIn(text string) []order {
	var list []order
	for _, at := range ordersForm.FindAllStringSubmatchIndex(text, maxOrders) {
		rest := text[at[1]-1:]
		decoder := json.NewDecoder(strings.NewReader(rest))
		var arguments map[string]any
		if decoder.Decode(&arguments) != nil {
			continue // no order that anybody could follow
		}
		end := at[1] - 1 + int(decoder.InputOffset())
		list = append(list, order{text[at[2]:at[3]], arguments, text[at[0]:end]})
	}
	return list
}

// stringsIn collects every text in a JSON value, keys included: a model reads all
// of them.
func stringsIn(raw []byte) []string {
	var value any
	if json.NewDecoder(bytes.NewReader(raw)).Decode(&value) != nil {
		return nil
	}
	var list []string
	walk(value, func(text string) { list = append(list, text) })
	return list
}

func walk(value any, see func(string)) {
	switch v := value.(type) {
	case string:
		see(v)
	case []any:
		for _, item := range v {
			walk(item, see)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			see(key)
			walk(v[key], see)
		}
	}
}

var placeholder = regexp.MustCompile(`\{\{([A-Za-z0-9_.-]+)\}\}`)

// fill puts the last result of a tool where {{tool}} stands in an argument.
func fill(value any, last map[string]string) any {
	switch v := value.(type) {
	case string:
		return placeholder.ReplaceAllStringFunc(v, func(m string) string { return last[strings.Trim(m, "{}")] })
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = fill(item, last)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = fill(item, last)
		}
		return out
	}
	return value
}
