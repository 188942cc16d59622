package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/gateway"
	"gatehouse/internal/halt"
	"gatehouse/internal/oauth"
	"gatehouse/internal/rules"
	"gatehouse/internal/upstream"
)

// running is a gateway with what it stands on.
type running struct {
	gateway *gateway.Gateway
	book    *approval.Book
	audit   *audit.Log
	log     *slog.Logger
}

// start opens everything a configuration names, installs the packages that are not
// there, and starts the gateway. With
// auditName the log is one of several in the audit folder, because several
// gateways may run on the same state; a name that is taken gets a number.
func start(ctx context.Context, c *config.Config, log *slog.Logger, auditName string) (*running, error) {
	if err := c.EnsureState(); err != nil {
		return nil, exitWith(exitIncomplete, err)
	}
	trail, err := openAudit(filepath.Join(c.State, "audit"), auditName, audit.Options{Sync: audit.Sync(c.Audit.Sync)})
	if err != nil {
		return nil, exitWith(exitIncomplete, err)
	}
	book, err := approval.Open(c.Lock, filepath.Join(c.State, "pending"))
	if err != nil {
		return nil, exitWith(exitUsage, errors.Join(err, trail.Close()))
	}
	ensurePackages(ctx, c, trail, log)
	upstream.AdoptOrphans()
	g, err := gateway.New(gateway.Options{
		Config: c, Rules: rules.All(), Book: book, Audit: trail, Log: log, Version: programVersion(),
		Tokens: openTokens(c),
	})
	if err != nil {
		return nil, exitWith(exitUsage, errors.Join(err, trail.Close()))
	}
	return &running{gateway: g, book: book, audit: trail, log: log}, nil
}

// openTokens is where the tokens of the state are kept.
func openTokens(c *config.Config) *oauth.Store {
	return oauth.NewStore(filepath.Join(c.State, "oauth"), c.TokenKey)
}

// maxAudits bounds the gateways that run on one state at once.
const maxAudits = 100

func openAudit(dir, name string, o audit.Options) (*audit.Log, error) {
	if name == "" {
		return audit.Open(dir, o)
	}
	for n := 1; n <= maxAudits; n++ {
		trail, err := audit.Open(filepath.Join(dir, name+"-"+strconv.Itoa(n)), o)
		if !errors.Is(err, audit.ErrLocked) {
			return trail, err
		}
	}
	return nil, fmt.Errorf("over %d gateways run on %s", maxAudits, dir)
}

// close ends sessions, servers and what they left behind, then the log.
func (r *running) close() {
	r.gateway.Close()
	upstream.EndAdopted()
	if err := r.audit.Close(); err != nil {
		r.log.Error("closing the audit log", "error", err)
	}
}

// watchSwitch halts everything when a signal says so: that needs neither a terminal nor
// room on the disk.
func (r *running) watchSwitch(ctx context.Context) {
	if len(haltSignals) == 0 {
		return // to notify of none is to notify of all
	}
	pulled := make(chan os.Signal, 1)
	signal.Notify(pulled, haltSignals...)
	go func() {
		defer signal.Stop(pulled)
		for {
			select {
			case <-ctx.Done():
				return
			case <-pulled:
				err := r.gateway.Halt(halt.Halt{Target: halt.Target{What: halt.All}, Reason: "a signal was sent to Gatehouse", By: person()})
				if err != nil {
					r.log.Error("everything is halted until this process ends, but not beyond", "error", err)
				}
			}
		}
	}()
}

// watchLock takes over approvals that another process writes.
func (r *running) watchLock(ctx context.Context) {
	go func() {
		err := config.Watch(ctx, r.book.LockPath(), func() {
			if err := r.book.Reload(); err != nil {
				r.log.Error("the lock file was not taken over; the approvals from before stay", "error", err)
			}
		})
		if err != nil && ctx.Err() == nil {
			r.log.Error("the lock file is not watched", "error", err)
		}
	}()
}

func newLogger(w io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}
