package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/internal/checks"
)

func TestChecks_list(t *testing.T) {
	code, out, stderr := program("checks", "list")
	if code != 0 || strings.Count(out, "\n") != len(checks.All())+1 || !strings.Contains(out, "plain-secret") {
		t.Errorf("%d %q %q", code, out, stderr)
	}
}

func TestChecks_explain(t *testing.T) {
	code, out, _ := program("checks", "explain", "broad-root")
	if code != 0 || !strings.Contains(out, "## How to fix it") || !strings.Contains(out, "\n\ncheck     broad-root\nseverity  high\nsee also  CWE-552: Files or Directories Accessible to External Parties\n          CWE-732") {
		t.Errorf("%d %q", code, out)
	}
	if _, out, _ := program("checks", "explain", "toxic-combination"); !strings.Contains(out, "docs/sandbox.md") || strings.Contains(out, "](") {
		t.Errorf("nobody can follow a link in a terminal: %q", out)
	}
	if code, _, stderr := program("checks", "explain", "nothing"); code == 0 || !strings.Contains(stderr, "gatehouse checks list") {
		t.Errorf("%d %q", code, stderr)
	}
}

func TestChecks_json(t *testing.T) {
	_, out, _ := program("checks", "explain", "broad-root", "--json")
	var one described
	if err := json.Unmarshal([]byte(out), &one); err != nil || one.ID != "broad-root" || one.Doc == "" {
		t.Errorf("%v in %q", err, out)
	}
	_, out, _ = program("checks", "list", "--json")
	var all []described
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != len(checks.All()) || strings.Contains(out, `"doc"`) {
		t.Errorf("%v in %q", err, out)
	}
}

func Test_shells_complete_checks(t *testing.T) {
	_, out, _ := program("__complete", "checks", "explain", "")
	if !strings.Contains(out, "open-file\n") {
		t.Errorf("%q", out)
	}
}
