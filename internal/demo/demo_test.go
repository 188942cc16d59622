package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"gatehouse/internal/cli"
	"gatehouse/internal/demo"
	"gatehouse/internal/rule"
	"gatehouse/internal/rules"
)

// TestMain makes this test program gatehouse itself when it is called by that
// name, so that the demo starts the code under test.
func TestMain(m *testing.M) {
	if strings.HasPrefix(filepath.Base(os.Args[0]), "gatehouse") {
		os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// gatehouse is the path of a program that is gatehouse.
func gatehouse(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "gatehouse"+filepath.Ext(self))
	if err := os.Symlink(self, name); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	return name
}

// options need the real file server.
func options(t *testing.T) demo.Options {
	t.Helper()
	server, err := filepath.Abs(filepath.Join("..", "..", "test", "node", "node_modules", ".bin", "mcp-server-filesystem"))
	if err == nil {
		_, err = os.Stat(server)
	}
	if err != nil {
		if os.Getenv("GATEHOUSE_TOOLS") == "required" {
			t.Fatalf("%v; run make tools", err)
		}
		t.Skipf("%v; run make tools", err)
	}
	return demo.Options{Gatehouse: gatehouse(t), Filesystem: []string{server}, Dir: filepath.Join(t.TempDir(), "played")}
}

func TestDemo_every_attack_succeeds_without_and_fails_with_gatehouse(t *testing.T) {
	o := options(t)
	report, err := demo.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Scenes) != 4 || !report.OK {
		t.Errorf("OK = %t with %d scenes", report.OK, len(report.Scenes))
	}
	for _, s := range report.Scenes {
		if s.Without.Stolen == "" {
			t.Errorf("%s: nothing was stolen without Gatehouse", s.Name)
		}
		if s.With.Stolen != "" || !s.With.Honest {
			t.Errorf("%s with Gatehouse: stolen %q, honest work done %t", s.Name, s.With.Stolen, s.With.Honest)
		}
		if s.With.Records == 0 {
			t.Errorf("%s: the audit log is empty", s.Name)
		}
	}
	for name, want := range map[string]string{
		"poisoned-description": "quarantined by tool-poisoning",
		"redefined-tool":       "mail__send_message allowed",
		"rug-pull":             "drift",
		"injected-result":      "redacted by concealment",
	} {
		if got := printed(t, report, name); !strings.Contains(got, want) {
			t.Errorf("%s: the reason does not say %q:\n%s", name, want, got)
		}
	}
	assertOneScreen(t, report)
	assertNothingRuns(t, o.Dir)
}

// printed is how one scene is printed.
func printed(t *testing.T, report *demo.Report, name string) string {
	t.Helper()
	for _, s := range report.Scenes {
		if s.Name == name {
			var out bytes.Buffer
			if err := (&demo.Report{Scenes: []demo.Scene{s}}).Print(&out, demo.Look{}); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
	}
	t.Fatalf("there is no scene %s", name)
	return ""
}

func assertOneScreen(t *testing.T, report *demo.Report) {
	t.Helper()
	var out bytes.Buffer
	if err := report.Print(&out, demo.Look{}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) > 40 {
		t.Errorf("%d lines, want at most 40", len(lines))
	}
	for _, line := range lines {
		if utf8.RuneCountInString(line) > 100 {
			t.Errorf("over 100 columns: %s", line)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("colours without being asked for")
	}
}

// assertNothingRuns looks for processes that name the folder of the demo.
func assertNothingRuns(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(names) == 0 {
		t.Log("no /proc here: processes are not looked for")
		return
	}
	for _, name := range names {
		if words, err := os.ReadFile(name); err == nil && bytes.Contains(words, []byte(dir)) {
			t.Errorf("still runs: %q", bytes.ReplaceAll(words, []byte{0}, []byte{' '}))
		}
	}
}

// Each scene with its guard taken away: the attack must pass, or the demo would
// show nothing.
func TestDemo_without_its_guard_each_attack_passes_through_gatehouse(t *testing.T) {
	var all []string
	for _, r := range rules.All() {
		all = append(all, r.ID)
	}
	o := options(t)
	for name, loosened := range map[string]demo.Loosened{
		"poisoned-description": {Reporting: all},
		"redefined-tool":       {Reporting: all, Apart: true},
		"rug-pull":             {Reporting: all, Approve: true},
		"injected-result":      {Reporting: all},
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Dir = filepath.Join(t.TempDir(), "played")
			result, err := demo.PlayLoosened(t.Context(), o, name, loosened)
			if err != nil {
				t.Fatal(err)
			}
			if result.Stolen == "" {
				t.Errorf("nothing was stolen; steps %+v, log %+v", result.Steps, result.Log)
			}
			assertNothingRuns(t, o.Dir)
		})
	}
}

// The approval of the first form must hold by itself: no rule has a say here.
func TestDemo_a_changed_definition_is_withheld_even_if_all_rules_only_report(t *testing.T) {
	var all []string
	for _, r := range rules.All() {
		all = append(all, r.ID)
	}
	o := options(t)
	result, err := demo.PlayLoosened(t.Context(), o, "rug-pull", demo.Loosened{Reporting: all})
	if err != nil {
		t.Fatal(err)
	}
	if result.Stolen != "" {
		t.Error(result.Stolen)
	}
}

func TestRun_ended_early_leaves_nothing_running(t *testing.T) {
	o := options(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o.Progress = func(int, int) { stop() } // others are being played by now
	if _, err := demo.Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	assertNothingRuns(t, o.Dir)
}

func TestDemo_command_leaves_nothing_and_prints_json(t *testing.T) {
	o := options(t)
	temporary := t.TempDir()
	cmd := exec.Command(o.Gatehouse, "demo", "--json", "--filesystem", o.Filesystem[0])
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
	cmd.Dir = temporary
	// The demo finds itself by the path of the running program, which in a test is
	// not called gatehouse; so the command is run where that is the same file.
	self := filepath.Join(temporary, "gatehouse"+filepath.Ext(o.Gatehouse))
	copyProgram(t, o.Gatehouse, self)
	cmd.Path = self
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var report demo.Report
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if report.Schema != 1 || !report.OK || len(report.Scenes) != 4 {
		t.Errorf("schema %d, OK %t, %d scenes", report.Schema, report.OK, len(report.Scenes))
	}
	left, err := filepath.Glob(filepath.Join(temporary, "gatehouse-demo-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	assertNothingRuns(t, filepath.Join(temporary, "gatehouse-demo-"))
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	program, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, program, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestDemo_command_says_what_to_do_without_the_file_server(t *testing.T) {
	program := gatehouse(t)
	for name, command := range map[string]string{"no such program": "no-such-program-anywhere", "ends at once": "false"} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			cmd := exec.Command(program, "demo", "--filesystem", command)
			cmd.Stderr = &stderr
			err := cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != 3 {
				t.Errorf("exit code %d (%v), want 3", code, err)
			}
			for _, want := range []string{"server-filesystem", "Node.js", "--filesystem"} {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("the error does not say %q: %s", want, stderr.String())
				}
			}
		})
	}
}

func TestRun_refuses_a_folder_that_holds_something(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := demo.Run(t.Context(), demo.Options{Dir: dir}); err == nil {
		t.Error("no error")
	}
	entries, err := fs.ReadDir(os.DirFS(dir), ".")
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder was changed: %v %v", entries, err)
	}
}

// The secret must be one that a service could have issued, or the demo would show
// how a made-up form is recognised.
func TestKey_is_recognised_as_what_it_looks_like(t *testing.T) {
	key := demo.NewKey()
	if key == demo.NewKey() {
		t.Error("the same key twice")
	}
	for _, r := range rules.All() {
		if r.ID != "secret-exposed" {
			continue
		}
		matches, err := r.Detect(rule.Subject{Surface: rule.ToolResult, Text: key})
		if err != nil || len(matches) != 1 || matches[0].Severity == rule.Medium {
			t.Errorf("matches %+v, error %v; want one that is certain", matches, err)
		}
		return
	}
	t.Error("there is no rule secret-exposed")
}
