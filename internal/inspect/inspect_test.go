package inspect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse/internal/decision"
	"gatehouse/internal/finding"
	"gatehouse/internal/rule"
	"gatehouse/internal/rules/secretexposed"
	"gatehouse/internal/wire"
)

// word is a rule that recognises one word.
func word(id, text string, proposal rule.Match) rule.Rule {
	return rule.Rule{ID: id, Severity: rule.High, Surfaces: rule.FromServer | rule.ToServer,
		Detect: func(s rule.Subject) (all []rule.Match, _ error) {
			for at := 0; ; {
				i := strings.Index(s.Text[at:], text)
				if i < 0 {
					return all, nil
				}
				m := proposal
				m.Start, m.End = at+i, at+i+len(text)
				all = append(all, m)
				at = m.End
			}
		}}
}

func reporting(report bool, ids ...string) map[string]Policy {
	policies := map[string]Policy{}
	for _, id := range ids {
		if report {
			policies[id] = Policy{Action: Report}
		}
	}
	return policies
}

func scan(t testing.TB, text string) *wire.Document {
	t.Helper()
	doc, err := wire.Scan([]byte(text), wire.Limits{})
	if err != nil {
		t.Fatalf("%.200s: %v", text, err)
	}
	return &doc
}

// message inspects a whole text and returns the outcome and the edited text.
func message(t testing.TB, i *Inspector, text string, surface rule.Surface) (Outcome, string) {
	t.Helper()
	doc := scan(t, text)
	out, err := i.Message(doc, doc.Root, rule.Subject{Surface: surface, Server: "files", Name: "read"})
	if err != nil {
		t.Fatalf("%.200s: %v", text, err)
	}
	return out, string(wire.Splice(doc.Raw, out.Edits...))
}

// seen is what a rule is shown of one string.
type seen struct {
	Text, Key string
	IsKey     bool
}

func independent(t testing.TB, text string) []seen {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return walk(t, d, "")
}

// walk collects the strings of a value with encoding/json alone: in the order
// they are written, each under the name of the nearest member around it.
func walk(t testing.TB, d *json.Decoder, key string) (all []seen) {
	t.Helper()
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	note := func(text string, isKey bool) {
		if text != "" {
			all = append(all, seen{text, key, isKey})
		}
	}
	switch token := token.(type) {
	case string:
		note(token, false)
	case json.Delim:
		for d.More() {
			inner := key
			if token == '{' {
				name, err := d.Token()
				if err != nil {
					t.Fatal(err)
				}
				inner = name.(string)
				note(inner, true)
			}
			all = append(all, walk(t, d, inner)...)
		}
		if _, err := d.Token(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// gather is an inspector that notes everything it is shown. It finds something everywhere,
// because names in which nothing was found are not shown again.
func gather(into *[]seen) *Inspector {
	return New([]rule.Rule{{ID: "gather", Surfaces: rule.ToolResult, Detect: func(s rule.Subject) ([]rule.Match, error) {
		if s.Joined {
			return nil, nil
		}
		*into = append(*into, seen{strings.Clone(s.Text), s.Key, s.IsKey})
		return []rule.Match{{End: len(s.Text), Severity: rule.Info}}, nil
	}}}, nil)
}

func randomValue(r *rand.Rand, depth int) string {
	text := func() string {
		parts := []string{"", "a", "b c", `\n`, `\u202e`, `\ud834\udd1e`, "é", `\"`, `\\`, "𝄞", "0"}
		var out strings.Builder
		for range r.IntN(4) {
			out.WriteString(parts[r.IntN(len(parts))])
		}
		return out.String()
	}
	space := []string{"", " ", "\n\t"}[r.IntN(3)]
	switch n := r.IntN(8); {
	case depth > 0 && n < 3:
		var members []string
		for i := range r.IntN(5) {
			members = append(members, fmt.Sprintf(`%s"%d%s"%s:%s`, space, i, text(), space, randomValue(r, depth-1)))
		}
		return "{" + strings.Join(members, ",") + space + "}"
	case depth > 0 && n < 5:
		var items []string
		for range r.IntN(5) {
			items = append(items, space+randomValue(r, depth-1))
		}
		return "[" + strings.Join(items, ",") + space + "]"
	case n == 5:
		return []string{"1", "-0.5e3", "true", "false", "null", "9007199254740993"}[r.IntN(6)]
	}
	return `"` + text() + `"`
}

// Every string reaches the rules exactly once, in order, and with its place.
func Test_every_string_of_a_message_is_shown_once(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	for range 500 {
		text := randomValue(r, 5)
		var got []seen
		if _, err := gather(&got).Message(scan(t, text), scan(t, text).Root, rule.Subject{Surface: rule.ToolResult}); err != nil {
			t.Fatal(err)
		}
		want := independent(t, text)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-independent walk +rules):\n%s", text, diff)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(`{"a":["b",{"c\u202e":"d"}],"":""}`)
	f.Add(`"x"`)
	f.Add(`[{"danger":"danger danger"}]`)
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := wire.Scan([]byte(text), wire.Limits{})
		if err != nil {
			return
		}
		var got []seen
		if _, err := gather(&got).Message(&doc, doc.Root, rule.Subject{Surface: rule.ToolResult}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(independent(t, text), got); diff != "" {
			t.Fatalf("(-independent walk +rules):\n%s", diff)
		}
		out, edited := message(t, New([]rule.Rule{word("w", "danger", rule.Match{Action: rule.Redact, Replacement: "\"gone\"\n"})}, nil), text, rule.ToolResult)
		after, err := wire.Scan([]byte(edited), wire.Limits{})
		if err != nil {
			t.Fatalf("the edited text is not valid: %v", err)
		}
		for n := range after.Strings {
			if s := after.Strings[n]; !s.IsKey && strings.Contains(after.Text(n), "danger") && out.Refusal == nil {
				t.Fatalf("a match is left: %s", edited)
			}
		}
	})
}

func Test_only_the_region_is_inspected(t *testing.T) {
	doc := scan(t, `{"before":"x","result":{"a":"y","b":["z"]},"after":"w"}`)
	for _, tt := range []struct {
		region wire.Value
		want   []seen
	}{
		{doc.Root.Get("result"), []seen{{"a", "result", true}, {"y", "a", false}, {"b", "result", true}, {"z", "b", false}}},
		{doc.Root.Get("after"), []seen{{"w", "after", false}}},
		{doc.Root.At("result", "b"), []seen{{"z", "b", false}}},
		{doc.Root.Get("absent"), nil},
	} {
		var got []seen
		if _, err := gather(&got).Message(doc, tt.region, rule.Subject{Surface: rule.ToolResult}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.region.Raw(), diff)
		}
	}
}

func Test_the_template_reaches_the_rule(t *testing.T) {
	var got rule.Subject
	i := New([]rule.Rule{{ID: "r", Surfaces: rule.Arguments, Detect: func(s rule.Subject) ([]rule.Match, error) {
		got = s
		got.Text = strings.Clone(s.Text)
		return nil, nil
	}}}, nil)
	want := rule.Subject{Surface: rule.Arguments, Server: "files", Owner: "npx", Name: "read", Known: []string{"k"}, Text: "t"}
	doc := scan(t, `"t"`)
	template := want
	template.Text = ""
	if _, err := i.Message(doc, doc.Root, template); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(rule.Subject{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func Test_a_rule_sees_only_its_surfaces(t *testing.T) {
	i := New([]rule.Rule{{ID: "r", Surfaces: rule.Arguments, Detect: func(rule.Subject) ([]rule.Match, error) {
		return nil, errors.New("shown another surface")
	}}}, nil)
	message(t, i, `"x"`, rule.ToolResult)
}

func Test_redaction_changes_the_matched_spans_only(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"inside a text", `{"a":"x danger y"}`, `{"a":"x [gone] y"}`},
		{"twice", `["danger, danger"]`, `["[gone], [gone]"]`},
		{"what surrounds it stays byte for byte", "{ \"n\" : 9007199254740993,\n\t\"a\":\"danger\", \"b\":\"\\u00e9\\/\" }", "{ \"n\" : 9007199254740993,\n\t\"a\":\"[gone]\", \"b\":\"\\u00e9\\/\" }"},
		{"written in escapes", `["\u0064anger"]`, `["[gone]"]`},
		{"the rest of its own string keeps its meaning", `["\"danger\"\u2028é\u0000"]`, `["\"[gone]\"` + "\u2028" + `é\u0000"]`},
		{"several strings", `{"a":"danger","b":{"c":["danger"]}}`, `{"a":"[gone]","b":{"c":["[gone]"]}}`},
		{"nothing found", `{"a":"calm"}`, `{"a":"calm"}`},
	}
	i := New([]rule.Rule{word("w", "danger", rule.Match{Action: rule.Redact, Replacement: "[gone]"})}, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, got := message(t, i, tt.text, rule.ToolResult)
			if got != tt.want || out.Refusal != nil {
				t.Errorf("got %s (%v), want %s", got, out.Refusal, tt.want)
			}
		})
	}
}

func Test_a_replacement_cannot_break_out_of_its_string(t *testing.T) {
	i := New([]rule.Rule{word("w", "danger", rule.Match{Action: rule.Redact, Replacement: `","evil":"` + "\n"})}, nil)
	_, got := message(t, i, `{"a":"danger"}`, rule.ToolResult)
	if doc := scan(t, got); doc.Root.Get("a").Text() != `","evil":"`+"\n" || doc.Root.Get("evil").Exists() {
		t.Errorf("got %s", got)
	}
}

func Test_overlapping_matches_are_one_hole(t *testing.T) {
	redact := func(id, text, replacement string) rule.Rule {
		return word(id, text, rule.Match{Action: rule.Redact, Replacement: replacement})
	}
	for _, tt := range []struct {
		name  string
		rules []rule.Rule
		want  string
	}{
		{"partly", []rule.Rule{redact("1", "abcd", "<1>"), redact("2", "cdef", "<2>")}, `"-<1>-"`},
		{"in the other order", []rule.Rule{redact("2", "cdef", "<2>"), redact("1", "abcd", "<1>")}, `"-<1>-"`},
		{"one inside the other", []rule.Rule{redact("1", "abcdef", "<1>"), redact("2", "cd", "<2>")}, `"-<1>-"`},
		{"the same", []rule.Rule{redact("1", "abcdef", "<1>"), redact("2", "abcdef", "<2>")}, `"-<1>-"`},
		{"side by side", []rule.Rule{redact("1", "abc", "<1>"), redact("2", "def", "<2>")}, `"-<1><2>-"`},
		{"a chain", []rule.Rule{redact("1", "abc", "<1>"), redact("2", "cde", "<2>"), redact("3", "ef", "<3>")}, `"-<1>-"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := message(t, New(tt.rules, nil), `"-abcdef-"`, rule.ToolResult); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func Test_what_a_match_leads_to(t *testing.T) {
	tests := []struct {
		name     string
		surface  rule.Surface
		proposal rule.Match
		inKey    bool
		report   bool
		effect   string
	}{
		{"report", rule.ToolResult, rule.Match{}, false, false, "reported"},
		{"redact", rule.ToolResult, rule.Match{Action: rule.Redact}, false, false, "redacted"},
		{"redact, report mode", rule.ToolResult, rule.Match{Action: rule.Redact}, false, true, "would-redact"},
		{"refuse", rule.ToolResult, rule.Match{Action: rule.Refuse}, false, false, "refused"},
		{"refuse, report mode", rule.ToolResult, rule.Match{Action: rule.Refuse}, false, true, "would-refuse"},
		{"a member name cannot be redacted", rule.ToolResult, rule.Match{Action: rule.Redact}, true, false, "refused"},
		{"a member name, report mode", rule.ToolResult, rule.Match{Action: rule.Redact}, true, true, "would-refuse"},
		{"a member name that is reported", rule.ToolResult, rule.Match{}, true, false, "reported"},
		{"arguments, refuse", rule.Arguments, rule.Match{Action: rule.Refuse}, false, false, "refused"},
		{"arguments, refuse, report mode", rule.Arguments, rule.Match{Action: rule.Refuse}, false, true, "would-refuse"},
		{"arguments, report", rule.Arguments, rule.Match{Severity: rule.Low}, false, false, "reported"},
		{"arguments are never mended", rule.Arguments, rule.Match{Severity: rule.Low, Action: rule.Redact}, false, false, "refused"},
		{"names of arguments are never mended", rule.Arguments, rule.Match{Action: rule.Redact}, true, false, "refused"},
		{"answers of a client", rule.ClientAnswer, rule.Match{Action: rule.Redact}, false, false, "refused"},
		{"definitions are judged by admission", rule.ToolDefinition, rule.Match{Severity: rule.Critical, Action: rule.Refuse}, false, false, "objected"},
		{"definitions, report mode", rule.ToolDefinition, rule.Match{Severity: rule.Critical}, false, true, "would-object"},
		{"mild words of a definition", rule.ToolDefinition, rule.Match{Severity: rule.Medium}, false, false, "reported"},
		{"unsure", rule.ToolResult, rule.Match{Confidence: 0.89, Action: rule.Redact}, false, false, "reported"},
		{"sure enough", rule.ToolResult, rule.Match{Confidence: 0.9, Action: rule.Redact}, false, false, "redacted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, plain := `{"a":"danger"}`, `{"a":""}`
			if tt.inKey {
				text, plain = `{"danger":1}`, `{"":1}`
			}
			out, got := message(t, New([]rule.Rule{word("w", "danger", tt.proposal)}, reporting(tt.report, "w", "other")), text, tt.surface)
			if len(out.Findings) != 1 || out.Findings[0].Effect != tt.effect {
				t.Fatalf("findings %+v, want effect %s", out.Findings, tt.effect)
			}
			if refused := out.Refusal != nil; refused != (tt.effect == "refused") {
				t.Errorf("refusal %v with effect %s", out.Refusal, tt.effect)
			}
			if out.Refusal != nil && (out.Refusal.Reason != decision.RuleMatched || out.Refusal.Rule != "w") {
				t.Errorf("refusal %+v", out.Refusal)
			}
			want := text
			if tt.effect == "redacted" {
				want = plain
			}
			if got != want {
				t.Errorf("the message became %s, want %s", got, want)
			}
		})
	}
}

// The other rules stay in force when one only reports.
func Test_report_mode_is_per_rule(t *testing.T) {
	i := New([]rule.Rule{word("a", "one", rule.Match{Action: rule.Refuse}), word("b", "two", rule.Match{Action: rule.Refuse})}, reporting(true, "a"))
	if out, _ := message(t, i, `["one"]`, rule.ToolResult); out.Refusal != nil {
		t.Errorf("the reporting rule refuses: %v", out.Refusal)
	}
	if out, _ := message(t, i, `["one","two"]`, rule.ToolResult); out.Refusal == nil || out.Refusal.Rule != "b" {
		t.Errorf("the enforced rule does not refuse: %v", out.Refusal)
	}
}

func Test_a_rule_that_cannot_judge_is_an_error(t *testing.T) {
	fails := errors.New("out of order")
	for name, answer := range map[string]func(rule.Subject) ([]rule.Match, error){
		"error":              func(rule.Subject) ([]rule.Match, error) { return nil, fails },
		"before the text":    func(rule.Subject) ([]rule.Match, error) { return []rule.Match{{Start: -1, End: 1}}, nil },
		"behind the text":    func(rule.Subject) ([]rule.Match, error) { return []rule.Match{{Start: 0, End: 99}}, nil },
		"empty":              func(rule.Subject) ([]rule.Match, error) { return []rule.Match{{Start: 1, End: 1}}, nil },
		"backwards":          func(rule.Subject) ([]rule.Match, error) { return []rule.Match{{Start: 2, End: 1}}, nil },
		"error with a match": func(rule.Subject) ([]rule.Match, error) { return []rule.Match{{Start: 0, End: 1}}, fails },
	} {
		t.Run(name, func(t *testing.T) {
			rules := []rule.Rule{word("fine", "zzz", rule.Match{}), {ID: "broken", Surfaces: rule.ToolResult, Detect: answer}}
			for _, report := range []map[string]Policy{nil, reporting(true, "broken")} {
				doc := scan(t, `["some text"]`)
				out, err := New(rules, report).Message(doc, doc.Root, rule.Subject{Surface: rule.ToolResult})
				if err == nil || !strings.Contains(err.Error(), "broken") {
					t.Errorf("got %+v, %v", out, err)
				}
				if len(out.Edits) > 0 || len(out.Findings) > 0 {
					t.Errorf("an outcome beside the error: %+v", out)
				}
			}
		})
	}
}

func Test_findings_are_bounded_and_effects_are_not(t *testing.T) {
	text := "[" + strings.Repeat(`"danger",`, 5000) + `"halt"]`
	i := New([]rule.Rule{
		word("w", "danger", rule.Match{Action: rule.Redact, Replacement: "-"}),
		word("h", "halt", rule.Match{Action: rule.Refuse}),
	}, nil)
	out, got := message(t, i, text, rule.ToolResult)
	if len(out.Findings) != maxFindings {
		t.Errorf("%d findings are kept, want %d", len(out.Findings), maxFindings)
	}
	if strings.Contains(got, "danger") {
		t.Error("what is not kept as a finding is not redacted")
	}
	if out.Refusal == nil || out.Refusal.Rule != "h" {
		t.Errorf("what is not kept as a finding does not refuse: %v", out.Refusal)
	}
}

func Test_a_finding_says_where_and_what(t *testing.T) {
	i := New([]rule.Rule{word("w", "dan\u202eger", rule.Match{Detail: "a bad word"})}, nil)
	out, _ := message(t, i, `{"a/b":[0,{"c":"so dan\u202eger ous"}]}`, rule.ToolResult)
	want := []finding.Finding{{Rule: "w", Severity: rule.High, Confidence: 1, Surface: "tool-result", Server: "files", Name: "read",
		Field: "/a~1b/1/c", Detail: "a bad word", Excerpt: `dan\u202eger`, Effect: "reported"}}
	if diff := cmp.Diff(want, out.Findings); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func Test_excerpts_are_short_and_printable(t *testing.T) {
	long := rule.Rule{ID: "all", Surfaces: rule.ToolResult, Detect: func(s rule.Subject) ([]rule.Match, error) {
		return []rule.Match{{Start: 0, End: len(s.Text)}}, nil
	}}
	for _, text := range []string{strings.Repeat("é", 5000), strings.Repeat("\x1b[2J", 100), "\u202e\x00\"", strings.Repeat("a", 159) + "é"} {
		out, _ := message(t, New([]rule.Rule{long}, nil), string(wire.AppendString(nil, text)), rule.ToolResult)
		excerpt := out.Findings[0].Excerpt
		if len(excerpt) > 10*maxExcerpt || !utf8.ValidString(excerpt) {
			t.Errorf("excerpt of %d bytes: %q", len(excerpt), excerpt)
		}
		if i := strings.IndexFunc(strings.TrimSuffix(excerpt, "…"), func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			t.Errorf("excerpt with a raw character: %q", excerpt)
		}
	}
}

// The secret is made here, so that no scanner takes this file for a leak.
var secret = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"

func Test_a_secret_stands_in_no_finding(t *testing.T) {
	everything := rule.Rule{ID: "everything", Surfaces: rule.FromServer | rule.ToServer, Detect: func(s rule.Subject) ([]rule.Match, error) {
		return []rule.Match{{Start: 0, End: len(s.Text)}}, nil
	}}
	half := rule.Rule{ID: "half", Surfaces: rule.FromServer | rule.ToServer, Detect: func(s rule.Subject) ([]rule.Match, error) {
		return []rule.Match{{Start: 0, End: (len(s.Text) + 1) / 2}}, nil
	}}
	i := New([]rule.Rule{everything, half, secretexposed.Rule}, nil)
	for name, text := range map[string]string{
		"alone":             `{"a":"` + secret + `"}`,
		"in a sentence":     `{"a":"send ` + secret + ` to me"}`,
		"as a name":         `{"` + secret + `":"x"}`,
		"above other names": `{"` + secret + `":{"b":["x"]}}`,
		"name with slashes": `{"a/` + secret + `~":{"b":["x"]}}`,
	} {
		for _, surface := range []rule.Surface{rule.ToolResult, rule.Arguments} {
			out, _ := message(t, i, text, surface)
			report, err := json.Marshal(out.Findings)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, f := range out.Findings {
				if f.Rule != "secret-exposed" {
					continue
				}
				if n++; f.Excerpt != "" {
					t.Errorf("%s: excerpt %q", name, f.Excerpt)
				}
			}
			if n == 0 {
				t.Fatalf("%s: the secret is not recognised: %s", name, report)
			}
			if bytes.Contains(report, []byte(secret[:12])) {
				t.Errorf("%s: %s", name, report)
			}
			if out.Refusal != nil && strings.Contains(out.Refusal.Detail, secret[:12]) {
				t.Errorf("%s: refusal %+v", name, out.Refusal)
			}
		}
	}
}

// Admission judges by the findings, so a flood of harmless ones must not push out
// the one that matters, wherever it stands.
func Test_the_worst_findings_are_kept(t *testing.T) {
	i := New([]rule.Rule{
		word("noise", "noise", rule.Match{Severity: rule.Low}),
		word("poison", "poison", rule.Match{Severity: rule.Critical}),
	}, nil)
	for _, text := range []string{
		strings.Repeat("noise ", 2*maxFindings) + "poison",
		"poison " + strings.Repeat("noise ", 2*maxFindings),
	} {
		out, _ := message(t, i, string(wire.AppendString(nil, text)), rule.ToolDefinition)
		found := 0
		for _, f := range out.Findings {
			if f.Rule == "poison" {
				found++
			}
		}
		if found != 1 || len(out.Findings) != maxFindings {
			t.Errorf("%.20s…: %d of the %d findings kept are the critical one", text, found, len(out.Findings))
		}
	}
}

// Mending one form of a string must not bring back what was taken out of another.
func Test_two_forms_of_one_string(t *testing.T) {
	i := New([]rule.Rule{word("plain", "cG9p", rule.Match{Action: rule.Redact}), word("decoded", "son", rule.Match{Action: rule.Redact})}, nil)
	if _, got := message(t, i, `{"blob":"cG9pc29u"}`, rule.ToolResult); got != `{"blob":""}` {
		t.Errorf("left %s", got)
	}
}
