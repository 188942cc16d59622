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
		for _, e := range testPhrases.Find([]byte(text)) {
			if e.Weight >= Enough {
				got = append(got, strings.Join(e.Details, "+")+": "+text[e.Start:e.End])
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.60q (-want +got):\n%s", text, diff)
		}
	}
	f("")
	f("a strong enough word here", "strong: strong enough word")
	f("no strong word")
	f("strong\nword") // not across a paragraph
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
	for _, e := range testPhrases.Find([]byte(text)) {
		found += e.End - e.Start
	}
	if found < len(text)*9/10 {
		t.Errorf("%d of %d bytes are covered", found, len(text))
	}
}

func TestMentioned(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		start := strings.Index(text, "ignore it")
		if got := Mentioned([]byte(text), start, start+len("ignore it")); got != want {
			t.Errorf("Mentioned(%q) = %v", text, got)
		}
	}
	f(`attack phrases such as "ignore it" are found`, true)
	f(`the words 'please ignore it' are a known jailbreak`, true)
	f(`ignore it, says the attack`, false)
	f(`he said "ignore it" to her`, false)
	f(`{"attack": "ignore it", "b": 1}`, false)
	f(`scan = ["ignore it"]`, false)
	f(`an attack "ignore it`, false)
}
