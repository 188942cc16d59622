package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// scenario is one load, put on several targets in turn.
type scenario struct {
	name     string // what -only matches
	title    string
	work     work
	sessions int
	targets  []string
}

// The targets. proxy is what the others are compared with.
const (
	direct    = "direct"
	proxy     = "proxy"
	gatehouse = "gatehouse"
	joined    = "gatehouse, joined"
	piped     = "gatehouse, stdio"
)

func scenarios() []scenario {
	var list []scenario
	add := func(name, title string, w work, sessions int, targets ...string) {
		list = append(list, scenario{fmt.Sprintf("%s-%d", name, sessions), title, w, sessions, targets})
	}
	for _, sessions := range []int{1, 16, 64} {
		add("legacy-200B", "tools/call, 200 B there and back, legacy era", work{legacy, "echo", 200}, sessions, direct, proxy, gatehouse, joined)
	}
	for _, sessions := range []int{1, 16, 64} {
		add("modern-200B", "tools/call, 200 B there and back, modern era", work{modern, "echo", 200}, sessions, direct, proxy, gatehouse)
	}
	add("legacy-10KB", "tools/call, 10 KB back, legacy era", work{legacy, "page", 10_000}, 16, direct, proxy, gatehouse)
	add("legacy-100KB", "tools/call, 100 KB back, legacy era", work{legacy, "page", 100_000}, 16, direct, proxy, gatehouse)
	add("stdio-200B", "tools/call, 200 B there and back, a stdio server behind the gateway", work{legacy, "echo", 200}, 16, direct, proxy, piped)
	add("list", fmt.Sprintf("tools/list of %d tools, legacy era", catalogSize), work{legacy, listTool, 200}, 1, direct, proxy, gatehouse, joined)
	return list
}

// outcome is what a scenario gave: one sample for each target and round.
type outcome struct {
	Name     string              `json:"name"`
	Title    string              `json:"-"`
	Sessions int                 `json:"sessions"`
	Targets  []string            `json:"-"`
	Samples  map[string][]sample `json:"samples"`
}

// run measures all targets in each round, one after the other, so that whatever
// else the machine does meets all of them.
func (s scenario) run(ctx context.Context, field *field, o options) (out outcome, err error) {
	out = outcome{Name: s.name, Title: s.title, Sessions: s.sessions, Targets: s.targets, Samples: map[string][]sample{}}
	var crowds []*crowd
	defer func() {
		for _, c := range crowds {
			err = errors.Join(err, c.close())
		}
	}()
	for _, name := range s.targets {
		c, err := gather(field.target(name, s.work.tool == listTool), s.work, s.sessions)
		if err != nil {
			return out, err
		}
		crowds = append(crowds, c)
	}
	for range o.rounds {
		for _, c := range crowds {
			got, err := c.run(ctx, o.warm(), o.duration)
			if err != nil {
				return out, err
			}
			out.Samples[c.target.name] = append(out.Samples[c.target.name], got)
		}
	}
	return out, nil
}

// median is the middle of some figures; of an even number, the lower of the two.
func median(figures []float64) float64 {
	if len(figures) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(figures))
	return sorted[(len(sorted)-1)/2]
}

// each is one figure of every sample.
func each(samples []sample, figure func(sample) float64) []float64 {
	out := make([]float64, len(samples))
	for i, s := range samples {
		out[i] = figure(s)
	}
	return out
}

// ratios compares two targets round by round.
func (o outcome) ratios(name, base string, figure func(sample) float64) []float64 {
	a, b := o.Samples[name], o.Samples[base]
	var out []float64
	for i := range min(len(a), len(b)) {
		if below := figure(b[i]); below > 0 {
			out = append(out, figure(a[i])/below)
		}
	}
	return out
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func p50(s sample) float64 { return micros(s.P50) }
func p99(s sample) float64 { return micros(s.P99) }
func cpu(s sample) float64 { return s.cpu() / float64(time.Microsecond) }
func rate(s sample) float64 {
	return s.rate()
}
