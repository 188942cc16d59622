package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func runRules(args ...string) (string, error) {
	var out bytes.Buffer
	command := newRulesCommand()
	command.SilenceErrors, command.SilenceUsage = true, true
	command.SetArgs(args)
	command.SetOut(&out)
	err := command.Execute()
	return out.String(), err
}

func TestRules_list(t *testing.T) {
	if out, err := runRules("list"); err != nil || !strings.Contains(out, "tool-poisoning") {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestRules_explain(t *testing.T) {
	if out, err := runRules("explain", "hidden-text"); err != nil || !strings.Contains(out, "## What to do") {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestRules_json(t *testing.T) {
	out, err := runRules("explain", "hidden-text", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var got explained
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.ID != "hidden-text" || !strings.Contains(got.Doc, "## Bad") {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestRules_explain_of_no_rule(t *testing.T) {
	if _, err := runRules("explain", "no-such-rule"); err == nil || !strings.Contains(err.Error(), "rules list") {
		t.Errorf("got %v, want an error that says how to find rules", err)
	}
}
