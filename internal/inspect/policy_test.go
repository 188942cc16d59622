package inspect

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/finding"
	"gatehouse/internal/rule"
	"gatehouse/internal/wire"
)

func Test_what_a_policy_makes_of_a_match(t *testing.T) {
	const text = `{"a":"so danger ous"}`
	withheld := Withheld("w")
	for name, c := range map[string]struct {
		policy   Policy
		proposal rule.Match
		surface  rule.Surface
		effect   string
		want     string
	}{
		"enforce does what the rule proposes":  {Policy{Action: Enforce}, rule.Match{Action: rule.Redact, Replacement: "-"}, rule.ToolResult, "redacted", `{"a":"so - ous"}`},
		"redact keeps the rule's own note":     {Policy{Action: Redact}, rule.Match{Action: rule.Redact, Replacement: "-"}, rule.ToolResult, "redacted", `{"a":"so - ous"}`},
		"redact what a rule only reports":      {Policy{Action: Redact}, rule.Match{}, rule.ToolResult, "redacted", `{"a":"so ` + withheld + ` ous"}`},
		"cut":                                  {Policy{Action: CutText}, rule.Match{Action: rule.Redact}, rule.ToolResult, "cut", `{"a":"` + withheld + `"}`},
		"annotate":                             {Policy{Action: Annotate}, rule.Match{Action: rule.Redact}, rule.ToolResult, "annotated", `{"a":"` + strings.ReplaceAll(warning("w"), "\n", `\n`) + `so danger ous"}`},
		"refuse":                               {Policy{Action: Refuse}, rule.Match{Action: rule.Redact}, rule.ToolResult, "refused", text},
		"report":                               {Policy{Action: Report}, rule.Match{Action: rule.Redact}, rule.ToolResult, "would-redact", text},
		"what is too mild is reported":         {Policy{Action: Redact, Severity: rule.Critical}, rule.Match{}, rule.ToolResult, "reported", text},
		"a lower bar":                          {Policy{Confidence: 0.5}, rule.Match{Confidence: 0.6, Action: rule.Redact}, rule.ToolResult, "redacted", `{"a":"so  ous"}`},
		"a higher bar":                         {Policy{Confidence: 0.99}, rule.Match{Confidence: 0.95, Action: rule.Redact}, rule.ToolResult, "reported", text},
		"nothing is annotated for a server":    {Policy{Action: Annotate}, rule.Match{Action: rule.Refuse}, rule.Arguments, "reported", text},
		"nothing is mended for a server":       {Policy{Action: CutText}, rule.Match{}, rule.Arguments, "refused", text},
		"a definition is objected to or not":   {Policy{Action: CutText}, rule.Match{}, rule.ToolDefinition, "objected", text},
		"a higher bar holds for a definition":  {Policy{Confidence: 0.99}, rule.Match{Confidence: 0.95}, rule.ToolDefinition, "reported", text},
		"an action for mild ones only raises…": {Policy{Action: Redact, Severity: rule.Medium}, rule.Match{Severity: rule.Low}, rule.ToolResult, "reported", text},
	} {
		t.Run(name, func(t *testing.T) {
			out, got := message(t, New([]rule.Rule{word("w", "danger", c.proposal)}, map[string]Policy{"w": c.policy}), text, c.surface)
			if len(out.Findings) != 1 || out.Findings[0].Effect != c.effect {
				t.Errorf("findings %+v, want effect %s", out.Findings, c.effect)
			}
			if (out.Refusal != nil) != (c.effect == "refused") {
				t.Errorf("refusal %v with effect %s", out.Refusal, c.effect)
			}
			if got != c.want {
				t.Errorf("the message became %s, want %s", got, c.want)
			}
		})
	}
}

func Test_trust_moves_the_bar(t *testing.T) {
	for _, c := range []struct {
		trust      rule.Trust
		confidence float64
		want       string
	}{
		{rule.TrustNormal, 0.8, "reported"}, {rule.TrustLow, 0.8, "redacted"}, {rule.TrustLow, 0.7, "reported"},
		{rule.TrustNormal, 0.95, "redacted"}, {rule.TrustHigh, 0.95, "reported"}, {rule.TrustHigh, 1, "redacted"},
	} {
		i := New([]rule.Rule{word("w", "danger", rule.Match{Confidence: c.confidence, Action: rule.Redact})}, nil)
		doc := scan(t, `["danger"]`)
		out, err := i.Message(doc, doc.Root, rule.Subject{Surface: rule.ToolResult, Trust: c.trust})
		if err != nil || len(out.Findings) != 1 || out.Findings[0].Effect != c.want {
			t.Errorf("trust %d, confidence %v: %+v, %v; want %s", c.trust, c.confidence, out.Findings, err, c.want)
		}
	}
}

// Who writes what a server returns says nothing of its definitions, nor of what is sent.
func Test_trust_is_about_what_is_returned(t *testing.T) {
	for surface, want := range map[rule.Surface]string{rule.ToolDefinition: "objected", rule.Arguments: "refused"} {
		for _, trust := range []rule.Trust{rule.TrustLow, rule.TrustNormal, rule.TrustHigh} {
			for confidence, want := range map[float64]string{0.95: want, 0.8: "reported"} {
				i := New([]rule.Rule{word("w", "danger", rule.Match{Confidence: confidence, Action: rule.Refuse})}, nil)
				doc := scan(t, `["danger"]`)
				out, err := i.Message(doc, doc.Root, rule.Subject{Surface: surface, Trust: trust})
				if err != nil || len(out.Findings) != 1 || out.Findings[0].Effect != want {
					t.Errorf("%v, trust %d, confidence %v: %+v, %v; want %s", surface, trust, confidence, out.Findings, err, want)
				}
			}
		}
	}
}

func Test_rules_that_agree_act_together(t *testing.T) {
	a, b := word("a", "one", rule.Match{Confidence: 0.7, Action: rule.Redact}), word("b", "two", rule.Match{Confidence: 0.7, Action: rule.Redact})
	if _, got := message(t, New([]rule.Rule{a, b}, nil), `["one three"]`, rule.ToolResult); got != `["one three"]` {
		t.Errorf("one unsure rule acts: %s", got)
	}
	if _, got := message(t, New([]rule.Rule{a, b}, nil), `["one two three"]`, rule.ToolResult); got != `["  three"]` {
		t.Errorf("two rules together: %s", got)
	}
}

func Test_a_suppression_ends_when_its_text_changes(t *testing.T) {
	rules := []rule.Rule{word("w", "danger", rule.Match{Action: rule.Redact}), word("v", "bad", rule.Match{Action: rule.Redact})}
	accepted := Suppression{Rule: "w", Digest: Digest("some danger"), Until: time.Now().Add(time.Hour)}
	other, expired, elsewhere := accepted, accepted, accepted
	other.Rule, expired.Until, elsewhere.Server = "v", time.Now().Add(-time.Second), "web"
	for name, c := range map[string]struct {
		suppression Suppression
		text        string
		effect      string
	}{
		"accepted":          {accepted, "some danger", "suppressed"},
		"another text":      {accepted, "some dangers", "redacted"},
		"another rule":      {other, "some danger", "redacted"},
		"expired":           {expired, "some danger", "redacted"},
		"another server":    {elsewhere, "some danger", "redacted"},
		"of its own server": {Suppression{Rule: "w", Server: "files", Digest: accepted.Digest, Until: accepted.Until}, "some danger", "suppressed"},
	} {
		t.Run(name, func(t *testing.T) {
			out, _ := message(t, New(rules, nil, c.suppression), fmt.Sprintf("[%q]", c.text), rule.ToolResult)
			if len(out.Findings) != 1 || out.Findings[0].Effect != c.effect || out.Findings[0].Digest != Digest(c.text) {
				t.Errorf("%+v, want effect %s", out.Findings, c.effect)
			}
			definition, _ := message(t, New(rules, nil, c.suppression), fmt.Sprintf("[%q]", c.text), rule.ToolDefinition)
			want := map[string]string{"suppressed": "suppressed", "redacted": "objected"}[c.effect]
			if len(definition.Findings) != 1 || definition.Findings[0].Effect != want {
				t.Errorf("in a definition: %+v, want effect %s", definition.Findings, want)
			}
		})
	}
}

// A rule that matches whole paragraphs takes out of the strings beside it nothing that
// says something else, and nothing of the envelope.
func Test_what_was_found_where_it_stands_is_not_found_again(t *testing.T) {
	paragraph := rule.Rule{ID: "p", Severity: rule.High, Surfaces: rule.ToolResult, Detect: func(s rule.Subject) ([]rule.Match, error) {
		if strings.Contains(s.Text, "very dangerous") {
			return []rule.Match{{Start: 0, End: len(s.Text), Action: rule.Redact, Replacement: "-"}}, nil
		}
		return nil, nil
	}}
	for text, want := range map[string]string{
		`{"jsonrpc":"2.0","result":["see","a very dangerous b","c"]}`:   `{"jsonrpc":"2.0","result":["see","-","c"]}`,
		`{"jsonrpc":"2.0","result":["see","a very","dangerous b","c"]}`: `{"jsonrpc":"2.0","result":["-"," "," "," "]}`,
		`["a very dangerous b very","dangerous"]`:                       `["-","dangerous"]`,
		`["very dangerous","a very","dangerous b"]`:                     `[""," "," "]`,
	} {
		if _, got := message(t, New([]rule.Rule{paragraph}, nil), text, rule.ToolResult); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}

// What is left of a string that was changed may be a part of something else.
func Test_what_is_left_of_a_string_is_joined(t *testing.T) {
	i := New([]rule.Rule{word("w", "bad", rule.Match{Action: rule.Redact}), word("v", "very dangerous", rule.Match{Action: rule.Redact})}, nil)
	if _, got := message(t, i, `["a long bad text that ends with very","dangerous b"]`, rule.ToolResult); got != `[""," b"]` && got != `[""," "]` && got != `["","  b"]` {
		t.Errorf("left %s", got)
	}
}

func Test_a_text_spread_over_strings(t *testing.T) {
	long := strings.Repeat("quiet words ", 200)
	i := New([]rule.Rule{word("w", "very dangerous", rule.Match{Action: rule.Redact, Replacement: "-"})}, nil)
	for text, want := range map[string]string{
		`{"content":[{"type":"text","text":"a very"},{"type":"text","text":"dangerous b"}]}`: `{"content":[{"type":"text","text":"a -"},{"type":"text","text":"  b"}]}`,
		`["a very dangerous b","c"]`:                               `["a - b","c"]`,
		`["` + long + `very","dangerous` + long + `"]`:             `["` + long + `-"," ` + long + `"]`,
		`["very","` + long + `","dangerous"]`:                      `["very","` + long + `","dangerous"]`,
		`{"very":"dangerous"}`:                                     `{"very":"dangerous"}`,
		`{"a":"very","$schema":"x/dangerous"}`:                     `{"a":"very","$schema":"x/dangerous"}`,
		`[{"a":"very","type":"object"},"dangerous"]`:               `[{"a":"-","type":"object"}," "]`,
		`[{"type":"very"},{"data":"dangerous"}]`:                   `[{"type":"-"},{"data":" "}]`,
		`[{"mimeType":"very"},{"$id":"dangerous"}]`:                `[{"mimeType":"-"},{"$id":" "}]`,
		`[{"text":"a ve"},{"text":"ry dangerous"}]`:                `[{"text":"a -"},{"text":" "}]`,
		`["a ve","ry dangerous"]`:                                  `["a ve","ry dangerous"]`,
		`["very dangerous x very","dangerous"]`:                    `[""," "]`,
		`[` + strings.Repeat(`"q",`, 5000) + `"very","dangerous"]`: `[` + strings.Repeat(`"q",`, 5000) + `"-"," "]`,
	} {
		if _, got := message(t, i, text, rule.ToolResult); got != want {
			t.Errorf("%.200s became %.200s, want %.200s", text, got, want)
		}
	}
	if out, _ := message(t, i, `{"a very":"dangerous"}`, rule.ToolResult); out.Refusal == nil {
		t.Errorf("over a name: %+v", out.Findings)
	}
	out, _ := message(t, i, `["a very","dangerous b"]`, rule.ToolResult)
	if len(out.Findings) != 1 || out.Findings[0].Field != "/0" || out.Findings[0].Excerpt != "very dangerous" {
		t.Errorf("findings %+v", out.Findings)
	}
	if out, _ := message(t, i, `["a very","dangerous b"]`, rule.ToolDefinition); len(out.Findings) != 1 || out.Findings[0].Effect != Objected {
		t.Errorf("in a definition: %+v", out.Findings)
	}
}

// Any number of unsure findings leaves room for one that acts.
func Test_what_acts_is_kept_among_many_findings(t *testing.T) {
	unsure, sure := word("unsure", "x", rule.Match{Severity: rule.Critical, Confidence: 0.5}), word("sure", "danger", rule.Match{Severity: rule.High})
	out, _ := message(t, New([]rule.Rule{unsure, sure}, nil), `["`+strings.Repeat("x ", 5*maxFindings)+strings.Repeat("z", 1000)+` danger"]`, rule.ToolDefinition)
	if !slices.ContainsFunc(out.Findings, func(f finding.Finding) bool { return f.Rule == "sure" && f.Effect == Objected }) {
		t.Errorf("the finding that acts is not among %d", len(out.Findings))
	}
}

// What is taken out of a text that is JSON leaves JSON.
func Test_redaction_leaves_JSON(t *testing.T) {
	bad := rule.Rule{ID: "bad", Title: "bad", Severity: rule.High, Surfaces: rule.FromServer, Detect: func(s rule.Subject) (all []rule.Match, err error) {
		for end := 0; ; {
			start := strings.Index(s.Text[end:], "BEGIN")
			if start < 0 {
				return all, nil
			}
			start += end
			end = start + strings.Index(s.Text[start:], "END") + 3
			all = append(all, rule.Match{Start: start, End: end, Action: rule.Redact, Replacement: "-"})
		}
	}}
	i := New([]rule.Rule{bad}, nil)
	for text, want := range map[string]string{
		`{"a":"x BEGIN y END z"}`:                             `{"a":"x - z"}`,
		`{"a":["x BEGIN y"],"b":"END z","c":"d"}`:             `{"a":["-"],"":"","c":"d"}`,
		`{"a":"\\BEGIN\"END\\u0041","b":[1,true]}`:            `{"a":"\\-\\u0041","b":[1,true]}`,
		`["BEGIN",12,{"a":false,"END":1}]`:                    `["-","",{"":"","":1}]`,
		`[["BEGIN"],["END"],"x","BEGIN END",["BEGIN"],"END"]`: `[["-"],[""],"x","-",["-"],""]`,
		`{"a":["x BEGIN y"],"b":"END z","c":"d"`:              `{"a":["x - z","c":"d"`,
	} {
		_, got := message(t, i, string(wire.AppendString([]byte("["), text))+"]", rule.ToolResult)
		if want = string(wire.AppendString([]byte("["), want)) + "]"; got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}
