package sarif

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/internal/report"
	"gatehouse/internal/report/reporttest"
)

func written(t *testing.T, r *report.Report) ([]byte, log) {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, r); err != nil {
		t.Fatal(err)
	}
	var l log
	if err := json.Unmarshal(out.Bytes(), &l); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), l
}

// testdata/sarif.json says what SARIF 2.1.0 asks of the parts that are written here, and
// allows no others.
func Test_reports_are_valid(t *testing.T) {
	compared := reporttest.Report()
	compared.Compare(nil)
	for name, r := range map[string]*report.Report{"ordinary": reporttest.Report(), "hostile": reporttest.Hostile(), "compared": compared, "empty": report.New(empty())} {
		text, _ := written(t, r)
		if err := reporttest.Validate(t, "testdata/sarif.json", text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func empty() report.Input {
	in := reporttest.Input()
	in.Scene.Files, in.Scene.Servers, in.Checks, in.Result.Findings, in.Result.Unchecked = nil, nil, nil, nil, nil
	return in
}

func Test_a_schema_that_nothing_violates_proves_nothing(t *testing.T) {
	text, _ := written(t, reporttest.Report())
	for _, c := range []struct{ old, new string }{
		{`"version": "2.1.0"`, `"version": "2.0.0"`}, {`"level": "error"`, `"level": "fatal"`}, {`"startLine": 3`, `"startLine": 0`},
		{`"status": "accepted"`, `"status": "yes"`}, {`"ruleIndex": 1`, `"ruleIndex": -2`}, {`"columnKind"`, `"columns"`},
	} {
		changed := strings.Replace(string(text), c.old, c.new, 1)
		if changed == string(text) {
			t.Fatalf("%s is not in the report", c.old)
		}
		if reporttest.Validate(t, "testdata/sarif.json", []byte(changed)) == nil {
			t.Errorf("%s passes", c.new)
		}
	}
}

func Test_messages_have_no_links_and_hide_nothing(t *testing.T) {
	in := reporttest.Input()
	const evil = "[free](https://evil.example)\u202e"
	in.Problems = []string{evil}
	in.Scene.Files[3].Problems = []string{evil}
	in.Result.Findings[0].Why, in.Result.Findings[0].Fix = evil, evil
	in.Result.Unchecked[0].Why = evil
	r := report.New(in)
	for i := range r.Findings {
		r.Findings[i].Suppressed = &report.Suppression{Reason: evil, Author: evil}
	}
	_, l := written(t, r)
	var texts []string
	for _, one := range l.Runs[0].Results {
		texts = append(texts, one.Message.Text, one.Suppressions[0].Justification)
	}
	for _, n := range l.Runs[0].Invocations[0].Notifications {
		texts = append(texts, n.Message.Text)
	}
	free := 0
	for _, text := range texts {
		if strings.Contains(text, "](") || strings.Contains(text, "\u202e") {
			t.Errorf("%q", text)
		}
		free += strings.Count(text, "[free] (")
	}
	if free < 6 {
		t.Errorf("%d texts repeat it: %q", free, texts)
	}
}

func Test_rules_are_where_results_say(t *testing.T) {
	_, l := written(t, reporttest.Report())
	run := l.Runs[0]
	if len(run.Results) != 4 {
		t.Fatalf("%d results", len(run.Results))
	}
	for _, r := range run.Results {
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("rule %d is %s, want %s", r.RuleIndex, run.Tool.Driver.Rules[r.RuleIndex].ID, r.RuleID)
		}
		if r.Fingerprints[printFacts] == "" || r.Fingerprints[printSubject] == "" {
			t.Errorf("no fingerprints: %+v", r)
		}
	}
}

func Test_what_was_not_read_or_accepted_is_said(t *testing.T) {
	text, l := written(t, reporttest.Report())
	run := l.Runs[0]
	if run.Invocations[0].Successful || len(run.Invocations[0].Notifications) != 3 {
		t.Errorf("%+v", run.Invocations)
	}
	suppressed := 0
	for _, r := range run.Results {
		suppressed += len(r.Suppressions)
	}
	if suppressed != 1 || !strings.Contains(string(text), "known since the move (ada@example.com, until 2026-07-01)") {
		t.Errorf("%d suppressions", suppressed)
	}
}

func Test_paths_of_a_project_are_relative_and_others_are_not(t *testing.T) {
	in := reporttest.Input()
	in.Root = "/home/ada/shop"
	_, l := written(t, report.New(in))
	at := map[string]artifact{}
	for _, r := range l.Runs[0].Results {
		at[r.RuleID] = r.Locations[0].Physical.Artifact
	}
	if got := at["open-file"]; got != (artifact{".vscode/mcp.json", root}) {
		t.Errorf("%+v", got)
	}
	if got := at["old"]; got != (artifact{URI: "file:///home/ada/.claude.json"}) {
		t.Errorf("%+v", got)
	}
}

func Test_fingerprints_of_a_project_do_not_say_where_it_lies(t *testing.T) {
	prints := func(root string) map[string]string {
		in := reporttest.Input()
		in.Root = root
		for i := range in.Result.Findings {
			in.Result.Findings[i].File = strings.Replace(in.Result.Findings[i].File, "/home/ada/shop", root, 1)
		}
		_, l := written(t, report.New(in))
		for _, r := range l.Runs[0].Results {
			if r.RuleID == "open-file" {
				return r.Fingerprints
			}
		}
		return nil
	}
	a, b := prints("/home/ada/shop"), prints("/builds/shop")
	if a[printFacts] == "" || a[printFacts] != b[printFacts] || a[printSubject] != b[printSubject] {
		t.Errorf("%v and %v", a, b)
	}
}

func Test_addresses_of_files(t *testing.T) {
	for path, want := range map[string]string{
		"/home/ada/a b.json": "file:///home/ada/a%20b.json", "C:/Users/ada/x.json": "file:///C:/Users/ada/x.json", "/x/ü#?.json": "file:///x/%C3%BC%23%3F.json",
	} {
		if got := fileURI(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
