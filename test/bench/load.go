package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// sample is one stretch of time on one target.
type sample struct {
	Calls  int           `json:"calls"`
	Time   time.Duration `json:"ns"`
	P50    time.Duration `json:"p50_ns"`
	P99    time.Duration `json:"p99_ns"`
	CPU    time.Duration `json:"cpu_ns"`       // of the process in between
	Memory int64         `json:"memory_bytes"` // of it: the largest seen
}

func (s sample) rate() float64 { return float64(s.Calls) / s.Time.Seconds() }

// cpu is the processor time of the process in between for each call.
func (s sample) cpu() float64 { return float64(s.CPU) / float64(max(1, s.Calls)) }

// crowd is the sessions of one target.
type crowd struct {
	target   *target
	sessions []*session
}

func gather(t *target, w work, count int) (*crowd, error) {
	c := &crowd{target: t}
	for number := range count {
		s, err := connect(t, w, number)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		c.sessions = append(c.sessions, s)
	}
	return c, nil
}

func (c *crowd) close() error {
	errs := make([]error, len(c.sessions))
	var all sync.WaitGroup
	for i, s := range c.sessions {
		all.Go(func() { errs[i] = s.close() })
	}
	all.Wait()
	return errors.Join(errs...)
}

// watchEvery is how often memory is looked at.
const watchEvery = 20 * time.Millisecond

// run lets all sessions call, each as fast as it is answered. Calls count if they
// end within the time measured, so the first and the last of each session even
// out.
func (c *crowd) run(ctx context.Context, warm, duration time.Duration) (sample, error) {
	begin := time.Now().Add(warm)
	end := begin.Add(duration)
	took := make([][]time.Duration, len(c.sessions))
	errs := make([]error, len(c.sessions))
	var all sync.WaitGroup
	for i, s := range c.sessions {
		all.Go(func() { took[i], errs[i] = s.loop(begin, end) })
	}
	out, waitErr := c.watch(ctx, begin, end)
	all.Wait()
	for _, err := range append([]error{waitErr}, errs...) {
		if err != nil {
			return out, err // the first says enough; others often only follow from it
		}
	}
	merged := slices.Concat(took...)
	out.Calls, out.Time = len(merged), duration
	if len(merged) == 0 { // they all took longer than that
		merged = []time.Duration{duration}
	}
	slices.Sort(merged)
	out.P50, out.P99 = merged[len(merged)/2], merged[len(merged)*99/100]
	return out, nil
}

// overtime is how long after the time measured a call may still take.
const overtime = 10 * time.Second

func (s *session) loop(begin, end time.Time) (took []time.Duration, err error) {
	if err := s.conn.SetDeadline(end.Add(overtime)); err != nil {
		return nil, err
	}
	took = make([]time.Duration, 0, 1<<12)
	for last := time.Now(); last.Before(end); {
		if err := s.call(); err != nil {
			return nil, err
		}
		now := time.Now()
		if now.After(begin) && now.Before(end) {
			took = append(took, now.Sub(last))
		}
		last = now
	}
	return took, nil
}

// watch looks at the process in between during the time measured.
func (c *crowd) watch(ctx context.Context, begin, end time.Time) (sample, error) {
	var out sample
	if err := sleepUntil(ctx, begin); err != nil || c.target.process == nil {
		return out, err
	}
	pid := c.target.process.pid()
	before := cpuOf(pid)
	for next := begin; next.Before(end); next = next.Add(watchEvery) {
		if err := sleepUntil(ctx, next); err != nil {
			return out, err
		}
		out.Memory = max(out.Memory, memoryOf(pid))
	}
	err := sleepUntil(ctx, end)
	out.CPU = cpuOf(pid) - before
	return out, err
}

func sleepUntil(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
