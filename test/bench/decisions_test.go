package main

import (
	"strings"
	"testing"
)

func TestDecisionGoals(t *testing.T) {
	var r report
	for _, d := range decisions {
		r.Decisions = append(r.Decisions, step{Package: d.pkg, Name: d.name, Micros: d.most})
	}
	r.Decisions[0].Micros *= 1.01
	r.Took = 1
	var out strings.Builder
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	if yes, no := strings.Count(out.String(), "  yes"), strings.Count(out.String(), "  no"); yes != len(decisions)-1 || no != 1 {
		t.Errorf("%d goals are reached and %d are not:\n%s", yes, no, out.String())
	}
}
