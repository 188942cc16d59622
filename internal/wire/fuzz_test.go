package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// Small enough that the fuzzer reaches every bound.
var fuzzLimits = Limits{Bytes: 4096, Depth: 8, Items: 24, Members: 40, Strings: 64}

func addSeeds(f *testing.F) {
	for _, seed := range []string{
		``, ` `, `{}`, `[]`, `""`, `0`, `-1.5e+10`, `01`, `1.`, `.5`, `+1`, `NaN`, `-Infinity`, `true`, `nul`, `null null`,
		`{"a":[1,2.50,{"b":"c\n\u00e9\ud83d\ude00"}],"d":{"e":null}}`,
		`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":1,"A":2}`, `{"k":1,"\u212a":2}`, "{\"s\":1,\"\u017f\":2}", `{"a\u0000":1}`,
		`"\ud800"`, `"\udc00\ud800"`, `{"\udfff":1}`, "\"\xff\"", "\ufeff{}", "\"\x01\"", `"\x"`, `[1,]`, `{"a":1,}`, `{/**/}`, `[[[[[[[[[]]]]]]]]]`,
		`[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]`, string(manyMembers(41)), `["` + strings.Repeat(`","`, 64) + `"]`, strings.Repeat(" ", 4097),
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"progressToken":1},"name":"x","arguments":{"q":"\u0041"}}}`,
		`{"jsonrpc":"2.0","id":"a\/b","method":"tools/call","params":{"name":"x","Name":"y"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"Name":"y"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","Params":{"name":"y"}}`,
		`{"jsonrpc":"2.0","id":1,"result":{},"Method":"tools/call"}`,
		`{"jsonrpc":"2.0","id":-0,"error":{"code":-32601,"message":"no","data":[1]}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1}}`,
		`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`,
		`{"jsonrpc":"2.0","id":1,"result":null}`,
		`{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":null,"uri":[],"_meta":7}}`,
	} {
		f.Add([]byte(seed))
	}
}

// tree decodes raw with the decoder of the standard library.
func tree(t *testing.T, raw []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return v
}

func Fuzz_what_scan_accepts_is_JSON_and_canonical_means_the_same(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := Scan(raw, fuzzLimits)
		if err != nil {
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("%q is no JSON", raw)
		}
		canonical := Canonical(raw)
		if diff := cmp.Diff(tree(t, raw), tree(t, canonical)); diff != "" {
			t.Fatalf("%q and %q differ: %s", raw, canonical, diff)
		}
		if again := Canonical(canonical); !bytes.Equal(again, canonical) {
			t.Fatalf("%q becomes %q", canonical, again)
		}
		if _, err := Scan(canonical, fuzzLimits); err != nil {
			t.Fatalf("%q: %v", canonical, err)
		}
		navigate(t, doc.Root, tree(t, raw))
	})
}

// navigate compares what Value finds with what the standard library decoded.
func navigate(t *testing.T, v Value, want any) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		n := 0
		for key, value := range v.Members() {
			n++
			if got := v.Get(key); got.start != value.start || got.end != value.end {
				t.Fatalf("Get(%q) is %q, Members says %q", key, got.Raw(), value.Raw())
			}
			inner, ok := want[key]
			if !ok {
				t.Fatalf("%q has no member %q", v.Raw(), key)
			}
			navigate(t, value, inner)
		}
		if n != len(want) {
			t.Fatalf("%d members of %q, want %d", n, v.Raw(), len(want))
		}
	case []any:
		n := 0
		for item := range v.Items() {
			if n == len(want) {
				t.Fatalf("more items than %d in %q", n, v.Raw())
			}
			navigate(t, item, want[n])
			n++
		}
		if n != len(want) {
			t.Fatalf("%d items of %q, want %d", n, v.Raw(), len(want))
		}
	case string:
		if v.Text() != want {
			t.Fatalf("text of %q is %q, want %q", v.Raw(), v.Text(), want)
		}
	case json.Number:
		if string(v.Raw()) != want.String() {
			t.Fatalf("number %q, want %q", v.Raw(), want)
		}
	case bool:
		if v.IsTrue() != want {
			t.Fatalf("%q is %v", v.Raw(), want)
		}
	case nil:
		if v.Kind() != 'n' {
			t.Fatalf("%q is null", v.Raw())
		}
	}
}

// seenString is a String as another decoder sees it.
type seenString struct {
	Text    string
	Key     int32
	IsKey   bool
	Pointer string // of where it stands
}

// facts are what a walk over the tokens of the standard library finds out.
type facts struct {
	strings              []seenString
	depth, items, member int  // the greatest of each
	twins, nul           bool // in the names of one object
}

func gather(t *testing.T, raw []byte) facts {
	t.Helper()
	w := walker{t: t, d: json.NewDecoder(bytes.NewReader(raw))}
	w.d.UseNumber()
	w.value(w.next(), -1, "", 0)
	if _, err := w.d.Token(); err != io.EOF {
		t.Fatalf("%q: %v behind the value", raw, err)
	}
	return w.facts
}

type walker struct {
	facts
	t *testing.T
	d *json.Decoder
}

func (w *walker) next() json.Token {
	token, err := w.d.Token()
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func (w *walker) value(token json.Token, key int32, pointer string, depth int) {
	switch token := token.(type) {
	case string:
		w.strings = append(w.strings, seenString{token, key, false, pointer})
	case json.Delim:
		w.depth = max(w.depth, depth+1)
		n := 0
		if token == '[' {
			for ; w.d.More(); n++ {
				w.value(w.next(), key, pointer+"/"+strconv.Itoa(n), depth+1)
			}
			w.items = max(w.items, n)
		} else {
			var names []string
			for ; w.d.More(); n++ {
				name := w.next().(string)
				for _, other := range names {
					w.twins = w.twins || strings.EqualFold(name, other)
				}
				w.nul = w.nul || strings.Contains(name, "\x00")
				names = append(names, name)
				at := int32(len(w.strings))
				inner := pointer + "/" + pointerEscapes.Replace(name)
				w.strings = append(w.strings, seenString{name, key, true, inner})
				w.value(w.next(), at, inner, depth+1)
			}
			w.member = max(w.member, n)
		}
		w.next()
	}
}

func Fuzz_the_recorded_strings_are_those_of_another_decoder(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := Scan(raw, fuzzLimits)
		if err != nil {
			return
		}
		var got []seenString
		for i, s := range doc.Strings {
			if raw[s.Start-1] != '"' || raw[s.End] != '"' {
				t.Fatalf("string %d of %q is not between quotes", i, raw)
			}
			if s.Escaped != bytes.ContainsRune(raw[s.Start:s.End], '\\') {
				t.Fatalf("string %d of %q: escaped %v", i, raw, s.Escaped)
			}
			got = append(got, seenString{doc.Text(i), s.Key, s.IsKey, doc.Pointer(int(s.Start) - 1)})
		}
		if diff := cmp.Diff(gather(t, raw).strings, got); diff != "" {
			t.Fatalf("%q: %s", raw, diff)
		}
	})
}

var (
	anyEscape = regexp.MustCompile(`\\(?:u([0-9a-fA-F]{4})|.)`)
	pair      = regexp.MustCompile(`^\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
	surrogate = regexp.MustCompile(`^\\u[dD][89a-fA-F][0-9a-fA-F]{2}`)
)

// loneSurrogate looks at valid JSON, where every backslash begins an escape.
func loneSurrogate(raw []byte) bool {
	for {
		at := bytes.IndexByte(raw, '\\')
		if at < 0 {
			return false
		}
		raw = raw[at:]
		switch {
		case pair.Match(raw):
			raw = raw[12:]
		case surrogate.Match(raw):
			return true
		default:
			raw = raw[len(anyEscape.Find(raw)):]
		}
	}
}

// strict says slowly whether Scan must accept raw, and if it must not, whether
// that is for a bound.
func strict(t *testing.T, raw []byte, lim Limits) (accept, mayBeBound bool) {
	t.Helper()
	if len(raw) > lim.Bytes {
		return false, true
	}
	if !json.Valid(raw) {
		return false, true // some bound may be met before what is wrong
	}
	seen := gather(t, raw)
	over := seen.depth > lim.Depth || seen.items > lim.Items || seen.member > lim.Members || len(seen.strings) > lim.Strings
	wrong := !utf8.Valid(raw) || loneSurrogate(raw) || seen.twins || seen.nul
	return !over && !wrong, over
}

func Fuzz_scan_refuses_only_for_its_reasons(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := Scan(raw, fuzzLimits)
		accept, mayBeBound := strict(t, raw, fuzzLimits)
		if accept != (err == nil) {
			t.Fatalf("Scan(%q) = %v, the slow checker accepts: %v", raw, err, accept)
		}
		var refused *SyntaxError
		if err != nil && (!errors.As(err, &refused) || refused.Bound && !mayBeBound) {
			t.Fatalf("Scan(%q) = %v, which is no bound", raw, err)
		}
	})
}

func Fuzz_edits_change_what_they_say_and_nothing_else(f *testing.F) {
	for _, key := range []string{"a", "method", "", "\x00", "ſ", `\u0061`, "x-new"} {
		for _, raw := range []string{`{}`, ` { "a" : 1 } `, `{"\u0061":1,"method":[],"c":{}}`, `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[]}}`, `[1]`} {
			f.Add([]byte(raw), key)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, key string) {
		doc, err := Scan(raw, fuzzLimits)
		if err != nil || doc.Root.Kind() != '{' || !utf8.ValidString(key) {
			return
		}
		const value = `[9,"new"]`
		set := tree(t, raw).(map[string]any)
		set[key] = []any{json.Number("9"), "new"}
		removed := tree(t, raw).(map[string]any)
		delete(removed, key)

		means(t, Splice(raw, doc.Root.Set(key, []byte(value))), set)
		means(t, Splice(raw, doc.Root.Update(Change{key, []byte(value)})), set)
		means(t, Splice(raw, doc.Root.Update(Change{key, nil})), removed)
		means(t, Splice(raw, doc.Root.Update()), tree(t, raw))
		edit, ok := doc.Root.Remove(key)
		if _, had := tree(t, raw).(map[string]any)[key]; had != ok {
			t.Fatalf("Remove(%q) from %q: %v", key, raw, ok)
		}
		means(t, Splice(raw, edit), removed)
	})
}

// means checks that raw decodes to want, and that Scan refuses it only where the
// new name is one that it must refuse, or for a bound.
func means(t *testing.T, raw []byte, want any) {
	t.Helper()
	if diff := cmp.Diff(want, tree(t, raw)); diff != "" {
		t.Fatalf("%q: %s", raw, diff)
	}
	if !json.Valid(raw) {
		t.Fatalf("%q is no JSON", raw)
	}
	_, err := Scan(raw, fuzzLimits)
	if accept, _ := strict(t, raw, fuzzLimits); accept != (err == nil) {
		t.Fatalf("%q: %v", raw, err)
	}
}

func Fuzz_a_message_is_one_message_to_every_decoder(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := Parse(raw, fuzzLimits)
		if err != nil {
			return
		}
		sameForOthers(t, raw, m)
		otherID(t, m)
	})
}

// sameForOthers decodes raw as encoding/json does by default, without regard to
// case, and so as servers built on it do.
func sameForOthers(t *testing.T, raw []byte, m *Message) {
	t.Helper()
	var other struct {
		JSONRPC string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Method  *string         `json:"method"`
		Params  struct {
			Name      json.RawMessage `json:"name"`
			URI       json.RawMessage `json:"uri"`
			Arguments json.RawMessage `json:"arguments"`
			Meta      json.RawMessage `json:"_meta"`
		} `json:"params"`
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	if m.Kind == Response && m.Params.Exists() && m.Params.Kind() != '{' {
		return // a response has no params; what stands there need not decode
	}
	if err := json.Unmarshal(raw, &other); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	if (other.Method == nil) != (m.Kind == Response) || other.Method != nil && *other.Method != m.Method {
		t.Fatalf("%q: method %v, ours %q", raw, other.Method, m.Method)
	}
	if (len(other.ID) == 0) != (m.Kind == Notification) {
		t.Fatalf("%q: id %q, ours %q", raw, other.ID, m.ID)
	}
	for _, pair := range []struct{ theirs, ours []byte }{
		{other.Params.Name, m.Params.Get("name").Raw()},
		{other.Params.URI, m.Params.Get("uri").Raw()},
		{other.Params.Arguments, m.Params.Get("arguments").Raw()},
		{other.Params.Meta, m.Params.Get("_meta").Raw()},
		{other.Result, m.Result.Raw()},
		{other.Error, m.Error.Raw()},
	} {
		if !bytes.Equal(pair.theirs, pair.ours) {
			t.Fatalf("%q: others see %q, we see %q", raw, pair.theirs, pair.ours)
		}
	}
}

// otherID gives the message another id and finds everything else as it was.
func otherID(t *testing.T, m *Message) {
	t.Helper()
	const id = `"other id"`
	out := m.WithID(id)
	again, err := Parse(out, Limits{})
	if err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if m.Kind == Notification {
		if !bytes.Equal(out, m.Raw) {
			t.Fatalf("a notification became %q", out)
		}
		return
	}
	if again.ID != id || again.Kind != m.Kind || again.Method != m.Method {
		t.Fatalf("%q became %q", m.Raw, out)
	}
	for _, pair := range [][2]Value{{m.Params, again.Params}, {m.Result, again.Result}, {m.Error, again.Error}} {
		if !bytes.Equal(pair[0].Raw(), pair[1].Raw()) {
			t.Fatalf("%q became %q", m.Raw, out)
		}
	}
	start, end := m.id.Span()
	newStart, newEnd := again.id.Span()
	if !bytes.Equal(m.Raw[:start], out[:newStart]) || !bytes.Equal(m.Raw[end:], out[newEnd:]) {
		t.Fatalf("%q became %q", m.Raw, out)
	}
	// And back, from the canonical form of the id.
	back, err := Parse(again.WithID(m.ID), Limits{})
	if err != nil || back.ID != m.ID {
		t.Fatalf("%q: %q came back as %v (%v)", m.Raw, m.ID, back, err)
	}
}

func Fuzz_appended_strings_are_read_as_they_were(f *testing.F) {
	for _, seed := range []string{"", "plain", "a\"b\\\x00\x1f\x7f", "é漢\U0001f600\u2028", "\xff", "\xed\xa0\x80"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		raw := AppendString(nil, s)
		doc, err := Scan(raw, Limits{})
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		// Converting to runes replaces each invalid byte, as AppendString must.
		if want := string([]rune(s)); doc.Root.Text() != want || doc.Text(0) != want {
			t.Fatalf("%q became %q", s, doc.Root.Text())
		}
	})
}
