package rule

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var testPhrases = NewPhrases([]Phrase{
	{Kind: "strong", Detail: "strong", Weight: 3, Triggers: []string{"strong"}, Pattern: `\bstrong (?:\S+ ){0,5}?word\b`, Unless: `\bno `},
	{Kind: "two", Detail: "two", Weight: 2, Triggers: []string{"two"}, Pattern: `\btwo\b`},
	{Kind: "two", Detail: "other two", Weight: 2, Triggers: []string{"deux"}, Pattern: `\bdeux\b`},
	{Kind: "one", Detail: "one", Weight: 1, Triggers: []string{"one"}, Pattern: `\bone\b`},
	{Kind: "needy", Detail: "needy", Weight: 3, Triggers: []string{"@"}, Needs: []string{"send"}, Pattern: `\S+@\S+`},
})

func TestPhrases_Find(t *testing.T) {
	far := strings.Repeat("x ", wholeReach)
	f := func(text string, want ...string) {
		t.Helper()
		var got []string
		subject := Subject{Text: text}
		folded := subject.Folded().Text
		for _, e := range testPhrases.Find(&subject) {
			if e.Weight >= Enough {
				got = append(got, strings.Join(e.Details, "+")+": "+string(folded[e.Start:e.End]))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.60q (-want +got):\n%s", text, diff)
		}
	}
	f("")
	f("a strong enough word here", "strong: strong enough word")
	f("no strong word")
	f("strong\n\nword") // not across a paragraph
	f("two")
	f("two and deux") // one kind counts once
	f("two and one", "two+one: two and one")
	f("one, two", "one+two: one, two")
	f("two " + far + "one")
	f("strong word "+far+"strong word", "strong: strong word", "strong: strong word")
	f("mail a@b")
	f("send a@b", "needy: a@b")
	f("stones and twofold one")
}

func TestPhrases_Find_sees_every_place_of_a_long_row(t *testing.T) {
	text := strings.Repeat("strong word ", 5000)
	found := 0
	for _, e := range testPhrases.Find(&Subject{Text: text}) {
		found += e.End - e.Start
	}
	if found < len(text)*9/10 {
		t.Errorf("%d of %d bytes are covered", found, len(text))
	}
}

func Test_needed_is_inside_the_window(t *testing.T) {
	p := NewPhrases([]Phrase{{Kind: "k", Weight: 3, Triggers: []string{"@"}, Needs: []string{"send", "mail to"}, Pattern: `@?.*later`}})
	text := []byte("@ mail to later")
	var work scratch
	work.look(p, &Subject{Text: string(text)})
	f := func(start, end int, want bool) {
		t.Helper()
		if got := p.needed(&p.list[0], work.mentions, text, start, end); got != want {
			t.Errorf("needed in %q: got %v, want %v", text[start:end], got, want)
		}
	}
	f(0, len(text), true)
	f(2, len(text), true)
	f(3, len(text), false)   // without the first letter of mail
	f(0, len(text)-1, false) // without the last letter of later
	f(0, 9, false)
	f(10, len(text), false)
}

func TestNewPhrases_does_not_ask_for_what_a_trigger_holds(t *testing.T) {
	p := NewPhrases([]Phrase{{Kind: "k", Weight: 3, Triggers: []string{"please ", "displease "}, Pattern: `please .*stop it`}})
	if got := len(p.list[0].needs); got != 1 {
		t.Errorf("%d sets are asked for, want only that of the end", got)
	}
}

func TestPhrases_Said_alone(t *testing.T) {
	p := NewPhrases([]Phrase{
		{Kind: "two", Detail: "two", Weight: 2, Triggers: []string{"two"}, Pattern: `\btwo\b`},
		{Kind: "one", Detail: "one", Weight: 1, Triggers: []string{"one"}, Pattern: `\bone\b`},
		{Kind: "alone", Detail: "alone", Weight: 1, Triggers: []string{"alone"}, Pattern: `\balone\b`, Alone: true},
	})
	f := func(text string, want ...string) {
		t.Helper()
		var got []string
		for _, s := range p.Said(&Subject{Text: text}) {
			got = append(got, s.Phrase.Detail)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.60q (-want +got):\n%s", text, diff)
		}
	}
	f("two", "two")
	f("one") // says nothing by itself
	f("alone", "alone")
	f("two and one", "two", "one")
	f("one or alone", "alone")
}

// However many places of light evidence a text has, only some are looked at for a report;
// what could add up to enough is looked at everywhere.
func TestPhrases_Said_bounds_what_is_not_enough(t *testing.T) {
	var text strings.Builder
	for range 10 * maxAlone {
		text.WriteString("two " + strings.Repeat("x ", wholeReach/3))
	}
	text.WriteString("two one")
	said := testPhrases.Said(&Subject{Text: text.String()})
	if most := maxAlone + len(Fold(text.String()).Text)/aloneEvery; len(said) < most || len(said) > most+4 {
		t.Errorf("%d are found, want %d and those beside the two that add up", len(said), most)
	}
}

func TestPhrases_Said_is_found_once_for_all_rules(t *testing.T) {
	var lists [][]Said
	share := func(s Subject) ([]Match, error) {
		lists = append(lists, testPhrases.Said(&s))
		return nil, nil
	}
	reader := NewReader([]Rule{{ID: "a", Literals: []*Literals{testPhrases.Literals}, Detect: share}, {ID: "b", Literals: []*Literals{testPhrases.Literals}, Detect: share}})
	for _, text := range []string{"a strong word", "another strong word"} {
		lists = nil
		if _, err := reader.Detect(Subject{Text: text}, nil); err != nil {
			t.Fatal(err)
		}
		if len(lists) != 2 || len(lists[0]) != 1 || &lists[0][0] != &lists[1][0] {
			t.Errorf("%q: %v", text, lists)
		}
		if end := lists[0][0].End; end != len(text) {
			t.Errorf("%q: a phrase ends at %d", text, end)
		}
	}
}

func TestJoin_takes_lists_together(t *testing.T) {
	one, two := Phrase{Kind: "k", Detail: "one", Weight: 1}, Phrase{Kind: "l", Detail: "two", Weight: 2}
	got := Join([]Said{{10, 20, &one}}, []Said{{0, 5, &two}, {900, 910, &two}})
	want := []Evidence{
		{0, 20, 3, map[string]int{"k": 1, "l": 2}, []string{"two", "one"}},
		{900, 910, 2, map[string]int{"l": 2}, []string{"two"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Every pattern that parses compiles, so that none is found wrong when it is first needed.
func (p *Phrases) compileAll() {
	for _, c := range p.list {
		c.pattern()
		if c.unless != nil {
			c.unless()
		}
	}
}

func Test_a_wrong_pattern_is_found_when_it_is_declared(t *testing.T) {
	for _, p := range []Phrase{{Kind: "k", Weight: 3, Triggers: []string{"abc"}, Pattern: "a(bc"}, {Kind: "k", Weight: 3, Triggers: []string{"abc"}, Pattern: "abc", Unless: "x["}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q, %q is accepted", p.Pattern, p.Unless)
				}
			}()
			NewPhrases([]Phrase{p}).compileAll()
		}()
	}
}
