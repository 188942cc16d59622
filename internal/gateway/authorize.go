package gateway

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
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
	if ex.fromServer() && ex.msg.Kind == wire.Notification && !ex.server.tells(a, ex.msg) {
		return ex.notThere()
	}
	question := a.question(ex)
	ex.asked = askedOf(question)
	decided := a.engine.Decide(question)
	if len(decided.Scopes) > 0 && !ex.fromServer() {
		ex.would = decided.Would
		return g.stepUp(ex, decided.Scopes)
	}
	return ex.judged(decided)
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

// askedOf is what a replay needs to ask the same again.
func askedOf(q *policy.Request) *audit.Asked {
	p := q.Principal
	asked := &audit.Asked{Name: p.Name, Means: string(p.Means), Issuer: p.Issuer, TokenClient: p.Client, Scopes: p.Scopes, Score: q.Score, Conversation: q.Conversation}
	if q.Address.IsValid() {
		asked.Address = q.Address.String()
	}
	return asked
}

// lackingScope refuses what a token with more scopes might do.
type lackingScope struct {
	refusal   *decision.Refusal
	challenge *identity.Challenge
}

func (e *lackingScope) Error() string { return e.refusal.Error() }

func (e *lackingScope) Unwrap() error { return e.refusal }

// stepUp refuses with a challenge: "servers SHOULD respond with HTTP 403 Forbidden
// and a WWW-Authenticate header with the Bearer scheme" and "error=insufficient_scope"
// (2026-07-28, Authorization). It comes for what the principal sees anyway.
func (g *Gateway) stepUp(ex *exchange, scopes []string) error {
	refusal := decision.Refuse(decision.Denied, "the token lacks a scope; needed are %s", strings.Join(scopes, " "))
	challenge := g.live.Load().identifier.StepUp(ex.who, ex.peer.Mount, scopes)
	if challenge == nil {
		return refusal
	}
	return &lackingScope{refusal, challenge}
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
	peer := ex.peer
	if peer.tag != nil {
		peer = peer.tag.peer // what a server says within a call goes where the call came from
	}
	// None of these texts has control characters.
	list := func(texts []string) string { return strings.Join(texts, "\x00") }
	return &audience{
		engine: live.policies, who: who, client: client, peer: peer,
		key: strings.Join([]string{
			string(who.Kind), who.ID, who.Name, list(who.Teams), list(who.Scopes), string(who.Means), who.Issuer, who.Client, client, peer.Remote.String(),
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
	switch {
	case s != nil:
		q.Server = s.id
	case kind == policy.KindServer:
		q.Server = a.peer.Mount // a notification, which goes to whom its session talks to
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
	case ex.server == nil && ex.peer.Mount == "":
		return policy.KindGateway, ""
	case ex.server == nil:
		return policy.KindServer, ""
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

// notThere is the answer to a name that is not there for its sender.
func (ex *exchange) notThere() error {
	return decision.Refuse(decision.NotFound, "%s", printable(ex.target))
}

// hideFromOthers gives a reason that concerns the owner of the gateway only to the
// owner. Everybody else is told what is said of what is not there: what is denied,
// unknown or in quarantine is not told apart. The log has both.
func (ex *exchange) hideFromOthers(err, notThere error) error {
	reason := decision.From(err).Reason
	if ex.who == nil || ex.who.Kind == identity.Local || reason != decision.Quarantined && reason != decision.Drift {
		return err
	}
	ex.detail = err.Error()
	return notThere
}

// mayBeAsked decides on a question that a server puts by its answer, by an error or
// by a notification. One that is a request of its own is authorized like any other.
func (a *audience) mayBeAsked(s *server, method string) error {
	switch {
	case a == nil:
		return nil
	case a.engine == nil:
		return decision.Refuse(decision.Denied, "there is no policy section yet")
	}
	d := a.engine.Decide(a.about(method, s, policy.KindServer, ""))
	switch {
	case d.Err != nil:
		return &decision.Refusal{Reason: decision.Denied, Detail: "a policy could not be evaluated", Err: d.Err}
	case !d.Allow:
		return decision.Refuse(decision.Denied, "%s", printable(join("the server asks the client for "+method, d.Reason)))
	}
	return nil
}

// tells reports whether an audience may hear what a server announces: nothing of a
// resource that it could not read, nor of somebody else's task.
func (s *server) tells(a *audience, m *wire.Message) bool {
	switch m.Method {
	case wire.NotifyResourceUpdated:
		uri := m.Params.Get("uri").Text()
		return passes(s.filterOf(""), "", uri) && a.sees(s, "", uri, policy.Claims{})
	case wire.NotifyTaskStatus, wire.NotifyTask:
		return a.ownsTask(s, m.Params.Get("taskId").Text())
	}
	return true
}

// hears reports whether an audience may be told now that something has changed; s is
// nil where any server may be meant.
func (a *audience) hears(s *server, method string) bool {
	switch {
	case a == nil:
		return true
	case a.engine == nil:
		return false
	case s == nil:
		return a.engine.Lists(a.about(method, nil, policy.KindGateway, ""))
	}
	return a.engine.Lists(a.about(method, s, policy.KindServer, ""))
}

// mayHear is asked for every announcement of a subscription, which may be older than
// the policies are.
func (g *Gateway) mayHear(ex *exchange, s *server, m *wire.Message) bool {
	who := ex.who
	if ex.session != nil {
		who = ex.session.who.Load()
	}
	a := g.audienceOf(ex, who)
	return a.hears(s, m.Method) && s.tells(a, m)
}

// audienceOfSession is who is told something in a session outside of any request.
func (g *Gateway) audienceOfSession(s *Session) *audience {
	live, who := g.live.Load(), s.who.Load()
	if live.policies == nil && who.Kind == identity.Local {
		return nil
	}
	return &audience{engine: live.policies, who: who, client: s.clientName(""), peer: &Peer{}}
}
