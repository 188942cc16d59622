package config

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const goodSuppression = `suppressions:
  - check: unpinned
    server: 0123456789abcdef
    name: files
    evidence: 0123456789abcdef0123456789abcdef
    reason: the package is ours
    author: ada@example.com
    expires: 2026-12-01
`

func Test_check_suppressions_are_read(t *testing.T) {
	path := write(t, "s.yaml", goodSuppression+`  - {check: file-mode, file: .mcp.json, evidence: "11111111111111111111111111111111", reason: r, author: a, expires: 2020-01-01}
`)
	got, err := LoadCheckSuppressions(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []CheckSuppression{
		{2, "unpinned", "0123456789abcdef", "", "files", "0123456789abcdef0123456789abcdef", "the package is ours", "ada@example.com", time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)},
		{9, "file-mode", "", filepath.Join(filepath.Dir(path), ".mcp.json"), "", strings.Repeat("1", 32), "r", "a", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func Test_a_server_of_digits_only_is_an_id(t *testing.T) {
	path := write(t, "s.yaml", strings.Replace(goodSuppression, "0123456789abcdef\n", "1234567890123456\n", 1))
	if got, err := LoadCheckSuppressions(path); err != nil || got[0].Server != "1234567890123456" {
		t.Errorf("%+v, %v", got, err)
	}
}

func Test_one_wrong_value_in_each_field_of_a_check_suppression_is_refused(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"check: unpinned", "check: Un Pinned", "suppressions.0.check"},
		{"    server: 0123456789abcdef\n", "", "expected either server or file"},
		{"server: 0123456789abcdef", "server: files", "suppressions.0.server"},
		{"    name: files", "    file: x", "expected either server or file"},
		{"evidence: 0123456789abcdef0123456789abcdef", "evidence: any", "suppressions.0.evidence"},
		{"    evidence: 0123456789abcdef0123456789abcdef\n", "", "evidence is missing"},
		{"reason: the package is ours", `reason: " "`, "suppressions.0.reason"},
		{"    reason: the package is ours\n", "", "reason is missing"},
		{"    author: ada@example.com\n", "", "author is missing"},
		{"author: ada@example.com", "author: " + strings.Repeat("a", maxAuthor+1), "suppressions.0.author"},
		{"    expires: 2026-12-01\n", "", "expires is missing"},
		{"expires: 2026-12-01", "expires: never", "suppressions.0.expires"},
		{"expires: 2026-12-01", "expires: 2999-12-01", "at most a year ahead"},
		{"    name: files", "    expiry: 2026-12-01", "unknown key"},
		{"suppressions:\n", "suppressions: all\nother:\n", "suppressions: found"},
	} {
		text := strings.Replace(goodSuppression, c.old, c.new, 1)
		if text == goodSuppression {
			t.Fatalf("%q is not in the good file", c.old)
		}
		got, err := LoadCheckSuppressions(write(t, "s.yaml", text))
		if err == nil || !strings.Contains(err.Error(), c.want) || got != nil {
			t.Errorf("%q for %q: %v, %v, want %q", c.new, c.old, got, err, c.want)
		}
	}
}

func Test_more_check_suppressions_than_anybody_reads_are_refused(t *testing.T) {
	text := "suppressions:\n" + strings.Repeat("  - {}\n", maxSuppressions+1)
	if got, err := LoadCheckSuppressions(write(t, "s.yaml", text)); err == nil || !strings.Contains(err.Error(), "a list of at most") || got != nil {
		t.Errorf("%d, %v", len(got), err)
	}
}

func Test_an_empty_file_of_check_suppressions_suppresses_nothing(t *testing.T) {
	for _, text := range []string{"", "suppressions:\n", "suppressions: []\n"} {
		if got, err := LoadCheckSuppressions(write(t, "s.yaml", text)); err != nil || len(got) != 0 {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// Whatever is read, what comes out is complete, or nothing comes out.
func FuzzLoadCheckSuppressions(f *testing.F) {
	f.Add(goodSuppression)
	f.Add("suppressions:\n  - &a {check: a, server: 0123456789abcdef}\n  - *a\n")
	f.Add("suppressions: [{}, null, 1]")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := LoadCheckSuppressions(write(t, "s.yaml", text))
		if err != nil && list != nil {
			t.Errorf("%d suppressions beside the error %v", len(list), err)
		}
		for _, s := range list {
			if s.Check == "" || (s.Server == "") == (s.File == "") || len(s.Evidence) != 32 || s.Reason == "" || s.Author == "" || s.Expires.IsZero() || s.Line < 1 {
				t.Errorf("%+v is not complete", s)
			}
		}
	})
}
