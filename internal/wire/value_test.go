package wire

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func root(t *testing.T, raw string) Value {
	t.Helper()
	doc, err := Scan([]byte(raw), Limits{})
	if err != nil {
		t.Fatalf("Scan(%q): %v", raw, err)
	}
	return doc.Root
}

func Test_get(t *testing.T) {
	v := root(t, ` { "a" : 1 , "\u0062":[true,"]}\"{["] , "c\\":"x\\" , "d":{"a":2}, "":null, "e/~":-1.5 , "long":"\\\"" } `)
	f := func(key, want string) {
		t.Helper()
		if got := string(v.Get(key).Raw()); got != want {
			t.Errorf("Get(%q) = %q, want %q", key, got, want)
		}
	}
	f("a", "1")
	f("b", `[true,"]}\"{["]`)
	f(`c\`, `"x\\"`)
	f("d", `{"a":2}`)
	f("", "null")
	f("e/~", "-1.5")
	f("long", `"\\\""`)
	f("A", "") // exactly this name
	f(`\u0062`, "")
	f("x", "")
	if got := string(v.At("d", "a").Raw()); got != "2" {
		t.Errorf("At(d, a) = %q", got)
	}
	if v.At("d", "x", "y").Exists() || v.At("a", "a").Exists() {
		t.Error("At finds what is not there")
	}
	if got := string(v.At().Raw()); got != string(v.Raw()) {
		t.Errorf("At() = %q", got)
	}
}

func Test_items_and_members(t *testing.T) {
	items := func(raw string) []string {
		var got []string
		for item := range root(t, raw).Items() {
			got = append(got, string(item.Raw()))
		}
		return got
	}
	for raw, want := range map[string][]string{
		`[]`:  nil,
		`[ ]`: nil,
		`[1]`: {"1"},
		`[ 1 , "a,b]" ,[ 2, [] ], {"]":1}, null,true ]`: {"1", `"a,b]"`, "[ 2, [] ]", `{"]":1}`, "null", "true"},
		`{"a":1}`: nil,
		`"[1]"`:   nil,
		`1`:       nil,
	} {
		if diff := cmp.Diff(want, items(raw)); diff != "" {
			t.Errorf("items of %s: %s", raw, diff)
		}
	}

	var got []string
	for key, value := range root(t, `{ "b":1 , "\u0061" : {"x":[]}}`).Members() {
		got = append(got, key, string(value.Raw()))
	}
	if diff := cmp.Diff([]string{"b", "1", "a", `{"x":[]}`}, got); diff != "" {
		t.Error(diff)
	}
	for range root(t, `[{"a":1}]`).Members() {
		t.Error("an array has members")
	}
	for key := range root(t, `{"a":1,"b":2}`).Members() {
		if key != "a" {
			t.Error("Members goes on after break")
		}
		break
	}
	for item := range root(t, `[1,2]`).Items() {
		if string(item.Raw()) != "1" {
			t.Error("Items goes on after break")
		}
		break
	}
}

func Test_scalars(t *testing.T) {
	if n, ok := root(t, `9223372036854775807`).Int(); n != 1<<63-1 || !ok {
		t.Error("the largest integer is lost")
	}
	for _, raw := range []string{`9223372036854775808`, `1.0`, `1e3`, `"1"`, `null`, `[1]`} {
		if n, ok := root(t, raw).Int(); ok {
			t.Errorf("%s is the integer %d", raw, n)
		}
	}
	f := func(raw string, kind byte, text string, isTrue bool) {
		t.Helper()
		v := root(t, raw)
		if v.Kind() != kind || v.Text() != text || v.IsTrue() != isTrue || !v.Exists() {
			t.Errorf("%s: kind %q, text %q, true %v", raw, v.Kind(), v.Text(), v.IsTrue())
		}
	}
	f(`true`, 't', "", true)
	f(`"true"`, '"', "true", false)
	f(`false`, 'f', "", false)
	f(`null`, 'n', "", false)
	f(`-1`, '0', "", false)
	f(`7`, '0', "", false)
	f(`{}`, '{', "", false)
	f(`[]`, '[', "", false)
	f(`"\ud83d\ude00 \/\\\"\b\f\n\r\t\u0000 é"`, '"', "\U0001f600 /\\\"\b\f\n\r\t\x00 é", false)

	var absent Value
	if absent.Exists() || absent.Kind() != 0 || absent.Raw() != nil || absent.Text() != "" || absent.IsTrue() || absent.At("a", "b").Exists() {
		t.Error("an absent value is something")
	}
	if _, ok := absent.Int(); ok {
		t.Error("an absent value is an integer")
	}
	if _, ok := absent.Remove("a"); ok {
		t.Error("an absent value has a member to remove")
	}
	for range absent.Items() {
		t.Error("an absent value has items")
	}
}

func Test_raw_cannot_be_appended_into_the_text(t *testing.T) {
	text := []byte(`[1,2]`)
	doc, err := Scan(text, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for item := range doc.Root.Items() {
		_ = append(item.Raw(), '9')
	}
	if string(text) != `[1,2]` {
		t.Errorf("the text is now %s", text)
	}
}

func Test_lookalike(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		if got, ok := root(t, raw).Lookalike("name", "tasks"); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", raw, got, ok)
		}
	}
	f(`{"name":1,"tasks":2}`, "")
	f(`{"x":1,"Name":1}`, "Name")
	f(`{"\u004eame":1}`, "Name")
	f("{\"tas\u212as\":1}", "tas\u212as")
	f("{\"task\u017f\":1}", "task\u017f")
	f(`{"names":1,"x":{"Name":1}}`, "")
	f(`["Name"]`, "")
}

func Test_pointer(t *testing.T) {
	raw := `{"a":[10,{"b/c~":"deep"}], "":{"x":null} }`
	doc, err := Scan([]byte(raw), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	f := func(part, want string) {
		t.Helper()
		at := slices.Index([]byte(raw), part[0])
		for ; raw[at:at+len(part)] != part; at++ {
		}
		if got := doc.Pointer(at); got != want {
			t.Errorf("Pointer of %q = %q, want %q", part, got, want)
		}
	}
	f(`a"`, "/a")
	f(`10`, "/a/0")
	f(`b/c`, "/a/1/b~1c~0")
	f(`deep`, "/a/1/b~1c~0")
	f(`x"`, "//x")
	f(`null`, "//x")
	f(` "":`, "") // between members: the object itself
	if got := doc.Pointer(len(raw) + 5); got != "" {
		t.Errorf("Pointer outside the text = %q", got)
	}
}

func Test_remove(t *testing.T) {
	f := func(raw, key, want string) {
		t.Helper()
		v := root(t, raw)
		edit, ok := v.Remove(key)
		if !ok {
			t.Errorf("%s has no %q", raw, key)
			return
		}
		if got := string(Splice([]byte(raw), edit)); got != want {
			t.Errorf("%s without %q is %s, want %s", raw, key, got, want)
		}
	}
	f(`{"a":1,"b":2,"c":3}`, "a", `{"b":2,"c":3}`)
	f(`{"a":1,"b":2,"c":3}`, "b", `{"a":1,"c":3}`)
	f(`{"a":1,"b":2,"c":3}`, "c", `{"a":1,"b":2}`)
	f(`{"a":1}`, "a", `{}`)
	f(` { "a" : [1,2] } `, "a", ` {} `)
	f(`{ "a" : 1 , "b" : 2 }`, "a", `{ "b" : 2 }`)
	f(`{ "a" : 1 , "b" : 2 }`, "b", `{ "a" : 1 }`)
	f(`{"\u0061":1,"b":2}`, "a", `{"b":2}`)
	for _, raw := range []string{`{}`, `{"A":1}`, `["a"]`, `"a"`} {
		if _, ok := root(t, raw).Remove("a"); ok {
			t.Errorf("%s has a member a", raw)
		}
	}
}

func Test_set(t *testing.T) {
	f := func(raw, key, want string) {
		t.Helper()
		if got := string(Splice([]byte(raw), root(t, raw).Set(key, []byte("[9]")))); got != want {
			t.Errorf("%s with %q is %s, want %s", raw, key, got, want)
		}
	}
	f(`{}`, "a", `{"a":[9]}`)
	f(`{ }`, "a", `{"a":[9]}`)
	f(`{"b":1}`, "a", `{"a":[9],"b":1}`)
	f(`{ "b":1}`, "a", `{"a":[9], "b":1}`)
	f(`{"a":1,"b":2}`, "a", `{"a":[9],"b":2}`)
	f(`{"b":2,"\u0061": "x" }`, "a", `{"b":2,"\u0061": [9] }`)
	f(`{"A":1}`, "a", `{"a":[9],"A":1}`)
	f(`{"b":1}`, "\"\n", `{"\"\n":[9],"b":1}`)
}

func Test_update(t *testing.T) {
	f := func(raw, want string, changes ...Change) {
		t.Helper()
		if got := string(Splice([]byte(raw), root(t, raw).Update(changes...))); got != want {
			t.Errorf("%s is now %s, want %s", raw, got, want)
		}
	}
	nine := []byte("9")
	f(`{}`, `{}`)
	f(`{}`, `{"a":9,"b":9}`, Change{"a", nine}, Change{"b", nine})
	f(`{}`, `{}`, Change{"a", nil})
	f(`{"a":1,"b":2}`, `{}`, Change{"a", nil}, Change{"b", nil})
	f(`{"a":1,"b":2,"c":3}`, `{"c":3}`, Change{"b", nil}, Change{"a", nil})
	f(`{"a":1,"b":2,"c":3}`, `{"a":1}`, Change{"b", nil}, Change{"c", nil})
	f(`{"a":1}`, `{"z":9}`, Change{"a", nil}, Change{"z", nine})
	f(` { "\u0061" : 1, "b" : {"a":1} } `, ` {"\u0061":9,"b":{"a":1},"z":9} `, Change{"a", nine}, Change{"z", nine})
}

func Test_splice(t *testing.T) {
	raw := []byte("0123456789")
	edits := []Edit{{8, 9, []byte("x")}, {2, 4, nil}, {4, 4, []byte("ab")}, {0, 0, []byte("^")}, {10, 10, []byte("$")}}
	if got := string(Splice(raw, edits...)); got != "^01ab4567x9$" {
		t.Errorf("got %s", got)
	}
	if edits[0].Start != 8 || string(raw) != "0123456789" {
		t.Error("Splice changed what it was given")
	}
	if got := string(Splice(raw, Edit{3, 5, []byte("-")}, Edit{3, 3, []byte("+")})); got != "012+-56789" {
		t.Errorf("an insertion before a replacement: %s", got)
	}
	if got := string(Splice(raw)); got != "0123456789" {
		t.Errorf("no edits: %s", got)
	}
}

func panics(f func()) (did bool) {
	defer func() {
		message, _ := recover().(string)
		did = strings.HasPrefix(message, "wire: internal error: ")
	}()
	f()
	return false
}

func Test_mistakes_of_the_caller_panic(t *testing.T) {
	raw := []byte(`{"a":1}`)
	obj := root(t, string(raw))
	removeA, _ := obj.Remove("a")
	two := root(t, `{"a":1,"b":2}`)
	twoA, _ := two.Remove("a")
	twoB, _ := two.Remove("b")
	empty := root(t, `{}`)
	for name, f := range map[string]func(){
		"overlap":             func() { Splice(raw, Edit{0, 3, nil}, Edit{2, 4, nil}) },
		"same place":          func() { Splice(raw, Edit{1, 3, nil}, Edit{1, 3, nil}) },
		"insertion inside":    func() { Splice(raw, Edit{0, 3, nil}, Edit{2, 2, nil}) },
		"outside":             func() { Splice(raw, Edit{0, 99, nil}) },
		"before":              func() { Splice(raw, Edit{-1, 0, nil}) },
		"backwards":           func() { Splice(raw, Edit{3, 1, nil}) },
		"set and empty":       func() { Splice(raw, removeA, obj.Set("b", raw)) },
		"remove both":         func() { Splice(two.Raw(), twoA, twoB) },
		"set two in an empty": func() { Splice([]byte("{}"), empty.Set("a", raw), empty.Set("b", raw)) },
		"replace absent":      func() { obj.Get("x").Replace(raw) },
		"set in absent":       func() { obj.Get("x").Set("a", raw) },
		"set in a number":     func() { obj.Get("a").Set("a", raw) },
		"update an array":     func() { root(t, `[]`).Update() },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}

func Test_canonical(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if _, err := Scan([]byte(in), Limits{}); err != nil {
			t.Fatal(err)
		}
		if got := string(Canonical([]byte(in))); got != want {
			t.Errorf("Canonical(%s) = %s, want %s", in, got, want)
		}
	}
	f(` { } `, `{}`)
	f(` [ ] `, `[]`)
	f(`{"b":1,"a":2}`, `{"a":2,"b":1}`)
	f(`{"b":{"d":[3, {"z":1,"y":2}],"c":{}},"a":[ ],"Z":0}`, `{"Z":0,"a":[],"b":{"c":{},"d":[3,{"y":2,"z":1}]}}`)
	f(`{"aa":1,"a":2,"":3}`, `{"":3,"a":2,"aa":1}`)
	f(`{"\u0062":1,"a\/":2}`, `{"a/":2,"b":1}`)                           // sorted as decoded
	f(`{"\ue000":1,"\ud83d\ude00":2}`, "{\"\ue000\":1,\"\U0001f600\":2}") // by bytes, not by UTF-16
	f(`[1, 1.0,1e0 ,-0, 123456789012345678901234567890 ]`, `[1,1.0,1e0,-0,123456789012345678901234567890]`)
	f(`"\u0041\u00e9\/\u000a\u0008\u000C\u001F\u007f\u2028"`, "\"Aé/\\n\\b\\f\\u001f\u007f\u2028\"")
	f(`[true , false,null]`, `[true,false,null]`)
	f("\n1 ", `1`)
}

func Test_append_string(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := string(AppendString([]byte("x"), in)); got != "x"+want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
	f("", `""`)
	f("plain é 漢 \U0001f600", "\"plain é 漢 \U0001f600\"")
	f("a\"b\\c/", `"a\"b\\c/"`)
	f("\x00\b\t\n\f\r\x1f\x7f", "\"\\u0000\\b\\t\\n\\f\\r\\u001f\x7f\"")
	f("<&>\u2028", "\"<&>\u2028\"")
	f("a\xffb\xe2\x82", "\"a\ufffdb\ufffd\ufffd\"")
	f("\xed\xa0\x80", "\"\ufffd\ufffd\ufffd\"")
	f("\ufffd", "\"\ufffd\"")
}

func TestAround(t *testing.T) {
	far := `{"a":1,` + strings.Repeat(" ", 300) + `"b":"x"}`
	for text, want := range map[string]string{
		`{"a":"x"}`: `{"a":"x"}`, `{"q":{"r":[{"s":"}{"}]},"a":"x","z":1}`: `{"q":{"r":[{"s":"}{"}]},"a":"x","z":1}`,
		`[{"a":"y"},{"b":{"a":"x"}}]`: `{"a":"x"}`, `["x"]`: "", `{"b":["x"]}`: `{"b":["x"]}`, `{"x":1}`: "", far: far,
	} {
		doc, err := Scan([]byte(text), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range doc.Strings {
			if doc.Text(i) == "x" {
				if got := string(doc.Around(i).Raw()); got != want {
					t.Errorf("around x in %s is %s, want %s", text, got, want)
				}
			}
		}
	}
}
