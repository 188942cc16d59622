package demo

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// Loosened is a way to play a scene with guards taken away.
type Loosened struct {
	Reporting []string // rules that only report
	Apart     bool     // each server at its own address, names untouched
	Approve   bool     // whatever waits is approved before each task but the first
}

// PlayLoosened plays one scene through the gateway.
func PlayLoosened(ctx context.Context, o Options, name string, l Loosened) (Result, error) {
	for _, s := range scenes {
		if s.name != name {
			continue
		}
		how := setting{dir: o.Dir, gateway: true, reporting: l.Reporting, apart: l.Apart}
		if l.Approve {
			how.before = func(ctx context.Context, c *client, task int) error {
				if task == 0 {
					return nil
				}
				return approveAll(ctx, o, c, s.tasks[task])
			}
		}
		return play(ctx, o, s, how)
	}
	return Result{}, fmt.Errorf("there is no scene %q", name)
}

// approveAll approves everything and waits until the gateway, which watches its
// lock file, offers what the next task needs.
func approveAll(ctx context.Context, o Options, c *client, next call) error {
	config := filepath.Join(o.Dir, configName)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		if err := exec.CommandContext(ctx, o.Gatehouse, "approve", "--yes", "--all", "--config", config).Run(); err != nil {
			return fmt.Errorf("gatehouse approve: %w", err)
		}
		if err := c.readTools(ctx); err != nil {
			return err
		}
		if _, offered := c.find(next.server, next.tool); offered {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-poll.C:
		}
	}
}

// NewKey makes a secret as the demo does.
func NewKey() string { return newKey() }
