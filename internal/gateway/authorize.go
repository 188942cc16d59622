package gateway

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/decision"
	"gatehouse/internal/identity"
	"gatehouse/internal/policy"
	"gatehouse/internal/wire"
)

// authorize asks the policies whether this may be: what a client sends, with the
// arguments that it brings, and what a server asks of or tells the client of
// somebody. What a principal could not use with any arguments does not exist for it
// and was answered so before.
func (g *Gateway) authorize(ex *exchange) error {
	who := ex.asker()
	switch {
	case ex.fromServer() && who == nil:
		return nil // it concerns no client, or the gateway itself, which answers no questions
	case ex.audience == nil && who.Kind == identity.Local && g.live.Load().policies == nil:
		return nil // whoever runs the gateway may do everything where nobody says otherwise
	}
	a := ex.audience
	if a == nil {
		a = g.audienceOf(ex, who)
	}
	if a.engine == nil {
		return decision.Refuse(decision.Denied, "there is no policy section yet, so only the local user may call anything")
	}
	return ex.judged(a.engine.Decide(a.question(ex)))
}

// authorizeQuestions is authorize for what a server asks of the client by its answer.
func (ex *exchange) authorizeQuestions(questions wire.Value) error {
	if ex.audience == nil {
		return nil
	}
	for _, q := range questions.Members() {
		decided := ex.audience.engine.Decide(ex.audience.about(q.Get("method").Text(), ex.server, policy.KindServer, ""))
		if err := ex.judged(decided); err != nil {
			return err
		}
	}
	return nil
}

// judged takes down what the policies say, and refuses what they do not allow.
func (ex *exchange) judged(decided policy.Decision) error {
	ex.policies, ex.would = slices.Concat(ex.policies, decided.Policies), slices.Concat(ex.would, decided.Would)
	switch {
	case decided.Err != nil:
		// "Errors … result in the policy being ignored", says Cedar; a forbid that is
		// ignored would let the call pass.
		return &decision.Refusal{Reason: decision.Denied, Detail: "a policy could not be evaluated", Err: decided.Err}
	case !decided.Allow:
		return &decision.Refusal{Reason: decision.Denied, Detail: printable(decided.Reason)}
	}
	return nil
}

// asker is the principal on whose behalf a message goes to a server or comes from
// one; nil if there is none.
func (ex *exchange) asker() *identity.Principal {
	switch {
	case !ex.fromServer():
		return ex.who
	case ex.session != nil && ex.session.own:
		return nil
	case ex.session != nil:
		return ex.session.asker(ex)
	case ex.peer.tag != nil:
		return ex.peer.tag.who
	}
	return nil
}

// audience is who asks, as far as policies can know before arguments are known. It
// decides what there is for a principal: what it could not use with any arguments,
// it neither sees nor learns of. A nil audience sees everything.
type audience struct {
	engine *policy.Engine // nil: nothing is allowed
	who    *identity.Principal
	client string // as it calls itself
	peer   *Peer
	key    string // the same for audiences that see the same
}

// audienceOf is nil for the local user where there is no policy.
func (g *Gateway) audienceOf(ex *exchange, who *identity.Principal) *audience {
	live := g.live.Load()
	if live.policies == nil && who.Kind == identity.Local {
		return nil
	}
	info := ex.msg.Params.At("_meta", wire.MetaClientInfo)
	if ex.msg.Method == wire.MethodInitialize {
		info = ex.msg.Params.Get("clientInfo")
	}
	client := ""
	if info.Exists() {
		client = live.clientName(info)
	}
	if ex.session != nil {
		client = ex.session.clientName(client)
	}
	list := func(texts []string) string { return strings.Join(texts, "\x00") }
	return &audience{
		engine: live.policies, who: who, client: client, peer: ex.peer,
		key: strings.Join([]string{
			who.ID, list(who.Teams), list(who.Scopes), string(who.Means), who.Issuer, who.Client, client, ex.peer.Remote.String(),
		}, "\x01"),
	}
}

// name tells audiences apart that see different things.
func (a *audience) name() string {
	if a == nil {
		return ""
	}
	return a.key
}

// about begins a question of the audience: may it do this with that?
func (a *audience) about(method string, s *server, kind, name string) *policy.Request {
	q := &policy.Request{
		Principal: a.who, ClientName: a.client, Method: method, Kind: kind, Name: name,
		Address: a.peer.Remote, Time: time.Now(),
	}
	if s != nil {
		q.Server = s.id
	}
	return q
}

// question is the whole question that an exchange puts to the policies.
func (a *audience) question(ex *exchange) *policy.Request {
	kind, name := ex.resource()
	q := a.about(ex.msg.Method, ex.server, kind, name)
	if ex.item != nil {
		q.Claims = ex.item.claims
	}
	if ex.out != nil {
		q.Arguments = ex.out.Params.Get("arguments")
	}
	return q
}

// resource is what the exchange uses, in the words of policies.
func (ex *exchange) resource() (kind, name string) {
	switch {
	case ex.server == nil:
		return policy.KindGateway, ""
	case ex.fromServer():
		return policy.KindServer, ""
	}
	switch ex.msg.Method {
	case wire.MethodResourcesRead, wire.MethodSubscribe, wire.MethodUnsubscribe:
		return policy.KindResource, ex.target
	case wire.MethodToolsCall, wire.MethodPromptsGet, wire.MethodComplete:
		if kind, name := ex.definition(); kind != "" {
			return kindOf(kind), name
		}
	}
	return policy.KindServer, ""
}

func kindOf(k approval.Kind) string {
	switch k {
	case approval.KindTool:
		return policy.KindTool
	case approval.KindPrompt:
		return policy.KindPrompt
	case approval.KindTemplate:
		return policy.KindTemplate
	}
	return policy.KindResource
}

// sees reports whether there is anything that the audience could do with an entry
// of a server's list.
func (a *audience) sees(s *server, kind approval.Kind, name string, claims policy.Claims) bool {
	if a == nil {
		return true
	}
	if a.engine == nil {
		return false
	}
	q := a.about("", s, kindOf(kind), name)
	q.Claims = claims
	return a.engine.Lists(q)
}

// seesTarget reports whether there is what the exchange is about, for its audience.
func (a *audience) seesTarget(ex *exchange, claims policy.Claims) bool {
	switch {
	case a == nil:
		return true
	case a.engine == nil:
		return false
	case ex.meta.name == "taskId":
		return a.ownsTask(ex.server, ex.target)
	}
	kind, name := ex.resource()
	q := a.about(ex.msg.Method, ex.server, kind, name)
	q.Claims = claims
	return a.engine.Lists(q)
}

// reaches reports whether the audience can do anything at all at a server.
func (a *audience) reaches(s *server) bool {
	if a == nil {
		return true
	}
	return a.engine != nil && a.engine.Lists(a.about(wire.MethodInitialize, s, policy.KindServer, ""))
}

// hideFromOthers gives a reason that concerns the owner of the gateway only to the
// owner. Everybody else is told what is said of a name that is not there: what is
// denied, unknown or in quarantine is not told apart.
func (ex *exchange) hideFromOthers(err error) error {
	reason := decision.From(err).Reason
	if ex.who == nil || ex.who.Kind == identity.Local || reason != decision.Quarantined && reason != decision.Drift {
		return err
	}
	return &decision.Refusal{Reason: decision.NotFound, Detail: printable(ex.target), Err: err}
}
