package schema

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/wire"
)

func arguments(t testing.TB, text string) wire.Value {
	t.Helper()
	doc, err := wire.Scan([]byte(text), wire.Limits{})
	if err != nil {
		t.Fatalf("arguments %.100s: %v", text, err)
	}
	return doc.Root
}

func compile(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Compile([]byte(text))
	if err != nil {
		t.Fatalf("Compile(%.200s): %v", text, err)
	}
	return s
}

func Test_keywords(t *testing.T) {
	const draft7 = `"$schema":"http://json-schema.org/draft-07/schema#"`
	tests := []struct {
		name, schema, good, bad string
	}{
		{"type", `{"type":"object"}`, `{}`, `[]`},
		{"required", `{"required":["a"]}`, `{"a":1}`, `{"b":1}`},
		{"additionalProperties", `{"properties":{"a":{}},"additionalProperties":false}`, `{"a":1}`, `{"a":1,"b":2}`},
		{"enum", `{"properties":{"a":{"enum":["x",null,1]}}}`, `{"a":null}`, `{"a":"y"}`},
		{"const", `{"properties":{"a":{"const":{"b":[1]}}}}`, `{"a":{"b":[1.0]}}`, `{"a":{"b":[2]}}`},
		{"integer", `{"properties":{"a":{"type":"integer"}}}`, `{"a":2.0}`, `{"a":2.5}`},
		{"multipleOf", `{"properties":{"a":{"multipleOf":0.01}}}`, `{"a":19.99}`, `{"a":19.999}`},
		{"minimum", `{"properties":{"a":{"exclusiveMinimum":1}}}`, `{"a":2}`, `{"a":1}`},
		{"length in characters", `{"properties":{"a":{"maxLength":2}}}`, `{"a":"𝄞é"}`, `{"a":"abc"}`},
		{"pattern", `{"properties":{"a":{"pattern":"^[a-z]+$"}}}`, `{"a":"abc"}`, `{"a":"a c"}`},
		{"look-ahead", `{"properties":{"a":{"pattern":"^(?!admin)(?=.*[0-9])\\w+$"}}}`, `{"a":"user1"}`, `{"a":"admin1"}`},
		{"look-behind", `{"properties":{"a":{"pattern":"(?<!x)y"}}}`, `{"a":"zy"}`, `{"a":"xy"}`},
		{"patternProperties", `{"patternProperties":{"^n_":{"type":"number"}},"additionalProperties":false}`, `{"n_a":1}`, `{"n_a":"1"}`},
		{"propertyNames", `{"propertyNames":{"maxLength":1}}`, `{"a":1}`, `{"ab":1}`},
		{"prefixItems", `{"properties":{"a":{"prefixItems":[{"type":"string"}],"items":false}}}`, `{"a":["x"]}`, `{"a":["x",1]}`},
		{"contains", `{"properties":{"a":{"contains":{"const":1},"maxContains":1}}}`, `{"a":[1,2]}`, `{"a":[1,1]}`},
		{"uniqueItems", `{"properties":{"a":{"uniqueItems":true}}}`, `{"a":[1,2]}`, `{"a":[1,1.0]}`},
		{"dependentRequired", `{"dependentRequired":{"a":["b"]}}`, `{"a":1,"b":1}`, `{"a":1}`},
		{"dependentSchemas", `{"dependentSchemas":{"a":{"required":["b"]}}}`, `{"c":1}`, `{"a":1}`},
		{"if then else", `{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}}`, `{"c":1}`, `{"a":1,"c":1}`},
		{"oneOf", `{"oneOf":[{"required":["a"]},{"required":["b"]}]}`, `{"a":1}`, `{"a":1,"b":1}`},
		{"anyOf", `{"anyOf":[{"required":["a"]},{"required":["b"]}]}`, `{"a":1,"b":1}`, `{}`},
		{"not", `{"not":{"required":["a"]}}`, `{"b":1}`, `{"a":1}`},
		{"unevaluatedProperties", `{"allOf":[{"properties":{"a":{}}}],"unevaluatedProperties":false}`, `{"a":1}`, `{"b":1}`},
		{"unevaluatedItems", `{"properties":{"l":{"prefixItems":[{}],"unevaluatedItems":false}}}`, `{"l":[1]}`, `{"l":[1,2]}`},
		{"$defs", `{"$defs":{"n":{"type":"number"}},"properties":{"a":{"$ref":"#/$defs/n"}}}`, `{"a":1}`, `{"a":"1"}`},
		{"$ref with siblings", `{"$defs":{"n":{"type":"number"}},"properties":{"a":{"$ref":"#/$defs/n","minimum":5}}}`, `{"a":6}`, `{"a":1}`},
		{"$anchor", `{"$defs":{"n":{"$anchor":"num","type":"number"}},"properties":{"a":{"$ref":"#num"}}}`, `{"a":1}`, `{"a":"1"}`},
		{"$id inside", `{"$id":"https://example.com/s","$defs":{"n":{"$id":"n","type":"number"}},"properties":{"a":{"$ref":"https://example.com/n"}}}`, `{"a":1}`, `{"a":"1"}`},
		{"$dynamicRef", `{"$id":"https://example.com/tree","$dynamicAnchor":"node","type":"object","properties":{"c":{"items":{"$dynamicRef":"#node"}}}}`,
			`{"c":[{"c":[]}]}`, `{"c":[{"c":[5]}]}`},
		{"recursive $ref", `{"type":"object","properties":{"c":{"$ref":"#"}}}`, `{"c":{"c":{}}}`, `{"c":{"c":1}}`},
		{"format is no assertion", `{"properties":{"a":{"format":"email"}},"maxProperties":1}`, `{"a":"no address"}`, `{"a":"x","b":1}`},
		{"draft-07 tuples", `{` + draft7 + `,"properties":{"a":{"items":[{"type":"string"}],"additionalItems":false}}}`, `{"a":["x"]}`, `{"a":["x",1]}`},
		{"draft-07 ignores siblings of $ref", `{` + draft7 + `,"definitions":{"n":{"type":"number"}},"properties":{"a":{"$ref":"#/definitions/n","minimum":5}}}`, `{"a":1}`, `{"a":"1"}`},
		{"draft-07 dependencies", `{` + draft7 + `,"dependencies":{"a":["b"]}}`, `{"a":1,"b":1}`, `{"a":1}`},
		{"big integers are exact", `{"properties":{"a":{"const":9007199254740993}}}`, `{"a":9007199254740993}`, `{"a":9007199254740992}`},
		{"big bounds are exact", `{"properties":{"a":{"maximum":9007199254740992}}}`, `{"a":9007199254740992}`, `{"a":9007199254740993}`},
		{"boolean false", `{"properties":{"a":false}}`, `{}`, `{"a":1}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := compile(t, tt.schema)
			if err := s.Check(arguments(t, tt.good)); err != nil {
				t.Errorf("%s is refused: %v", tt.good, err)
			}
			if err := s.Check(arguments(t, tt.bad)); err == nil {
				t.Errorf("%s passes", tt.bad)
			}
		})
	}
}

func Test_absent_arguments_are_an_empty_object(t *testing.T) {
	if err := compile(t, `{"type":"object"}`).Check(wire.Value{}); err != nil {
		t.Errorf("no arguments: %v", err)
	}
	if err := compile(t, `{"required":["a"]}`).Check(wire.Value{}); err == nil {
		t.Error("a required member is not missed in absent arguments")
	}
}

func Test_schemas_that_cannot_be_used_are_errors(t *testing.T) {
	for name, text := range map[string]string{
		"no schema":             `"object"`,
		"wrong keyword":         `{"type":"objekt"}`,
		"keyword of wrong type": `{"required":"a"}`,
		"unknown dialect":       `{"$schema":"https://example.com/dialect"}`,
		"empty dialect":         `{"$schema":""}`,
		"dangling reference":    `{"$ref":"#/$defs/none"}`,
		"broken pattern":        `{"pattern":"("}`,
		"twin keys":             `{"type":"object","Type":"string"}`,
		"trailing data":         `{} {}`,
		"not JSON":              `{`,
		"long pattern":          `{"pattern":"` + strings.Repeat("a", maxPattern+1) + `"}`,
		"too deep":              strings.Repeat(`{"not":`, maxDepth+1) + `{}` + strings.Repeat(`}`, maxDepth+1),
		"too large":             `{"description":"` + strings.Repeat("x", maxBytes) + `"}`,
		"monstrous number":      `{"minimum":1e999999999}`,
	} {
		began := time.Now()
		if _, err := Compile([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

// "Implementations MUST NOT automatically dereference $ref values that point to
// network resources." Neither files are.
func Test_references_that_leave_the_schema_are_never_followed(t *testing.T) {
	var asked atomic.Int32
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, `{"type":"object"}`)
	}))
	defer web.Close()
	file := filepath.Join(t.TempDir(), "schema.json")
	if err := os.WriteFile(file, []byte(`{"type":"object"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		`{"$ref":"` + web.URL + `/s.json"}`,
		`{"$ref":"` + web.URL + `/s.json#/$defs/a"}`,
		`{"properties":{"a":{"items":{"$ref":"` + web.URL + `"}}}}`,
		`{"$defs":{"other":{"$ref":"` + web.URL + `"}},"$ref":"#/$defs/other"}`,
		`{"$dynamicRef":"` + web.URL + `"}`,
		`{"$schema":"` + web.URL + `"}`,
		`{"$id":"` + web.URL + `/base","$ref":"other"}`,
		`{"$ref":"file://` + file + `"}`,
		`{"$ref":"` + file + `"}`,
		`{"$ref":"schema.json"}`,
		`{"properties":{"a":{"$ref":"//` + strings.TrimPrefix(web.URL, "http://") + `"}}}`,
		`{"$id":"file://` + filepath.Dir(file) + `/","$ref":"schema.json"}`,
		`{"$schema":"file://` + file + `"}`,
	} {
		if _, err := Compile([]byte(text)); err == nil {
			t.Errorf("%s: accepted", text)
		} else if !errors.Is(err, errRemote) && !strings.Contains(err.Error(), errRemote.Error()) {
			t.Errorf("%s: refused for another reason: %v", text, err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests left the machine", n)
	}
}

// bomb asks for 2^n checks of one value in a few lines.
func bomb(keyword string, n int, leaf string) string {
	var defs []string
	for i := range n {
		next := fmt.Sprintf(`{"$ref":"#/$defs/d%d"}`, i+1)
		defs = append(defs, fmt.Sprintf(`"d%d":{%q:[%s,%s]}`, i, keyword, next, next))
	}
	defs = append(defs, fmt.Sprintf(`"d%d":%s`, n, leaf))
	return `{"$ref":"#/$defs/d0","$defs":{` + strings.Join(defs, ",") + `}}`
}

func nested(n int) string { return strings.Repeat(`{"c":`, n) + "1" + strings.Repeat(`}`, n) }

func list(n int, item string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
}

func Test_hostile_schemas_end_within_their_bound(t *testing.T) {
	var enum, patterns strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&enum, "%d,", i)
	}
	for i := range 400 {
		fmt.Fprintf(&patterns, `"^(?=a)(a|aa)+[bc]%d":false,`, i)
	}
	tests := []struct{ name, schema, arguments string }{
		{"allOf doubling", bomb("allOf", 40, `true`), `{}`},
		{"anyOf doubling", bomb("anyOf", 40, `{"type":"string"}`), `{}`},
		{"oneOf doubling", bomb("oneOf", 40, `{"minProperties":1}`), `{}`},
		{"doubling inside not", `{"not":{"$ref":"#/$defs/d0"},` + strings.TrimPrefix(bomb("anyOf", 40, `{"minProperties":1}`), `{"$ref":"#/$defs/d0",`), `{}`},
		{"doubling along the value", `{"properties":{"c":{"allOf":[{"$ref":"#"},{"$ref":"#"}]}}}`, nested(60)},
		{"many values in a large enum", `{"properties":{"a":{"items":{"enum":[` + strings.TrimSuffix(enum.String(), ",") + `]}}}}`, `{"a":` + list(50_000, "-1") + `}`},
		{"catastrophic pattern", `{"properties":{"a":{"pattern":"^(?=(a+)+$)(a+)+b"}}}`, `{"a":"` + strings.Repeat("a", 60) + `!"}`},
		{"slow patterns, many times", `{"patternProperties":{` + strings.TrimSuffix(patterns.String(), ",") + `}}`, `{"` + strings.Repeat("a", 20) + `":1}`},
		{"long linear pattern on a long text", `{"properties":{"a":{"pattern":"(x{30}){33}y"}}}`, `{"a":"` + strings.Repeat("x", 8<<20) + `"}`},
		{"monstrous exponent", `{"properties":{"a":{"type":"integer"}}}`, `{"a":1e999999999}`},
		{"monstrous negative exponent", `{"properties":{"a":{"minimum":0}}}`, `{"a":1E-999999999}`},
		{"exponent beyond an int", `{"properties":{"a":{"minimum":0}}}`, `{"a":1e99999999999999999999}`},
		{"monstrous number", `{"properties":{"a":{"minimum":0}}}`, `{"a":` + strings.Repeat("7", 4<<20) + `}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := compile(t, tt.schema)
			instance := arguments(t, tt.arguments)
			done := make(chan error, 1)
			go func() { done <- s.Check(instance) }()
			select {
			case err := <-done:
				if err == nil {
					t.Error("passes")
				}
			case <-time.After(8 * time.Second):
				t.Fatal("not ended after 8 s")
			}
		})
	}
}

func Test_large_honest_schemas_and_arguments_pass(t *testing.T) {
	var properties, values strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&properties, `"p%d":{"type":"object","properties":{"x":{"type":"string","pattern":"^[a-z]*$"},"y":{"enum":["a","b"]}}},`, i)
		fmt.Fprintf(&values, `"p%d":{"x":"abc","y":"b"},`, i)
	}
	s := compile(t, `{"type":"object","properties":{`+strings.TrimSuffix(properties.String(), ",")+`}}`)
	if err := s.Check(arguments(t, "{"+strings.TrimSuffix(values.String(), ",")+"}")); err != nil {
		t.Error(err)
	}
	text := compile(t, `{"properties":{"content":{"type":"string","pattern":"^[\\s\\S]*$"},"rows":{"items":{"type":"array","items":{"type":"number"}}}}}`)
	if err := text.Check(arguments(t, `{"content":"`+strings.Repeat("x", 2<<20)+`","rows":`+list(1000, list(50, "1.5"))+`}`)); err != nil {
		t.Error(err)
	}
}

// A refusal must not use up what the next check may spend.
func Test_every_check_has_its_own_budget(t *testing.T) {
	s := compile(t, `{"properties":{"c":{"allOf":[{"$ref":"#"},{"$ref":"#"}]}}}`)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := s.Check(arguments(t, nested(40))); !errors.Is(err, errTooMuch) {
				t.Errorf("the bomb: %v", err)
			}
			if err := s.Check(arguments(t, nested(5))); err != nil {
				t.Errorf("after the bomb: %v", err)
			}
		})
	}
	all.Wait()
}

func Test_errors_name_the_field_and_never_the_value(t *testing.T) {
	const secret = "hunter2-and-more"
	tests := []struct{ schema, arguments, wants string }{
		{`{"properties":{"a":{"type":"number"}}}`, `{"a":"` + secret + `"}`, "/a: must be number, is string"},
		{`{"properties":{"a":{"enum":["x"]}}}`, `{"a":"` + secret + `"}`, "/a: must satisfy enum"},
		{`{"properties":{"a":{"const":"x"}}}`, `{"a":"` + secret + `"}`, "/a: must satisfy const"},
		{`{"properties":{"a":{"pattern":"^x"}}}`, `{"a":"` + secret + `"}`, "/a: must satisfy pattern"},
		{`{"properties":{"a":{"maxLength":1}}}`, `{"a":"` + secret + `"}`, "/a: must satisfy maxLength"},
		{`{"properties":{"a":{"not":{}}}}`, `{"a":"` + secret + `"}`, "/a: must satisfy not"},
		{`{"properties":{"a":{"oneOf":[{"type":"string"},{"type":"string"}]}}}`, `{"a":"` + secret + `"}`, "/a: must satisfy oneOf"},
		{`{"properties":{"a":{"anyOf":[{"const":"x"},{"const":"y"}]}}}`, `{"a":"` + secret + `"}`, "const"},
		{`{"properties":{"a":{"uniqueItems":true}}}`, `{"a":["` + secret + `","` + secret + `"]}`, "/a: must satisfy uniqueItems"},
		{`{"properties":{"a":{"contains":{"const":1}}}}`, `{"a":["` + secret + `"]}`, "/a"},
		{`{"properties":{"a":{"maximum":1}}}`, `{"a":424242424242}`, "/a: must satisfy maximum"},
		{`{"properties":{"a":{"multipleOf":5}}}`, `{"a":424242424242}`, "/a: must satisfy multipleOf"},
		{`{"properties":{"a":false}}`, `{"a":"` + secret + `"}`, "/a: must not be given"},
		{`{"required":["b","c"]}`, `{"a":"` + secret + `"}`, "/: missing b, c"},
		{`{"additionalProperties":false}`, `{"a":"` + secret + `"}`, "/: unexpected a"},
		{`{"properties":{"a":{"items":{"items":{"type":"null"}}}}}`, `{"a":[["` + secret + `"]]}`, "/a/0/0: must be null, is string"},
	}
	for _, tt := range tests {
		err := compile(t, tt.schema).Check(arguments(t, tt.arguments))
		if err == nil {
			t.Errorf("%s: passes", tt.schema)
			continue
		}
		if !strings.Contains(err.Error(), tt.wants) {
			t.Errorf("%s: %q does not say %q", tt.schema, err, tt.wants)
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "4242") {
			t.Errorf("%s: the error repeats the value: %v", tt.schema, err)
		}
	}
}

func Test_few_problems_are_named(t *testing.T) {
	s := compile(t, `{"additionalProperties":{"type":"null"}}`)
	err := s.Check(arguments(t, `{"a":1,"b":1,"c":1,"d":1,"e":1}`))
	if err == nil || strings.Count(err.Error(), "must be null") != maxProblems {
		t.Errorf("got %v, want %d problems", err, maxProblems)
	}
}

// FuzzCheck looks for schemas that panic, or that do not decide.
func FuzzCheck(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#"}}}`, `{"a":{"a":1}}`)
	f.Add(`{"$schema":"#","$id":"gatehouse:input-schema","pattern":"(?=a)"}`, `{}`)
	f.Add(`{"$dynamicRef":"#a","$dynamicAnchor":"a","unevaluatedProperties":{"not":{}}}`, `{"b":[1e3]}`)
	f.Add(`{"items":[{"enum":[1,{}]}],"$schema":"http://json-schema.org/draft-04/schema#"}`, `[1]`)
	f.Fuzz(func(t *testing.T, schema, instance string) {
		doc, err := wire.Scan([]byte(instance), wire.Limits{})
		if err != nil {
			return
		}
		s, err := Compile([]byte(schema))
		if err != nil {
			return
		}
		first, second := s.Check(doc.Root), s.Check(doc.Root)
		if errors.Is(first, errTooMuch) || errors.Is(second, errTooMuch) {
			return // time has a part in it
		}
		if (first == nil) != (second == nil) {
			t.Errorf("decides differently: %v, %v", first, second)
		}
	})
}
