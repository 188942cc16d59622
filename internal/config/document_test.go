package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parseText(t *testing.T, text string, format Format) *Document {
	t.Helper()
	d, err := ParseDocument("file", []byte(text), format)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// outline writes a value with the text that stands where it says it stands.
func outline(d *Document, v Value, depth int, out *strings.Builder) {
	indent := strings.Repeat(" ", depth)
	for name, member := range v.Members() {
		key, span := v.Key(name), member.Span()
		fmt.Fprintf(out, "%s%s [%s]", indent, name, d.Text[key.Start:key.End])
		if span.Known() {
			fmt.Fprintf(out, " = %q", d.Text[span.Start:span.End])
		}
		out.WriteString("\n")
		outline(d, member, depth+1, out)
	}
	for element := range v.List() {
		outline(d, element, depth+1, out)
	}
}

func Test_values_stand_where_they_say(t *testing.T) {
	for _, test := range []struct {
		format     Format
		text, want string
	}{
		{JSON, `{"a": /* x */ ["é", 1], // y` + "\n" + `"b": {"c": true,},}`, `a ["a"] = "[\"é\", 1]"
b ["b"] = "{\"c\": true,}"
 c ["c"] = "true"
`},
		{YAML, "a: [é, 1] # y\nb:\n  c: |\n    x\n  d: 'e'\nf:\n- g\n", `a [a] = "[é, 1]"
b [b] = "c: |\n    x\n  d: 'e'"
 c [c] = "|\n    x"
 d [d] = "'e'"
f [f] = "- g"
`},
		{YAML, "a: &x [1]\nb: *x\n", `a [a] = "[1]"
b [b]
`},
		{TOML, "a = [\"é\", # y ]\n 1]\n\"b\".c = true # z\nd = '''x'''\ne = { f = 1 }\n[g]\nh = \"\"\"i\"\"\"\"\n", `a [a] = "[\"é\", # y ]\n 1]"
b ["b"]
 c [c] = "true"
d [d] = "'''x'''"
e [e] = "{ f = 1 }"
 f [f] = "1"
g [g]
 h [h] = "\"\"\"i\"\"\"\""
`},
	} {
		d := parseText(t, test.text, test.format)
		var out strings.Builder
		outline(d, d.Root, 0, &out)
		if diff := cmp.Diff(test.want, out.String()); diff != "" || len(d.Problems) > 0 {
			t.Errorf("%v: problems %v\n%s", test.format, d.Problems, diff)
		}
	}
}

func Test_toml_that_two_readers_could_read_in_two_ways_is_reported(t *testing.T) {
	for _, text := range []string{
		"a = 1\na = 2", "[a]\n[a]", "a = 1\n[a]", "[a]\n[[a]]", "a = [1]\n[[a]]", "a = {b = 1}\n[a.b]", "a.b = 1\na.b = 2", "a = ", "[a", "a = \"",
		"x = " + strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
		"[" + strings.Repeat("a.", maxDepth+1) + "a]",
	} {
		if d := parseText(t, text, TOML); len(d.Problems) == 0 {
			t.Errorf("%q is read as if nothing were wrong", text)
		}
	}
	var many strings.Builder
	for i := range maxTOMLKeys + 1 {
		fmt.Fprintf(&many, "k%d = 1\n", i)
	}
	if d := parseText(t, many.String(), TOML); len(d.Problems) == 0 {
		t.Error("more keys than are read pass without a word")
	}
}

func Test_tables_of_toml_become_one_tree(t *testing.T) {
	d := parseText(t, "[a.b]\nc = 1\n[a]\nd = 2\n[[e]]\nf = 3\n[e.g]\nh = 4\n[[e]]\nf = 5\n", TOML)
	if len(d.Problems) > 0 {
		t.Fatal(d.Problems)
	}
	if c, _ := d.Root.Get("a", "b", "c").Text(); c != "1" {
		t.Errorf("a.b.c is %q", c)
	}
	var got []string
	for element := range d.Root.Get("e").List() {
		f, _ := element.Get("f").Text()
		h, _ := element.Get("g", "h").Text()
		got = append(got, f+h)
	}
	if diff := cmp.Diff([]string{"34", "5"}, got); diff != "" {
		t.Error(diff)
	}
}

func Test_places_in_files_of_every_encoding(t *testing.T) {
	text := `{"é😀": "` + strings.Repeat("ü😀x", 3000) + `", "b": 1}`
	for _, e := range []encoding{plain, marked, littleEndian, bigEndian} {
		raw := (&Document{encoding: e}).Encode([]byte(text))
		d, err := ParseDocument("file", raw, JSON)
		if err != nil {
			t.Fatal(err)
		}
		at := d.InFile(d.Root.Key("b"))
		want := (&Document{encoding: e}).Encode([]byte(`"b"`))[len(marks[e]):]
		if string(raw[at.Start:at.End]) != string(want) {
			t.Errorf("encoding %d: %q stands at %v", e, raw[at.Start:at.End], at)
		}
	}
	if _, err := ParseDocument("file", []byte{0xFF, 0xFE, 0x00, 0xD8}, JSON); err == nil {
		t.Error("half a character of UTF-16 is read, and could not be written back")
	}
}

func Test_what_looks_secret_is_not_repeated(t *testing.T) {
	for address, want := range map[string]string{
		"https://u:p@h.example/mcp":                    "https://[redacted]@h.example/mcp",
		"https://h.example/mcp?token=hunter22&q=1":     "https://h.example/mcp?q=1&token=[redacted]",
		"https://h.example/sk-abcdefghijklmnop1234/ev": "https://h.example/[redacted]/ev",
		"https://h.example/mcp?q=1":                    "https://h.example/mcp?q=1",
		"http://${env:HOST}/mcp":                       "http://${env:HOST}/mcp",
		"postgresql://ada:q8Zr#2L/xV0p@h.example/shop": "[redacted]",
		"https://h.example:8443/@scope/x":              "https://h.example:8443/@scope/x",
		"https://h.example/#token=hunter22":            "https://h.example/#[redacted]",
		"https://h.example/#top":                       "https://h.example/#top",
		"https://h.example:x/?token=hunter22":          "[redacted]",
		"https://h.example:x/":                         "https://h.example:x/",
	} {
		if got := RedactURL(address); got != want {
			t.Errorf("%s is shown as %s, want %s", address, got, want)
		}
	}
}

func Test_words_are_repeated_without_what_looks_secret(t *testing.T) {
	for word, want := range map[string]string{
		"--header=Authorization: Bearer hunter22":    "--header=[redacted]",
		"--header=X-Api-Key:hunter22":                "--header=[redacted]",
		"--header=Accept: application/json":          "--header=Accept: application/json",
		"--env=TOKEN=hunter22":                       "--env=[redacted]",
		"--env=LEVEL=verbose":                        "--env=LEVEL=verbose",
		"-HX-Api-Key: hunter22":                      "X-Api-Key: [redacted]",
		"X-Api-Key: hunter22":                        "X-Api-Key: [redacted]",
		`{"level": "verbose", "apiKey": "hunter22"}`: "[redacted]",
		`{"apiKey": "${KEY_OF_IT}"}`:                 `{"apiKey": "${KEY_OF_IT}"}`,
		`{"level": "verbose"}`:                       `{"level": "verbose"}`,
		"https://h.example/?a=1&token=hunter22":      "https://h.example/?a=[redacted]",
		"Server=h;Password=hunter22;":                "Server=[redacted]",
		"npx@1.0.0":                                  "npx@1.0.0",
	} {
		if got := RedactWords([]string{word}); got[0] != want {
			t.Errorf("%s is shown as %s, want %s", word, got[0], want)
		}
	}
}

// Each of two bytes would become a value of some hundred.
func Test_files_of_too_many_values_are_not_read(t *testing.T) {
	for format, text := range map[Format]string{
		JSON: `{"a": [` + strings.Repeat("1,", maxSigns) + "]}",
		TOML: "a = [" + strings.Repeat("1,", maxSigns) + "]",
		YAML: "a: [" + strings.Repeat("1,", maxTokens) + "]",
	} {
		d := parseText(t, text, format)
		if d.Root.Exists() || len(d.Problems) != 1 || !strings.Contains(d.Problems[0].Message, "more than") {
			t.Errorf("%v: %v", format, d.Problems)
		}
	}
	if d := parseText(t, strings.Repeat("[[a]]\n", maxSigns/2+1), TOML); d.Root.Exists() {
		t.Error("tables without number are read")
	}
	if d := parseText(t, `{"a": "`+strings.Repeat(",", maxSigns+1)+`"}`, JSON); !d.Root.Exists() {
		t.Error("signs in a text count")
	}
}
