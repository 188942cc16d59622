package rule

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type occurrence struct{ Literal, Start, End int }

func scan(literals []string, text string) []occurrence {
	var all []occurrence
	NewScanner(literals).Scan(text, func(literal, start, end int) { all = append(all, occurrence{literal, start, end}) })
	return all
}

func TestScan(t *testing.T) {
	literals := []string{"he", "she", "his", "hers", "Token_"}
	want := []occurrence{{1, 1, 4}, {0, 2, 4}, {3, 2, 6}, {4, 7, 13}}
	if diff := cmp.Diff(want, scan(literals, "uShers tOKEN_")); diff != "" {
		t.Error(diff)
	}
}

// Test_Scan_tells_lookalikes_apart writes literals with bytes that hash as theirs do:
// they differ in the bits that hashing leaves out.
func Test_Scan_tells_lookalikes_apart(t *testing.T) {
	for _, literal := range []string{"sk0", "sk0_", "a[b]c", "passwords: ", "é-1"} {
		for at := range literal {
			for bit := byte(1); bit != 0; bit <<= 1 {
				changed := []byte(literal)
				if changed[at] ^= bit; strings.EqualFold(string(changed), literal) {
					continue
				}
				for before := range 9 {
					text := strings.Repeat("x", before) + string(changed) + strings.Repeat(".", 9)
					if got := scan([]string{literal}, text); got != nil {
						t.Errorf("%q in %q: %v", literal, text, got)
					}
				}
			}
		}
	}
}

// Test_Scan_at_the_edges puts literals of every length at the start and at the end of
// texts of every length, in both cases, with and without a byte beyond ASCII behind.
func Test_Scan_at_the_edges(t *testing.T) {
	const all = "Ignore-All_Previous"
	for size := 1; size <= len(all); size++ {
		for filler := range 20 {
			for _, text := range []string{
				all[:size] + strings.Repeat(".", filler), strings.Repeat(".", filler) + strings.ToUpper(all[:size]),
				strings.Repeat(".", filler) + all[:size] + "é", "é" + strings.Repeat("\n ", filler) + all[:size],
			} {
				literals := []string{all[:size], all[size/2 : size]}
				got := scan(literals, text)
				slices.SortFunc(got, byEnd)
				if diff := cmp.Diff(oneByOne(literals, text), got); diff != "" {
					t.Fatalf("%q in %q: %s", literals, text, diff)
				}
			}
		}
	}
}

// Test_rarest chooses what ordinary text holds least often, at an even and at an odd
// distance.
func Test_rarest(t *testing.T) {
	f := func(literal string, even, odd int) {
		t.Helper()
		if a, b := rarest(literal, 0), rarest(literal, 1); a != even || b != odd {
			t.Errorf("%q: at %d and %d, want %d and %d", literal, a, b, even, odd)
		}
	}
	f("sk-", 0, -1)
	f("then", 0, 1)
	f("that jqx", 4, 3)
	f("with the", 2, 3)    // not " the"
	f("-----begin ", 4, 5) // not "----"
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
		got := scan(literals, text)
		slices.SortFunc(got, byEnd)
		if diff := cmp.Diff(oneByOne(literals, text), got); diff != "" {
			t.Errorf("%q in %q: %s", literals, text, diff)
		}
	})
}

// Test_Scan_long lets literals end and begin everywhere around the edges of the
// stretches that are read side by side.
func Test_Scan_long(t *testing.T) {
	literals := []string{"ab", "abba", "b", strings.Repeat("ab", 60)}
	source := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for text.Len() < 5*stretch {
		text.WriteString([]string{"a", "B", "AB", "ba", " ", strings.Repeat("ab", 70)}[source.IntN(6)])
	}
	for size := text.Len(); size > 0; size = size*19/20 - 1 {
		part := text.String()[:size]
		got := scan(literals, part)
		if !slices.IsSortedFunc(got, func(a, b occurrence) int { return a.End - b.End }) {
			t.Fatalf("%d bytes: the order is not that of the ends", size)
		}
		slices.SortFunc(got, byEnd)
		if !slices.Equal(oneByOne(literals, part), got) {
			t.Fatalf("%d bytes: other occurrences than found one by one", size)
		}
	}
}

func byEnd(a, b occurrence) int {
	return slices.Compare([]int{a.End, a.Start, a.Literal}, []int{b.End, b.Start, b.Literal})
}

// oneByOne looks for each literal by itself.
func oneByOne(literals []string, text string) []occurrence {
	var all []occurrence
	text = asciiFold(text)
	for i, literal := range literals {
		for at := range len(text) {
			if strings.HasPrefix(text[at:], asciiFold(literal)) {
				all = append(all, occurrence{i, at, at + len(literal)})
			}
		}
	}
	slices.SortFunc(all, byEnd)
	return all
}

func asciiFold(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lower(b[i])
	}
	return string(b)
}
