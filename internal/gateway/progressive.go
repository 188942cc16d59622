package gateway

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"gatehouse/internal/config"
	"gatehouse/internal/decision"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// With progressive discovery a client at /mcp sees two tools in place of all of
// them: one that finds tools and one that calls them. A name with the separator of
// joined names belongs to a server, so neither can be taken for a server's tool.
const (
	findTools = "find_tools"
	callTool  = "call_tool"
)

const progressiveTools = `[{"name":"` + findTools + `","title":"Find tools","description":"Finds tools by what they do. Returns the names, descriptions and input schemas of those that fit best; call them with ` + callTool + `.",` +
	`"inputSchema":{"type":"object","properties":{` +
	`"query":{"type":"string","minLength":1,"description":"What the tool should do, in a few words."},` +
	`"server":{"type":"string","description":"Only tools of this server."}},"required":["query"],"additionalProperties":false},` +
	`"annotations":{"readOnlyHint":true,"openWorldHint":false}},` +
	`{"name":"` + callTool + `","title":"Call a tool","description":"Calls a tool that ` + findTools + ` found.",` +
	`"inputSchema":{"type":"object","properties":{` +
	`"name":{"type":"string","description":"The name of the tool, as ` + findTools + ` returns it."},` +
	`"arguments":{"type":"object","description":"Arguments that fit the input schema of the tool."}},"required":["name"],"additionalProperties":false}}]`

func (l *live) progressive() bool { return l.config.Joined.Discovery == config.Progressive }

// listProgressive answers tools/list.
func listProgressive(ex *exchange) (upstream.Answer, error) {
	result := append([]byte(`{"tools":`), progressiveTools...)
	if ex.modern {
		result = append(result, hints{ttl: 0, public: true}.members()...)
	}
	return localAnswer(ex, append(result, '}'))
}

// unwrap puts the call that stands in the arguments of call_tool in its place, so
// that everything from here on, the log included, sees the tool that is called and
// its arguments, and nothing passes that would not pass as a direct call.
func (g *Gateway) unwrap(ex *exchange) error {
	if ex.fromServer() || ex.peer.Mount != "" || ex.msg.Method != wire.MethodToolsCall || !ex.request() ||
		ex.msg.Params.Get("name").Text() != callTool || !g.live.Load().progressive() {
		return nil
	}
	outer := ex.msg.Params.Get("arguments")
	for member := range outer.Members() {
		if member != "name" && member != "arguments" {
			return decision.Refuse(decision.InvalidArguments, "%s has the arguments name and arguments only", callTool)
		}
	}
	name, arguments := outer.Get("name"), outer.Get("arguments")
	switch {
	case name.Text() == "":
		return decision.Refuse(decision.InvalidArguments, "%s needs the name of a tool", callTool)
	case name.Text() == callTool || name.Text() == findTools:
		return decision.Refuse(decision.InvalidArguments, "%s calls the tools of servers, not itself or %s", callTool, findTools)
	case arguments.Exists() && arguments.Kind() != '{':
		return decision.Refuse(decision.InvalidArguments, "arguments must be an object")
	}
	inner := ex.msg
	if err := replaceMessage(&inner, []wire.Edit{ex.msg.Params.Update(wire.Change{Key: "name", Raw: name.Raw()}, wire.Change{Key: "arguments", Raw: arguments.Raw()})}); err != nil {
		return err
	}
	ex.msg, ex.wrapped, ex.detail = inner, true, "through "+callTool
	return nil
}

// mirrorInner writes the headers that the tool which is called wants besides its
// arguments: who called call_tool could not know of them.
func (ex *exchange) mirrorInner(arguments wire.Value) {
	header := http.Header{}
	for name, values := range ex.peer.Header {
		if !strings.HasPrefix(name, headerParam) {
			header[name] = values
		}
	}
	ex.mirror(header, arguments)
	ex.peer = ex.peer.withHeader(header)
}

const (
	maxFound = 10 // tools that one search returns: more would be read by nobody
	// maxFoundBytes bounds their descriptions and schemas. The best is always there.
	maxFoundBytes = 64 << 10
	// maxQuery is far more than "a few words".
	maxQuery = 1 << 10
	// oneLine of a description is shown.
	oneLine = 200
)

// findToolsHere answers a call of find_tools from what the client could list.
func (g *Gateway) findToolsHere(ctx context.Context, ex *exchange) (upstream.Answer, error) {
	arguments := ex.msg.Params.Get("arguments")
	query, server := arguments.Get("query").Text(), arguments.Get("server")
	if query == "" || len(query) > maxQuery || server.Exists() && server.Kind() != '"' {
		return upstream.Answer{}, decision.Refuse(decision.InvalidArguments, "query must be a text of at most %d bytes, and server the id of a server", maxQuery)
	}
	joined, err := g.joinedList(ctx, ex, wire.MethodToolsList)
	if err != nil {
		return upstream.Answer{}, err
	}
	joined.searchOnce.Do(func() { joined.index, joined.indexErr = newToolIndex(joined.entries) })
	if joined.indexErr != nil {
		return upstream.Answer{}, joined.indexErr
	}
	prefix := ""
	if server.Exists() {
		prefix = server.Text() + nameSeparator
	}
	found := joined.index.search(query, prefix)
	text := []byte(`{"tools":[`)
	for i, t := range found[:min(len(found), maxFound)] {
		if i > 0 && len(text)+len(t.shown) > maxFoundBytes {
			break
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, t.shown...)
	}
	text = fmt.Appendf(text, `],"matching":%d}`, len(found))
	result := append(wire.AppendString([]byte(`{"content":[{"type":"text","text":`), string(text)), `}]`...)
	if ex.modern {
		result = append(result, `,"resultType":"complete"`...)
	}
	return localAnswer(ex, append(result, '}'))
}

// toolIndex finds tools by words.
type toolIndex struct {
	tools []indexedTool // in the order of the list
	rare  map[string]float64
	mean  float64 // weight of all words of a tool
}

type indexedTool struct {
	name   string
	shown  []byte // as find_tools returns it
	words  map[string]float64
	weight float64
}

// How much a word counts, by where it stands.
const nameWeight, titleWeight, descriptionWeight = 3, 2, 1

func newToolIndex(entries []joinedEntry) (*toolIndex, error) {
	x := &toolIndex{rare: map[string]float64{}}
	for _, e := range entries {
		doc, err := wire.Scan(e.raw, ownLimits)
		if err != nil {
			return nil, err
		}
		description := doc.Root.Get("description").Text()
		schema := doc.Root.Get("inputSchema").Raw()
		if schema == nil {
			schema = []byte(`{"type":"object"}`)
		}
		t := indexedTool{name: e.name, words: map[string]float64{}}
		t.shown = wire.AppendString([]byte(`{"name":`), e.name)
		t.shown = wire.AppendString(append(t.shown, `,"description":`...), firstLine(description))
		t.shown = append(append(append(t.shown, `,"inputSchema":`...), schema...), '}')
		t.add(e.name, nameWeight)
		t.add(doc.Root.Get("title").Text(), titleWeight)
		t.add(doc.Root.At("annotations", "title").Text(), titleWeight)
		t.add(description, descriptionWeight)
		for word := range t.words {
			x.rare[word]++
		}
		x.mean += t.weight / float64(len(entries))
		x.tools = append(x.tools, t)
	}
	for word, count := range x.rare {
		x.rare[word] = math.Log(1 + (float64(len(entries))-count+0.5)/(count+0.5))
	}
	return x, nil
}

func (t *indexedTool) add(text string, weight float64) {
	for _, word := range wordsOf(text) {
		t.words[word] += weight
		t.weight += weight
	}
}

// firstLine is what fits into one line of a description.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if len(line) > oneLine {
		return firstPart(line, oneLine)
	}
	return line
}

// search ranks the tools that have a word of the query, by Okapi BM25 with the
// usual constants. Equal ones keep the order of the list.
func (x *toolIndex) search(query, prefix string) []indexedTool {
	const saturation, length = 1.2, 0.75
	type ranked struct {
		indexedTool
		score float64
	}
	words := slices.Compact(slices.Sorted(slices.Values(wordsOf(query))))
	var found []ranked
	for _, t := range x.tools {
		if !strings.HasPrefix(t.name, prefix) {
			continue
		}
		score := 0.0
		for _, word := range words {
			if count := t.words[word]; count > 0 {
				score += x.rare[word] * count * (saturation + 1) / (count + saturation*(1-length+length*t.weight/x.mean))
			}
		}
		if score > 0 {
			found = append(found, ranked{t, score})
		}
	}
	slices.SortStableFunc(found, func(a, b ranked) int { return cmp.Compare(b.score, a.score) })
	out := make([]indexedTool, len(found))
	for i, f := range found {
		out[i] = f.indexedTool
	}
	return out
}

// wordsOf are the words of a text in lower case, those of a name such as readFile
// or read_file too, without the s of a plural.
func wordsOf(text string) []string {
	var words []string
	var word []rune
	end := func() {
		if n := len(word); n > 3 && word[n-1] == 's' && word[n-2] != 's' {
			word = word[:n-1]
		}
		if len(word) > 0 {
			words = append(words, string(word))
		}
		word = word[:0]
	}
	lower := false
	for _, r := range text {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			lower = false
			continue
		case unicode.IsUpper(r) && lower:
			end()
		}
		lower = !unicode.IsUpper(r)
		word = append(word, unicode.ToLower(r))
	}
	end()
	return words
}
