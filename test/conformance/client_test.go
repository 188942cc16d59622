package conformance

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/test/program"
)

const (
	// fewestClientRuns are the scenarios of the suite's version, at each of their
	// revisions. Fewer did not test what they seem to test.
	fewestClientRuns = 61
	scenarioLimit    = time.Minute // for one run; two seconds are usual
)

// clients runs every client scenario twice: with the SDK's client, which is the
// measure, and with the gateway between the same client and the suite's server. In
// the auth scenarios the client behind the gateway has no credentials at all.
func clients(t *testing.T, tools tools) []ClientRun {
	bin := filepath.Dir(tools.server)
	direct, through := filepath.Join(bin, "everything-client"), filepath.Join(bin, "throughclient")
	for _, path := range []string{direct, through} {
		if _, err := os.Stat(path); err != nil {
			program.Missing(t, "%v; `make tools` installs it", err)
		}
	}
	through += " -gatehouse " + buildGateway(t) + " -client " + direct
	runs := tools.clientScenarios(t)
	if len(runs) < fewestClientRuns {
		t.Errorf("the suite has %d client scenarios and revisions, want at least %d", len(runs), fewestClientRuns)
	}
	// Half of the time of a run is waiting, so two at once are twice as fast.
	var working sync.WaitGroup
	slots := make(chan struct{}, 2)
	for i := range runs {
		working.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			r := &runs[i]
			r.Direct = tools.runScenario(t, direct, *r)
			r.Gateway = tools.runScenario(t, through, *r)
			r.Reason = clientReasons[r.Scenario]
		})
	}
	working.Wait()
	t.Logf("checks passed/failed:\n%s", ClientTable(runs))
	for _, problem := range CompareClients(runs) {
		t.Error(problem)
	}
	return runs
}

var clientLine = regexp.MustCompile(`^  - (\S+) \[([^\]]*)\]`)

// elsewhere are scenarios for which the SDK's client has no part: they are about
// what a client does with skills.
func elsewhere(scenario string) bool { return strings.HasPrefix(scenario, "sep-2640") }

// clientScenarios asks the suite what it has, at every revision.
func (tl tools) clientScenarios(t *testing.T) []ClientRun {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), tl.node, tl.suite, "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(output), "\nClient scenarios")
	if !found {
		t.Fatalf("the suite lists no client scenarios:\n%s", output)
	}
	list, _, _ = strings.Cut(list, "\n\n")
	var runs []ClientRun
	for line := range strings.Lines(list) {
		m := clientLine.FindStringSubmatch(line)
		if m == nil || elsewhere(m[1]) {
			continue
		}
		for revision := range strings.SplitSeq(m[2], ",") {
			runs = append(runs, ClientRun{Scenario: m[1], Revision: revision})
		}
	}
	slices.SortFunc(runs, func(a, b ClientRun) int {
		return strings.Compare(a.Scenario+" "+a.Revision, b.Scenario+" "+b.Revision)
	})
	return runs
}

// runScenario runs one scenario with a command to which the suite adds its URL. A
// client that gives up, as some scenarios want, fails the command and not the run.
func (tl tools) runScenario(t *testing.T, command string, r ClientRun) Checks {
	ctx, cancel := context.WithTimeout(t.Context(), scenarioLimit)
	defer cancel()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Error(err)
		return nil
	}
	args := []string{tl.suite, "client", "--command", command, "--scenario", r.Scenario, "-o", dir}
	if r.Revision != "extension" {
		args = append(args, "--spec-version", r.Revision)
	}
	output, runErr := exec.CommandContext(ctx, tl.node, args...).CombinedOutput()
	nested, err := filepath.Glob(filepath.Join(dir, "*", "*", "checks.json"))
	flat, _ := filepath.Glob(filepath.Join(dir, "*", "checks.json")) // the pattern is ours
	files := append(nested, flat...)
	if err != nil || len(files) != 1 {
		t.Errorf("%s (%s): %d results, want one: %v, %v\n%s", r.Scenario, r.Revision, len(files), err, runErr, output)
		return nil
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Error(err)
		return nil
	}
	checks, err := ParseChecks(raw)
	if err != nil {
		t.Errorf("%s (%s): %v", r.Scenario, r.Revision, err)
	}
	return checks
}

func TestCompareClients(t *testing.T) {
	reasoned := ClientRun{Scenario: "auth/dpop", Gateway: Checks{"x": "FAILURE"}, Reason: "r"}
	nonce := reasoned
	nonce.Scenario = "auth/dpop-nonce"
	rest := []ClientRun{reasoned, nonce}
	good := Checks{"a": "SUCCESS", "b": "SUCCESS"}
	for _, test := range []struct {
		name            string
		direct, gateway Checks
		want            string
	}{
		{"the same", good, good, ""},
		{"more", Checks{"a": "SUCCESS"}, good, ""},
		{"better", Checks{"a": "FAILURE", "b": "WARNING"}, good, ""},
		{"lost", good, Checks{"a": "SUCCESS"}, "lost with the gateway: b"},
		{"fails", good, Checks{"a": "SUCCESS", "b": "FAILURE"}, "does not pass with the gateway: b"},
		{"warns", good, Checks{"a": "SUCCESS", "b": "WARNING"}, "does not pass with the gateway: b"},
		{"fails both times", Checks{"a": "FAILURE"}, Checks{"a": "FAILURE"}, "does not pass with the gateway: a"},
		{"nothing was checked", nil, nil, "does not pass with the gateway"},
	} {
		runs := slices.Concat(rest, []ClientRun{{Scenario: "auth/x", Direct: test.direct, Gateway: test.gateway}})
		got := strings.Join(CompareClients(runs), "\n")
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	if got := strings.Join(CompareClients(nil), "\n"); strings.Count(got, "take its reason from the list") != len(clientReasons) {
		t.Errorf("reasons that nothing needs: %q", got)
	}
	checks, err := ParseChecks([]byte(`[{"id":"a","status":"INFO"},{"id":"b","status":"FAILURE"},{"id":"b","status":"SUCCESS"},{"id":"c","status":"SUCCESS"},{"id":"c","status":"WARNING"}]`))
	if err != nil || len(checks) != 2 || checks["b"] != "FAILURE" || checks["c"] != "WARNING" {
		t.Errorf("ParseChecks: %v, %v", checks, err)
	}
	if _, err := ParseChecks([]byte(`{`)); err == nil {
		t.Error("half a document was read")
	}
}
