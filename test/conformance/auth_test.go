package conformance

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// fewestAuthRuns are the scenarios of the suite's version, at each of their
	// revisions. Fewer did not test what they seem to test.
	fewestAuthRuns = 48
	scenarioLimit  = time.Minute // for one run; two seconds are usual
)

// TestConformance_auth_the_gateway_is_the_OAuth_client runs every auth scenario
// twice: with the SDK's client, which is the measure, and with authclient, which
// puts the gateway between a client without any credentials and the suite's server.
// With GATEHOUSE_AUTH_REPORT the runs are also written there, as JSON.
func TestConformance_auth_the_gateway_is_the_OAuth_client(t *testing.T) {
	tools := findTools(t)
	bin := filepath.Dir(tools.server)
	direct, through := filepath.Join(bin, "everything-client"), filepath.Join(bin, "authclient")
	for _, path := range []string{direct, through} {
		if _, err := os.Stat(path); err != nil {
			missing(t, "%v; `make tools` installs it", err)
		}
	}
	through += " -gatehouse " + buildGateway(t)
	runs := tools.authScenarios(t)
	if len(runs) < fewestAuthRuns {
		t.Errorf("the suite has %d auth scenarios and revisions, want at least %d", len(runs), fewestAuthRuns)
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
			r.Reason = authReasons[r.Scenario]
		})
	}
	working.Wait()
	t.Logf("checks passed/failed:\n%s", AuthTable(runs))
	for _, problem := range CompareAuth(runs) {
		t.Error(problem)
	}
	if path := os.Getenv("GATEHOUSE_AUTH_REPORT"); path != "" {
		writeReport(t, path, runs)
	}
}

func writeReport(t *testing.T, path string, runs []AuthRun) {
	t.Helper()
	text, err := json.MarshalIndent(runs, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

var authLine = regexp.MustCompile(`^  - (auth/\S+) \[([^\]]*)\]`)

// authScenarios asks the suite what it has, at every revision.
func (tl tools) authScenarios(t *testing.T) []AuthRun {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), tl.node, tl.suite, "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	var runs []AuthRun
	for line := range strings.Lines(string(output)) {
		m := authLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for revision := range strings.SplitSeq(m[2], ",") {
			runs = append(runs, AuthRun{Scenario: m[1], Revision: revision})
		}
	}
	slices.SortFunc(runs, func(a, b AuthRun) int {
		return strings.Compare(a.Scenario+" "+a.Revision, b.Scenario+" "+b.Revision)
	})
	return runs
}

// runScenario runs one scenario with a command to which the suite adds its URL. A
// client that gives up, as some scenarios want, fails the command and not the run.
func (tl tools) runScenario(t *testing.T, command string, r AuthRun) Checks {
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
	files, err := filepath.Glob(filepath.Join(dir, "auth", "*", "checks.json"))
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

func TestCompareAuth(t *testing.T) {
	reasoned := AuthRun{Scenario: "auth/dpop", Gateway: Checks{"x": "FAILURE"}, Reason: "r"}
	nonce, wif := reasoned, reasoned
	nonce.Scenario, wif.Scenario = "auth/dpop-nonce", "auth/wif-jwt-bearer"
	rest := []AuthRun{reasoned, nonce, wif}
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
		runs := slices.Concat(rest, []AuthRun{{Scenario: "auth/x", Direct: test.direct, Gateway: test.gateway}})
		got := strings.Join(CompareAuth(runs), "\n")
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	if got := strings.Join(CompareAuth(nil), "\n"); strings.Count(got, "take its reason from the list") != len(authReasons) {
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
