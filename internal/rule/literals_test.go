package rule

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func Test_classes(t *testing.T) {
	const longest = 70 // more than are looked at together
	for r := range rune(0x100) {
		want := Classes{
			Control:  r < ' ' && !strings.ContainsRune("\t\n\v\f\r", r) || r == 0x7f,
			NonASCII: r >= utf8.RuneSelf,
		}
		for at := range longest {
			for _, filler := range []string{"a", " ", "\n", "~", "!", "\t"} {
				s := Subject{Text: strings.Repeat(filler, at) + string(r) + strings.Repeat(filler, longest-1-at)}
				if got := s.Classes(); got != want {
					t.Fatalf("%q: got %+v, want %+v", s.Text, got, want)
				}
			}
		}
	}
}

func FuzzClasses(f *testing.F) {
	f.Add("a\x00é")
	f.Add(strings.Repeat("line\n", 9) + "é\x1f" + strings.Repeat("\tword", 9))
	f.Add("\n\t plain ~ text \u0080 \x7f")
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			t.Skip()
		}
		var want Classes
		for _, r := range text {
			want.NonASCII = want.NonASCII || r >= utf8.RuneSelf
			want.Control = want.Control || r < ' ' && !asciiSpace(byte(r)) || r == 0x7f
		}
		s := Subject{Text: text}
		if got := s.Classes(); got != want {
			t.Fatalf("%q: got %+v, want %+v", text, got, want)
		}
	})
}

// noted is a rule that notes what its Subject tells of its literals.
func noted(l *Literals, into *[]occurrence, holds *bool) Rule {
	return Rule{ID: "noted", AsWritten: true, Literals: []*Literals{l}, Detect: func(s Subject) ([]Match, error) {
		*holds = s.Holds(l)
		s.Each(l, func(literal, start, end int) { *into = append(*into, occurrence{literal, start, end}) })
		return nil, nil
	}}
}

// What a Reader tells is what a Subject finds by itself, for several rules with the
// same and other literals, and for more occurrences than are kept.
func Test_a_reader_tells_what_is_found_without_one(t *testing.T) {
	source := rand.New(rand.NewPCG(3, 4))
	sets := []*Literals{
		NewLiterals(Written, "one", "ONE two", "@", "a"),
		NewLiterals(Lowercase, "one", "two  ", "é", "tone", "ne"),
		NewLiterals(Lowercase, "other words"),
		NewLiterals(Written, "one"),
		NewLiterals(Written),
	}
	for _, repeat := range []int{1, 40, 4 * maxFound} {
		for range 5 {
			var text strings.Builder
			for range 1 + source.IntN(repeat) {
				text.WriteString([]string{"One", " two", "É", "<b>", "@", "x", "\n\n", "*", " other words"}[source.IntN(9)])
			}
			var rules []Rule
			found, holds := make([][]occurrence, len(sets)), make([]bool, len(sets))
			for i, l := range sets {
				rules = append(rules, noted(l, &found[i], &holds[i]))
			}
			reader := NewReader(rules)
			for range 2 { // the second time with memory that was used before
				clear(found)
				if _, err := reader.Detect(Subject{Text: text.String()}, nil); err != nil {
					t.Fatal(err)
				}
				for i := range sets {
					var alone []occurrence
					var holdsAlone bool
					if _, err := noted(sets[i], &alone, &holdsAlone).Detect(Subject{Text: text.String()}); err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(alone, found[i]); diff != "" || holds[i] != holdsAlone {
						t.Fatalf("set %d in %.200q: holds %v, want %v (-alone +reader):\n%s", i, text.String(), holds[i], holdsAlone, diff)
					}
				}
			}
		}
	}
}

// A rule may look at another text under the subject that it was given.
func Test_another_text_is_not_taken_for_the_one_that_is_read(t *testing.T) {
	l := NewLiterals(Lowercase, "word")
	asked := Rule{Literals: []*Literals{l}, Detect: func(s Subject) ([]Match, error) {
		other := s
		other.Text = "another WORD"
		if !s.Holds(l) && other.Holds(l) && string(other.Folded().Text) == "another word" && string(s.Folded().Text) == "nothing" {
			return []Match{{Start: 0, End: 1}}, nil
		}
		return nil, nil
	}}
	if found, err := NewReader([]Rule{asked}).Detect(Subject{Text: "nothing"}, nil); err != nil || len(found) != 1 {
		t.Errorf("got %v, %v", found, err)
	}
}

// A control character may follow any other character, at any place of a block.
func Test_control_characters_are_seen_beside_every_character(t *testing.T) {
	for before := range rune(0x180) {
		for _, control := range []string{"\x00", "\x08", "\x0e", "\x1b", "\x1f", "\x7f"} {
			for at := range 33 {
				s := Subject{Text: strings.Repeat("a", at) + string(before) + control + strings.Repeat("a", 40)}
				if !s.Classes().Control {
					t.Fatalf("%q has no control character", s.Text)
				}
			}
		}
	}
}
