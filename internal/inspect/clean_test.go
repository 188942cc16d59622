package inspect

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/media"
)

// Names in which nothing is found are shown once, and again wherever anything is different
// that a rule can see.
func Test_a_clean_name_is_remembered_for_the_same_subject(t *testing.T) {
	var shown []string
	rules := []rule.Rule{{ID: "r", Surfaces: rule.ToolResult | rule.Arguments | rule.ToolDefinition, Detect: func(s rule.Subject) ([]rule.Match, error) {
		if !s.Joined {
			shown = append(shown, strings.Clone(s.Text))
		}
		return nil, nil
	}}}
	f := func(i *Inspector, text string, subject rule.Subject, want ...string) {
		t.Helper()
		shown = nil
		if _, err := i.Message(scan(t, text), scan(t, text).Root, subject); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, shown); diff != "" {
			t.Errorf("%s in %+v (-want +shown):\n%s", text, subject, diff)
		}
	}
	const text = `{"type": "text", "password": "hunter", "type ": "hunter"}`
	all := []string{"type", "text", "password", "hunter", "type ", "hunter"}
	subject := rule.Subject{Surface: rule.ToolResult, Server: "s", Name: "n"}
	i := New(rules, nil)
	for !i.haveRoom(subject, all) {
		i = New(rules, nil)
	}
	f(i, text, subject, all...)
	f(i, text, subject, "hunter", "hunter") // values are not remembered
	f(i, `{"other": {"type": 1}}`, subject, "other", "type")
	same := New(rules, nil)
	f(same, `{"type": {"text": 1}}`, subject, "type", "text") // a name, not a value
	same.clean.learn(named(subject, "type"))
	f(same, `{"type": "text"}`, subject, "text")
	long := strings.Repeat("n", maxCleanName+1)
	for range 2 {
		f(i, `{"`+long+`": 1}`, subject, long)
	}
	for _, other := range []func(*rule.Subject){
		func(s *rule.Subject) { s.Surface = rule.Arguments },
		func(s *rule.Subject) { s.Server = "t" },
		func(s *rule.Subject) { s.Owner = "o" },
		func(s *rule.Subject) { s.Name = "m" },
		func(s *rule.Subject) { s.Trust = rule.TrustLow },
		func(s *rule.Subject) { s.Configured = []string{"password"} },
		func(s *rule.Subject) { s.Known = []string{"password"} },
	} {
		changed := subject
		f(i, text, subject, slices.DeleteFunc(slices.Clone(all), func(s string) bool { return i.remembers(subject, s) })...)
		other(&changed)
		f(i, text, changed, all...)
	}
	for range 2 { // neighbours are many, and are not compared
		f(i, text, rule.Subject{Surface: rule.ToolDefinition, Neighbours: []rule.Neighbour{{Server: "a", Name: "b"}}}, all...)
	}
	f(i.Bounded(media.Limits{}), text, subject, all...)
}

// named is the subject of one of the texts above.
func named(subject rule.Subject, text string) *rule.Subject {
	subject.Text, subject.IsKey = text, text != "text" && text != "hunter"
	if text == "text" {
		subject.Key = "type"
	}
	return &subject
}

// remembers says whether a text is remembered. Others may have taken its place.
func (i *Inspector) remembers(subject rule.Subject, text string) bool {
	s := named(subject, text)
	return i.clean.isName(s) && i.clean.knows(s)
}

// haveRoom says whether each of the texts that are remembered has a place of its own.
func (i *Inspector) haveRoom(subject rule.Subject, texts []string) bool {
	taken := map[*atomic.Pointer[rule.Subject]]bool{}
	names := 0
	for _, text := range texts {
		if s := named(subject, text); i.clean.isName(s) {
			names++
			taken[i.clean.place(s)] = true
		}
	}
	return len(taken) == names
}

func Test_what_is_found_in_a_name_is_found_every_time(t *testing.T) {
	i := New([]rule.Rule{{ID: "r", Severity: rule.High, Surfaces: rule.ToolResult, Detect: func(s rule.Subject) ([]rule.Match, error) {
		if s.Text != "bad" {
			return nil, nil
		}
		return []rule.Match{{End: 3, Action: rule.Refuse}}, nil
	}}}, nil)
	for range 3 {
		out, err := i.Message(scan(t, `{"good": {"bad": 1}}`), scan(t, `{"good": {"bad": 1}}`).Root, rule.Subject{Surface: rule.ToolResult})
		if err != nil || out.Refusal == nil || len(out.Findings) != 1 {
			t.Errorf("%+v, %v", out, err)
		}
	}
}

// More names than have room: one that takes the place of another is not taken for it.
func Test_names_are_not_mistaken_for_each_other(t *testing.T) {
	i := New([]rule.Rule{{ID: "r", Severity: rule.High, Surfaces: rule.ToolResult, Detect: func(s rule.Subject) ([]rule.Match, error) {
		if !strings.HasPrefix(s.Text, "bad") {
			return nil, nil
		}
		return []rule.Match{{End: 3, Action: rule.Refuse}}, nil
	}}}, nil)
	for n := range 4 * cleanNames {
		for text, bad := range map[string]bool{fmt.Sprintf(`{"good%d": 1}`, n): false, fmt.Sprintf(`{"bad%d": 1}`, n): true} {
			out, err := i.Message(scan(t, text), scan(t, text).Root, rule.Subject{Surface: rule.ToolResult})
			if err != nil || (out.Refusal != nil) != bad {
				t.Fatalf("%s: %+v, %v", text, out, err)
			}
		}
	}
}
