package main

import (
	"context"
	"fmt"
	"io"
	"slices"
)

// decisions are what every call pays for where somebody says who may do what, and how
// much each may take at most, in microseconds.
var decisions = []struct {
	pkg, pattern string
	name         string // of the benchmark, as readSteps writes it
	what         string
	most         float64
}{
	{"identity", "^BenchmarkIdentify_cached_token$", "Identify cached token", "who it is: a token that was seen before", 1},
	{"halt", "^BenchmarkRefuses$/^others$", "Refuses/others", "whether it is halted, with 100 halts", 1},
	{"policy", "^BenchmarkDecide_20$", "Decide 20", "whether it may be, by 20 policies", 5},
	{"policy", "^BenchmarkDecide_1000$", "Decide 1000", "whether it may be, by 1,000 policies", 10},
	{"limit", "^BenchmarkTake$/^journal$", "Take/journal", "five quotas, taken, kept and ended", 1},
}

func measureDecisions(ctx context.Context) ([]step, error) {
	var out []step
	for _, d := range decisions {
		found, err := benchmarks(ctx, d.pkg, d.pattern)
		if err != nil {
			return out, err
		}
		at := slices.IndexFunc(found, func(s step) bool { return s.Name == d.name })
		if at < 0 {
			return out, fmt.Errorf("the benchmarks of %s have no %s", d.pkg, d.name)
		}
		out = append(out, found[at])
	}
	return out, nil
}

func (r report) printDecisions(w io.Writer) {
	if len(r.Decisions) == 0 {
		return
	}
	fmt.Fprint(w, "\nWho may do what, and how much: what it adds to a call\n\tµs\tallocations\t\n")
	for n, s := range r.Decisions {
		fmt.Fprintf(w, "%s\t%.2f\t%d\t\n", decisions[n].what, s.Micros, s.Allocs)
	}
}

func (r report) decisionGoals() (list []goal) {
	for n, s := range r.Decisions {
		list = append(list, goal{decisions[n].what, s.Micros, false, decisions[n].most, "µs"})
	}
	return list
}
