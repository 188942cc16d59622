package rule

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func made(id string, start int, severity Severity, confidence float64) Found {
	return Found{Rule: id, Match: Match{Start: start, End: start + 10, Severity: severity, Confidence: confidence, Detail: id}}
}

func hid(f Found) Found {
	f.Hidden = true
	return f
}

func aMention(f Found) Found {
	f.Mention = true
	return f
}

func TestCombine(t *testing.T) {
	for name, c := range map[string]struct {
		found []Found
		acts  []bool
	}{
		"hard evidence stands alone":           {[]Found{made("a", 0, High, 0.95)}, []bool{true}},
		"soft evidence alone does not act":     {[]Found{made("a", 0, High, 0.8)}, []bool{false}},
		"two rules together act":               {[]Found{made("a", 0, High, 0.7), made("b", 100, High, 0.7)}, []bool{true, true}},
		"the same rule twice is no company":    {[]Found{made("a", 0, High, 0.7), made("a", 100, High, 0.7)}, []bool{false, false}},
		"far away is no company":               {[]Found{made("a", 0, High, 0.7), made("b", 1000, High, 0.7)}, []bool{false, false}},
		"what is mild is no company":           {[]Found{made("a", 0, High, 0.7), made("b", 5, Low, 1)}, []bool{false, false}},
		"medium evidence is company, not more": {[]Found{made("a", 0, High, 0.7), made("b", 5, Medium, 0.8)}, []bool{true, false}},
		"weak company is not enough":           {[]Found{made("a", 0, High, 0.5), made("b", 5, High, 0.5)}, []bool{false, false}},
		"three weak ones are":                  {[]Found{made("a", 0, High, 0.6), made("b", 5, High, 0.6), made("c", 9, High, 0.6)}, []bool{true, true, true}},
		"hiding is company":                    {[]Found{hid(made("a", 0, High, 0.8))}, []bool{true}},
		"hiding is not enough":                 {[]Found{hid(made("a", 0, High, 0.6))}, []bool{false}},
		"hiding counts once":                   {[]Found{hid(made("a", 0, High, 0.6)), made("hidden-text", 0, High, 0.5)}, []bool{false, false}},
		"the hidden text itself is no company": {[]Found{hid(made("hidden-text", 0, High, 0.8))}, []bool{false}},
		"a quoted attack is no company":        {[]Found{made("a", 0, High, 0.85), aMention(made("b", 5, High, 0.4))}, []bool{false, false}},
		"the same one, not quoted, is":         {[]Found{made("a", 0, High, 0.85), made("b", 5, High, 0.4)}, []bool{true, false}},
		"the certainty of one is not lent":     {[]Found{made("a", 0, High, 0.3), made("b", 5, High, 1)}, []bool{false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			var acts []bool
			for _, f := range Combine(c.found) {
				acts = append(acts, f.Severity >= High && f.Confidence >= Hard)
			}
			if diff := cmp.Diff(c.acts, acts); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The order in which rules speak changes nothing, and nothing is ever lowered.
func TestCombine_does_not_depend_on_order(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var all []Found
		for i := range source.IntN(8) {
			all = append(all, made(string(rune('a'+source.IntN(4))), i*source.IntN(200), Severity(1+source.IntN(5)), 0.1+0.9*source.Float64()))
		}
		want := Combine(all)
		for i := range want {
			if want[i].Confidence < all[i].Confidence {
				t.Fatalf("%v was lowered to %v", all[i], want[i])
			}
		}
		shuffled := source.Perm(len(all))
		mixed := make([]Found, len(all))
		for to, from := range shuffled {
			mixed[to] = all[from]
		}
		mixed = Combine(mixed)
		for to, from := range shuffled {
			if mixed[to].Confidence-want[from].Confidence > 1e-12 || want[from].Confidence-mixed[to].Confidence > 1e-12 {
				t.Fatalf("in another order %v is %v", want[from], mixed[to])
			}
		}
	}
}

func TestCombine_is_linear(t *testing.T) {
	var all []Found
	for i := range 200_000 {
		all = append(all, made([]string{"a", "b"}[i%2], i, High, 0.5))
	}
	start := time.Now()
	got := Combine(all)
	// Looking at every pair would take minutes.
	if len(got) != len(all) || time.Since(start) > 20*time.Second {
		t.Errorf("%d matches took %v", len(got), time.Since(start))
	}
	if !slices.EqualFunc(all[:1], []Found{made("a", 0, High, 0.5)}, func(a, b Found) bool { return a == b }) {
		t.Error("what was given is changed")
	}
}

// A text full of harmless matches, or of those of one rule, hides no company.
func Test_Combine_finds_company_among_many(t *testing.T) {
	found := []Found{{Rule: "a", Match: Match{Start: 0, End: 10, Severity: High, Confidence: 0.7}}}
	for i := range 4 * companyAmong {
		found = append(found,
			Found{Rule: "mild", Match: Match{Start: 10 + i, End: 11 + i, Severity: Low, Confidence: 1}},
			Found{Rule: "b", Match: Match{Start: 10 + i, End: 11 + i, Severity: High, Confidence: 0.1}})
	}
	found = append(found, Found{Rule: "c", Match: Match{Start: 200, End: 210, Severity: High, Confidence: 0.7}})
	if got := Combine(found)[0].Confidence; got < Hard {
		t.Errorf("a match beside another has confidence %v", got)
	}
}
