package gateway

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"gatehouse/internal/config"
	"gatehouse/internal/decision"
	"gatehouse/internal/identity"
	"gatehouse/internal/limit"
	"gatehouse/internal/policy"
	"gatehouse/internal/wire"
)

// limiterOf counts by the quotas of a configuration; nil if it has none.
func (g *Gateway) limiterOf(c *config.Config) (*limit.Limiter, error) {
	if len(c.Quotas) == 0 {
		return nil, nil
	}
	if g.counters == nil {
		store, err := limit.Open(filepath.Join(c.State, "quotas"), nil)
		if err != nil {
			return nil, fmt.Errorf("opening the quotas: %w", err)
		}
		g.counters = store
	}
	return limit.New(c, g.counters)
}

func (g *Gateway) stopCounting() {
	if g.counters == nil {
		return
	}
	if err := g.counters.Close(); err != nil {
		g.log.Error("closing the quotas", "error", err)
	}
}

// limit takes what a request uses from all quotas that are about it, or refuses it.
func (g *Gateway) limit(ctx context.Context, ex *exchange) error {
	who := ex.asker()
	if who == nil || !ex.request() {
		return nil
	}
	s := &limit.Subject{Method: ex.msg.Method, Bytes: len(ex.msg.Raw)}
	m := ex.msg
	if ex.out != nil {
		m = ex.out
	}
	s.Arguments = m.Params
	if ex.msg.Method == wire.MethodToolsCall || ex.msg.Method == wire.MethodPromptsGet {
		// The same call with other answers to what was asked is not the same call again.
		s.Arguments, s.Answers = m.Params.Get("arguments"), m.Params.Get("inputResponses")
	}
	if ex.server != nil {
		if kind, name := ex.resource(); kind != policy.KindServer {
			s.Kind, s.Name = kind, name
		}
	}
	return g.take(ctx, ex, who, s)
}

// limitQuestions is limit for what a server asks of the client by its answer: "who
// pays for the tokens" does not depend on how it is asked. A task shows its questions
// as often as it is looked at, and each counts once.
func (g *Gateway) limitQuestions(ctx context.Context, ex *exchange, questions wire.Value) error {
	live := g.live.Load()
	if live.limiter == nil {
		return nil
	}
	for key, q := range questions.Members() {
		task := ""
		if ex.meta.name == "taskId" {
			task = digest([]byte(strings.Join([]string{ex.principal, ex.server.id, ex.target, key, string(q.Raw())}, "\x00")))
			if _, counted := live.counted.find(task); counted {
				continue
			}
		}
		s := &limit.Subject{Method: q.Get("method").Text(), Arguments: q.Get("params"), Bytes: len(q.Raw())}
		if err := g.take(ctx, ex, ex.who, s); err != nil {
			return err
		}
		if task != "" {
			live.counted.keep(task, "")
		}
	}
	return nil
}

func (g *Gateway) take(ctx context.Context, ex *exchange, who *identity.Principal, s *limit.Subject) error {
	limiter := g.live.Load().limiter
	if limiter == nil {
		return nil
	}
	s.User, s.Teams, s.Client = who.ID, who.Teams, who.Client
	if ex.server != nil {
		s.Server = ex.server.id
	}
	grant, err := limiter.Take(ctx, s)
	for _, e := range grant.Would {
		ex.would = append(ex.would, "quota:"+e.Quota)
	}
	if exceeded, ok := errors.AsType[*limit.Exceeded](err); ok {
		ex.retryAfter = exceeded.Seconds()
		return &decision.Refusal{Reason: decision.QuotaExceeded, Rule: exceeded.Quota, Detail: exceeded.Sentence()}
	}
	if err != nil {
		return err
	}
	ex.grants = append(ex.grants, grant)
	return nil
}

// used ends what was taken.
func (g *Gateway) used(ex *exchange) {
	bytes := 0
	if ex.answer != nil {
		bytes = len(ex.answer.Raw)
	}
	failed := ex.refusal != nil || ex.answer != nil && (ex.answer.Error.Exists() || ex.answer.Result.Get("isError").IsTrue())
	for i, grant := range ex.grants {
		if i > 0 {
			bytes = 0 // of the request, not of what it was asked in return
		}
		if err := grant.Done(bytes, failed); err != nil {
			g.log.Error("what a request used was not counted", "exchange", ex.id, "error", err)
		}
	}
}
