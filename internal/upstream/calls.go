package upstream

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"gatehouse/internal/wire"
)

// maxUnasked bounds messages that no call asked for, since the last call began:
// notifications outside of calls, answers to nothing, messages that are not valid.
const maxUnasked = 10_000

// calls are the requests that wait for an answer on a connection over which
// everything comes in one stream. Ids and progress tokens are replaced by numbers
// of our own, because one connection may serve several clients that count alike.
type calls struct {
	limits Limits
	// onlyOne says that a message that names no call belongs to a call only if there
	// is exactly one; otherwise it belongs to the latest.
	onlyOne bool

	mu       sync.Mutex // guards what follows
	pending  map[int64]*pendingCall
	lastID   int64
	unasked  int   // messages that belong to no call, since the last call began
	stray    int   // lines and messages that nobody could use, in all
	ended    error // why the connection can no longer be used
	latestID int64 // the most recent pending call
}

type pendingCall struct {
	answer chan result
	id     wire.ID // as the caller sent it
	token  []byte  // progress token as the caller sent it
	tag    any
	events int
	listen bool // a subscription, which lasts and may bring any number of messages
}

type result struct {
	message *wire.Message
	err     error
}

func newCalls(limits Limits) calls { return calls{limits: limits, pending: map[int64]*pendingCall{}} }

// call sends a request and waits for the answer. write sends one message; it may
// still be busy when the answer is there already.
func (c *calls) call(ctx context.Context, r Request, write func(ctx context.Context, raw []byte) error) (Answer, error) {
	id, call, line, err := c.register(r)
	if err != nil {
		return Answer{}, err
	}
	defer c.forget(id)
	if err := write(ctx, line); err != nil && ctx.Err() == nil {
		select {
		case got := <-call.answer: // or the reason why all calls failed
			return got.plain()
		default:
			return Answer{}, err
		}
	}
	select {
	case got := <-call.answer:
		return got.plain()
	case <-ctx.Done():
		c.forget(id)
		reason, _ := context.Cause(ctx).(interface{ CancelReason() string })
		params := fmt.Appendf(nil, `{"requestId":%d}`, id)
		if reason != nil {
			params = fmt.Appendf(nil, `{"requestId":%d,"reason":%s}`, id, wire.AppendString(nil, reason.CancelReason()))
		}
		if r.Message.Method != wire.MethodInitialize && c.reason() == nil { // "The initialize request MUST NOT be cancelled"
			ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), endGrace)
			defer stop()
			_ = write(ctx, wire.NewNotification(wire.NotifyCancelled, params))
		}
		return Answer{}, context.Cause(ctx)
	}
}

func (r result) plain() (Answer, error) {
	if r.err != nil {
		return Answer{}, r.err
	}
	return Answer{Message: r.message, Status: 200}, nil
}

func (c *calls) register(r Request) (int64, *pendingCall, []byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return 0, nil, nil, c.ended
	}
	c.lastID++
	id := c.lastID
	call := &pendingCall{answer: make(chan result, 1), id: r.Message.ID, tag: r.Tag, listen: unbounded(r.Message.Method)}
	number := strconv.AppendInt(nil, id, 10)
	edits := []wire.Edit{r.Message.IDEdit(wire.ID(number))}
	if token := r.Message.Params.At("_meta", "progressToken"); token.Exists() {
		call.token = token.Raw()
		edits = append(edits, token.Replace(number))
	}
	c.pending[id], c.latestID, c.unasked = call, id, 0
	return id, call, wire.Splice(r.Message.Raw, edits...), nil
}

func (c *calls) forget(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

func (c *calls) countStray() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stray++
}

// useless counts a message that nobody can use.
func (c *calls) useless() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stray++
	return c.unaskedFor()
}

// unaskedFor counts a message that no call asked for; the caller holds mu.
func (c *calls) unaskedFor() error {
	if c.unasked++; c.unasked > maxUnasked {
		return fmt.Errorf("%w: over %d messages that belong to no call", ErrFlood, maxUnasked)
	}
	return nil
}

// take reads one message. It is answered as it is to be passed on, with the tag of
// the call it belongs to; nil if it is not. An error ends the connection.
func (c *calls) take(raw []byte) (*wire.Message, any, error) {
	m, err := c.limits.parse(raw)
	if err != nil {
		// It may have been the answer to any of the calls. None can be trusted to
		// get another one, so all of them end now instead of at their timeout.
		c.failAll(fmt.Errorf("%w: %w", ErrInvalid, err))
		return nil, nil, c.useless()
	}
	if m.Kind == wire.Response {
		return nil, nil, c.answer(m)
	}
	m, tag, err := c.attribute(m)
	switch {
	case err != nil:
		return nil, nil, err
	case m == nil:
		return nil, nil, c.useless()
	}
	return m, tag, nil
}

func (c *calls) answer(m *wire.Message) error {
	id, _ := strconv.ParseInt(string(m.ID), 10, 64) // else 0 or the largest, which no call has
	c.mu.Lock()
	call := c.pending[id]
	delete(c.pending, id)
	c.mu.Unlock()
	if call == nil {
		return c.useless() // late, doubled or invented: nobody waits for it
	}
	if m.ID == call.id {
		call.answer <- result{message: m}
		return nil
	}
	restored, err := m.Answering(call.id)
	if err != nil {
		call.answer <- result{err: fmt.Errorf("%w: %w", ErrInvalid, err)}
		return nil
	}
	call.answer <- result{message: restored}
	return nil
}

// attribute finds the call that a message belongs to and gives it back the token
// or id that the caller chose. Only progress and subscriptions name their request;
// anything else belongs to the call that guess says. It answers nil for a message
// that names a call that is not there: passed on, our number in it would look like
// one that a client chose.
func (c *calls) attribute(m *wire.Message) (*wire.Message, any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mark, progress := c.mark(m)
	id := c.guess()
	if mark.Exists() {
		id, _ = mark.Int()
	}
	call := c.pending[id]
	if call == nil {
		if mark.Exists() {
			return nil, nil, nil
		}
		return m, nil, c.unaskedFor()
	}
	if call.events++; call.events > c.limits.Events && !call.listen {
		return nil, nil, fmt.Errorf("%w of %d in one call", ErrFlood, c.limits.Events)
	}
	if !mark.Exists() {
		return m, call.tag, nil
	}
	original := []byte(call.id)
	if progress {
		original = call.token
	}
	if original == nil {
		return nil, nil, nil // nobody asked for progress
	}
	restored, err := wire.Parse(wire.Splice(m.Raw, mark.Replace(original)), c.limits.wireLimits())
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return restored, call.tag, nil
}

// guess is the id of the call that a message without a mark belongs to; the caller
// holds mu.
func (c *calls) guess() int64 {
	if !c.onlyOne {
		return c.latestID
	}
	if len(c.pending) == 1 {
		for id := range c.pending {
			return id
		}
	}
	return 0
}

// mark is the value by which a message names the call it belongs to, and whether
// that is a progress token; the caller holds mu.
func (c *calls) mark(m *wire.Message) (mark wire.Value, progress bool) {
	switch m.Method {
	case wire.NotifyProgress:
		return m.Params.Get("progressToken"), true
	case wire.NotifyCancelled:
		// Under our id a server ends a subscription. Any other id is that of a request
		// of its own, which may be the same number.
		requestID := m.Params.Get("requestId")
		id, _ := requestID.Int()
		if call := c.pending[id]; call == nil || !call.listen {
			return wire.Value{}, false
		}
		return requestID, false
	}
	return m.Params.At("_meta", wire.MetaSubscriptionID), false
}

func (c *calls) failAll(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, call := range c.pending {
		delete(c.pending, id)
		call.answer <- result{err: err}
	}
}

// end makes every present and later call fail with err; the first reason stays.
func (c *calls) end(err error) {
	c.mu.Lock()
	if c.ended == nil {
		c.ended = err
	}
	err = c.ended
	c.mu.Unlock()
	c.failAll(err)
}

func (c *calls) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}
