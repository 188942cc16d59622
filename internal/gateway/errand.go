package gateway

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/decision"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// errand is a call of a modern client to a server of the revisions before. That
// server may ask the client something while the call runs; the client can only be
// asked by an answer to its request. So the call goes on while the client thinks,
// and the client's next try takes it up again.
type errand struct {
	id      string
	gateway *Gateway
	first   *exchange // what the server's messages are tagged with
	link    *link
	request string // digest
	sent    wire.ID
	token   wire.ID // progress token as the server knows it
	ctx     context.Context
	cancel  context.CancelCauseFunc
	given   map[string][]byte // answers to questions, by their digest, from before a restart

	over   chan struct{} // closed when answer and err are there
	answer upstream.Answer
	err    error
	news   chan struct{} // a question came

	mu     sync.Mutex // guards what follows
	holder *exchange  // waits for the outcome now; nil while the client thinks
	left   time.Time  // when the client went to think
	asked  int
	open   []*question // not answered, in order
	expiry *time.Timer // while nobody waits
	told   bool        // a client got the outcome, or has cancelled
}

// question is one request of a server to the client of an errand.
type question struct {
	key    string
	method string
	params []byte // nil if it has none
	answer chan []byte
}

// errands are all that run or wait, by id.
type errands struct {
	mu  sync.Mutex
	all map[string]*errand
}

// thinkingTime is how long a client may take to answer: a person may have to be
// found. It is also how long a state is good for.
func (g *Gateway) thinkingTime() time.Duration { return g.live.Load().config.Limits.MaxTimeout }

// takeUp finds the errand that a request goes on with, and the answers it brings.
func (g *Gateway) takeUp(ex *exchange) error {
	params := ex.msg.Params
	state := params.Get("requestState")
	if !state.Exists() {
		return nil
	}
	if !mayAsk(ex.msg.Method) {
		return decision.Refuse(decision.InvalidArguments, "requestState does not belong to %s", printable(ex.msg.Method))
	}
	known, err := g.live.Load().seal.open(state.Text(), ex.principal, requestDigest(ex.server.id, ex.msg))
	if err != nil {
		return err
	}
	answers := map[string][]byte{}
	for key, value := range params.Get("inputResponses").Members() {
		if value.Kind() != '{' {
			return decision.Refuse(decision.InvalidArguments, "inputResponses.%s must be an object", printable(key))
		}
		answers[key] = value.Raw()
	}
	ex.given = map[string][]byte{}
	for key, digest := range known.Asked {
		if answer := answers[key]; answer != nil {
			ex.given[digest] = answer
		}
	}
	g.errands.mu.Lock()
	e := g.errands.all[known.Errand]
	g.errands.mu.Unlock()
	if e == nil || e.first.principal != ex.principal {
		return nil // it is gone; the call begins anew and the answers wait for its questions
	}
	if !e.takenBy(ex) {
		return decision.Refuse(decision.Malformed, "this call is being waited for already")
	}
	ex.errand = e
	return nil
}

// runErrand sends the call, or takes it up again, and waits for its outcome.
func (g *Gateway) runErrand(ctx context.Context, ex *exchange) (upstream.Answer, error) {
	e := ex.errand
	if e == nil {
		var err error
		if e, err = g.setOut(ctx, ex); err != nil {
			return upstream.Answer{}, err
		}
	}
	e.give(ex.given)
	for {
		select {
		case <-e.over: // whatever was asked: nobody waits for the answers any more
			e.tell()
			return e.outcome(ex)
		default:
		}
		if asked := e.unanswered(); len(asked) > 0 {
			return e.inputRequired(ex, asked)
		}
		select {
		case <-e.over:
		case <-e.news:
		case <-ctx.Done():
			// "Closing the response stream" cancels, and so does every bound on time.
			e.tell()
			e.cancel(context.Cause(ctx))
			return upstream.Answer{}, cancelled(ctx)
		}
	}
}

// setOut begins an errand.
func (g *Gateway) setOut(ctx context.Context, ex *exchange) (*errand, error) {
	if err := ex.link.wantLevel(ctx, ex.msg.Params.At("_meta", wire.MetaLogLevel)); err != nil {
		return nil, err
	}
	e := &errand{
		id: newID(), gateway: g, first: ex, link: ex.link, given: ex.given, holder: ex,
		over: make(chan struct{}), news: make(chan struct{}, 1),
	}
	e.sent = wire.ID(wire.AppendString(nil, fmt.Sprintf("%s-%d", ownPrefix, g.ownCalls.Add(1))))
	var token []byte
	if ex.msg.Params.At("_meta", "progressToken").Exists() {
		token, e.token = []byte(e.sent), e.sent
	}
	m, err := legacyRequest(ex.out, e.sent, token)
	if err != nil {
		return nil, err
	}
	if mayAsk(ex.msg.Method) {
		e.request = requestDigest(ex.server.id, ex.msg)
		if err := g.keepErrand(e); err != nil {
			return nil, err
		}
	}
	ex.errand = e
	e.ctx, e.cancel = context.WithCancelCause(ex.link.session.ctx)
	release := ex.release
	ex.release = nil // the session is the errand's from here on
	ex.link.session.pooled.begins(e)
	go func() {
		defer release()
		defer ex.link.session.pooled.ends(e)
		defer e.cancel(nil)
		e.answer, e.err = e.link.call(e.ctx, m, nil, ex)
		close(e.over)
	}()
	return e, nil
}

func (g *Gateway) keepErrand(e *errand) error {
	g.errands.mu.Lock()
	defer g.errands.mu.Unlock()
	if most := g.live.Load().config.Limits.InFlight; len(g.errands.all) >= most && !g.errands.giveWay(func(other *errand) bool {
		return other.first.principal == e.first.principal
	}) {
		return decision.Refuse(decision.Overloaded, "%d calls wait for answers of their clients", most)
	}
	g.errands.all[e.id] = e
	return nil
}

func (g *Gateway) dropErrand(e *errand) {
	g.errands.mu.Lock()
	defer g.errands.mu.Unlock()
	delete(g.errands.all, e.id)
}

// giveWay ends the errand whose client has been away longest, of those that match. A
// client that asks and never comes back must not keep its next calls from being
// made. It reports whether there was one; the caller holds mu.
func (t *errands) giveWay(match func(*errand) bool) bool {
	var oldest *errand
	var since time.Time
	for _, e := range t.all {
		if left := e.leftAt(); !left.IsZero() && match(e) && (oldest == nil || left.Before(since)) {
			oldest, since = e, left
		}
	}
	if oldest == nil {
		return false
	}
	delete(t.all, oldest.id)
	oldest.cancel(decision.Refuse(decision.ClientGone, "the client did not come back and another call needs the place"))
	return true
}

// leftAt is when the client went to think, zero while it waits.
func (e *errand) leftAt() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.holder != nil {
		return time.Time{}
	}
	return e.left
}

// takenBy makes ex the one exchange that waits. It reports whether nobody did.
func (e *errand) takenBy(ex *exchange) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.holder != nil {
		return false
	}
	e.holder = ex
	if e.expiry != nil {
		e.expiry.Stop()
	}
	return true
}

// tell notes that the client needs to know no more of the errand.
func (e *errand) tell() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.told = true
}

// leftBy ends the waiting of ex. An errand whose client was asked something waits
// for it, within bounds, also if it is over by now: begun anew, the call would be
// carried out twice.
func (e *errand) leftBy(ex *exchange) {
	if e.endsWith(ex) {
		e.gateway.dropErrand(e) // without mu: giveWay locks in the other order
	}
}

// endsWith ends the waiting of ex and reports whether nobody will come back.
func (e *errand) endsWith(ex *exchange) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.holder != ex {
		return false
	}
	e.holder, e.left = nil, time.Now()
	if e.told {
		return true
	}
	e.expiry = time.AfterFunc(e.gateway.thinkingTime(), func() {
		e.cancel(decision.Refuse(decision.ClientGone, "the client did not come back with its answer"))
		e.gateway.dropErrand(e)
	})
	return false
}

// waiting is the exchange that waits for the outcome now, nil if none does.
func (e *errand) waiting() *exchange {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.holder
}

// ask puts a question of the server to the client and waits for the answer, which
// is the result of a JSON-RPC response.
func (e *errand) ask(ctx context.Context, method string, params []byte) ([]byte, error) {
	digest := questionDigest(method, params)
	e.mu.Lock()
	if answer := e.given[digest]; answer != nil {
		delete(e.given, digest) // the next one like it is another question
		e.mu.Unlock()
		return answer, nil
	}
	if !mayAsk(e.first.msg.Method) {
		e.mu.Unlock()
		return nil, decision.Refuse(decision.Unsupported, "no client can be asked during %s", e.first.msg.Method)
	}
	e.asked++
	q := &question{key: fmt.Sprintf("question-%d", e.asked), method: method, params: params, answer: make(chan []byte, 1)}
	e.open = append(e.open, q)
	e.mu.Unlock()
	select {
	case e.news <- struct{}{}:
	default:
	}
	select {
	case answer := <-q.answer:
		return answer, nil
	case <-e.over:
		return nil, decision.Refuse(decision.NotFound, "the call has ended")
	case <-ctx.Done():
		e.mu.Lock()
		e.open = slices.DeleteFunc(e.open, func(other *question) bool { return other == q })
		e.mu.Unlock()
		return nil, cancelled(ctx)
	}
}

// give hands answers, by the digest of their questions, to who asked.
func (e *errand) give(answers map[string][]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open = slices.DeleteFunc(e.open, func(q *question) bool {
		answer := answers[questionDigest(q.method, q.params)]
		if answer != nil {
			q.answer <- answer
		}
		return answer != nil
	})
}

func (e *errand) unanswered() []*question {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.open)
}

// inputRequired is the answer by which the client is asked.
func (e *errand) inputRequired(ex *exchange, asked []*question) (upstream.Answer, error) {
	state := &callState{Errand: e.id, Asked: map[string]string{}}
	var requests []wire.Change
	for _, q := range asked {
		state.Asked[q.key] = questionDigest(q.method, q.params)
		params := q.params
		if params == nil {
			params = []byte(`{}`) // roots/list needs none, but go-sdk v1.8.0 cannot read an input request without
		}
		requests = append(requests, wire.Change{Key: q.key, Raw: object(
			wire.Change{Key: "method", Raw: wire.AppendString(nil, q.method)}, wire.Change{Key: "params", Raw: params})})
	}
	return e.gateway.inputRequired(ex, object(requests...), state)
}

func (g *Gateway) inputRequired(ex *exchange, requests []byte, state *callState) (upstream.Answer, error) {
	state.Principal, state.Request = ex.principal, requestDigest(ex.server.id, ex.msg)
	state.Expires = time.Now().Add(g.thinkingTime()).Unix()
	return localAnswer(ex, object(
		wire.Change{Key: "resultType", Raw: []byte(`"` + wire.ResultInputRequired + `"`)},
		wire.Change{Key: "inputRequests", Raw: requests},
		wire.Change{Key: "requestState", Raw: wire.AppendString(nil, g.live.Load().seal.seal(state))}))
}

// outcome is the server's answer for the client that waited for it.
func (e *errand) outcome(ex *exchange) (upstream.Answer, error) {
	if e.err != nil {
		return upstream.Answer{}, e.err
	}
	m := e.answer.Message
	if code, _ := m.Error.Get("code").Int(); code == wire.CodeURLElicitation && mayAsk(ex.msg.Method) {
		return e.gateway.pagesToOpen(ex, m.Error)
	}
	out, status, err := modernAnswer(ex.msg.Method, ex.msg.ID, m)
	return upstream.Answer{Message: out, Status: status}, err
}

// pagesToOpen turns the error of 2025-11-25 that asks for pages to be opened
// before the call is made again into what asks for it in 2026-07-28.
func (g *Gateway) pagesToOpen(ex *exchange, e wire.Value) (upstream.Answer, error) {
	var requests []wire.Change
	for page := range e.At("data", "elicitations").Items() {
		if !declared(ex.msg.Params.At("_meta", wire.MetaCapabilities), wire.MethodElicit, page) {
			return upstream.Answer{}, missingCapability("elicitation", ex.server.id)
		}
		requests = append(requests, wire.Change{Key: fmt.Sprintf("page-%d", len(requests)+1), Raw: object(
			wire.Change{Key: "method", Raw: wire.AppendString(nil, wire.MethodElicit)}, wire.Change{Key: "params", Raw: page.Raw()})})
	}
	if len(requests) == 0 {
		return upstream.Answer{}, decision.Refuse(decision.UpstreamInvalid, "it asks for pages to be opened and names none")
	}
	return g.inputRequired(ex, object(requests...), &callState{})
}
