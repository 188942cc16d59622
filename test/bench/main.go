// Command bench measures the gateway beside a direct connection and beside Go's
// bare httputil.ReverseProxy, in one run on one machine, and the cost of each step
// of the pipeline. It starts everything it needs on 127.0.0.1, checks every answer
// byte for byte, and ends what it started. docs/performance.md says how to read
// what it prints.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

type options struct {
	duration time.Duration // of one measurement
	rounds   int
	json     bool
	only     *regexp.Regexp
	binary   string
	soak     time.Duration // instead of measuring; 0 is no soak
	quotas   time.Duration // instead of measuring; 0 is no such run
}

// warm is how long calls run before they are counted.
func (o options) warm() time.Duration { return max(20*time.Millisecond, o.duration/5) }

// wants reports whether a part of the run was asked for.
func (o options) wants(name string) bool { return o.only == nil || o.only.MatchString(name) }

// longest is how long a run may take, whatever happens.
const longest = time.Hour

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx) // what broke after that is no news
		}
		fmt.Fprintln(os.Stderr, "bench:", err)
		cancel()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 {
		switch args[0] { // the parts in which this program starts itself
		case "stub":
			return serveStubs(untilEnd(ctx))
		case "stub-stdio":
			return newStub([]byte(twoTools)).serveStdio(os.Stdin, os.Stdout)
		case "stub-download":
			if len(args) == 4 {
				return serveDownloads(args[1], args[2], args[3])
			}
		case "proxy":
			return serveProxy(untilEnd(ctx), args[1])
		}
	}
	o, err := readOptions(args)
	if err != nil {
		return err
	}
	return o.measure(ctx, out)
}

// untilEnd ends with stdin, which the parent holds open as long as it lives.
func untilEnd(ctx context.Context) context.Context {
	ctx, stop := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is all that counts
		stop()
	}()
	return ctx
}

func readOptions(args []string) (options, error) {
	var o options
	var only string
	f := flag.NewFlagSet("bench", flag.ExitOnError)
	f.DurationVar(&o.duration, "duration", 250*time.Millisecond, "`TIME` of one measurement; there is one for each target in each round")
	f.IntVar(&o.rounds, "rounds", 5, "rounds of each scenario")
	f.BoolVar(&o.json, "json", false, "print all samples as JSON")
	f.StringVar(&only, "only", "", "measure only what matches this `REGEXP`: names of scenarios such as legacy-200B-16, and cold, scan, memory, sandbox, steps, decisions")
	f.StringVar(&o.binary, "binary", "", "measure this `FILE` instead of building the gateway")
	f.DurationVar(&o.soak, "soak", 0, "instead of measuring, let 64 sessions call for this `TIME` and watch errors and memory")
	f.DurationVar(&o.quotas, "quotas", 0, "instead of measuring, let 100 users call 50 tools for this `TIME` and count what quotas let through")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.duration <= 0 || o.rounds < 1 {
		return o, errors.New("bench takes no arguments, and -duration and -rounds are above zero")
	}
	if only == "" {
		return o, nil
	}
	var err error
	o.only, err = regexp.Compile(only)
	return o, err
}

// report is everything that was measured.
type report struct {
	Date     time.Time    `json:"date"`
	Go       string       `json:"go"`
	CPUs     int          `json:"cpus"`
	Outcomes []outcome    `json:"scenarios"`
	Cold     *coldStart   `json:"cold_start,omitempty"`
	Memory   *memory      `json:"memory,omitempty"`
	Steps    []step       `json:"steps,omitempty"`
	Sandbox  *sandboxCost `json:"sandbox,omitempty"`
	Scan     *scanned     `json:"scan,omitempty"`
	// Decisions are in the order of decisions.
	Decisions []step        `json:"decisions,omitempty"`
	Took      time.Duration `json:"took_ns"`
	Others    time.Duration `json:"others_cpu_ns"` // processor time of other programs meanwhile
}

func (o options) measure(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.quotas > 0 {
		return o.quotasFor(ctx, dir, out)
	}
	if o.soak > 0 {
		f, err := prepare(ctx, dir, o)
		defer f.close()
		if err != nil {
			return err
		}
		return o.soakFor(ctx, f, out)
	}
	r := report{Date: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), CPUs: runtime.NumCPU()}
	began, others := time.Now(), usedByOthers()
	if err := o.fill(ctx, dir, &r); err != nil {
		return err
	}
	r.Took = time.Since(began)
	r.Others = max(0, usedByOthers()-others) // ticks are coarse, so a short run may come out below zero
	if o.json {
		return json.NewEncoder(out).Encode(r)
	}
	return r.print(out)
}

func (o options) fill(ctx context.Context, dir string, r *report) error {
	f, err := prepare(ctx, dir, o)
	defer f.close()
	if err != nil {
		return err
	}
	if o.wants("cold") {
		cold, err := measureColdStart(ctx, f)
		if err != nil {
			return fmt.Errorf("cold start: %w", err)
		}
		r.Cold = &cold
	}
	if o.wants("scan") {
		s, err := measureScan(ctx, f)
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		r.Scan = &s
	}
	if o.wants("memory") {
		m, err := measureMemory(ctx, f, o)
		if err != nil {
			return fmt.Errorf("memory: %w", err)
		}
		r.Memory = &m
	}
	if o.wants("sandbox") && runtime.GOOS == "linux" {
		if r.Sandbox, err = measureSandbox(ctx, f, o); err != nil {
			return fmt.Errorf("sandbox: %w", err)
		}
	}
	if err := o.scenarios(ctx, f, r); err != nil {
		return err
	}
	if o.wants("steps") {
		if r.Steps, err = measureSteps(ctx); err != nil {
			return err
		}
	}
	if o.wants("decisions") {
		r.Decisions, err = measureDecisions(ctx)
	}
	return err
}

func (o options) scenarios(ctx context.Context, f *field, r *report) error {
	var wanted []scenario
	for _, s := range scenarios() {
		if o.wants(s.name) {
			wanted = append(wanted, s)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	servers, err := f.allServers()
	if err != nil {
		return err
	}
	if f.gateway, f.listen, _, err = f.startGateway(ctx, "main", servers); err != nil {
		return err
	}
	f.children = append(f.children, f.gateway)
	for _, s := range wanted {
		got, err := s.run(ctx, f, o)
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", s.name, err, f.gateway.stderr)
		}
		r.Outcomes = append(r.Outcomes, got)
	}
	return nil
}
