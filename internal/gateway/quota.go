package gateway

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"gatehouse/internal/config"
	"gatehouse/internal/decision"
	"gatehouse/internal/limit"
	"gatehouse/internal/policy"
	"gatehouse/internal/wire"
)

// counters are opened when a configuration first has quotas, and stay open: what was
// used is not forgotten because the quotas are away for a while.
type counters struct {
	store   *limit.Embedded
	limiter *limit.Limiter
}

// count makes sure that there is something to count with.
func (g *Gateway) count(c *config.Config) error {
	if g.counters.limiter != nil || len(c.Quotas) == 0 {
		return nil
	}
	store, err := limit.Open(filepath.Join(c.State, "quotas"), nil)
	if err != nil {
		return fmt.Errorf("opening the quotas: %w", err)
	}
	limiter, err := limit.New(c, store)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	g.counters = counters{store, limiter}
	return nil
}

func (g *Gateway) stopCounting() {
	if g.counters.store == nil {
		return
	}
	if err := g.counters.store.Close(); err != nil {
		g.log.Error("closing the quotas", "error", err)
	}
}

// limit takes what a request uses from all quotas that are about it, or refuses it.
func (g *Gateway) limit(ctx context.Context, ex *exchange) error {
	limiter, who := g.live.Load().limiter, ex.asker()
	if limiter == nil || who == nil || !ex.request() {
		return nil
	}
	s := &limit.Subject{User: who.ID, Teams: who.Teams, Client: who.Client, Method: ex.msg.Method, Bytes: len(ex.msg.Raw)}
	m := ex.msg
	if ex.out != nil {
		m = ex.out
	}
	s.Arguments = m.Params
	if ex.server != nil {
		s.Server = ex.server.id
		if kind, name := ex.resource(); kind != policy.KindServer {
			s.Kind, s.Name = kind, name
		}
	}
	if ex.msg.Method == wire.MethodToolsCall || ex.msg.Method == wire.MethodPromptsGet {
		s.Arguments = m.Params.Get("arguments")
	}
	grant, err := limiter.Take(ctx, s)
	for _, e := range grant.Would {
		ex.would = append(ex.would, "quota:"+e.Quota)
	}
	var exceeded *limit.Exceeded
	if errors.As(err, &exceeded) {
		ex.retryAfter = exceeded.Seconds()
		return &decision.Refusal{Reason: decision.QuotaExceeded, Rule: exceeded.Quota, Detail: exceeded.Sentence()}
	}
	ex.grant = grant
	return err
}

// used ends what limit took.
func (g *Gateway) used(ex *exchange) {
	bytes := 0
	if ex.answer != nil {
		bytes = len(ex.answer.Raw)
	}
	failed := ex.refusal != nil || ex.answer != nil && (ex.answer.Error.Exists() || ex.answer.Result.Get("isError").IsTrue())
	if err := ex.grant.Done(bytes, failed); err != nil {
		g.log.Error("what a request used was not counted", "exchange", ex.id, "error", err)
	}
}
