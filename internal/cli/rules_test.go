package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
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
	if out, err := runRules("explain", "hidden-text"); err != nil || !strings.Contains(out, "## What to do") || !strings.Contains(out, "\n\nrule      hidden-text\nseverity  high\nread      ") {
		t.Errorf("got %q, %v", out, err)
	}
}

func Test_a_page_in_a_terminal_has_no_links(t *testing.T) {
	got := readable("# R\n\nLearnt ([the model](../model.md#size), [a list](https://example.org/x)), see [x](y.md).\n\n```\n[a](../b)\n```\n[c](d.md)\n", "docs/rules")
	want := "# R\n\nLearnt (the model (docs/model.md#size), a list (https://example.org/x)), see x (docs/rules/y.md).\n\n```\n[a](../b)\n```\nc (docs/rules/d.md)"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func Test_links_of_the_pages_lead_to_files(t *testing.T) {
	for _, c := range []catalogue{ruleCatalogue, checkCatalogue} {
		for _, d := range c.all() {
			for _, m := range link.FindAllStringSubmatch(inFences.ReplaceAllString(d.Doc, ""), -1) {
				file, _, _ := strings.Cut(target(m[2], c.folder), "#")
				if _, err := os.Stat(filepath.Join("..", "..", file)); err != nil && !strings.Contains(file, "://") {
					t.Errorf("%s: %s: %v", d.ID, m[0], err)
				}
			}
		}
	}
}

func TestRules_json(t *testing.T) {
	out, err := runRules("explain", "hidden-text", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var got described
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.ID != "hidden-text" || !strings.Contains(got.Doc, "## Bad") {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestRules_explain_of_no_rule(t *testing.T) {
	if _, err := runRules("explain", "no-such-rule"); err == nil || !strings.Contains(err.Error(), "rules list") {
		t.Errorf("got %v, want an error that says how to find rules", err)
	}
}
