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
