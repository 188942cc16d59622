// Package ruletest checks a rule the way every rule must hold: complete
// metadata, cases that fire and cases that stay silent, the same answer twice,
// the same in a reader with others, matches that lie inside the text, time that grows with the text and not
// faster, and samples in its documentation that are true.
//
// Cases stand in testdata/*.txtar of the rule's folder. Their sections are
//
//	subject    JSON: surface, server, owner, name, key, isKey, neighbours, known
//	text       the text as it is, without the last line feed, or
//	text.json  the text as a JSON string, for invisible characters and for
//	           credentials that no file should hold in one piece
//	want       a line for each match: SEVERITY ACTION START-END DETAIL, and the
//	           confidence in brackets if it is below 1
//
// See roomtest for how they are written anew.
package ruletest

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/rooms/roomtest"
	"gatehouse/internal/rule"
	"gatehouse/internal/rule/sample"
)

// Run checks the rule of the folder in which the test runs.
func Run(t *testing.T, r rule.Rule) {
	t.Helper()
	t.Run("metadata", func(t *testing.T) { metadata(t, r) })
	t.Run("cases", func(t *testing.T) { cases(t, r) })
	t.Run("documentation", func(t *testing.T) { documentation(t, r) })
	t.Run("empty", func(t *testing.T) { empty(t, r) })
	t.Run("concurrent", func(t *testing.T) { concurrent(t, r) })
	t.Run("growth", func(t *testing.T) { growth(t, r) })
}

var reference = regexp.MustCompile(`^(OWASP-MCP\d\d:\d{4}|SAFE-T\d{4}|CWE-\d+)$`)

func metadata(t *testing.T, r rule.Rule) {
	roomtest.Identity(t, r.ID)
	if r.Title == "" || strings.HasSuffix(r.Title, ".") || strings.Contains(r.Title, "\n") {
		t.Errorf("title %q is not one line without a full stop", r.Title)
	}
	if r.Severity < rule.Info || r.Severity > rule.Critical {
		t.Errorf("severity is %v", r.Severity)
	}
	if r.Surfaces == 0 {
		t.Error("no surfaces")
	}
	if r.Detect == nil {
		t.Fatal("no Detect")
	}
	if len(r.Refs) == 0 {
		t.Error("no references")
	}
	for _, ref := range r.Refs {
		if !reference.MatchString(ref) {
			t.Errorf("reference %q has no known form", ref)
		}
	}
}

func cases(t *testing.T, r rule.Rule) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	fires, quiet := false, false
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			matches := one(t, r, path)
			fires = fires || worst(r, matches) >= least(r)
			quiet = quiet || len(matches) == 0
		})
	}
	if !fires {
		t.Error("no case in testdata fires")
	}
	if !quiet {
		t.Error("no case in testdata stays silent")
	}
}

func one(t *testing.T, r rule.Rule, path string) []rule.Match {
	s, err := sample.Case(path, r)
	if err != nil {
		t.Fatal(err)
	}
	matches := detect(t, r, s.Subject)
	roomtest.Want(t, path, format(r, matches))
	return matches
}

func format(r rule.Rule, matches []rule.Match) string {
	var out strings.Builder
	for _, m := range matches {
		action := [...]string{rule.Report: "report", rule.Redact: "redact", rule.Refuse: "refuse"}[m.Action]
		fmt.Fprintf(&out, "%v %s %d-%d %s", r.Rated(m).Severity, action, m.Start, m.End, m.Detail)
		if confidence := r.Rated(m).Confidence; confidence < 1 {
			fmt.Fprintf(&out, " (%.2f)", confidence)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// worst is the highest severity of the matches that act by themselves.
func worst(r rule.Rule, matches []rule.Match) rule.Severity {
	var most rule.Severity
	for _, m := range matches {
		if m = r.Rated(m); m.Confidence >= rule.Hard {
			most = max(most, m.Severity)
		}
	}
	return most
}

// least is the severity that a bad sample raises: high, or the rule's own where it finds
// nothing so bad.
func least(r rule.Rule) rule.Severity { return min(r.Severity, rule.High) }

// detect runs the rule twice and checks what holds for every answer.
func detect(t *testing.T, r rule.Rule, subject rule.Subject) []rule.Match {
	t.Helper()
	matches, err := r.Detect(subject)
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.Detect(subject)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(matches, again); diff != "" {
		t.Errorf("a second run answers differently:\n%s", diff)
	}
	inReader(t, r, subject, matches)
	for _, m := range matches {
		text := subject.Text
		if m.Start < 0 || m.Start >= m.End || m.End > len(text) {
			t.Fatalf("match %d-%d lies outside a text of %d bytes", m.Start, m.End, len(text))
		}
		if !utf8.RuneStart(text[m.Start]) || m.End < len(text) && !utf8.RuneStart(text[m.End]) {
			t.Errorf("match %d-%d cuts a character", m.Start, m.End)
		}
		if m.Detail == "" {
			t.Errorf("match %d-%d has no detail", m.Start, m.End)
		}
		if m.Action == rule.Redact && subject.Surface&(rule.Definitions|rule.ToServer) != 0 {
			t.Errorf("match %d-%d redacts on %v, where nothing is rewritten", m.Start, m.End, subject.Surface)
		}
	}
	return matches
}

// inReader holds a rule to the same answers in a reader: those that it gives when it is
// asked directly come first, those about what is encoded follow, and another rule
// beside it changes nothing.
func inReader(t *testing.T, r rule.Rule, subject rule.Subject, direct []rule.Match) {
	t.Helper()
	other := rule.Rule{ID: "other", Literals: []*rule.Literals{rule.NewLiterals(rule.Written, "e", "the", "send"), rule.NewLiterals(rule.Lowercase, "e", "ignore", "key")}, Detect: func(rule.Subject) ([]rule.Match, error) { return nil, nil }}
	alone, err := rule.NewReader([]rule.Rule{r}).Detect(subject, nil)
	if err != nil {
		t.Fatal(err)
	}
	beside, err := rule.NewReader([]rule.Rule{other, r}).Detect(subject, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(alone, beside); diff != "" {
		t.Errorf("beside another rule it answers differently (-alone +beside):\n%s", diff)
	}
	var want, got []rule.Match // what encoded parts say comes behind
	for _, m := range direct {
		want = append(want, r.Rated(m))
	}
	for _, f := range alone[:min(len(want), len(alone))] {
		got = append(got, f.Match)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("in a reader it answers differently (-direct +reader):\n%s", diff)
	}
}

func documentation(t *testing.T, r rule.Rule) {
	rest := r.Doc
	for _, heading := range sample.Headings {
		_, after, found := strings.Cut(rest, heading+"\n")
		if !found {
			t.Fatalf("doc.md has no heading %q, or not in this place", heading)
		}
		rest = after
	}
	bad, good, err := sample.Documented(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range bad {
		if got := worst(r, detect(t, r, s.Subject)); got < least(r) {
			t.Errorf("a Bad sample of doc.md raises %v: %q", got, s.Subject.Text)
		}
	}
	for _, s := range good {
		if matches := detect(t, r, s.Subject); len(matches) > 0 {
			t.Errorf("a Good sample of doc.md raises %s: %q", format(r, matches), s.Subject.Text)
		}
	}
}

func empty(t *testing.T, r rule.Rule) {
	for bit := rule.Surface(1); bit <= rule.Other; bit <<= 1 {
		if r.Surfaces&bit == 0 {
			continue
		}
		if matches := detect(t, r, rule.Subject{Surface: bit}); len(matches) > 0 {
			t.Errorf("an empty text on %v raises %v", bit, matches)
		}
	}
}

// concurrent runs the rule in several goroutines, for the race detector.
func concurrent(t *testing.T, r rule.Rule) {
	subjects := hostile(t, r, 512)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for _, s := range subjects {
				if _, err := r.Detect(s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

const (
	smallText = 4 << 10
	times     = 8
	// allowedGrowth is far above what linear time needs (8) and far below what
	// quadratic time takes (64), so that a busy machine fails no test.
	allowedGrowth = 28
	// measurable is the time below which fresh memory costs more than the rule.
	// Quadratic time on the large text is far above it.
	measurable = 40 * time.Millisecond
	// retries are for the machine being busy with something else.
	retries = 3
)

// growth compares the time on a text with that on one eight times as long. A
// ratio holds on any machine, fast or slow.
func growth(t *testing.T, r rule.Rule) {
	small, large := hostile(t, r, smallText), hostile(t, r, smallText*times)
	for i := range small {
		detect(t, r, small[i])
		before, after := elapsed(r, small[i]), elapsed(r, large[i])
		for range retries {
			if after <= measurable || after <= before*allowedGrowth {
				break
			}
			before, after = elapsed(r, small[i]), min(after, elapsed(r, large[i]))
		}
		if after > measurable && after > before*allowedGrowth {
			t.Errorf("%d bytes take %v, %d bytes take %v: %.40q…", len(small[i].Text), before, len(large[i].Text), after, small[i].Text)
		}
	}
}

func elapsed(r rule.Rule, subject rule.Subject) time.Duration {
	start := time.Now()
	r.Detect(subject) //nolint:errcheck // detect has checked it
	return time.Since(start)
}

// pieces are repeated to make texts that keep a rule busy.
var pieces = []string{
	"a", " ", "\n", "<", "<b", "<!--", "&#", "\\", "_", "*", "'", "\"", "@", "://", "http://a:b@", "a@b.cc ", "ignore ", "ignore all previous ", "send to ", "please send my data to x@example.com ",
	"[system", "<|", "user ", "password=", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n-----END ", "eyJ.", "eyJ ", "AKIA", "AKIAABCDEFGHIJKLMNOP ", "sk-", ":AA",
	"\x1b]", "\x1b[", "\x1b]8;;", "\u200b", "a\u200b", "\u202a", "\u202e", "\ufe0f", "\U000e0041", "\U0001f3f4", "а", "ｉ", "=AAAA", "style=\"", "<a style=", "a_b.c", "always a_tool_name ",
}

// hostile makes texts of about size bytes from the pieces and from the rule's
// own cases.
func hostile(t *testing.T, r rule.Rule, size int) []rule.Subject {
	base := rule.Subject{Surface: sample.DefaultSurface(r), Server: "here", Name: "tool"}
	for i := range 50 {
		base.Neighbours = append(base.Neighbours, rule.Neighbour{Server: "there", Name: fmt.Sprintf("a_tool_%d", i)})
	}
	var subjects []rule.Subject
	add := func(s rule.Subject, piece string) {
		s.Text = strings.Repeat(piece, size/len(piece)+1)
		subjects = append(subjects, s)
	}
	for _, piece := range pieces {
		add(base, piece)
	}
	cases, err := sample.Cases(".", r)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range cases {
		if s.Subject.Text != "" {
			add(s.Subject, s.Subject.Text)
		}
	}
	return subjects
}
