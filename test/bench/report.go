package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

func (r report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s, %s, %d processors, %s in all. Medians of the rounds; in brackets the spread of the ratio.\n",
		r.Date.Format(time.DateOnly), r.Go, r.CPUs, r.Took.Round(time.Second))
	fmt.Fprintf(w, "Other programs used %.0f %% of the processors meanwhile.\n",
		100*r.Others.Seconds()/r.Took.Seconds()/float64(r.CPUs))
	title := ""
	for _, o := range r.Outcomes {
		if o.Title != title {
			title = o.Title
			fmt.Fprintf(w, "\n%s\n", title)
			fmt.Fprint(w, "sessions\ttarget\tcalls/s\tof proxy\t\tp50 µs\tp99 µs\tCPU µs/call\tof proxy\t\n")
		}
		o.print(w)
	}
	if r.Scan != nil {
		fmt.Fprintf(w, "\nScan of %d servers in %d clients, from start to end: %s, of which the processor %s.\n", scanServers, scanClients, millis(r.Scan.Took), millis(r.Scan.CPU))
	}
	if r.Cold != nil {
		fmt.Fprintf(w, "\nCold start to the first right answer: %s with a new server, %s with an approved one.\n",
			millis(r.Cold.New), millis(r.Cold.Approved))
	}
	if m := r.Memory; m != nil {
		fmt.Fprintf(w, "\nResident memory: idle %s, 64 sessions with 100 KB answers %s, %.1f KiB for each idle session.\n",
			mebi(m.Idle), mebi(m.Busy), float64(m.Session)/(1<<10))
	}
	r.printSandbox(w)
	r.printSteps(w)
	r.printDecisions(w)
	r.printGoals(w)
	return w.Flush()
}

func (o outcome) print(w io.Writer) {
	for _, name := range o.Targets {
		s := o.Samples[name]
		fmt.Fprintf(w, "%d\t%s\t%.0f\t", o.Sessions, name, median(each(s, rate)))
		if name == proxy {
			fmt.Fprint(w, "1\t\t")
		} else {
			ratios := o.ratios(name, proxy, rate)
			fmt.Fprintf(w, "%.2f\t(%.2f–%.2f)\t", median(ratios), slices.Min(ratios), slices.Max(ratios))
		}
		fmt.Fprintf(w, "%.0f\t%.0f\t", median(each(s, p50)), median(each(s, p99)))
		if name == direct {
			fmt.Fprint(w, "–\t–\t\n")
			continue
		}
		fmt.Fprintf(w, "%.1f\t%.2f\t\n", median(each(s, cpu)), median(o.ratios(name, proxy, cpu)))
	}
}

// sizes are the columns of the tables of steps, as the benchmarks name them.
var sizes = map[string][]string{
	"":     {"200B", "10KB", "100KB"},
	"Text": {"1KB", "10KB", "100KB", "1MB", "10MB"},
}

// columns are those of one table.
func columns(title string) []string {
	if own := sizes[title]; own != nil {
		return own
	}
	return sizes[""]
}

// printSteps prints what the benchmarks measured: one row for each step, one
// column for each size of the answer.
func (r report) printSteps(w io.Writer) {
	title := ""
	var row string
	cells := map[string]step{}
	titles := map[string]string{
		"Step":   "Each step of the pipeline on a tools/call of the legacy era, 200 B of text in",
		"Handle": "All steps together, without a network",
		"Rule":   "Inspecting the answer: all rules, and each by itself",
		"Text":   "All rules on texts of growing size, nothing else",
	}
	flush := func() {
		if row == "" {
			return
		}
		fmt.Fprintf(w, "%s\t", row)
		for _, size := range columns(title) {
			if s, ok := cells[size]; ok {
				fmt.Fprintf(w, "%.1f\t%d\t", s.Micros, s.Allocs)
			} else {
				fmt.Fprint(w, "\t\t")
			}
		}
		fmt.Fprintln(w)
		clear(cells)
	}
	for _, s := range r.Steps {
		parts := strings.Split(s.Name, "/")
		if len(parts) != 3 {
			continue
		}
		if group := parts[0]; group != title {
			flush()
			title, row = group, ""
			fmt.Fprintf(w, "\n%s\nsize of the answer%s\t\n", titles[title], "\t"+strings.Join(columns(title), "\t\t"))
			fmt.Fprintln(w, strings.Repeat("\tµs\tallocations", len(columns(title)))+"\t")
		}
		if parts[1] != row {
			flush()
			row = parts[1]
		}
		cells[parts[2]] = s
	}
	flush()
}

// goal is a figure that is to be reached.
type goal struct {
	what    string
	figure  float64
	least   bool // the figure is to be at least limit, not at most
	limit   float64
	measure string
}

func (r report) goals() []goal {
	var list []goal
	for _, o := range r.Outcomes {
		list = append(list, o.goals()...)
	}
	if r.Scan != nil {
		list = append(list, goal{"scan of 20 servers in 6 clients", float64(medianTime(r.Scan.Took)) / 1e6, false, 1000, "ms"})
	}
	if r.Cold != nil {
		list = append(list, goal{"cold start, approved server", float64(medianTime(r.Cold.Approved)) / 1e6, false, 50, "ms"})
	}
	if m := r.Memory; m != nil {
		list = append(list,
			goal{"memory, idle", float64(m.Idle) / (1 << 20), false, 20, "MiB"},
			goal{"memory, 64 sessions × 100 KB", float64(m.Busy) / (1 << 20), false, 60, "MiB"},
			goal{"memory, each idle session", float64(m.Session) / (1 << 10), false, 40, "KiB"})
	}
	return append(append(list, r.sandboxGoals()...), r.decisionGoals()...)
}

// leastRates are the calls per second to reach, as a share of the proxy's.
var leastRates = map[string]float64{
	"legacy-200B-16": 1.5, "legacy-200B-64": 1.5, "modern-200B-16": 1.5, "modern-200B-64": 1.5,
	"legacy-10KB-16": 0.7, "legacy-100KB-16": 0.4, "stdio-200B-16": 1,
}

func (o outcome) goals() []goal {
	name := gatehouse
	if len(o.Samples[piped]) > 0 {
		name = piped
	}
	var list []goal
	if limit, ok := leastRates[o.Name]; ok {
		list = append(list, goal{o.Name + ", calls/s", median(o.ratios(name, proxy, rate)), true, limit, "of proxy"})
	}
	switch o.Name {
	case "legacy-200B-16", "legacy-200B-64", "modern-200B-16", "modern-200B-64":
		list = append(list,
			goal{o.Name + ", CPU per call", median(o.ratios(name, proxy, cpu)), false, 0.75, "of proxy"},
			goal{o.Name + ", p99", median(o.ratios(name, proxy, p99)), false, 2, "of proxy"})
	case "legacy-200B-1", "modern-200B-1":
		added := func(target string) float64 {
			return median(each(o.Samples[target], p50)) - median(each(o.Samples[direct], p50))
		}
		list = append(list, goal{o.Name + ", added p50", added(name) / added(proxy), false, 1, "of proxy's"})
	case "list-1":
		list = append(list, goal{"tools/list of 500, CPU", median(each(o.Samples[name], cpu)) / 1000, false, 1, "ms"})
	}
	return list
}

func (r report) printGoals(w io.Writer) {
	goals := r.goals()
	if len(goals) == 0 {
		return
	}
	fmt.Fprint(w, "\nGoals\n\tmeasured\tgoal\t\treached\t\n")
	for _, g := range goals {
		sign, reached := "≤", g.figure <= g.limit
		if g.least {
			sign, reached = "≥", g.figure >= g.limit
		}
		answer := "no"
		if reached {
			answer = "yes"
		}
		fmt.Fprintf(w, "%s\t%.2f\t%s %g\t%s\t%s\t\n", g.what, g.figure, sign, g.limit, g.measure, answer)
	}
}

func medianTime(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[(len(sorted)-1)/2]
}

func millis(list []time.Duration) string {
	return fmt.Sprintf("%.1f ms (%.1f–%.1f)", float64(medianTime(list))/1e6, float64(slices.Min(list))/1e6, float64(slices.Max(list))/1e6)
}

func mebi(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
