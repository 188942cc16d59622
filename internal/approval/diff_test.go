package approval

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/wire"
)

// plain writes a diff as people see it without colours.
func plain(lines []Line) string {
	var out bytes.Buffer
	p := testPrinter(&out)
	for _, l := range lines {
		p.diff(l)
	}
	p.out.Flush()
	return strings.ReplaceAll("\n"+out.String(), "\n    ", "\n")[1:]
}

func Test_diff(t *testing.T) {
	long := strings.Repeat("word ", 30)
	for name, test := range map[string]struct{ old, new, want string }{
		"equal":              {`{"a":1,"b":[{}]}`, `{"b":[{}],"a":1}`, ``},
		"absent before":      {``, `{"a":{"b":"x"},"c":[],"d":{}}`, "+ /a/b: \"x\"\n+ /c: []\n+ /d: {}\n"},
		"absent after":       {`"x"`, ``, "- \"x\"\n"},
		"number literal":     {`{"a":1}`, `{"a":1.0}`, "- /a: 1\n+ /a: 1.0\n"},
		"kind":               {`{"a":"1"}`, `{"a":1}`, "- /a: \"1\"\n+ /a: 1\n"},
		"null is not absent": {`{"a":null}`, `{}`, "- /a: null\n"},
		"pointer":            {`{"a/b~c":1}`, `{"a/b~c":2}`, "- /a~1b~0c: 1\n+ /a~1b~0c: 2\n"},
		"key with hidden":    {`{}`, "{\"a\u200b\":1}", "+ /a\\u{200B}: 1\n"},
		"hidden":             {`"abc"`, "\"ab\u202ec\u0301\"", "- \"abc\"\n+ \"ab\\u{202E}c\u0301\"\n"},
		"tag characters":     {`"a"`, "\"a\U000e0041\"", "- \"a\"\n+ \"a\\u{E0041}\"\n"},
		"escape sequence":    {`"a"`, `"\u001b[2Ja"`, "- \"a\"\n+ \"\\u{1B}[2Ja\"\n"},
		"a written escape":   {`"a"`, `"\\u{202E}"`, "- \"a\"\n+ \"\\\\u{202E}\"\n"},
		"words":              {`"Reads the file at the given path and returns it."`, `"Reads the file at the given path, sends it away and returns it."`, "~ Reads the file at the given path{+, sends it away+} and returns it.\n"},
		"replaced words":     {`"Reads the whole file at the given path and returns it."`, `"Reads the whole file at some other path and returns it."`, "~ Reads the whole file at [-the given-]{+some other+} path and returns it.\n"},
		"hidden in words":    {`"Reads the file at the given path and returns it."`, "\"Reads the file at the given\u200b path and returns it.\"", "~ Reads the file at the given{+\\u{200B}+} path and returns it.\n"},
		"long context":       {`"` + long + `end"`, `"` + long + `END"`, "~  … word word word word word word word word [-end-]{+END+}\n"},
		"nothing in common":  {`"` + long + `"`, `"` + strings.Repeat("other ", 10) + `"`, "- \"" + long + "\"\n+ \"" + strings.Repeat("other ", 10) + "\"\n"},
		"lines":              {`"First line of the text.\nSecond line of the text."`, `"First line of the text.\nInserted.\nSecond line of the text."`, "~ First line of the text.\n~ {+Inserted.\\n\n~ +}Second line of the text.\n"},
		"marks of ours":      {`"Reads the file at the given path and returns it."`, `"Reads the file at the given path [-and-]{+or+} returns it."`, "~ Reads the file at the given path {+\\[-+}and{+\\-]\\{+or\\+}+} returns it.\n"},
		"array element":      {`{"enum":["a","b","c"]}`, `{"enum":["a","c"]}`, "- /enum/1: \"b\"\n"},
		"array order":        {`{"enum":["a","b"]}`, `{"enum":["b","a"]}`, "~ /enum: the same 2 elements in another order\n"},
		"array objects":      {`[{"a":1},{"a":2}]`, `[{"a":0},{"a":1},{"a":3}]`, "- /0/a: 2\n+ /0/a: 0\n+ /2/a: 3\n"},
		"array repeated":     {`["a"]`, `["a","a"]`, "+ /1: \"a\"\n"},
		"not JSON":           {`{`, "{\xff", "- {\n+ {\\xFF\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, plain(Diff(json.RawMessage(test.old), json.RawMessage(test.new)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func Test_diff_of_the_worst_texts_is_quick(t *testing.T) {
	a, b := strings.Repeat("a b ", MaxItemBytes/4-1), strings.Repeat("b c ", MaxItemBytes/4-1)
	deep := func(s string) string { return strings.Repeat("[", 120) + s + strings.Repeat("]", 120) }
	var manyA, manyB []string
	for range 300 {
		manyA, manyB = append(manyA, a[:800]), append(manyB, b[:800])
	}
	marshal := func(v any) json.RawMessage { raw, _ := json.Marshal(v); return raw }
	start := time.Now()
	for _, pair := range [][2]json.RawMessage{
		{marshal(a), marshal(b)},
		{marshal(manyA), marshal(manyB)},
		{json.RawMessage(deep(`"` + a[:200_000] + `"`)), json.RawMessage(deep(`"` + b[:200_000] + `"`))},
	} {
		if len(Diff(pair[0], pair[1])) == 0 {
			t.Error("no difference")
		}
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Error(d)
	}
}

func Fuzz_diff(f *testing.F) {
	f.Add([]byte(`{"a":[1,"x",{"b":null}],"c":"word word"}`), []byte(`{"c":"word other","a":[{"b":null},1]}`))
	f.Add([]byte("{\"a\":\"\u202e\"}"), []byte(``))
	f.Add([]byte(`"First line of the text.\nSecond line of the text."`), []byte(`"First line of the text.\n\u0007ine of the text. More and more"`))
	f.Fuzz(func(t *testing.T, old, new []byte) {
		for _, raw := range [][]byte{old, new} {
			if lines := Diff(raw, raw); len(lines) != 0 {
				t.Fatalf("equal inputs: %v", lines)
			}
		}
		lines := Diff(old, new)
		if same := sameMeaning(old, new); same != (len(lines) == 0) {
			t.Fatalf("same meaning: %v, lines: %v", same, lines)
		}
		if len(lines) != len(Diff(new, old)) {
			t.Fatal("another number of lines in the other direction")
		}
		mustBeVisible(t, plain(lines))
	})
}

func sameMeaning(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	_, errA := wire.Scan(a, fileLimits)
	_, errB := wire.Scan(b, fileLimits)
	return errA == nil && errB == nil && bytes.Equal(wire.Canonical(a), wire.Canonical(b))
}

func mustBeVisible(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Fatalf("invalid UTF-8: %q", text)
	}
	for _, r := range text {
		if r != '\n' && hidden(r) {
			t.Fatalf("hidden character %U in %q", r, text)
		}
	}
}

func Test_visible(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"plain Ä 漢 🙂":              "plain Ä 漢 🙂",
		"a\nb\tc\rd":               `a\nb\tc\rd`,
		`a\nb`:                     `a\\nb`,
		"\x00\x1b\x7f\u0085":       `\u{0}\u{1B}\u{7F}\u{85}`,
		"\u200b\u2066\ufeff":       `\u{200B}\u{2066}\u{FEFF}`,
		"\u2028\u00a0\u3000":       `\u{2028}\u{A0}\u{3000}`,
		"\U000e0041\ufe0f\u3164":   `\u{E0041}\u{FE0F}\u{3164}`,
		"\u115f\u034f\u2800\ue000": `\u{115F}\u{34F}\u{2800}\u{E000}`,
		"\xff\ufffd":               "\\xFF\ufffd",
	} {
		if got := Visible(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func Fuzz_escape_hidden(f *testing.F) {
	f.Add([]byte("{\"a\u202e\":\"\U000e0041\\u0000\\\\\"}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := wire.Scan(raw, fileLimits); err != nil {
			return
		}
		canonical := wire.Canonical(raw)
		escaped := escapeHidden(canonical)
		mustBeVisible(t, string(escaped))
		if _, err := wire.Scan(escaped, fileLimits); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(canonical, wire.Canonical(escaped)) {
			t.Fatalf("another meaning: %q, %q", canonical, escaped)
		}
	})
}
