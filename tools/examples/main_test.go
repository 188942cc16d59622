package main

import (
	"bytes"
	"io"
	"os"
	"slices"
	"testing"

	"gatehouse/internal/evaluate"
	"gatehouse/internal/inspect"
	"gatehouse/internal/rule"
	"gatehouse/internal/rules"
)

// All rules together flag every example that one of them acts on.
func Test_every_attack_among_the_examples_is_found(t *testing.T) {
	t.Chdir("../..")
	var corpus bytes.Buffer
	if err := write(&corpus, rules.All()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("internal/rules"); err != nil {
		t.Fatal(err)
	}
	report, err := evaluate.Run(inspect.New(rules.All(), nil), []evaluate.Corpus{{
		Name: "examples", Open: func() (io.ReadCloser, error) { return io.NopCloser(&corpus), nil },
	}}, evaluate.Options{})
	if err != nil || report.ProblemCount > 0 || report.RepeatedIDs > 0 {
		t.Fatalf("%v, problems %v, repeated IDs %d", err, report.Problems, report.RepeatedIDs)
	}
	all := report.Overall
	attacks := slices.DeleteFunc(rules.All(), func(r rule.Rule) bool { return r.Exposure })
	if all.Found != all.Attacks || len(report.ByCategory) != len(attacks) {
		t.Errorf("found %d of %d attacks in %d rules of %d", all.Found, all.Attacks, len(report.ByCategory), len(attacks))
	}
	for id, group := range report.ByCategory {
		if group.Attacks == 0 || group.Benign == 0 {
			t.Errorf("%s has %d attacks and %d benign examples", id, group.Attacks, group.Benign)
		}
	}
}
