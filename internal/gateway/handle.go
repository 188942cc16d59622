package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/decision"
	"gatehouse/internal/policy"
	"gatehouse/internal/rule"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// Handle carries one message to the other side and the answer back. This is the
// whole path: nothing reaches a server or a client any other way, whether it is a
// request, a notification or a response, and whoever sent it. The order is code.
// Every step may refuse, and a step that fails refuses too.
func (g *Gateway) Handle(ctx context.Context, raw []byte, peer *Peer) Reply {
	return g.handle(ctx, newExchange(raw, peer))
}

func (g *Gateway) handle(ctx context.Context, ex *exchange) (reply Reply) {
	ctx, ex.cancel = context.WithCancelCause(ctx)
	defer ex.cancel(nil)
	defer g.leave(ex)
	defer func() {
		// One message must not take down everybody else's calls (CVE-2026-47427).
		if p := recover(); p != nil {
			reply = g.refuse(ex, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()

	if err := g.identify(ctx, ex); err != nil {
		return g.refuse(ex, err)
	}
	if err := g.decode(ex); err != nil {
		return g.refuse(ex, err)
	}
	if err := g.attach(ex); err != nil {
		return g.refuse(ex, err)
	}
	if ex.msg.Kind == wire.Response {
		return g.answered(ex)
	}
	if err := g.resolve(ex); err != nil {
		return g.refuse(ex, err)
	}
	if err := g.halted(ex); err != nil {
		return g.refuse(ex, err)
	}
	if err := g.admit(ctx, ex); err != nil {
		return g.refuse(ex, err)
	}
	if err := g.validate(ex); err != nil {
		return g.refuse(ex, err)
	}
	if err := g.authorize(ex); err != nil {
		return g.refuse(ex, err)
	}
	if err := g.limit(ctx, ex); err != nil {
		return g.refuse(ex, err)
	}
	if err := g.inspectRequest(ex); err != nil {
		return g.refuse(ex, err)
	}
	if err := g.recordDecision(ex); err != nil {
		return g.refuse(ex, err)
	}
	if err := g.forward(ctx, ex); err != nil {
		return g.refuse(ex, err)
	}
	if err := g.inspectAnswer(ctx, ex); err != nil {
		return g.refuse(ex, err)
	}
	return g.reply(ex)
}

// decode reads the bytes, once and strictly, and tells the era of the message.
func (g *Gateway) decode(ex *exchange) error {
	if ex.msg == nil {
		limit := g.live.Load().config.Limits.RequestBytes
		m, err := wire.Parse(ex.raw, wire.Limits{Bytes: limit})
		if err != nil {
			return malformed(err)
		}
		ex.msg = m
	}
	if ex.msg.Kind != wire.Response {
		if err := properMethod(ex.msg.Method); err != nil {
			return err
		}
	}
	ex.meta = known(ex.msg.Method)
	if ex.fromServer() {
		ex.modern = ex.peer.link.modern() && !ex.peer.translated
		return nil
	}
	// "A request with modern _meta is stateless; initialize means the semantics of
	// the revisions before", whatever the headers of either say.
	ex.modern = wire.Modern(ex.msg) || ex.msg.Method != wire.MethodInitialize && ModernHeader(ex.peer.Header)
	if !ex.modern {
		if err := matchStrayHeaders(ex); err != nil {
			return err
		}
		return g.unwrap(ex)
	}
	if ex.request() {
		if err := g.modernMeta(ex); err != nil {
			return err
		}
	}
	if err := matchHeaders(ex); err != nil {
		return err
	}
	return g.unwrap(ex)
}

func malformed(err error) error {
	var syntax *wire.SyntaxError
	if errors.As(err, &syntax) && syntax.Bound {
		return decision.Refuse(decision.TooLarge, "%v", syntax)
	}
	return decision.Refuse(decision.Malformed, "%v", err)
}

// attach finds the session of the message, or begins it. A session never proves
// who its sender is: "MCP servers … MUST NOT use sessions for authentication".
func (g *Gateway) attach(ex *exchange) error {
	if ex.fromServer() {
		ex.session = ex.peer.link.session
		if tag := ex.peer.tag; ex.session == nil && tag != nil && !tag.modern {
			ex.session = tag.session // its client has one, if the server has not
		}
		return nil
	}
	ex.session = ex.peer.Connection
	defer func() { ex.audience = g.audienceOf(ex, ex.who) }() // what the client calls itself, its session knows
	if ex.modern || ex.session != nil {
		if !ex.modern && ex.request() && !ex.session.mayAsk(ex.msg.Method) {
			return decision.Refuse(decision.Malformed, "initialize must come first")
		}
		return g.enter(ex)
	}
	if ex.msg.Method == wire.MethodInitialize {
		ex.session = newSession(ex.who, ex.peer.Mount)
		if err := g.sessions.add(ex.session, g.live.Load().config.Limits.Sessions); err != nil {
			ex.session = nil
			return err
		}
		return g.enter(ex)
	}
	if ex.peer.SessionID == "" {
		return &statusError{http.StatusBadRequest, decision.Refuse(decision.Malformed,
			"the request has neither a session (Mcp-Session-Id after initialize) nor the _meta of 2026-07-28")}
	}
	ex.session = g.sessions.find(ex.peer.SessionID, ex.principal, ex.peer.Mount)
	if ex.session == nil {
		// "The server … MUST respond to requests containing that session ID with HTTP
		// 404 Not Found", also when it is another principal's.
		return &statusError{http.StatusNotFound, decision.Refuse(decision.NotFound, "there is no such session")}
	}
	ex.session.who.Store(ex.who)
	return g.enter(ex)
}

// enter counts the exchange among those in flight.
func (g *Gateway) enter(ex *exchange) error {
	if ex.session != nil {
		ex.session.touch()
	}
	if !ex.request() {
		return nil
	}
	if g.inFlight.Add(1) > int64(g.live.Load().config.Limits.InFlight) {
		g.inFlight.Add(-1)
		return decision.Refuse(decision.Overloaded, "try again when other calls have ended")
	}
	ex.entered = true
	if ex.session != nil {
		return ex.session.enter(ex)
	}
	return nil
}

func (g *Gateway) leave(ex *exchange) {
	ex.clock.stop()
	g.used(ex)
	g.flights.remove(ex)
	if ex.errand != nil {
		ex.errand.leftBy(ex)
	}
	if ex.release != nil {
		ex.release()
	}
	if !ex.entered {
		return
	}
	g.inFlight.Add(-1)
	if ex.session != nil {
		ex.session.leave(ex)
		ex.session.touch()
	}
}

// resolve finds where the message goes and what it is about.
func (g *Gateway) resolve(ex *exchange) error {
	if _, isRequest := methods[ex.msg.Method]; isRequest && ex.msg.Kind == wire.Notification {
		// A careless reader carries out a request without an id and does not answer
		// it; nothing of it would have been admitted or validated.
		return decision.Refuse(decision.Malformed, "%s needs an id", ex.msg.Method)
	}
	if ex.fromServer() {
		ex.server, ex.link, ex.route = ex.peer.link.server, ex.peer.link, toClient
		ex.out = ex.msg
		return g.resolveClient(ex)
	}
	if err := g.eraOfMethod(ex); err != nil {
		return err
	}
	ex.out = ex.msg
	switch {
	case ex.msg.Kind == wire.Notification:
		ex.route = local
		return nil
	case ex.peer.Mount == "":
		return g.resolveJoined(ex)
	}
	return g.resolveMounted(ex)
}

// resolveMounted finds the one server of a mount, where names are the server's own.
func (g *Gateway) resolveMounted(ex *exchange) error {
	if ex.server = g.live.Load().servers[ex.peer.Mount]; ex.server == nil || !ex.audience.reaches(ex.server) {
		ex.server = nil
		return ex.noServer()
	}
	if ex.msg.Method == wire.MethodPing {
		ex.route = local
		return nil
	}
	if ex.meta.name != "" {
		// Without a name there is nothing to compare with what was approved.
		if ex.target = ex.msg.Params.Get(ex.meta.name).Text(); ex.target == "" {
			return decision.Refuse(decision.InvalidArguments, "params.%s must be a text", ex.meta.name)
		}
	}
	ex.route = toServer
	return nil
}

// resolveJoined finds the server that a name or URI begins with, or that all of
// them are meant.
func (g *Gateway) resolveJoined(ex *exchange) error {
	if ex.meta.joined == nil {
		return decision.Refuse(decision.Unsupported, "%s is not available where servers are joined; use /mcp/{server}", printable(ex.msg.Method))
	}
	ex.route = ex.meta.joined(g, ex)
	if ex.server != nil && !ex.audience.reaches(ex.server) {
		ex.route, ex.server, ex.target = 0, nil, ""
	}
	if ex.route == 0 {
		return ex.noServer()
	}
	return nil
}

// noServer is the answer to what names a server that is not there for its sender.
func (ex *exchange) noServer() error {
	if ex.peer.Mount == "" {
		return decision.Refuse(decision.NotFound, "the name or URI begins with no server of this gateway")
	}
	return &statusError{http.StatusNotFound, decision.Refuse(decision.NotFound, "there is no such server")}
}

// admit lets through only what was approved: the server as a whole, and the tool
// or prompt in the form in which it is defined at this moment.
func (g *Gateway) admit(ctx context.Context, ex *exchange) error {
	if ex.route == toClient {
		return g.admitQuestion(ex)
	}
	if ex.route != toServer {
		return nil
	}
	if err := ex.server.admitted(ctx); err != nil {
		return ex.hideFromOthers(err, ex.noServer())
	}
	if err := g.connect(ex); err != nil {
		return err
	}
	if err := ex.fitTasks(); err != nil {
		return err
	}
	if err := ex.unhash(ctx); err != nil {
		return err
	}
	permitted := ex.permitted()
	kind, name := ex.definition()
	if kind == "" || name == "" {
		if !permitted || !ex.audience.seesTarget(ex, policy.Claims{}) {
			return ex.notThere()
		}
		return nil
	}
	found, err := ex.link.lookup(ctx, kind, name)
	if err != nil {
		return err
	}
	var claims policy.Claims
	if found != nil {
		claims = found.claims
	}
	permitted = ex.audience.seesTarget(ex, claims) && permitted
	if permitted && found == nil && kind == approval.KindTemplate {
		return nil // the URI of a resource, which is no definition
	}
	if !permitted || found == nil {
		g.refreshBook() // as approved does, so that what is in quarantine takes no longer
		return ex.notThere()
	}
	if err := ex.server.approved(found); err != nil {
		return ex.hideFromOthers(err, ex.notThere())
	}
	ex.item = found
	return nil
}

// connect finds the connection that the exchange uses: one of the client's own era
// if the server has it, else one across eras.
func (g *Gateway) connect(ex *exchange) (err error) {
	if ex.modern && !ex.server.speaks(true) {
		if err := g.takeUp(ex); err != nil {
			return err
		}
		if ex.errand != nil {
			ex.link = ex.errand.link
			return nil
		}
	}
	ex.link, ex.release, err = ex.server.linkFor(ex)
	return err
}

// crosses reports whether client and server of the exchange are of different eras.
func (ex *exchange) crosses() bool { return ex.modern != ex.link.modern() }

// definition is what the exchange uses of the server's definitions, as the server
// knows it.
func (ex *exchange) definition() (approval.Kind, string) {
	if ex.msg.Method != wire.MethodComplete {
		return ex.meta.kind, ex.target
	}
	kind, name := refOf(ex.out)
	return kind, name.Text()
}

// validate checks what the client names and gives: the address of a resource, the
// arguments of a prompt, those of a tool against its own input schema, and the
// headers that mirror them.
func (g *Gateway) validate(ex *exchange) error {
	if ex.meta.name == "uri" {
		return properURI(ex.target)
	}
	if ex.msg.Method == wire.MethodListen {
		if err := properURIs(ex.msg.Params.At("notifications", "resourceSubscriptions")); err != nil {
			return err
		}
		return ex.filterSubscriptions()
	}
	if ex.modern && ex.route == toServer {
		if err := fitRoots(&ex.out, ex.out.Params.Get("inputResponses").Members()); err != nil {
			return err
		}
	}
	if ex.msg.Method == wire.MethodPromptsGet {
		return checkPromptArguments(ex)
	}
	if ex.item == nil || ex.meta.kind != approval.KindTool {
		return nil
	}
	if !properMirrors(ex.item.Definition) {
		return decision.Refuse(decision.UpstreamInvalid, "the tool wants its arguments in headers that cannot be")
	}
	arguments := ex.msg.Params.Get("arguments")
	if arguments.Kind() == 'n' {
		arguments = wire.Value{} // what some clients write for none
	}
	if arguments.Exists() && arguments.Kind() != '{' {
		return decision.Refuse(decision.InvalidArguments, "arguments must be an object")
	}
	input, err := ex.item.inputSchema()
	if err != nil {
		return &decision.Refusal{Reason: decision.UpstreamInvalid, Detail: "the tool's input schema cannot be used", Err: err}
	}
	if err := input.Check(arguments); err != nil && input.Check(ex.item.withoutNulls(arguments)) != nil {
		return decision.Refuse(decision.InvalidArguments, "%s", printable(err.Error()))
	}
	if name, found := lookalikeArgument(ex.item.schema.input, arguments); found {
		return decision.Refuse(decision.InvalidArguments, "%s differs from an argument of the tool only in upper and lower case", printable(name))
	}
	if ex.wrapped {
		ex.mirrorInner(arguments)
		return nil
	}
	return matchParamHeaders(ex, arguments)
}

// inspectRequest shows everything that leaves to the rules: parameters on their
// way to a server, and what a server asks of a client.
func (g *Gateway) inspectRequest(ex *exchange) error {
	surface := ex.meta.request
	if ex.msg.Kind == wire.Notification {
		surface = rule.Notification
		if !ex.fromServer() {
			surface = rule.Arguments
		}
	}
	if surface == 0 {
		return nil // ping
	}
	if err := g.inspect(ex, &ex.out, surface, idOf(ex.out)); err != nil {
		return err
	}
	return g.inspectHeaders(ex)
}

// idOf is the id of a message. Each side chooses its own ids, and they must come
// back as they are.
func idOf(m *wire.Message) wire.Value { return m.Root.Get("id") }

// forward sends what was inspected and waits for the answer, within the bounds of
// time and number.
func (g *Gateway) forward(ctx context.Context, ex *exchange) error {
	if err := g.takeOff(ex); err != nil {
		return err
	}
	if ex.msg.Kind == wire.Notification {
		longest := g.live.Load().config.Limits.Timeout
		ctx, stop := context.WithTimeoutCause(ctx, longest, decision.Refuse(decision.UpstreamTimeout, "not taken within %s", longest))
		defer stop()
		return g.forwardNotification(ctx, ex)
	}
	timeout := g.live.Load().config.Limits.Timeout
	if ex.server != nil {
		timeout = ex.server.config.Timeout
	}
	if ex.msg.Method == wire.MethodListen { // the one request that may last for ever
		var stop context.CancelFunc
		ctx, stop = g.WhileKnown(ctx, ex.peer)
		defer stop()
	} else {
		ex.clock.start(timeout, g.live.Load().config.Limits.MaxTimeout, func(after time.Duration) {
			ex.cancel(decision.Refuse(decision.UpstreamTimeout, "no answer within %s", after))
		})
	}
	var answer upstream.Answer
	var err error
	switch ex.route {
	case local:
		answer, err = g.answerHere(ctx, ex)
	case toAll:
		answer, err = g.joinLists(ctx, ex)
	case toClient:
		answer, err = g.askClient(ctx, ex)
	default:
		answer, err = g.callServer(ctx, ex)
	}
	if err != nil {
		return err
	}
	ex.answer, ex.status = answer.Message, answer.Status
	if code, failed := ex.answer.Error.Get("code").Int(); failed && ex.modern && ex.status == http.StatusOK {
		ex.status = modernStatus(int(code)) // not every server knows it
	}
	return nil
}

// inspectAnswer takes out what was not approved, shows every string of the rest
// to the rules and leaves what they let pass.
func (g *Gateway) inspectAnswer(ctx context.Context, ex *exchange) error {
	if ex.answer == nil {
		return nil
	}
	if ex.answer.Error.Exists() {
		if err := checkPages(ex.answer.Error); err != nil {
			return err
		}
		if asksForPages(ex.answer.Error) && ex.route == toServer {
			if err := ex.audience.mayBeAsked(ex.server, wire.MethodElicit); err != nil {
				return err
			}
		}
		surface := rule.ErrorText
		if ex.fromServer() {
			surface = rule.ClientAnswer
		}
		return g.inspect(ex, &ex.answer, surface, idOf(ex.answer))
	}
	if ex.route == toServer {
		if ex.modern {
			if err := checkInputRequests(ex); err != nil {
				return err
			}
			if err := g.mayPutQuestions(ctx, ex); err != nil {
				return err
			}
		}
		if err := g.fitAnswer(ex); err != nil {
			return err
		}
	}
	if err := g.fitParts(ex); err != nil {
		return err
	}
	if ex.meta.list != "" {
		// The entries were compared with their approved forms, or judged one by one.
		list := ex.list
		if ex.listIn != ex.answer {
			list = ex.answer.Result.Get(ex.meta.list)
		}
		return g.inspect(ex, &ex.answer, rule.Other, idOf(ex.answer), list)
	}
	if ex.meta.answer == 0 {
		return nil // of a ping, made here
	}
	if questions := ex.answer.Result.Get("inputRequests"); questions.Exists() {
		// What a server asks for by its answer is a question to the client.
		if err := g.inspectValue(ex, &ex.answer, questions, rule.ClientRequest); err != nil {
			return err
		}
		return g.inspect(ex, &ex.answer, ex.meta.answer, idOf(ex.answer), ex.answer.Result.Get("inputRequests"))
	}
	return g.inspect(ex, &ex.answer, ex.meta.answer, idOf(ex.answer))
}
