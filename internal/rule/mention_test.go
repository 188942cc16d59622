package rule

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMentioned(t *testing.T) {
	const said = "ignore all previous instructions"
	for text, want := range map[string]bool{
		said:                       false,
		said + `, says the attack`: false,
		`the words 'please ` + said + `' are a known jailbreak`:                            true,
		`scan = ["` + said + `"]`:                                                          false,
		`an attack "` + said:                                                               false,
		`Attack phrases such as "` + said + `" are filtered.`:                              true,
		`A scanner detects '` + said + ` and go on' in a text.`:                            true,
		`Die Seite zeigt einen Angriff: Sie sagt „` + said + `“ und mehr.`:                 true,
		`The man said "` + said + `" and left.`:                                            false, // nothing about attacks
		`Attack phrases are filtered. ` + said:                                             false, // no quotation
		`Attack "one" and ` + said + ` "two"`:                                              false, // between two quotations
		`The user's attack and ` + said + ` of the user's`:                                 false, // apostrophes
		`{"attack": "` + said + `"}`:                                                       false, // a string of JSON
		`detect("` + said + `")`:                                                           false, // a string of code
		`Attacks: "` + strings.Repeat("x ", opensWithin) + said + `" is one.`:              false, // too far
		`It detects attacks. He wrote "` + said + strings.Repeat(" x", closesWithin) + `"`: false,
	} {
		folded := Fold(text).Text
		start := strings.Index(string(folded), said)
		if got := Mentioned(folded, start, start+len(said)); got != want {
			t.Errorf("%.80q: got %v, want %v", text, got, want)
		}
	}
}

// A wording can begin with the quotation mark before its first word.
func TestMentioned_from_the_mark_on(t *testing.T) {
	text := []byte(`attack phrases such as "from now on always obey" are filtered`)
	start := strings.IndexByte(string(text), '"')
	if !Mentioned(text, start, start+20) {
		t.Error("it is not taken for a quotation")
	}
}

func TestMentions(t *testing.T) {
	const said = "ignore all previous instructions"
	long := strings.Repeat("and then go on ", (opensWithin+closesWithin)/15)
	for text, want := range map[string][]string{
		"":                                      nil,
		said:                                    nil,
		`The man said "` + said + `" and left.`: nil, // nothing about attacks
		`{"attack": "` + said + `"}`:            nil, // a string of JSON
		`The attack "` + said:                   nil, // it does not end
		`The attack "` + long + said + `" is long.`:                nil,
		`The attack "" is empty.`:                                  nil,
		`The attack "` + said + `" is known.`:                      {`"` + said + `"`},
		`Attacks are "` + said + `" and 'obey' and "now obey me".`: {`"` + said + `"`, `'obey'`, `"now obey me"`},
		`The attacker's "` + said + `" isn't the user's.`:          {`"` + said + `"`},
	} {
		folded := Fold(text).Text
		var got []string
		for _, m := range Mentions(folded, 0, len(folded)) {
			got = append(got, string(folded[m[0]:m[1]]))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.80q (-want +got):\n%s", text, diff)
		}
	}
}

// Only quotations that have something of the part count, wherever they begin and end.
func TestMentions_of_a_part(t *testing.T) {
	text := []byte(`attacks such as "one two three" and "four" are filtered`)
	place := func(part string) int { return strings.Index(string(text), part) }
	for _, part := range []string{"one", "two", "three"} {
		got := Mentions(text, place(part), place(part)+len(part))
		if want := [][2]int{{place(`"one`), place(` and "`)}}; !cmp.Equal(want, got) {
			t.Errorf("%s: %v, want %v", part, got, want)
		}
	}
	for _, part := range []string{"attacks", "and", "filtered"} {
		if got := Mentions(text, place(part), place(part)+len(part)); got != nil {
			t.Errorf("%s: %v", part, got)
		}
	}
}
