package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// stretch is how often a soak prints a line.
const stretch = 10 * time.Second

// maxGrowth is by how much memory may grow from the first third of a soak to the
// last and still count as flat: the collector lets it go up and down.
const maxGrowth = 1.2

// soak lets 64 sessions of both eras call for a long time, most of them little,
// some of them much. Every answer is checked; the first error ends it.
func (o options) soakFor(ctx context.Context, f *field, out io.Writer) error {
	servers, err := f.allServers()
	if err != nil {
		return err
	}
	gateway, address, _, err := f.startGateway(ctx, "soak", servers)
	if err != nil {
		return err
	}
	defer gateway.close()
	t := &target{name: gatehouse, address: address, path: "/mcp/stub", process: gateway}
	var crowds []*crowd
	for _, part := range []struct {
		work  work
		count int
	}{{work{legacy, "echo", 200}, 28}, {work{modern, "echo", 200}, 28}, {work{legacy, "page", 10_000}, 6}, {work{modern, "page", 1_000_000}, 2}} {
		c, err := gather(t, part.work, part.count)
		if err != nil {
			return err
		}
		crowds = append(crowds, c)
	}
	fmt.Fprintf(out, "64 sessions for %v; 10 KB answers for 6 of them, 1 MB for 2\n\n%8s %10s %10s %10s\n", o.soak, "time", "calls", "calls/s", "MiB")
	total := 0
	var peaks []int64
	for began := time.Now(); time.Since(began) < o.soak; {
		samples := make([]sample, len(crowds))
		errs := make([]error, len(crowds))
		var all sync.WaitGroup
		for i, c := range crowds {
			all.Go(func() { samples[i], errs[i] = c.run(ctx, 0, min(stretch, o.soak)) })
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("after %d calls: %w\n%s", total, err, gateway.stderr)
		}
		calls, peak := 0, int64(0)
		for _, s := range samples {
			calls += s.Calls
			peak = max(peak, s.Memory)
		}
		total += calls
		peaks = append(peaks, peak)
		fmt.Fprintf(out, "%8s %10d %10.0f %10.1f\n", time.Since(began).Round(time.Second), total, float64(calls)/samples[0].Time.Seconds(), float64(peak)/(1<<20))
	}
	for _, c := range crowds {
		if err := c.close(); err != nil {
			return err
		}
	}
	third := len(peaks) / 3
	early, late := highest(peaks[:len(peaks)-2*third]), highest(peaks[len(peaks)-max(1, third):])
	fmt.Fprintf(out, "\n%d calls, no error; at most %.1f MiB in the first third, %.1f MiB in the last\n", total, float64(early)/(1<<20), float64(late)/(1<<20))
	if float64(late) > maxGrowth*float64(early) {
		return errors.New("memory grew")
	}
	return nil
}

func highest(list []int64) int64 {
	var most int64
	for _, n := range list {
		most = max(most, n)
	}
	return most
}
