package rule

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type occurrence struct{ Literal, Start, End int }

func scan(literals []string, text string) []occurrence {
	var all []occurrence
	Scan(NewScanner(literals), text, func(literal, start, end int) { all = append(all, occurrence{literal, start, end}) })
	return all
}

func TestScan(t *testing.T) {
	literals := []string{"he", "she", "his", "hers", "Token_"}
	want := []occurrence{{1, 1, 4}, {0, 2, 4}, {3, 2, 6}, {4, 7, 13}}
	if diff := cmp.Diff(want, scan(literals, "uShers tOKEN_")); diff != "" {
		t.Error(diff)
	}
}

// FuzzScan compares the automaton with looking for each literal by itself.
func FuzzScan(f *testing.F) {
	f.Add("a", "ab", "bab", "abababab")
	f.Add("ignore", "nor", "é", "ignoré norignore")
	f.Fuzz(func(t *testing.T, a, b, c, text string) {
		literals := slices.DeleteFunc([]string{a, b, c}, func(s string) bool { return s == "" })
		if len(a)+len(b)+len(c) > 1000 {
			t.Skip()
		}
		var want []occurrence
		for i, literal := range literals {
			for at := 0; at+len(literal) <= len(text); at++ {
				if asciiFold(text[at:at+len(literal)]) == asciiFold(literal) {
					want = append(want, occurrence{i, at, at + len(literal)})
				}
			}
		}
		got := scan(literals, text)
		order := func(a, b occurrence) int {
			return (a.End-b.End)*1000000 + (a.Start-b.Start)*10 + a.Literal - b.Literal
		}
		slices.SortFunc(got, order)
		slices.SortFunc(want, order)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q in %q: %s", literals, text, diff)
		}
	})
}

func asciiFold(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lower(b[i])
	}
	return string(b)
}
