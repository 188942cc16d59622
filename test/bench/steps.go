package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// step is the cost of one step of the pipeline, or of all of it.
type step struct {
	Package string  `json:"package"`
	Name    string  `json:"name"`
	Micros  float64 `json:"us"`
	Bytes   int     `json:"bytes"`
	Allocs  int     `json:"allocs"`
}

// benchmark is a line that `go test -bench` prints.
var benchmark = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op.*?\s(\d+) B/op\s+(\d+) allocs/op`)

// repeats of each benchmark. The fastest counts: what else the machine does only
// ever adds.
const repeats = "3"

func measureSteps(ctx context.Context) ([]step, error) {
	var out []step
	for _, name := range []string{"gateway", "inspect", "rules"} {
		found, err := benchmarks(ctx, name, "^Benchmark[A-Z]")
		if err != nil {
			return out, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// benchmarks runs those of a package whose names match.
func benchmarks(ctx context.Context, pkg, pattern string) ([]step, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchtime", "50ms", "-count", repeats, "-benchmem", "./internal/"+pkg)
	text, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("running the benchmarks of %s: %w\n%s", pkg, err, bytes.TrimSpace(text))
	}
	return readSteps(pkg, text)
}

// readSteps finds the fastest run of each benchmark, in their order.
func readSteps(pkg string, text []byte) ([]step, error) {
	var out []step
	for _, m := range benchmark.FindAllSubmatch(text, -1) {
		nanos, err := strconv.ParseFloat(string(m[2]), 64)
		if err != nil {
			return nil, err
		}
		size, _ := strconv.Atoi(string(m[3])) // digits, by the expression
		allocs, _ := strconv.Atoi(string(m[4]))
		got := step{pkg, strings.ReplaceAll(string(m[1]), "_", " "), nanos / 1000, size, allocs}
		at := slices.IndexFunc(out, func(s step) bool { return s.Name == got.Name })
		switch {
		case at < 0:
			out = append(out, got)
		case got.Micros < out[at].Micros:
			out[at] = got
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the benchmarks of %s printed nothing that could be read", pkg)
	}
	return out, nil
}
