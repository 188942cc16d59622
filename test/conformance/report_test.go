package conformance

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const printed = `Running 3 scenarios
✓ ping: 2 passed, 0 failed
✗ tools-list: 1 passed, 1 failed
✗ tasks-lifecycle: 1 passed, 8 failed

Total: 4 passed, 9 failed

Not scored for 2026-07-28: 1 scenario(s) run, 1 failing. These do not affect conformance.
  ✗ tasks-lifecycle (extension)
`

func TestParseReport_counts_and_scoring(t *testing.T) {
	got := ParseReport(printed)
	want := Report{
		"ping":            {Passed: 2, Scored: true},
		"tools-list":      {Passed: 1, Failed: 1, Scored: true},
		"tasks-lifecycle": {Passed: 1, Failed: 8},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if got.Scored() != 2 {
		t.Errorf("%d scored, want 2", got.Scored())
	}
}

func TestCompare_finds_every_loss(t *testing.T) {
	good := Report{"ping": {Passed: 2, Scored: true}, "extra": {Failed: 1}}
	tests := []struct {
		name    string
		through Report
		want    string
	}{
		{"the same", good, ""},
		{"fewer passed", Report{"ping": {Passed: 1, Scored: true}, "extra": {Failed: 1}}, "ping: directly"},
		{"more failed", Report{"ping": {Passed: 2, Failed: 1, Scored: true}, "extra": {Failed: 1}}, "ping: directly"},
		{"more passed", Report{"ping": {Passed: 3, Scored: true}, "extra": {Passed: 1}}, ""},
		{"not run", Report{"ping": {Passed: 2, Scored: true}}, "extra ran only once"},
		{"no longer scored", Report{"ping": {Passed: 2}, "extra": {Failed: 1}}, "ping: directly"},
	}
	for _, test := range tests {
		got := strings.Join(Compare(good, test.through), "\n")
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q in it", test.name, got, test.want)
		}
	}
	failing := Report{"ping": {Passed: 1, Failed: 1, Scored: true}}
	if got := Compare(failing, failing); len(got) != 1 {
		t.Errorf("a required scenario that fails both times: %q, want one problem", got)
	}
}
