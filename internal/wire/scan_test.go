package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func Test_scan_refuses_what_decoders_disagree_about(t *testing.T) {
	for _, tt := range []struct{ name, in, reason string }{
		{"nothing", ``, "the text ends too early"},
		{"white space only", " \n", "the text ends too early"},
		{"trailing data", `{}x`, "data after the JSON value"},
		{"two objects", `{} {}`, "data after the JSON value"},
		{"two values in lines", "1\n2", "data after the JSON value"},
		{"NUL behind", "{}\x00", "data after the JSON value"},

		{"duplicate key", `{"a":1,"a":2}`, "duplicate member name"},
		{"duplicate key apart", `{"a":1,"b":{"a":1},"a":2}`, "duplicate member name"},
		{"duplicate empty key", `{"":1,"":2}`, "duplicate member name"},
		{"duplicate key escaped", `{"a":1,"\u0061":2}`, "duplicate member name"},
		{"duplicate key both escaped", `{"\u00e9":1,"\u00E9":2}`, "duplicate member name"},
		{"duplicate key as surrogate pair", "{\"\U0001f600\":1,\"\\ud83d\\ude00\":2}", "duplicate member name"},
		{"duplicate slash", `{"a/b":1,"a\/b":2}`, "duplicate member name"},
		{"duplicate key inside", `[{"x":{"a":1,"a":1}}]`, "duplicate member name"},
		{"case twin", `{"name":1,"Name":2}`, "member names that differ only in case"},
		{"case twin of eight and more bytes", `{"arguments":1,"argumentS":2}`, "member names that differ only in case"},
		{"case twin escaped", `{"name":1,"\u004eame":2}`, "member names that differ only in case"},
		{"case twin long s", `{"params":1,"param\u017f":2}`, "member names that differ only in case"},
		{"case twin long s unescaped", "{\"params\":1,\"param\u017f\":2}", "member names that differ only in case"},
		{"case twin Kelvin", `{"K":1,"\u212a":2}`, "member names that differ only in case"},
		{"case twin Kelvin and k", "{\"task\":1,\"tas\u212a\":2}", "member names that differ only in case"},
		{"case twin not ASCII", "{\"\u00e9\":1,\"\u00c9\":2}", "member names that differ only in case"},
		{"case twin of three", "{\"\u03c3\":1,\"\u03c2\":2}", "member names that differ only in case"},
		{"NUL at the end of a key", `{"name\u0000":1}`, "NUL in a member name"},
		{"NUL inside a key", `{"na\u0000me":1}`, "NUL in a member name"},
		{"NUL as a key", `{"\u0000":1}`, "NUL in a member name"},

		{"invalid UTF-8", "\"\xff\"", "invalid UTF-8 in the string that ends"},
		{"invalid UTF-8 in a key", "{\"\xc3\":1}", "invalid UTF-8 in the string that ends"},
		{"invalid UTF-8 overlong", "\"\xc0\xaf\"", "invalid UTF-8 in the string that ends"},
		{"invalid UTF-8 surrogate", "\"\xed\xa0\x80\"", "invalid UTF-8 in the string that ends"},
		{"invalid UTF-8 far inside", `"` + strings.Repeat("x", 100) + "\x80" + strings.Repeat("x", 100) + `"`, "invalid UTF-8 in the string that ends"},
		{"invalid UTF-8 before an escape", "\"\xe2\x82\\n\"", "invalid UTF-8 in the string that ends"},
		{"UTF-8 split by an escape", "\"\xe2\\n\x82\xac\"", "invalid UTF-8 in the string that ends"},
		{"invalid UTF-8 outside strings", "[\xff]", "a JSON value must stand here"},
		{"byte order mark", "\ufeff{}", "a JSON value must stand here"},
		{"UTF-16", "{\x00}\x00", "a member name must stand here"},
		{"no-break space", "[\u00a01]", "a JSON value must stand here"},
		{"vertical tab", "[\v1]", "a JSON value must stand here"},

		{"lone high surrogate", `"\ud800"`, "invalid escape or lone surrogate"},
		{"lone low surrogate", `"\udc00"`, "invalid escape or lone surrogate"},
		{"surrogates in the wrong order", `"\udc00\ud800"`, "invalid escape or lone surrogate"},
		{"two high surrogates", `"\ud800\ud800"`, "invalid escape or lone surrogate"},
		{"two low surrogates", `"\udc00\udc00"`, "invalid escape or lone surrogate"},
		{"high surrogate and text", `"\ud800xxxxxx"`, "invalid escape or lone surrogate"},
		{"high surrogate and escape", `"\ud800\n"`, "invalid escape or lone surrogate"},
		{"lone surrogate in a key", `{"\ud800":1}`, "invalid escape or lone surrogate"},
		{"lone low surrogate in a key", `{"a\udfff":1}`, "invalid escape or lone surrogate"},
		{"escape of three digits", `"\u123"`, "invalid escape or lone surrogate"},
		{"escape with a sign", `"\u+123"`, "invalid escape or lone surrogate"},
		{"escape cut off", `"\u12`, "invalid escape or lone surrogate"},
		{"unknown escape", `"\a"`, "invalid escape"},
		{"escape in upper case", `"\U0041"`, "invalid escape"},
		{"hexadecimal escape", `"\x41"`, "invalid escape"},
		{"text ends in an escape", `"\`, "the text ends inside a string"},
		{"text ends in a string", `"abc`, "the text ends inside a string"},
		{"NUL", "\"\x00\"", "a control character must be escaped"},
		{"line feed", "\"a\nb\"", "a control character must be escaped"},
		{"tab", "\"a\tb\"", "a control character must be escaped"},
		{"unit separator in a key", "{\"\x1f\":1}", "a control character must be escaped"},
		{"control character far inside", `"` + strings.Repeat("x", 13) + "\x01" + `"`, "a control character must be escaped"},
		{"single quotes", `'a'`, "a JSON value must stand here"},

		{"leading zero", `01`, "data after the JSON value"},
		{"leading zero in an array", `[01]`, "a comma or a closing bracket must stand here"},
		{"two zeros", `-00`, "data after the JSON value"},
		{"plus", `+1`, "a JSON value must stand here"},
		{"no integer part", `.5`, "a JSON value must stand here"},
		{"minus and no integer part", `-.5`, "a digit must stand here"},
		{"no fraction", `1.`, "a digit must stand here"},
		{"no fraction before exponent", `1.e1`, "a digit must stand here"},
		{"no exponent", `1e`, "a digit must stand here"},
		{"sign and no exponent", `1E+`, "a digit must stand here"},
		{"minus", `-`, "a digit must stand here"},
		{"two signs", `--1`, "a digit must stand here"},
		{"hexadecimal", `0x10`, "data after the JSON value"},
		{"separator", `1_000`, "data after the JSON value"},
		{"NaN", `NaN`, "a JSON value must stand here"},
		{"Infinity", `Infinity`, "a JSON value must stand here"},
		{"minus Infinity", `-Infinity`, "a digit must stand here"},
		{"undefined", `undefined`, "a JSON value must stand here"},
		{"True", `True`, "a JSON value must stand here"},
		{"literal cut off", `tru`, "a JSON value must stand here"},
		{"literal too long", `nullx`, "data after the JSON value"},

		{"line comment", "{} // x", "data after the JSON value"},
		{"comment before", "/* x */ {}", "a JSON value must stand here"},
		{"comment inside", "{/* x */}", "a member name must stand here"},
		{"hash comment", "# x\n{}", "a JSON value must stand here"},
		{"trailing comma in an object", `{"a":1,}`, "a member name must stand here"},
		{"trailing comma in an array", `[1,]`, "a JSON value must stand here"},
		{"comma first in an object", `{,"a":1}`, "a member name must stand here"},
		{"comma first in an array", `[,1]`, "a JSON value must stand here"},
		{"two commas", `[1,,2]`, "a JSON value must stand here"},
		{"no comma in an array", `[1 2]`, "a comma or a closing bracket must stand here"},
		{"no comma in an object", `{"a":1 "b":2}`, "a comma or a closing brace must stand here"},
		{"no colon", `{"a" 1}`, "a colon must stand here"},
		{"no value", `{"a":}`, "a JSON value must stand here"},
		{"no quotes", `{a:1}`, "a member name must stand here"},
		{"number as a key", `{1:1}`, "a member name must stand here"},
		{"closed by the other bracket", `[1}`, "a comma or a closing bracket must stand here"},
		{"closed by the other brace", `{"a":1]`, "a comma or a closing brace must stand here"},
		{"open array", `[1`, "a comma or a closing bracket must stand here"},
		{"open object", `{"a":1`, "a comma or a closing brace must stand here"},
		{"closed twice", `[]]`, "data after the JSON value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Scan([]byte(tt.in), Limits{})
			var refused *SyntaxError
			if !errors.As(err, &refused) {
				t.Fatalf("Scan(%q) = %v, want a *SyntaxError", tt.in, err)
			}
			if refused.Reason != tt.reason || refused.Bound {
				t.Errorf("reason %q (bound %v), want %q", refused.Reason, refused.Bound, tt.reason)
			}
			if refused.Offset < 0 || refused.Offset > len(tt.in) {
				t.Errorf("offset %d lies outside the text", refused.Offset)
			}
		})
	}
}

func Test_scan_accepts_what_is_only_unusual(t *testing.T) {
	for _, in := range []string{
		" \t\r\n{} \t\r\n",
		`[]`, `""`, `0`, `-0`, `0.0`, `-1.5E+10`, `1e400`, `true`, `false`, `null`,
		`123456789012345678901234567890`,
		`{"":1}`,
		`{"a":{"a":1},"b":{"a":1}}`, // names are unique within one object only
		`[{"a":1},{"A":1}]`,
		`{"name":1,"nam\u0435":2}`, // Cyrillic: alike to people, not to decoders
		"{\"\u0131d\":1,\"id\":2}", // dotless i: no decoder folds it without a locale
		`{"stra\u00dfe":1,"strasse":2}`,
		`"\ud83d\ude00 \u0000 \/ \" \\ \b\f\n\r\t"`,
		"\"\u2028\u2029\u007f\ufeff\ufffd\U0010ffff\"",
	} {
		doc, err := Scan([]byte(in), Limits{})
		if err != nil {
			t.Errorf("Scan(%q): %v", in, err)
			continue
		}
		if got, want := string(doc.Root.Raw()), strings.Trim(in, " \t\r\n"); got != want {
			t.Errorf("root of %q is %q", in, got)
		}
	}
}

func Test_scan_bounds(t *testing.T) {
	for _, tt := range []struct {
		name         string
		lim          Limits
		within, over string
	}{
		{"bytes", Limits{Bytes: 4}, `"ab"`, `"abc"`},
		{"bytes count white space", Limits{Bytes: 4}, `"ab"`, `"ab" `},
		{"arrays deep", Limits{Depth: 2}, `[[]]`, `[[[]]]`},
		{"objects deep", Limits{Depth: 2}, `{"a":{}}`, `{"a":{"a":{}}}`},
		{"mixed deep", Limits{Depth: 2}, `[[],{"a":1}]`, `[{"a":[]}]`},
		{"items", Limits{Items: 2}, `[[1,2],[1,2]]`, `[1,2,3]`},
		{"members", Limits{Members: 2}, `{"a":{"a":1,"b":2},"b":{"a":1,"b":2}}`, `{"a":1,"b":2,"c":3}`},
		{"strings", Limits{Strings: 3}, `{"a":["b","c"]}`, `{"a":["b","c","d"]}`},
		{"strings count names", Limits{Strings: 3}, `{"a":1,"b":1,"c":1}`, `{"a":1,"b":1,"c":1,"d":1}`},
		{"default depth", Limits{}, strings.Repeat("[", 128) + strings.Repeat("]", 128), strings.Repeat("[", 129)},
		{"default items", Limits{}, "[0" + strings.Repeat(",0", 99_999) + "]", "[0" + strings.Repeat(",0", 100_000) + "]"},
		{"default members", Limits{}, string(manyMembers(10_000)), string(manyMembers(10_001))},
		{"negative means default", Limits{Depth: -1}, strings.Repeat("[", 128) + strings.Repeat("]", 128), strings.Repeat("[", 129)},
		{"default bytes", Limits{}, "1" + strings.Repeat(" ", 16<<20-1), "1" + strings.Repeat(" ", 16<<20)},
		{"default strings", Limits{}, stringsInArrays(1_000_000), stringsInArrays(1_000_001)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Scan([]byte(tt.within), tt.lim); err != nil {
				t.Errorf("within the bound: %v", err)
			}
			_, err := Scan([]byte(tt.over), tt.lim)
			var refused *SyntaxError
			if !errors.As(err, &refused) || !refused.Bound {
				t.Errorf("over the bound: %v, want a *SyntaxError with Bound", err)
			}
		})
	}
}

func stringsInArrays(n int) string {
	var b strings.Builder
	b.WriteString("[[")
	for i := range n {
		switch {
		case i == 0:
		case i%50_000 == 0:
			b.WriteString("],[")
		default:
			b.WriteByte(',')
		}
		b.WriteString(`""`)
	}
	b.WriteString("]]")
	return b.String()
}

func Test_a_syntax_error_does_not_repeat_the_text(t *testing.T) {
	for _, in := range []string{`{"secret":1,"secret":2}`, `secret`, `"secret`, "\"secret\x01\""} {
		_, err := Scan([]byte(in), Limits{})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("Scan(%q) = %v", in, err)
		}
	}
}

// A twin must be found however many members stand before it: by comparing while
// they are few, in a map afterwards.
func Test_twins_are_found_in_objects_of_every_size(t *testing.T) {
	for n := 1; n < 3*manyNames; n++ {
		for twinOf := range n {
			raw := manyMembers(n)
			raw = fmt.Appendf(raw[:len(raw)-1], `,"Member%d":0}`, twinOf)
			if _, err := Scan(raw, Limits{}); err == nil {
				t.Fatalf("object of %d members: the twin of member %d was accepted", n, twinOf)
			}
		}
	}
}

// Names that differ in two places far apart must not cancel out in the hash.
func Test_different_names_have_different_hashes(t *testing.T) {
	seen := map[uint64]string{}
	for a := byte('0'); a <= 'Z'; a++ {
		for b := byte('0'); b <= 'Z'; b++ {
			for _, name := range []string{
				string([]byte{a, b}),
				string([]byte{'x', 'x', 'x', 'x', 'x', 'x', 'x', a, 'x', 'x', 'x', 'x', 'x', 'x', 'x', b}),
				string([]byte{a, 'x', 'x', 'x', 'x', 'x', 'x', 'x', b}),
			} {
				hash, ok := upperHash([]byte(name))
				if other, twice := seen[hash]; twice || !ok {
					t.Fatalf("%q and %q have one hash (ok %v)", name, other, ok)
				}
				seen[hash] = name
			}
		}
	}
}

func Test_upper_case_of_every_ASCII_character(t *testing.T) {
	for c := byte(1); c < 0x80; c++ {
		name := []byte{'_', '@', c, '[', '`', '{', 'z', 'A', c}
		got, ok := upperHash(name)
		want, _ := upperHash([]byte(strings.ToUpper(string(name))))
		if !ok || got != want {
			t.Errorf("%q folds otherwise than its upper case", name)
		}
		if c < 0x20 || c == '"' || c == '\\' {
			continue
		}
		// The path for escaped names must agree.
		raw := fmt.Appendf(nil, `{"%s":1,"\u005f%s":2}`, name, name[1:])
		if _, err := Scan(raw, Limits{}); err == nil {
			t.Errorf("%q and its escaped form are two names", name)
		}
	}
}

func Test_strings_are_recorded_with_the_name_around_them(t *testing.T) {
	type seen struct {
		Text, Under   string
		IsKey, Escape bool
	}
	doc, err := Scan([]byte(`{"a":["x",{"b":"y"},["z"]],"c\n":"\u0041","d":{},"e":"w"}`), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var got []seen
	for i, s := range doc.Strings {
		under := "-"
		if s.Key >= 0 {
			under = doc.Text(int(s.Key))
		}
		got = append(got, seen{doc.Text(i), under, s.IsKey, s.Escaped})
	}
	want := []seen{
		{"a", "-", true, false}, {"x", "a", false, false}, {"b", "a", true, false},
		{"y", "b", false, false}, {"z", "a", false, false},
		{"c\n", "-", true, true}, {"A", "c\n", false, true},
		{"d", "-", true, false}, {"e", "-", true, false}, {"w", "e", false, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func Test_plain_run_stops_at_every_byte_that_matters(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			b := []byte(strings.Repeat("x", 24))
			b[at] = byte(c)
			wantN, wantASCII := len(b), c < 0x80
			if c < 0x20 || c == '"' || c == '\\' {
				wantN, wantASCII = at, true
			}
			if n, ascii := plainRun(b); n != wantN || ascii != wantASCII {
				t.Fatalf("byte %#x at %d: %d, %v", c, at, n, ascii)
			}
		}
	}
}
