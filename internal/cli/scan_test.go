package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	checking "gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/config"
	"gatehouse/internal/report"
	"gatehouse/internal/report/reporttest"
	"gatehouse/internal/rule"
)

// machineOf unpacks a machine of testdata/machine, and makes it the one that is scanned.
func machineOf(tb testing.TB, name string) {
	tb.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "machine", name))
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	for _, file := range archive.Files {
		path := filepath.Join(dir, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, file.Data, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	project := filepath.Join(dir, "project")
	if err := os.MkdirAll(project, 0o700); err != nil {
		tb.Fatal(err)
	}
	tb.Setenv("HOME", filepath.Join(dir, "home"))
	tb.Setenv("XDG_CONFIG_HOME", "")
	tb.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	tb.Chdir(project)
}

func scanJSON(tb testing.TB) report.Report {
	tb.Helper()
	var out, errors bytes.Buffer
	if code := Run(context.Background(), []string{"scan", "--json", "--fail-on", "never"}, nil, &out, &errors); code != 0 {
		tb.Fatalf("exit code %d: %s", code, &errors)
	}
	var r report.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		tb.Fatal(err)
	}
	return r
}

func Test_what_is_printed_is_as_the_schema_says(t *testing.T) {
	valid := reporttest.Validator(t)
	machineOf(t, "twenty.txtar")
	var out bytes.Buffer
	for range 2 { // the second has something to be compared with
		out.Reset()
		if code := Run(context.Background(), []string{"scan", "--json", "--diff", "--fail-on", "never"}, nil, &out, io.Discard); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		if err := valid(out.Bytes()); err != nil {
			t.Error(err)
		}
	}
}

func Test_a_machine_with_twenty_servers(t *testing.T) {
	if os.PathSeparator != '/' {
		t.Skip("the files lie where Linux has them")
	}
	machineOf(t, "twenty.txtar")
	r := scanJSON(t)
	if s := r.Summary; s.Servers != 20 || s.Clients != 6 || s.Found != 6 || s.Parsed != 6 || !s.Complete || s.Findings.Total() == 0 {
		t.Errorf("%+v", s)
	}
}

// Fingerprints, also those of secrets, are the same in every run, so that runs can be
// compared.
func Test_two_scans_of_the_same_are_the_same(t *testing.T) {
	if os.PathSeparator != '/' {
		t.Skip("the files lie where Linux has them")
	}
	machineOf(t, "twenty.txtar")
	a, b := scanJSON(t), scanJSON(t)
	a.Time = b.Time
	one, _ := json.Marshal(a)
	other, _ := json.Marshal(b)
	if !bytes.Equal(one, other) {
		t.Errorf("%s\n%s", one, other)
	}
}

func Test_the_exit_code_says_the_most_certain_thing(t *testing.T) {
	read := func(in *report.Input) {
		for i := range in.Scene.Files {
			in.Scene.Files[i].State = client.Parsed
		}
	}
	nothing := func(in *report.Input) { read(in); in.Result.Findings = nil }
	kept := errors.New("not kept")
	for name, c := range map[string]struct {
		change  func(*report.Input)
		o       scanOptions
		least   rule.Severity
		notKept error
		want    int
	}{
		"found":                          {read, scanOptions{}, rule.High, nil, exitFindings},
		"found, and not all read":        {func(*report.Input) {}, scanOptions{}, rule.High, nil, exitFindings},
		"not all read":                   {func(*report.Input) {}, scanOptions{}, never, nil, exitIncomplete},
		"less than asked for":            {read, scanOptions{}, never, nil, exitOK},
		"a fact that was asked for":      {func(in *report.Input) { nothing(in); in.Problems = []string{"x"} }, scanOptions{}, never, nil, exitIncomplete},
		"a check that asked nobody":      {nothing, scanOptions{}, rule.Info, nil, exitOK},
		"and should have":                {nothing, scanOptions{complete: true}, rule.Info, nil, exitIncomplete},
		"no comparison":                  {nothing, scanOptions{diff: true}, rule.Info, kept, exitIncomplete},
		"no comparison, nobody asked":    {nothing, scanOptions{}, rule.Info, kept, exitOK},
		"found, and should have checked": {read, scanOptions{complete: true}, rule.High, nil, exitFindings},
	} {
		in := reporttest.Input()
		c.change(&in)
		code := exitOK
		if err := c.o.verdict(report.New(in), c.least, c.notKept); err != nil {
			code = exitCode(err)
		}
		if code != c.want {
			t.Errorf("%s: %d, want %d", name, code, c.want)
		}
	}
}

func Test_facts_that_cannot_be_had_are_said(t *testing.T) {
	machine := client.Machine{System: client.Linux, Projects: []string{t.TempDir()}}
	var seen *checking.Scene
	o := scanOptions{gather: func(_ context.Context, _ *cobra.Command, scene *checking.Scene) error {
		seen = scene
		scene.Facts.Used = func(string) checking.Use { return checking.Use{} }
		return exitWith(exitIncomplete, errors.New("the registry does not answer"))
	}}
	r, err := o.scan(&cobra.Command{}, machine, nil)
	if err != nil || r.Summary.Complete || len(r.Summary.Problems) != 1 || exitCode(o.verdict(r, never, nil)) != exitIncomplete {
		t.Errorf("%+v, %v", r, err)
	}
	if seen.Now.IsZero() || seen.Facts.Used == nil {
		t.Error("what was found out before the error is forgotten")
	}

	o.gather = func(context.Context, *cobra.Command, *checking.Scene) error {
		return exitWith(exitUsage, errors.New("no such registry"))
	}
	if r, err := o.scan(&cobra.Command{}, machine, nil); r != nil || exitCode(err) != exitUsage {
		t.Errorf("wrong usage: %+v, %v", r, err)
	}
}

func Test_colours_can_be_switched_off(t *testing.T) {
	for _, c := range []struct {
		noColour, term string
		want           bool
	}{{"", "xterm", true}, {"", "", true}, {"1", "xterm", false}, {"", "dumb", false}} {
		got := colours(func(name string) string { return map[string]string{"NO_COLOR": c.noColour, "TERM": c.term}[name] })
		if got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func Test_paths_are_relative_only_to_what_holds_all_projects(t *testing.T) {
	for _, c := range []struct {
		projects []string
		want     string
	}{
		{[]string{"/a"}, "/a"}, {[]string{"/a/b", "/a"}, "/a"}, {[]string{"/a", "/b"}, ""}, {[]string{"/ab", "/a"}, ""}, {[]string{"/a", "/"}, "/"},
	} {
		if got := rootOf(c.projects); got != c.want {
			t.Errorf("%v: %q, want %q", c.projects, got, c.want)
		}
	}
}

func Test_the_page_about_scans_says_what_is_so(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "scan*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	page := ""
	for _, name := range pages {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		page += string(raw)
	}
	newScanCommand().Flags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(page, "--"+f.Name) {
			t.Errorf("--%s is not in docs/scan*.md", f.Name)
		}
	})
	for _, m := range regexp.MustCompile("`(--[a-z-]+)").FindAllStringSubmatch(page, -1) {
		if newScanCommand().Flags().Lookup(m[1][2:]) == nil {
			t.Errorf("%s is no flag of scan", m[1])
		}
	}
	block := regexp.MustCompile("(?s)```yaml\n(suppressions:.*?)```").FindStringSubmatch(page)
	if block == nil {
		t.Fatal("docs/scan.md shows no suppressions")
	}
	path := filepath.Join(t.TempDir(), "s.yaml")
	if err := os.WriteFile(path, []byte(block[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := config.LoadCheckSuppressions(path); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

func BenchmarkScan(b *testing.B) {
	machineOf(b, "twenty.txtar")
	b.ReportAllocs()
	for b.Loop() {
		scanJSON(b)
	}
}
