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
// With -update the want sections are written anew, for review as a diff.
package ruletest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"gatehouse/internal/rule"
)

var update = flag.Bool("update", false, "write the want sections of the cases anew")

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

var (
	identifier = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	reference  = regexp.MustCompile(`^(OWASP-MCP\d\d:\d{4}|SAFE-T\d{4}|CWE-\d+)$`)
)

func metadata(t *testing.T, r rule.Rule) {
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if !identifier.MatchString(r.ID) {
		t.Errorf("ID %q is not kebab-case", r.ID)
	}
	if want := strings.ReplaceAll(r.ID, "-", ""); filepath.Base(folder) != want {
		t.Errorf("rule %s stands in folder %s, want %s", r.ID, filepath.Base(folder), want)
	}
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

// sample is a Subject as it is written in a case or in documentation.
type sample struct {
	Surface    string           `json:"surface"`
	Server     string           `json:"server"`
	Owner      string           `json:"owner"`
	Name       string           `json:"name"`
	Key        string           `json:"key"`
	IsKey      bool             `json:"isKey"`
	Text       string           `json:"text"`
	Neighbours []rule.Neighbour `json:"neighbours"`
	Known      []string         `json:"known"`
}

func (s sample) subject(r rule.Rule) (rule.Subject, error) {
	surface := defaultSurface(r)
	if s.Surface != "" {
		surface = 0
		for bit := rule.Surface(1); bit <= rule.Other; bit <<= 1 {
			if bit.String() == s.Surface {
				surface = bit
			}
		}
	}
	if surface&r.Surfaces == 0 {
		return rule.Subject{}, fmt.Errorf("surface %q is none of the rule's", s.Surface)
	}
	return rule.Subject{Surface: surface, Server: s.Server, Owner: s.Owner, Name: s.Name, Key: s.Key, IsKey: s.IsKey, Text: s.Text, Neighbours: s.Neighbours, Known: s.Known}, nil
}

// defaultSurface is the one that a sample without a surface stands on.
func defaultSurface(r rule.Rule) rule.Surface {
	for _, surface := range []rule.Surface{rule.ToolResult, rule.ToolDefinition, rule.Arguments} {
		if r.Surfaces&surface != 0 {
			return surface
		}
	}
	return r.Surfaces & -r.Surfaces
}

func decode(data []byte, s *sample) error {
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	return decoder.Decode(s)
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
			fires = fires || worst(r, matches) >= bad(r)
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
	subject, archive := read(t, r, path)
	matches := detect(t, r, subject)
	got := format(r, matches)
	for i, file := range archive.Files {
		if file.Name != "want" {
			continue
		}
		if *update {
			archive.Files[i].Data = []byte(got)
			if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if diff := cmp.Diff(string(file.Data), got); diff != "" {
			t.Errorf("matches differ (-want +got):\n%s", diff)
		}
		return matches
	}
	t.Fatal("the case has no want section")
	return nil
}

func read(t *testing.T, r rule.Rule, path string) (rule.Subject, *txtar.Archive) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s sample
	for _, file := range archive.Files {
		switch file.Name {
		case "subject":
			err = decode(file.Data, &s)
		case "text":
			s.Text = strings.TrimSuffix(string(file.Data), "\n")
		case "text.json":
			err = json.Unmarshal(file.Data, &s.Text)
		case "want":
		default:
			err = fmt.Errorf("unknown section %q", file.Name)
		}
		if err != nil {
			t.Fatalf("%s, section %s: %v", path, file.Name, err)
		}
	}
	subject, err := s.subject(r)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return subject, archive
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

// bad is the severity that a bad sample raises: high, or the rule's own where it finds
// nothing so bad.
func bad(r rule.Rule) rule.Severity { return min(r.Severity, rule.High) }

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

// inReader holds a rule that shares its search with others to what it finds alone.
func inReader(t *testing.T, r rule.Rule, subject rule.Subject, alone []rule.Match) {
	t.Helper()
	other := rule.Rule{ID: "other", Literals: []*rule.Literals{rule.NewLiterals(rule.Written, "e", "the", "send"), rule.NewLiterals(rule.Lowercase, "e", "ignore", "key")}, Detect: func(rule.Subject) ([]rule.Match, error) { return nil, nil }}
	found, err := rule.NewReader([]rule.Rule{other, r}).Detect(subject, nil)
	if err != nil {
		t.Fatal(err)
	}
	var want []rule.Found
	for _, m := range alone {
		want = append(want, rule.Found{Rule: r.ID, Match: r.Rated(m)})
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("in a reader it answers differently (-alone +reader):\n%s", diff)
	}
}

// headings are the parts of a rule's documentation, in order.
var headings = []string{"## What it is", "## Why it matters", "## Bad", "## Good", "## What it cannot see", "## What to do"}

func documentation(t *testing.T, r rule.Rule) {
	rest := r.Doc
	for _, heading := range headings {
		_, after, found := strings.Cut(rest, heading+"\n")
		if !found {
			t.Fatalf("doc.md has no heading %q, or not in this place", heading)
		}
		rest = after
	}
	for _, s := range samples(t, r, "## Bad", "## Good") {
		if got := worst(r, detect(t, r, s)); got < bad(r) {
			t.Errorf("a Bad sample of doc.md raises %v: %q", got, s.Text)
		}
	}
	for _, s := range samples(t, r, "## Good", "## What it cannot see") {
		if matches := detect(t, r, s); len(matches) > 0 {
			t.Errorf("a Good sample of doc.md raises %s: %q", format(r, matches), s.Text)
		}
	}
}

// samples reads the fenced blocks between two headings: a subject in a block
// that is marked json, a text on the default surface in any other.
func samples(t *testing.T, r rule.Rule, from, to string) []rule.Subject {
	_, part, _ := strings.Cut(r.Doc, from+"\n")
	part, _, _ = strings.Cut(part, to+"\n")
	var subjects []rule.Subject
	blocks := strings.Split(part, "```")
	for i := 1; i < len(blocks); i += 2 {
		kind, body, _ := strings.Cut(blocks[i], "\n")
		s := sample{Text: strings.TrimSuffix(body, "\n")}
		if kind == "json" {
			s = sample{}
			if err := decode([]byte(body), &s); err != nil {
				t.Fatalf("a sample of doc.md: %v", err)
			}
		}
		subject, err := s.subject(r)
		if err != nil {
			t.Fatal(err)
		}
		subjects = append(subjects, subject)
	}
	if len(subjects) == 0 {
		t.Errorf("doc.md has no sample under %q", from)
	}
	return subjects
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
	base := rule.Subject{Surface: defaultSurface(r), Server: "here", Name: "tool"}
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
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if s, _ := read(t, r, path); s.Text != "" {
			add(s, s.Text)
		}
	}
	return subjects
}
