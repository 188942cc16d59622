package gateway

import (
	"strings"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/decision"
	"gatehouse/internal/identity"
	"gatehouse/internal/policy"
	"gatehouse/internal/wire"
)

// authorize asks the policies whether the principal may do this: a client's request
// at a server with the arguments that it brings, and a server's question to its
// client. What no arguments would be allowed for does not exist for the principal,
// and was answered so before.
func (g *Gateway) authorize(ex *exchange) error {
	engine := g.live.Load().policies
	who, server := ex.asker(), ex.server
	switch {
	case who == nil || server == nil || ex.peer.link != nil && ex.session != nil && ex.session.own:
		return nil // the gateway's own answer, whose parts are those that the principal may see
	case ex.msg.Kind == wire.Notification || handshake[ex.msg.Method]:
		return nil // reaching the server is enough
	case engine == nil:
		return ownerOnly(who)
	}
	decided := engine.Decide(ex.audienceOf(who).question(ex))
	ex.policies, ex.would = decided.Policies, decided.Would
	switch {
	case decided.Err != nil:
		return &decision.Refusal{Reason: decision.Denied, Detail: "a policy could not be evaluated", Err: decided.Err}
	case decided.Allow:
		return nil
	case decided.Reason != "":
		return decision.Refuse(decision.Denied, "%s", printable(decided.Reason))
	}
	return &decision.Refusal{Reason: decision.Denied}
}

// ownerOnly is the policy where none is configured: whoever runs the gateway may do
// everything, and nobody else anything.
func ownerOnly(who *identity.Principal) error {
	if who.Kind == identity.Local {
		return nil
	}
	return decision.Refuse(decision.Denied, "there is no policy section yet, so only the local user may call anything")
}

// handshake are the methods of a server that whoever may use anything of it may
// call. What they list is filtered.
var handshake = map[string]bool{
	wire.MethodInitialize: true, wire.MethodDiscover: true, wire.MethodPing: true, wire.MethodSetLevel: true,
	wire.MethodToolsList: true, wire.MethodPromptsList: true, wire.MethodTemplatesList: true, wire.MethodResourcesList: true,
	wire.MethodListen: true,
	// Tasks belong to whoever began them.
	wire.MethodTasksGet: true, wire.MethodTasksResult: true, wire.MethodTasksCancel: true, wire.MethodTasksUpdate: true, wire.MethodTasksList: true,
}

// asker is the principal on whose behalf a message goes to or comes from a server;
// nil if there is none.
func (ex *exchange) asker() *identity.Principal {
	switch {
	case !ex.fromServer():
		return ex.who
	case ex.session != nil:
		return ex.session.who.Load()
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

// name tells audiences apart that see different things.
func (a *audience) name() string {
	if a == nil {
		return ""
	}
	return a.key
}

// audienceOf is nil for the local user where there is no policy.
func (ex *exchange) audienceOf(who *identity.Principal) *audience {
	if ex.audience != nil && ex.audience.who == who {
		return ex.audience
	}
	client := ""
	if ex.session != nil {
		client = ex.session.clientName("")
	}
	return &audience{who: who, client: client, peer: ex.peer}
}

// setAudience is done once who and what is asking is known.
func (g *Gateway) setAudience(ex *exchange) {
	live := g.live.Load()
	if live.policies == nil && ex.who.Kind == identity.Local {
		return
	}
	client := ""
	info := ex.msg.Params.At("_meta", wire.MetaClientInfo)
	if ex.msg.Method == wire.MethodInitialize {
		info = ex.msg.Params.Get("clientInfo")
	}
	if info.Exists() {
		client = live.clientName(info)
	}
	if ex.session != nil {
		client = ex.session.clientName(client)
	}
	a := &audience{engine: live.policies, who: ex.who, client: client, peer: ex.peer}
	a.key = strings.Join([]string{
		a.who.ID, strings.Join(a.who.Teams, "\x00"), strings.Join(a.who.Scopes, "\x00"), string(a.who.Means), a.who.Client, client, a.peer.Remote.String(),
	}, "\x01")
	ex.audience = a
}

// base is what every question of the audience says.
func (a *audience) base(method string, s *server) *policy.Request {
	return &policy.Request{
		Principal: a.who, ClientName: a.client, Method: method, Server: s.id, Kind: "server",
		Address: a.peer.Remote, Time: time.Now(),
	}
}

// question is the whole question that an exchange puts to the policies.
func (a *audience) question(ex *exchange) *policy.Request {
	q := a.base(ex.msg.Method, ex.server)
	if kind, name := ex.resource(); kind != "" {
		q.Kind, q.Name = kind, name
	}
	if ex.out != nil {
		q.Arguments = ex.out.Params.Get("arguments").Raw()
	}
	return q
}

// resource is what the exchange uses of its server, in the words of policies; ""
// if it is the server itself.
func (ex *exchange) resource() (kind, name string) {
	switch ex.msg.Method {
	case wire.MethodResourcesRead, wire.MethodSubscribe, wire.MethodUnsubscribe:
		return "resource", ex.target
	case wire.MethodToolsCall, wire.MethodPromptsGet, wire.MethodComplete:
		k, name := ex.definition()
		return resourceKind(k), name
	}
	return "", ""
}

func resourceKind(k approval.Kind) string {
	switch k {
	case approval.KindTool:
		return "tool"
	case approval.KindPrompt:
		return "prompt"
	case approval.KindTemplate:
		return "template"
	}
	return "resource"
}

// useOf is the method by which an entry of a list is used.
func useOf(kind approval.Kind) string {
	switch kind {
	case approval.KindTool:
		return wire.MethodToolsCall
	case approval.KindPrompt:
		return wire.MethodPromptsGet
	}
	return wire.MethodResourcesRead
}

// sees reports whether there is anything that the audience could do with an entry
// of a server's list.
func (a *audience) sees(s *server, kind approval.Kind, name string) bool {
	if a == nil {
		return true
	}
	if a.engine == nil {
		return false
	}
	q := a.base(useOf(kind), s)
	q.Kind, q.Name = resourceKind(kind), name
	return a.engine.Lists(q)
}

// seesTarget reports whether there is what the exchange is about, for its audience.
func (a *audience) seesTarget(ex *exchange) bool {
	if a == nil {
		return true
	}
	kind, name := ex.resource()
	switch {
	case ex.meta.name == "taskId":
		return a.ownsTask(ex.server, ex.target)
	case kind == "" && handshake[ex.msg.Method]:
		return true
	case a.engine == nil:
		return false
	}
	q := a.base(ex.msg.Method, ex.server)
	if kind != "" {
		q.Kind, q.Name = kind, name
	}
	return a.engine.Lists(q)
}

// reaches reports whether the audience can do anything at a server: something with
// the server as a whole, or with one of the definitions that were approved.
func (a *audience) reaches(s *server) bool {
	if a == nil {
		return true
	}
	if a.engine == nil {
		return false
	}
	for _, method := range []string{wire.MethodInitialize, wire.MethodToolsCall, wire.MethodResourcesRead, wire.MethodPromptsGet} {
		if a.engine.Lists(a.base(method, s)) {
			return true
		}
	}
	for kind, name := range s.gateway.book.Approved(s.id) {
		if name != "" && a.sees(s, kind, name) {
			return true
		}
	}
	return false
}

// hideFromOthers gives a reason that concerns the owner of the gateway only to the
// owner. Everybody else is told what is said of a name that is not there: "denied,
// unknown and quarantined" must not be told apart.
func (ex *exchange) hideFromOthers(err error) error {
	reason := decision.From(err).Reason
	if ex.who == nil || ex.who.Kind == identity.Local || reason != decision.Quarantined && reason != decision.Drift {
		return err
	}
	return &decision.Refusal{Reason: decision.NotFound, Detail: printable(ex.target), Err: err}
}
