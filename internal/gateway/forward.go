package gateway

import (
	"context"
	"errors"
	"net/http"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/decision"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// callServer sends the request to its server and waits for the answer.
func (g *Gateway) callServer(ctx context.Context, ex *exchange) (upstream.Answer, error) {
	if ex.crosses() {
		return g.callAcross(ctx, ex)
	}
	if ex.msg.Method == wire.MethodListen && ex.server.config.URL == "" {
		return g.listen(ctx, ex) // the process is shared, and so is its one subscription
	}
	var header http.Header
	if ex.modern {
		header = modernHeaders(ex.out, ex.peer.Header)
	}
	if ex.msg.Method == wire.MethodInitialize {
		return ex.session.start(ctx, ex)
	}
	answer, err := ex.link.call(ctx, ex.out, header, ex)
	if err == nil && ex.msg.Method == wire.MethodSubscribe {
		ex.link.subscribes()
	}
	return answer, err
}

// callAcross is callServer where client and server are of different eras.
func (g *Gateway) callAcross(ctx context.Context, ex *exchange) (upstream.Answer, error) {
	if _, known := methods[ex.msg.Method]; !known {
		return upstream.Answer{}, decision.Refuse(decision.Unsupported, "%s is not known, so it cannot be put into the words of the server's revision", printable(ex.msg.Method))
	}
	switch {
	case !ex.modern:
		return g.callModern(ctx, ex)
	case ex.msg.Method == wire.MethodDiscover:
		return g.presentation(ex)
	case ex.msg.Method == wire.MethodListen:
		return g.listen(ctx, ex)
	}
	return g.runErrand(ctx, ex)
}

// start begins a session with the one server it is for.
func (s *Session) start(ctx context.Context, ex *exchange) (upstream.Answer, error) {
	if err := s.introduce(ex.msg, ex.server.live()); err != nil {
		return upstream.Answer{}, err
	}
	l := ex.link
	l.connecting.Lock()
	defer l.connecting.Unlock()
	if l.current() != nil {
		return upstream.Answer{}, decision.Refuse(decision.Malformed, "initialize was sent before")
	}
	conn, err := l.connect()
	if err != nil {
		s.forgetClient()
		return upstream.Answer{}, err
	}
	answer, err := l.initialize(ctx, conn, ex.out)
	if err != nil || answer.Message.Error.Exists() {
		s.forgetClient()
		conn.Close()
		return answer, err
	}
	return answer, nil
}

// introduce remembers what the client says of itself, for the connections that
// its session will need.
func (s *Session) introduce(m *wire.Message, l *live) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.params != nil {
		return decision.Refuse(decision.Malformed, "initialize was sent before")
	}
	s.params = m
	s.client = l.clientName(m.Params.Get("clientInfo"))
	return nil
}

// forgetClient lets a client whose initialize did not succeed try again.
func (s *Session) forgetClient() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.params = nil
}

// initialize is the request with which the session connects to another server.
func (s *Session) initialize() *wire.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.params
}

func (s *Session) logLevel() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.level
}

// fromServer takes a message that a server sends by itself, on its way through
// the same pipeline. Notifications are handled in order; a question to the client
// waits for a person, so it must not hold up what comes behind it.
func (g *Gateway) fromServer(l *link, m *wire.Message, tag *exchange) {
	ctx := context.Background()
	if l.session != nil {
		ctx = l.session.ctx
	}
	if m.Method == wire.NotifyCancelled && l.session != nil && l.session.pooled != nil {
		// Nobody waits for it but the question itself.
		l.session.pooled.withdraw(tokenOf(m.Params.Get("requestId")))
		return
	}
	mount := l.mount()
	if tag != nil {
		if tag, m = tag.recipient(m); m == nil {
			return
		}
		mount = tag.peer.Mount
		tag.events.Add(1)
		tag.clock.touch()
	}
	ex := newExchange(m.Raw, &Peer{link: l, tag: tag, Local: true, Mount: mount})
	ex.msg = m
	if m.Kind == wire.Notification {
		g.handle(ctx, ex)
		return
	}
	conn := l.current()
	if conn == nil { // it has ended, or the server speaks before it was spoken to
		g.refuse(ex, decision.Refuse(decision.UpstreamUnavailable, "the connection of the question is not open"))
		return
	}
	if l.questions.Add(1) > maxQuestions && !g.makeRoom(l) {
		l.questions.Add(-1)
		g.answerServer(ctx, l, conn, g.refuse(ex, decision.Refuse(decision.Overloaded, "%d questions wait", maxQuestions)).Body)
		return
	}
	go func() {
		defer l.questions.Add(-1)
		ctx, stop := whileOpen(ctx, conn)
		defer stop()
		g.answerServer(ctx, l, conn, g.handle(ctx, ex).Body)
	}()
}

// makeRoom ends a call whose client was asked in this link and went away.
func (g *Gateway) makeRoom(l *link) bool {
	g.errands.mu.Lock()
	defer g.errands.mu.Unlock()
	return g.errands.giveWay(func(e *errand) bool { return e.link == l })
}

// whileOpen is a context that ends with a connection: a question that nobody can
// be told the answer to any more is not left with the client.
func whileOpen(ctx context.Context, conn upstream.Conn) (context.Context, func()) {
	ctx, stop := context.WithCancelCause(ctx)
	go func() { // ends with ctx
		select {
		case <-conn.Done():
			stop(decision.Refuse(decision.UpstreamUnavailable, "the server that asked is gone"))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { stop(nil) }
}

// recipient is the exchange that a message is for which belongs to a call, and the
// message as its client knows it; nil if nobody wants it.
func (ex *exchange) recipient(m *wire.Message) (*exchange, *wire.Message) {
	if m.Kind == wire.Request {
		return ex, m
	}
	if e := ex.errand; e != nil {
		token := m.Params.Get("progressToken")
		if ex = e.waiting(); ex == nil {
			return nil, nil // the client is thinking and has no stream open
		}
		if m.Method == wire.NotifyProgress {
			own := ex.msg.Params.At("_meta", "progressToken")
			if tokenOf(token) != e.token || !own.Exists() {
				return nil, nil
			}
			if err := replaceMessage(&m, []wire.Edit{token.Replace(own.Raw())}); err != nil {
				return nil, nil
			}
		}
	}
	if ex.modern && ex.unasked(m) {
		return nil, nil
	}
	return ex, m
}

// maxQuestions of one server wait for a client at once.
const maxQuestions = 32

// answerServer answers over the connection on which the server asked: on one made
// later, the id may be that of another question.
func (g *Gateway) answerServer(ctx context.Context, l *link, conn upstream.Conn, body []byte) {
	if body == nil {
		return
	}
	if err := conn.Send(ctx, body); err != nil {
		l.server.log.Debug("a server did not take an answer", "error", err)
	}
}

func (l *link) mount() string {
	if l.session != nil {
		return l.session.mount
	}
	return ""
}

// resolveClient finds the client that a server's message is for.
func (g *Gateway) resolveClient(ex *exchange) error {
	if ex.msg.Kind == wire.Request {
		if ex.msg.Method == wire.MethodPing {
			ex.route = local
			return nil
		}
		if ex.modern {
			// 2026-07-28: "The server MUST NOT write requests."
			return decision.Refuse(decision.Unsupported, "servers send no requests in this revision")
		}
		return g.fitNotification(ex)
	}
	switch ex.msg.Method {
	case wire.NotifyToolsChanged:
		ex.link.changed(approval.KindTool)
	case wire.NotifyPromptsChanged:
		ex.link.changed(approval.KindPrompt)
	case wire.NotifyResourcesChanged:
		ex.link.changed(approval.KindTemplate)
	}
	return g.fitNotification(ex)
}

// admitQuestion lets a server ask only what the client declared that it answers:
// "Servers … MUST NOT rely on capabilities the client has not declared".
func (g *Gateway) admitQuestion(ex *exchange) error {
	if ex.msg.Kind == wire.Notification {
		for _, q := range ex.msg.Params.Get("inputRequests").Members() { // of a task that waits for input
			if err := properQuestion(q.Get("method").Text(), q.Get("params")); err != nil {
				return err
			}
			if who := ex.asker(); who != nil {
				if err := g.audienceOf(ex, who).mayBeAsked(ex.server, q.Get("method").Text()); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if ex.session == nil || ex.session.own || !ex.session.declares(ex.msg) {
		return decision.Refuse(decision.Unsupported, "the client does not answer %s", printable(ex.msg.Method))
	}
	if err := properQuestion(ex.msg.Method, ex.msg.Params); err != nil {
		return err
	}
	if ex.peer.Mount != "" {
		return nil
	}
	return replaceMessage(&ex.out, nameAsker(nil, ex.out.Method, ex.out.Params, ex.server.id))
}

// askClient puts a server's question to the client, under an id of our own, and
// waits for the answer.
func (g *Gateway) askClient(ctx context.Context, ex *exchange) (upstream.Answer, error) {
	if pooled := ex.session.pooled; pooled != nil {
		return g.askModern(ctx, ex, pooled)
	}
	tag := ex.peer.tag
	id, question := ex.session.begin(ex.link, ex.msg)
	defer ex.session.giveUp(id)
	if tag != nil {
		tag.clock.ask(+1)
		defer tag.clock.ask(-1)
	}
	ex.clock.ask(+1) // a person takes the time a person takes, up to MaxTimeout
	if !g.deliver(ex, ex.out.WithID(id)) {
		return upstream.Answer{}, decision.Refuse(decision.ClientGone, "no stream to the client is open")
	}
	select {
	case answer := <-question.answer:
		m, err := wire.Parse(answer.WithID(ex.msg.ID), wire.Limits{})
		return upstream.Answer{Message: m, Status: http.StatusOK}, err
	case <-question.withdrawn:
		return upstream.Answer{}, decision.Refuse(decision.Cancelled, "by the server")
	case <-ctx.Done():
		params := append([]byte(`{"requestId":`), id...)
		g.deliver(ex, wire.NewNotification(wire.NotifyCancelled, append(params, '}')))
		return upstream.Answer{}, cancelled(ctx)
	}
}

// askModern puts a question to a client that can only be asked by the answer to a
// request of its own.
func (g *Gateway) askModern(ctx context.Context, ex *exchange, p *pooled) (upstream.Answer, error) {
	e := p.asker(ex.peer.tag, ex.server.config.URL == "")
	if e == nil {
		return upstream.Answer{}, decision.Refuse(decision.Unsupported, "no call is under way in which the client could be asked")
	}
	ex.clock.ask(+1)
	defer p.asks(ex.msg.ID, ex.cancel)()
	answer, err := e.ask(ctx, ex.out.Method, ex.out.Params.Raw())
	if err != nil {
		return upstream.Answer{}, err
	}
	return localAnswer(ex, answer)
}

func cancelled(ctx context.Context) error {
	cause := context.Cause(ctx)
	var refusal *decision.Refusal
	if errors.As(cause, &refusal) {
		return refusal
	}
	return decision.Wrap(decision.Cancelled, cause)
}

// deliver sends a message to the client: on the stream of the call it belongs to,
// else on the standing one.
func (g *Gateway) deliver(ex *exchange, raw []byte) bool {
	tag := ex.peer.tag
	if tag != nil && tag.peer.Emit != nil && tag.peer.Emit(raw) == nil {
		return true
	}
	if tag != nil && tag.modern {
		return false // the stream of the request is the only way
	}
	return ex.session != nil && ex.session.push(raw)
}

// forwardNotification passes a notification on to whom it concerns.
func (g *Gateway) forwardNotification(ctx context.Context, ex *exchange) error {
	if ex.fromServer() {
		if !g.deliver(ex, ex.out.Raw) {
			ex.server.log.Debug("a notification had no place to go", "method", ex.msg.Method)
		}
		return nil
	}
	session := ex.session
	switch ex.msg.Method {
	case wire.NotifyCancelled:
		return g.cancelFlight(ex)
	case wire.NotifyInitialized:
		if session == nil {
			return nil
		}
		g.followLists(ex)
		if session.mount == "" {
			g.joiners.add(session)
			return nil // joined servers are connected when they are needed
		}
		return session.confirmAll(ctx)
	case wire.NotifyProgress:
		if session != nil {
			if l := session.askedWith(tokenOf(ex.msg.Params.Get("progressToken"))); l != nil && !l.modern() {
				return sendTo(ctx, l, ex.out.Raw)
			}
		}
		return nil
	}
	if session == nil {
		return nil
	}
	for _, l := range session.openLinks() {
		if err := sendTo(ctx, l, ex.out.Raw); err != nil {
			return err
		}
	}
	return nil
}

func sendTo(ctx context.Context, l *link, raw []byte) error {
	if l == nil {
		return nil
	}
	conn := l.current()
	if conn == nil {
		return nil
	}
	if err := conn.Send(ctx, raw); err != nil {
		return l.server.explain(conn, err)
	}
	return nil
}

func (s *Session) confirmAll(ctx context.Context) error {
	for _, l := range s.openLinks() {
		if conn := l.current(); conn != nil {
			if err := l.confirm(ctx, conn); err != nil {
				return err
			}
		}
	}
	return nil
}

// cancelFlight ends a request of the client; its connection tells the server in
// the words of its own transport and under its own id.
func (g *Gateway) cancelFlight(ex *exchange) error {
	if ex.session == nil {
		return nil
	}
	id := tokenOf(ex.msg.Params.Get("requestId"))
	// "The initialize request MUST NOT be cancelled by clients."
	if flight := ex.session.flight(id); flight != nil && flight.msg.Method != wire.MethodInitialize {
		flight.cancel(decision.Refuse(decision.Cancelled, "by the client"))
	}
	return nil
}

// tokenOf is an id or progress token in canonical form.
func tokenOf(v wire.Value) wire.ID {
	if v.Kind() == '"' {
		return wire.ID(wire.AppendString(nil, v.Text()))
	}
	return wire.ID(v.Raw())
}

// answered takes a client's response to a question of a server; the exchange that
// asked inspects and records it.
func (g *Gateway) answered(ex *exchange) Reply {
	switch {
	case ex.session == nil:
	case ex.session.answered(ex.msg):
		return Reply{Status: http.StatusAccepted}
	case ex.session.asked(ex.msg.ID):
		// The client could not know that the question was withdrawn while it answered;
		// some take an error for the end of the session.
		return g.refuse(ex, &statusError{http.StatusAccepted, decision.Refuse(decision.NotFound, "the question was withdrawn")})
	}
	return g.refuse(ex, decision.Refuse(decision.Malformed, "nobody waits for this response"))
}

// reply hands out the answer, after the closing record was written.
func (g *Gateway) reply(ex *exchange) Reply {
	var body []byte
	if ex.answer != nil {
		body = ex.answer.Raw
	}
	if err := g.recordEnd(ex, body); err != nil {
		return g.refuse(ex, decision.Wrap(decision.AuditUnavailable, err))
	}
	if body == nil {
		return Reply{Status: http.StatusAccepted}
	}
	reply := Reply{Body: body, Status: ex.status}
	if ex.msg.Method == wire.MethodInitialize && !ex.fromServer() {
		if ex.answer.Error.Exists() {
			if ex.peer.Connection == nil {
				g.EndSession(ex.session)
			}
		} else {
			reply.Session = ex.session.id
			g.note(&audit.Record{Kind: audit.Session, Principal: ex.principal, Session: ex.session.public,
				Client: ex.session.clientName(""), Mount: ex.peer.Mount, Detail: "began"})
		}
	}
	return reply
}
