package terminal

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/report"
	"gatehouse/internal/report/reporttest"
	"gatehouse/internal/rule"
)

var update = flag.Bool("update", false, "write the golden files anew")

func written(t *testing.T, r *report.Report, o Options) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, r, o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func Test_what_a_person_sees(t *testing.T) {
	for name, o := range map[string]Options{
		"pipe": {}, "wide": {Width: 200}, "narrow": {Width: 60}, "quiet": {Quiet: true}, "verbose": {Verbose: true}, "colour": {Colour: true},
	} {
		r := reporttest.Report()
		last := r.Last()
		last.Findings = append(last.Findings[1:], report.Kept{Fingerprint: "x", Check: "old", Severity: rule.Low, Server: "x", Name: "gone"})
		if name != "quiet" {
			r.Compare(&last)
		}
		got := written(t, r, o)
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

func Test_no_line_is_wider_than_the_terminal(t *testing.T) {
	for _, columns := range []int{60, 80, 120, 300} {
		for _, r := range []*report.Report{reporttest.Report(), reporttest.Hostile()} {
			for _, line := range strings.Split(colour.ReplaceAllString(written(t, r, Options{Width: columns, Colour: true}), ""), "\n") {
				if width(line) > columns {
					t.Errorf("%d columns: %q takes %d", columns, line, width(line))
				}
			}
		}
	}
}

func Test_a_terminal_obeys_nothing_of_what_files_say(t *testing.T) {
	for _, o := range []Options{{}, {Verbose: true}, {Quiet: true}} {
		for _, r := range written(t, reporttest.Hostile(), o) {
			if r != '\n' && (unicode.Is(unicode.C, r) || r == '\u200b') {
				t.Fatalf("%+v: %U comes through", o, r)
			}
		}
	}
}

func Test_colours_come_only_where_they_are_wanted(t *testing.T) {
	if text := written(t, reporttest.Report(), Options{}); strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
	plain, coloured := written(t, reporttest.Report(), Options{}), written(t, reporttest.Report(), Options{Colour: true})
	if !strings.Contains(coloured, "\x1b[") || colour.ReplaceAllString(coloured, "") != plain {
		t.Error("colours change more than the colour")
	}
}

func Test_nothing_found_is_never_called_clean(t *testing.T) {
	in := reporttest.Input()
	in.Result.Findings = nil
	text := written(t, report.New(in), Options{})
	for _, want := range []string{"No check found anything in what was read.", "NOT CHECKED", "2 files could not be read as a whole", "1 thing is not checked"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	for _, word := range []string{"clean", "safe", "secure", " ok "} {
		if strings.Contains(strings.ToLower(text), word) {
			t.Errorf("%q in\n%s", word, text)
		}
	}
}

func Test_a_terminal_that_is_too_narrow_is_written_as_if_it_were_wider(t *testing.T) {
	if got, want := written(t, reporttest.Report(), Options{Width: 3}), written(t, reporttest.Report(), Options{Width: leastWidth}); got != want {
		t.Error(got)
	}
}

func Test_facts_that_are_missing_are_named(t *testing.T) {
	in := reporttest.Input()
	in.Problems = []string{"the registry does not answer"}
	for _, o := range []Options{{}, {Quiet: true}, {Verbose: true}} {
		if text := written(t, report.New(in), o); strings.Count(text, in.Problems[0]) != 1 {
			t.Errorf("%+v:\n%s", o, text)
		}
	}
}

func Test_lines_are_broken_at_spaces_and_long_words_anywhere(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want []string
	}{
		{"one two three", 7, []string{"one two", "three"}},
		{"abcdefghij x", 4, []string{"abcd", "efgh", "ij x"}},
		{"日本語の文字", 5, []string{"日本", "語の", "文字"}},
		{"", 5, nil},
		{"日", 1, []string{"日"}},
	} {
		if diff := cmp.Diff(c.want, wrap(c.text, c.n)); diff != "" {
			t.Errorf("%q: %s", c.text, diff)
		}
	}
}

// Whatever is wrapped comes out whole, on lines that fit.
func FuzzWrap(f *testing.F) {
	f.Add("one two three", 7)
	f.Add("日本語の文字 e\u0301", 3)
	f.Add(reporttest.Evil, 20)
	f.Fuzz(func(t *testing.T, text string, n int) {
		text, n = safe(text), max(2, min(n, 300)) // a letter of East Asia fits
		lines := wrap(text, n)
		if got, want := strings.ReplaceAll(strings.Join(lines, ""), " ", ""), strings.Join(strings.Fields(text), ""); got != want {
			t.Errorf("%q became %q", want, got)
		}
		for _, line := range lines {
			if width(line) > n {
				t.Errorf("%q takes %d columns, want at most %d", line, width(line), n)
			}
		}
		if short := shorten(text, n); width(short) > n {
			t.Errorf("%q takes %d columns, want at most %d", short, width(short), n)
		}
		if short := shortenPath(text, n); width(short) > n {
			t.Errorf("%q takes %d columns, want at most %d", short, width(short), n)
		}
	})
}
