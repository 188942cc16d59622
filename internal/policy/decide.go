package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"gatehouse/internal/config"
	"gatehouse/internal/identity"
)

// Engine answers requests by one set of policies. It does not change after it was
// loaded and may be shared between goroutines.
type Engine struct {
	digest   string
	report   bool // of the whole section
	zone     *time.Location
	rules    []*rule
	index    *index
	servers  map[string]*thing
	settings map[string]config.Server
	gateway  *thing

	subjects cache[*identity.Principal, *subject]
	things   cache[thingKey, *thing]
	minute   atomic.Pointer[minuteEntry]
}

// Size is the number of policies.
func (e *Engine) Size() int { return len(e.rules) }

// Digest is "sha256:" and the hash of the policies and of what the configuration says
// of servers. Two engines with the same digest decide alike.
func (e *Engine) Digest() string { return e.digest }

// Warnings are sentences about policies that refuse nothing and only report.
func (e *Engine) Warnings() []string {
	var list []string
	for _, r := range e.rules {
		if r.report {
			list = append(list, fmt.Sprintf("policy %s (%s:%d): it only reports; what it would refuse passes", r.id, r.file, r.line))
		}
	}
	return list
}

// fewRules is how many policies a request usually has to be compared with.
const fewRules = 16

// Decide answers one request. Same request, same answer.
func (e *Engine) Decide(r *Request) Decision {
	w, err := e.world(r)
	if err != nil {
		return Decision{Err: err}
	}
	v := w.evaluate(w.candidates())
	if len(v.permits) == 0 && w.action.bit&words().implied != 0 {
		if by := w.reachedBy(); by != nil {
			v.permits = append(v.permits, by)
		}
	}
	d := v.decision()
	if !d.Allow && d.Err == nil && len(v.forbids) == 0 {
		d.Scopes = w.stepUp()
	}
	if e.report {
		return d.reported(v)
	}
	return d
}

// world prepares the evaluation of a request.
func (e *Engine) world(r *Request) (*world, error) {
	if r.Principal == nil {
		return nil, errors.New("the request has no principal")
	}
	s, err := e.subjects.get(r.Principal, func() (*subject, error) { return newSubject(r.Principal, e.index) })
	if err != nil {
		return nil, err
	}
	t, err := e.thing(r)
	if err != nil {
		return nil, err
	}
	a := words().action(r.Method)
	if a.resources&t.kind == 0 {
		return nil, fmt.Errorf("%q is not about a %s", r.Method, r.Kind)
	}
	w := &world{engine: e, request: r, subject: s, thing: t, action: a}
	context, err := s.contextOf(r)
	if err != nil {
		return nil, err
	}
	w.question = types.Request{Principal: s.entity.UID, Action: a.uid, Resource: t.entity.UID, Context: context}
	return w, nil
}

// thing is the resource of a request.
func (e *Engine) thing(r *Request) (*thing, error) {
	switch r.Kind {
	case KindGateway:
		return e.gateway, nil
	case KindServer:
		if s, found := e.servers[r.Server]; found {
			return s, nil
		}
		return nil, fmt.Errorf("there is no server %q", r.Server)
	}
	if kindTypes[r.Kind] == "" {
		return nil, fmt.Errorf("%q is no kind of resource", r.Kind)
	}
	s, found := e.settings[r.Server]
	if !found {
		return nil, fmt.Errorf("there is no server %q", r.Server)
	}
	k := thingKey{r.Kind, r.Server, r.Name, r.Claims}
	if len(k.name) > maxCachedName {
		return newThing(k, s, e.index), nil
	}
	return e.things.get(k, func() (*thing, error) { return newThing(k, s, e.index), nil })
}

// candidates are the policies whose scopes fit the request.
func (w *world) candidates() []*rule {
	return w.engine.index.candidates(w.few[:0], w.subject, w.thing, w.action)
}

// verdict is what the policies for one request came to.
type verdict struct {
	permits, forbids, reported []*rule
	failed                     *rule // the first that could not be evaluated
	err                        error
}

// evaluate looks at every candidate, whatever the others say, so that all that
// decide are known and a failing one is never overlooked.
func (w *world) evaluate(rules []*rule) (v verdict) {
	c := candidates{w: w, rules: rules}
	_, found := cedar.Authorize(&c, w, w.question)
	for _, r := range rules {
		holds := r.condition == nil
		if !holds && len(found.Reasons) > 0 && found.Reasons[0].PolicyID == cedar.PolicyID(r.id) {
			holds, found.Reasons = true, found.Reasons[1:]
		}
		err := c.failed[r]
		if len(found.Errors) > 0 && found.Errors[0].PolicyID == cedar.PolicyID(r.id) {
			err, found.Errors = errors.New(found.Errors[0].Message), found.Errors[1:]
		}
		switch {
		case err != nil:
			v.fail(r, err)
		case !holds:
		case r.report:
			v.reported = append(v.reported, r)
		case r.permit:
			v.permits = append(v.permits, r)
		default:
			v.forbids = append(v.forbids, r)
		}
	}
	if len(found.Reasons)+len(found.Errors) > 0 {
		panic("policy: internal error: a policy was evaluated that was not asked") // its answer would be lost
	}
	return v
}

// fail notes a policy that could not be evaluated. One in report mode would have
// refused.
func (v *verdict) fail(r *rule, err error) {
	if r.report {
		v.reported = append(v.reported, r)
		return
	}
	if v.failed == nil {
		v.failed, v.err = r, err
	}
}

// decision is where the verdict becomes an answer. The order is the guard: Cedar
// "skips" a policy that fails, so that a forbid that fails would let pass.
func (v *verdict) decision() Decision {
	d := Decision{Would: ids(v.reported)}
	switch {
	case v.failed != nil:
		d.Err = fmt.Errorf("policy %s could not be evaluated: %w", v.failed.id, v.err)
		d.Policies = []string{v.failed.id}
	case len(v.forbids) > 0:
		d.Policies, d.Reason = ids(v.forbids), reasons(v.forbids)
	default:
		d.Policies = ids(v.permits)
		d.Allow = len(v.permits) > 0
	}
	return d
}

// reported is the decision where the whole section only reports.
func (d Decision) reported(v verdict) Decision {
	if d.Allow {
		return d
	}
	switch {
	case v.failed != nil || len(v.forbids) > 0:
		d.Would = append(d.Would, d.Policies...)
	default:
		d.Would = append(d.Would, NoPermit)
	}
	return Decision{Allow: true, Policies: ids(v.permits), Would: d.Would}
}

func ids(rules []*rule) []string {
	if len(rules) == 0 {
		return nil
	}
	list := make([]string, len(rules))
	for i, r := range rules {
		list[i] = r.id
	}
	return list
}

func reasons(rules []*rule) string {
	if len(rules) == 1 {
		return rules[0].reason
	}
	var list []string
	for _, r := range rules {
		if r.reason != "" {
			list = append(list, r.reason)
		}
	}
	return strings.Join(list, "; ")
}

// usedBy is the method by which a kind of thing is used.
var usedBy = map[string]string{
	KindTool: "tools/call", KindPrompt: "prompts/get", KindResource: "resources/read", KindTemplate: "resources/read",
}

// Lists reports whether the principal could be allowed to use what r names, with
// some arguments at some time: whether a list should show it. What no call would
// get is hidden, unless that follows only from several policies together; what some
// call would get is never hidden. r.Method may be empty for the method by which
// things of the kind are used. The answer depends on nothing but the principal, its
// address and client name, and the resource.
func (e *Engine) Lists(r *Request) bool {
	asked := *r
	if asked.Method == "" {
		asked.Method = usedBy[r.Kind]
	}
	asked.Score, asked.Conversation = 0, nil
	w, err := e.world(&asked)
	if err != nil {
		return false
	}
	if e.report {
		return true
	}
	const without = noArguments | noTime | noState
	candidates := w.candidates()
	return w.couldAllow(candidates, without) || w.couldStepUp(candidates, without)
}

// couldAllow reports whether the policies may allow a request of which something is
// not known.
func (w *world) couldAllow(candidates []*rule, without unknown) bool {
	may, _ := w.possible(candidates, without)
	return may
}

// stepUp are the scopes with which a permit that asks for some would apply: "the
// scopes required for the current operation" (2026-07-28, Authorization). The caller
// has made sure that nothing forbids it.
func (w *world) stepUp() []string {
	if !w.hasToken() {
		return nil
	}
	for _, r := range w.candidates() {
		if len(r.scopes) == 0 {
			continue
		}
		more, err := w.withScopes(r.scopes)
		if err != nil {
			return nil
		}
		if holds, err := r.condition.holds(more); err == nil && holds {
			return r.scopes
		}
	}
	return nil
}

// couldStepUp reports whether the policies may allow the request to a token with the
// scopes that one of them asks for.
func (w *world) couldStepUp(candidates []*rule, without unknown) bool {
	if !w.hasToken() {
		return false
	}
	for _, r := range candidates {
		if len(r.scopes) == 0 {
			continue
		}
		if more, err := w.withScopes(r.scopes); err == nil && more.couldAllow(candidates, without) {
			return true
		}
	}
	return false
}

// hasToken reports whether there is a token that could be exchanged for one with more
// scopes. Keys and certificates are what they are.
func (w *world) hasToken() bool {
	means := w.request.Principal.Means
	return means == identity.ByJWT || means == identity.ByOpaque
}

// withScopes is the world in which the token has these scopes too.
func (w *world) withScopes(scopes []string) (*world, error) {
	p := *w.subject.principal
	p.Scopes = slices.Concat(p.Scopes, scopes)
	s := &subject{principal: &p, entity: w.subject.entity, keys: w.subject.keys}
	context, err := s.contextOf(w.request)
	if err != nil {
		return nil, err
	}
	more := &world{engine: w.engine, request: w.request, subject: s, thing: w.thing, action: w.action, question: w.question}
	more.question.Context = context
	return more, nil
}

// possible says whether the policies may allow, and may deny, a request of which
// something is not known.
func (w *world) possible(candidates []*rule, without unknown) (allow, deny bool) {
	permitted, surely, refused := false, false, false
	for _, r := range candidates {
		if r.report {
			continue
		}
		of := r.formula.outcomes(w, without)
		if of == canFail || !r.permit && of&canNot == 0 {
			return false, true
		}
		refused = refused || of&canFail != 0 || !r.permit && of&canHold != 0
		permitted = permitted || r.permit && of&canHold != 0
		surely = surely || r.permit && of == canHold
	}
	if !permitted && w.action.bit&words().implied != 0 && w.reachedBy() != nil {
		permitted, surely = true, true
	}
	return permitted, refused || !surely
}
