package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// coldStarts is how often the gateway is started for the figures of its start.
const coldStarts = 5

// coldStart is how long a gateway takes from its start to the first right answer.
type coldStart struct {
	New      []time.Duration `json:"new_ns"`      // the server was never seen before
	Approved []time.Duration `json:"approved_ns"` // it was approved in a run before
}

func measureColdStart(ctx context.Context, f *field) (coldStart, error) {
	var out coldStart
	for i := range coldStarts {
		state := fmt.Sprintf("cold-%d", i)
		for _, list := range []*[]time.Duration{&out.New, &out.Approved} {
			c, _, took, err := f.startGateway(ctx, state, f.oneServer())
			if err != nil {
				return out, err
			}
			c.close()
			*list = append(*list, took)
		}
	}
	return out, nil
}

// idleSessions are open and silent while the memory of a session is measured.
const idleSessions = 500

// memory is the resident memory of a gateway, in bytes.
type memory struct {
	Idle    int64 `json:"idle"`
	Session int64 `json:"per_idle_session"`
	Busy    int64 `json:"busy"` // 64 sessions, 100 KB
}

func measureMemory(ctx context.Context, f *field, o options) (out memory, err error) {
	c, address, _, err := f.startGateway(ctx, "memory", f.oneServer())
	if err != nil {
		return out, err
	}
	defer c.close()
	t := &target{name: gatehouse, address: address, path: "/mcp/stub", process: c}
	out.Idle = memoryOf(c.pid())

	busy, err := gather(t, work{legacy, "page", 100_000}, 64)
	if err != nil {
		return out, err
	}
	got, err := busy.run(ctx, o.warm(), 4*o.duration)
	if err = errors.Join(err, busy.close()); err != nil {
		return out, err
	}
	out.Busy = got.Memory

	// A process of its own: memory freed after the load above would hide what the
	// sessions need.
	quiet, address, _, err := f.startGateway(ctx, "sessions", f.oneServer())
	if err != nil {
		return out, err
	}
	defer quiet.close()
	t = &target{name: gatehouse, address: address, path: "/mcp/stub", process: quiet}
	before := memoryOf(quiet.pid())
	s, err := connect(t, work{legacy, "echo", 200}, 0)
	if err != nil {
		return out, err
	}
	for range idleSessions - 1 { // over one connection: those are the client's to keep open or not
		s.id = ""
		s.setHead("")
		if err := s.initialize(); err != nil {
			return out, errors.Join(err, s.conn.Close())
		}
	}
	out.Session = (memoryOf(quiet.pid()) - before) / idleSessions
	return out, s.close()
}
