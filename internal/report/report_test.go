package report_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/config"
	"gatehouse/internal/report"
	"gatehouse/internal/report/reporttest"
	"gatehouse/internal/rule"
)

func finding(t *testing.T, r *report.Report, check string) report.Finding {
	t.Helper()
	i := slices.IndexFunc(r.Findings, func(f report.Finding) bool { return f.Check == check })
	if i < 0 {
		t.Fatalf("no finding of %s in %+v", check, r.Findings)
	}
	return r.Findings[i]
}

func Test_the_same_finding_of_one_server_in_two_clients_is_one(t *testing.T) {
	r := report.New(reporttest.Input())
	f := finding(t, r, "broad-root")
	if got := strings.Join(f.Clients, ","); got != "claude-code,cursor" || len(f.Places) != 2 {
		t.Errorf("clients %s, places %+v", got, f.Places)
	}
	if n := r.Summary.Findings; n.Total() != 4 || n.High != 1 {
		t.Errorf("counts %+v", n)
	}
}

func Test_a_finding_that_names_no_place_stands_where_its_server_does(t *testing.T) {
	in := reporttest.Input()
	f := in.Result.Findings[0]
	f.File, f.Line, f.Path, f.Clients = "", 0, nil, nil
	in.Result.Findings = []check.Finding{f}
	if got := report.New(in).Findings[0]; len(got.Places) != 2 || got.Places[0].Line != 12 {
		t.Errorf("%+v", got)
	}
}

func Test_a_finding_about_nothing_in_particular_can_be_accepted(t *testing.T) {
	in := reporttest.Input()
	in.Result.Findings = []check.Finding{{Check: "old", Severity: rule.Low, Why: "w", Fix: "f", Evidence: check.Bind("x")}}
	r := report.New(in)
	path := filepath.Join(t.TempDir(), "b.yaml")
	if err := os.WriteFile(path, r.Baseline(filepath.Dir(path), "r", "a", time.Now().AddDate(0, 1, 0)), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := config.LoadCheckSuppressions(path)
	if err != nil {
		t.Fatal(err)
	}
	if r.Suppress(path, list, time.Now()); r.Summary.Suppressed != 1 {
		t.Errorf("%+v", r.Findings)
	}
}

func Test_findings_come_worst_first_and_sums_are_right(t *testing.T) {
	r := reporttest.Report()
	var order []string
	for _, f := range r.Findings {
		order = append(order, f.Severity.String())
	}
	if diff := cmp.Diff([]string{"critical", "high", "medium", "low"}, order); diff != "" {
		t.Error(diff)
	}
	want := report.Summary{
		Places: 141, Found: 4, Parsed: 2, Partial: 1, Skipped: 1, Incomplete: 2, Clients: 3, Servers: 4, Risky: 3, Checks: 4, Unchecked: 1,
		Findings: report.Counts{Critical: 1, High: 1, Low: 1}, Suppressed: 1, Lapsed: 1,
	}
	if diff := cmp.Diff(want, r.Summary); diff != "" {
		t.Error(diff)
	}
	for _, c := range r.Checks {
		if c.ID == "old" && (c.Outcome != report.Fail || c.Unchecked != 1) {
			t.Errorf("%+v", c)
		}
	}
}

func Test_a_check_that_could_not_be_made_has_not_passed(t *testing.T) {
	in := reporttest.Input()
	in.Result.Findings = nil
	r := report.New(in)
	for _, c := range r.Checks {
		want := report.Pass
		if c.ID == "old" {
			want = report.Error
		}
		if c.Outcome != want {
			t.Errorf("%s: %s, want %s", c.ID, c.Outcome, want)
		}
	}
}

func accept(f report.Finding, change func(*config.CheckSuppression)) []config.CheckSuppression {
	s := config.CheckSuppression{Check: f.Check, Server: f.Server, Evidence: f.Evidence, Reason: "r", Author: "a", Expires: reporttest.Now.AddDate(0, 0, 1)}
	if f.Server == "" {
		s.File = f.Name
	}
	change(&s)
	return []config.CheckSuppression{s}
}

func Test_a_suppression_is_bound_to_check_server_evidence_and_day(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*config.CheckSuppression)
		holds  bool
		lapse  report.Lapse
		unused int
	}{
		"as it is":         {func(*config.CheckSuppression) {}, true, "", 0},
		"other check":      {func(s *config.CheckSuppression) { s.Check = "other" }, false, "", 1},
		"other server":     {func(s *config.CheckSuppression) { s.Server = "0000000000000000" }, false, "", 1},
		"changed facts":    {func(s *config.CheckSuppression) { s.Evidence = check.Bind("other") }, false, report.Changed, 0},
		"expired today":    {func(s *config.CheckSuppression) { s.Expires = reporttest.Now }, false, report.Expired, 0},
		"in the last hour": {func(s *config.CheckSuppression) { s.Expires = reporttest.Now.Add(time.Hour) }, true, "", 0},
	} {
		r := report.New(reporttest.Input())
		r.Suppress("s.yaml", accept(finding(t, r, "broad-root"), c.change), reporttest.Now)
		f := finding(t, r, "broad-root")
		var lapse report.Lapse
		if f.Lapsed != nil {
			lapse = f.Lapsed.Lapsed
		}
		if (f.Suppressed != nil) != c.holds || lapse != c.lapse || len(r.Unused) != c.unused {
			t.Errorf("%s: suppressed %v, lapsed %q, unused %d", name, f.Suppressed != nil, lapse, len(r.Unused))
		}
		if c.holds && r.Summary.Findings.High != 0 || c.holds && r.Summary.Suppressed != 1 {
			t.Errorf("%s: %+v", name, r.Summary)
		}
	}
}

func Test_a_suppression_that_holds_wins_whatever_its_place(t *testing.T) {
	r := report.New(reporttest.Input())
	f := finding(t, r, "broad-root")
	good := accept(f, func(*config.CheckSuppression) {})[0]
	old := accept(f, func(s *config.CheckSuppression) { s.Expires = reporttest.Now.AddDate(0, 0, -9) })[0]
	other := accept(f, func(s *config.CheckSuppression) { s.Evidence = check.Bind("other") })[0]
	for _, order := range [][]config.CheckSuppression{{good, old, other}, {other, old, good}, {old, good, other}} {
		r := report.New(reporttest.Input())
		r.Suppress("s.yaml", order, reporttest.Now)
		if f := finding(t, r, "broad-root"); f.Suppressed == nil || f.Lapsed != nil {
			t.Errorf("%+v", f)
		}
	}
}

func Test_that_the_same_facts_were_accepted_says_more_than_that_others_were(t *testing.T) {
	f := finding(t, report.New(reporttest.Input()), "broad-root")
	expired := accept(f, func(s *config.CheckSuppression) { s.Expires = reporttest.Now.AddDate(0, 0, -9) })[0]
	other := accept(f, func(s *config.CheckSuppression) { s.Evidence = check.Bind("other") })[0]
	for _, order := range [][]config.CheckSuppression{{expired, other}, {other, expired}} {
		r := report.New(reporttest.Input())
		r.Suppress("s.yaml", order, reporttest.Now)
		if f := finding(t, r, "broad-root"); f.Lapsed == nil || f.Lapsed.Lapsed != report.Expired {
			t.Errorf("%+v", f.Lapsed)
		}
	}
}

func Test_the_evidence_of_a_group_is_that_of_all_its_members(t *testing.T) {
	evidence := func(facts ...string) string {
		in := reporttest.Input()
		one := in.Result.Findings[0]
		in.Result.Findings = nil
		for _, fact := range facts {
			one.Evidence = check.Bind(fact)
			in.Result.Findings = append(in.Result.Findings, one)
		}
		return report.New(in).Findings[0].Evidence
	}
	ab, ac, bc := evidence("a", "b"), evidence("a", "c"), evidence("b", "c")
	if ab == ac || ab == bc || ac == bc {
		t.Error("a fact that changes does not count")
	}
	if evidence("a", "b") != evidence("b", "a", "b") || evidence("a") != evidence("a", "a") {
		t.Error("the order counts, or how often")
	}
}

func Test_what_is_suppressed_does_not_count_for_the_verdict(t *testing.T) {
	in := reporttest.Input()
	in.Result.Findings = in.Result.Findings[:0:0]
	for _, f := range reporttest.Input().Result.Findings {
		if f.Check == "broad-root" {
			in.Result.Findings = append(in.Result.Findings, f)
		}
	}
	r := report.New(in)
	if !r.Reaches(rule.High) || r.Reaches(rule.Critical) || !r.Reaches(rule.Low) {
		t.Error("a finding of high severity does not count from high on, and only there")
	}
	r.Suppress("s.yaml", accept(r.Findings[0], func(*config.CheckSuppression) {}), reporttest.Now)
	if r.Reaches(rule.Info) || r.Worst(r.Findings[0].Server) != rule.Unrated {
		t.Error("a suppressed finding counts")
	}
}

func Test_a_baseline_suppresses_what_it_was_written_for(t *testing.T) {
	for name, r := range map[string]*report.Report{"ordinary": report.New(reporttest.Input()), "hostile": reporttest.Hostile()} {
		dir := t.TempDir()
		path := filepath.Join(dir, "baseline.yaml")
		before := r.Summary.Findings.Total()
		text := r.Baseline(dir, "known: \"yes\" # no\n- x", "ada", time.Now().AddDate(0, 1, 0))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := config.LoadCheckSuppressions(path)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		r.Suppress(path, list, time.Now())
		if before == 0 || len(list) != before || r.Summary.Findings.Total() != 0 || len(r.Unused) != 0 {
			t.Errorf("%s: %d of %d accepted, %d left, %d unused", name, len(list), before, r.Summary.Findings.Total(), len(r.Unused))
		}
		if again := r.Baseline(dir, "r", "a", time.Now()); !strings.Contains(string(again), "suppressions:\n  []") {
			t.Errorf("%s: a second baseline accepts again:\n%s", name, again)
		}
	}
}

func Test_a_baseline_names_files_below_it_by_relative_paths(t *testing.T) {
	text := string(report.New(reporttest.Input()).Baseline("/home/ada/shop", "r", "a", reporttest.Now))
	if !strings.Contains(text, `file: ".vscode/mcp.json"`) {
		t.Error(text)
	}
}

// scanned is a report without what a test takes out of it, compared with a last one.
func scanned(last *report.Last, change func(*report.Input)) *report.Report {
	in := reporttest.Input()
	change(&in)
	r := report.New(in)
	r.Compare(last)
	return r
}

func without(id string) func(*report.Input) {
	return func(in *report.Input) {
		in.Result.Findings = slices.DeleteFunc(in.Result.Findings, func(f check.Finding) bool { return f.Check == id })
	}
}

func server(in *report.Input, name string) string {
	for _, s := range in.Scene.Servers {
		if s.Name == name {
			return s.ID
		}
	}
	panic("there is no " + name)
}

func Test_changes_since_the_last_scan(t *testing.T) {
	first := scanned(nil, func(*report.Input) {})
	if c := first.Changes; !c.First || c.New != 4 {
		t.Errorf("%+v", c)
	}
	last := first.Last()
	for name, c := range map[string]struct {
		change                                   func(*report.Input)
		fresh, changed, unchanged, fixed, unknow int
	}{
		"nothing":      {func(*report.Input) {}, 0, 0, 4, 0, 0},
		"fixed":        {without("broad-root"), 0, 0, 3, 0, 1}, // one of its files was read in part
		"fixed indeed": {func(in *report.Input) { without("broad-root")(in); in.Scene.Files[1].State = client.Parsed }, 0, 0, 3, 1, 0},
		"file unread":  {func(in *report.Input) { without("open-file")(in); in.Scene.Files[2].State = client.Failed }, 0, 0, 3, 0, 1},
		"not judged": {func(in *report.Input) {
			without("open-file")(in)
			in.Result.Unchecked = append(in.Result.Unchecked, check.Unchecked{Check: "open-file", Why: "no modes here"})
		}, 0, 0, 3, 0, 1},
		"not judged for this server": {func(in *report.Input) {
			in.Result.Unchecked[0].Server = server(in, "git")
			without("old")(in)
		}, 0, 0, 3, 0, 1},
		"not judged anywhere": {func(in *report.Input) {
			in.Result.Unchecked[0].Server = ""
			without("old")(in)
		}, 0, 0, 3, 0, 1},
		"not judged for another server": {without("old"), 0, 0, 3, 1, 0},
		"folder unread": {func(in *report.Input) {
			without("open-file")(in)
			in.Scene.Files[2].Path, in.Scene.Files[2].State = "/home/ada/shop/.vscode/*.json", client.Failed
		}, 0, 0, 3, 0, 1},
		"other folder unread": {func(in *report.Input) {
			without("open-file")(in)
			in.Scene.Files[2].Path, in.Scene.Files[2].State = "/home/ada/shop/.zed/*.json", client.Failed
		}, 0, 0, 3, 1, 0},
		"check not run": {func(in *report.Input) { without("open-file")(in); in.Checks = in.Checks[:3] }, 0, 0, 3, 0, 1},
		"new facts": {func(in *report.Input) {
			for i := range in.Result.Findings {
				if f := &in.Result.Findings[i]; f.Check == "old" {
					f.Evidence = check.Bind("older")
				}
			}
		}, 0, 1, 3, 0, 0},
		"one more": {func(in *report.Input) {
			more := in.Result.Findings[0]
			more.Why, more.Evidence = "another root", check.Bind("/etc")
			in.Result.Findings = append(in.Result.Findings, more)
		}, 1, 0, 4, 0, 0},
	} {
		r := scanned(&last, c.change)
		got := []int{r.Changes.New, r.Changes.Changed, r.Changes.Unchanged, len(r.Changes.Fixed), len(r.Changes.Unknown)}
		if diff := cmp.Diff([]int{c.fresh, c.changed, c.unchanged, c.fixed, c.unknow}, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func Test_what_could_not_be_told_is_not_forgotten(t *testing.T) {
	first := scanned(nil, func(*report.Input) {}).Last()
	second := scanned(&first, without("broad-root")).Last()
	third := scanned(&second, func(*report.Input) {})
	if third.Changes.New != 0 || third.Changes.Unchanged != 4 {
		t.Errorf("%+v", third.Changes)
	}
}

func Test_the_store_keeps_scans_for_their_owner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scan")
	s, err := report.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := report.OpenStore(dir)
	if err != nil || string(again.Key()) != string(s.Key()) || len(s.Key()) != 32 {
		t.Fatalf("another key: %v", err)
	}
	r := scanned(nil, func(*report.Input) {})
	if err := s.Keep([]string{"a"}, r); err != nil {
		t.Fatal(err)
	}
	last, err := again.Last([]string{"a"})
	if err != nil || len(last.Findings) != 4 {
		t.Errorf("%+v, %v", last, err)
	}
	if other, err := again.Last([]string{"b"}); other != nil || err != nil {
		t.Errorf("other places have %+v, %v", other, err)
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func Test_stores_that_are_opened_at_once_have_one_key(t *testing.T) {
	dir := t.TempDir()
	keys := make([]string, 20)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			s, err := report.OpenStore(dir)
			if err != nil {
				t.Error(err)
				return
			}
			keys[i] = string(s.Key())
		})
	}
	all.Wait()
	if slices.Sort(keys); len(slices.Compact(keys)) != 1 {
		t.Error("they have several")
	}
}

func Test_a_store_that_cannot_be_trusted_is_refused(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"key that others read": func(dir string) error { return os.Chmod(filepath.Join(dir, "key"), 0o644) },
		"short key":            func(dir string) error { return os.WriteFile(filepath.Join(dir, "key"), []byte("x"), 0o600) },
		"long key":             func(dir string) error { return os.WriteFile(filepath.Join(dir, "key"), make([]byte, 99), 0o600) },
	} {
		dir := t.TempDir()
		if _, err := report.OpenStore(dir); err != nil {
			t.Fatal(err)
		}
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		if s, err := report.OpenStore(dir); err == nil || s != nil {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

func Test_a_last_scan_that_is_none_is_an_error(t *testing.T) {
	dir := t.TempDir()
	s, err := report.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Keep(nil, scanned(nil, func(*report.Input) {})); err != nil {
		t.Fatal(err)
	}
	kept, _ := filepath.Glob(filepath.Join(dir, "last-*"))
	for _, text := range []string{"{", `{"schema":"other/1"}`, "[]", ""} {
		if err := os.WriteFile(kept[0], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if last, err := s.Last(nil); err == nil || last != nil || !strings.Contains(err.Error(), kept[0]) {
			t.Errorf("%q: %v, %v", text, last, err)
		}
	}
}

func Test_a_scan_that_is_too_large_to_be_read_again_is_not_kept(t *testing.T) {
	s, err := report.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := scanned(nil, func(*report.Input) {})
	r.Findings[0].Why = strings.Repeat("x", 17<<20)
	if err := s.Keep(nil, r); err == nil {
		t.Error("it is kept")
	}
	if last, err := s.Last(nil); last != nil || err != nil {
		t.Errorf("%v, %v", last, err)
	}
}

func Test_a_long_reason_is_cut(t *testing.T) {
	in := reporttest.Input()
	in.Result.Unchecked = []check.Unchecked{{Check: "old", Why: strings.Repeat("ü ", 999)}}
	if why := report.New(in).Open()[0].Why; len(why) > 310 || !strings.HasSuffix(why, "…") {
		t.Errorf("%d bytes: %q", len(why), why)
	}
}

func Test_old_scans_are_removed(t *testing.T) {
	dir := t.TempDir()
	s, err := report.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := scanned(nil, without("old"))
	for i := range 60 {
		if err := s.Keep([]string{strings.Repeat("x", i)}, r); err != nil {
			t.Fatal(err)
		}
	}
	kept, _ := filepath.Glob(filepath.Join(dir, "last-*"))
	if len(kept) != 50 {
		t.Errorf("%d are kept", len(kept))
	}
	if last, err := s.Last([]string{strings.Repeat("x", 59)}); last == nil || err != nil {
		t.Errorf("the newest is gone: %v", err)
	}
}

func Test_fingerprints_are_different_even_for_one_fact_told_in_two_ways(t *testing.T) {
	in := reporttest.Input()
	more := in.Result.Findings[0]
	more.Why = "told in another way"
	in.Result.Findings = append(in.Result.Findings, more)
	seen := map[string]bool{}
	for _, f := range report.New(in).Findings {
		if seen[f.Fingerprint] {
			t.Errorf("%s twice", f.Fingerprint)
		}
		seen[f.Fingerprint] = true
	}
}

func Test_what_could_not_be_checked_is_told_once_for_each_reason(t *testing.T) {
	in := reporttest.Input()
	in.Result.Unchecked = nil
	for _, id := range []string{"old", "young"} {
		for _, s := range in.Scene.Servers {
			in.Result.Unchecked = append(in.Result.Unchecked,
				check.Unchecked{Check: id, Server: s.ID, Name: s.Name, Why: s.Package + ": no registry was asked"},
				check.Unchecked{Check: id, Server: s.ID, Name: s.Name, Why: s.Package + " has many versions"})
		}
	}
	in.Result.Unchecked = append([]check.Unchecked{{Check: "all", Why: "nobody was asked"}}, in.Result.Unchecked...)
	names := []string{"files", "git", "image", "tracker"}
	want := []report.Open{
		{Why: "no registry was asked", Checks: []string{"old", "young"}, Servers: names},
		{Why: "its package has many versions", Checks: []string{"old", "young"}, Servers: names},
		{Why: "nobody was asked", Checks: []string{"all"}},
	}
	if diff := cmp.Diff(want, report.New(in).Open()); diff != "" {
		t.Error(diff)
	}
}
