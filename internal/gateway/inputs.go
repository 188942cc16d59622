package gateway

import (
	"context"
	"net/http"

	"gatehouse/internal/decision"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// maxRounds is how often a server may ask for input before it answers one call.
const maxRounds = 16

// callModern makes the call of a client that has a session at a server that has
// none: what the server asks for by its answers, the client is asked in its
// session.
func (g *Gateway) callModern(ctx context.Context, ex *exchange) (upstream.Answer, error) {
	switch ex.msg.Method {
	case wire.MethodInitialize:
		return g.welcome(ex)
	case wire.MethodSetLevel:
		ex.session.keepLevel(ex.msg.Params.Raw())
		return localAnswer(ex, []byte(`{}`))
	case wire.MethodSubscribe:
		return g.follow(ctx, ex, true)
	case wire.MethodUnsubscribe:
		return g.follow(ctx, ex, false)
	}
	var more []wire.Change
	id := ex.msg.ID
	for range maxRounds {
		m, err := modernRequest(ex.out, id, ex.session, more...)
		if err != nil {
			return upstream.Answer{}, err
		}
		header := modernHeaders(m, nil)
		ex.mirror(header, m.Params.Get("arguments"))
		answer, err := ex.link.call(ctx, m, header, ex)
		if err != nil {
			return upstream.Answer{}, err
		}
		result := answer.Message.Result
		if result.Get("resultType").Text() != wire.ResultInputRequired {
			out, err := legacyAnswer(ex.msg.Method, ex.msg.ID, answer.Message)
			return upstream.Answer{Message: out, Status: http.StatusOK}, err
		}
		responses, err := g.putQuestions(ctx, ex, result.Get("inputRequests"))
		if err != nil {
			return upstream.Answer{}, err
		}
		// "MUST echo back the exact value of requestState", and a new id.
		more = []wire.Change{{Key: "inputResponses", Raw: responses}, {Key: "requestState", Raw: result.Get("requestState").Raw()}}
		id = g.ownID()
	}
	return upstream.Answer{}, decision.Refuse(decision.UpstreamFlood, "it asked for input over %d times", maxRounds)
}

// putQuestions asks the client everything that a server wants to know, one after
// the other as a person answers, each on its way through the same pipeline.
func (g *Gateway) putQuestions(ctx context.Context, ex *exchange, requests wire.Value) ([]byte, error) {
	var responses []wire.Change
	for key, q := range requests.Members() {
		if len(responses) >= maxQuestions {
			return nil, decision.Refuse(decision.UpstreamFlood, "over %d questions at once", maxQuestions)
		}
		id := integerID(g.ownCalls.Add(1))
		raw := wire.NewRequest(id, q.Get("method").Text(), q.Get("params").Raw())
		reply := g.Handle(ctx, raw, &Peer{link: ex.link, tag: ex, Local: true, Mount: ex.peer.Mount, translated: true})
		m, err := reread(reply.Body)
		if err != nil {
			return nil, err
		}
		if !m.Result.Exists() {
			return nil, decision.Refuse(decision.Unsupported, "the client did not answer a question of the server")
		}
		responses = append(responses, wire.Change{Key: key, Raw: m.Result.Raw()})
	}
	if len(responses) == 0 {
		return nil, nil
	}
	return object(responses...), nil
}

// welcome answers initialize for a server that has no sessions.
func (g *Gateway) welcome(ex *exchange) (upstream.Answer, error) {
	if err := ex.session.introduce(ex.msg, g.live.Load()); err != nil {
		return upstream.Answer{}, err
	}
	about := ex.server.about()
	info := about.At("_meta", wire.MetaServerInfo).Raw()
	if info == nil {
		info = object(wire.Change{Key: "name", Raw: wire.AppendString(nil, ex.server.id)}, wire.Change{Key: "version", Raw: []byte(`"unknown"`)})
	}
	return localAnswer(ex, object(
		wire.Change{Key: "protocolVersion", Raw: wire.AppendString(nil, legacyVersion(ex.msg))},
		wire.Change{Key: "capabilities", Raw: sharedCapabilities(about.Get("capabilities"))},
		wire.Change{Key: "serverInfo", Raw: info},
		wire.Change{Key: "instructions", Raw: about.Get("instructions").Raw()}))
}

// presentation answers server/discover for a server of the revisions before.
func (g *Gateway) presentation(ex *exchange) (upstream.Answer, error) {
	about := ex.server.about()
	return localAnswer(ex, object(
		wire.Change{Key: "resultType", Raw: []byte(`"` + wire.ResultComplete + `"`)},
		wire.Change{Key: "ttlMs", Raw: []byte(`0`)},
		wire.Change{Key: "cacheScope", Raw: []byte(`"private"`)},
		wire.Change{Key: "supportedVersions", Raw: supportedVersions()},
		wire.Change{Key: "capabilities", Raw: sharedCapabilities(about.Get("capabilities"))},
		wire.Change{Key: "instructions", Raw: about.Get("instructions").Raw()},
		wire.Change{Key: "_meta", Raw: object(wire.Change{Key: wire.MetaServerInfo, Raw: about.Get("serverInfo").Raw()})}))
}

// checkInputRequests refuses what a modern server asks of a modern client that did
// not declare that it answers it: "Servers MUST NOT send input requests of a type
// that the client has not declared support for". They stand in results of other
// types too: that of tasks/get is complete while the task waits for input.
func checkInputRequests(ex *exchange) error {
	result := ex.answer.Result
	// What stands under another spelling, or in another form, is looked at by nobody
	// here and may be read by a client.
	if twin, found := result.Lookalike("resultType", "inputRequests", "requestState"); found {
		return decision.Refuse(decision.UpstreamInvalid, "a member named %s", printable(twin))
	}
	requests := result.Get("inputRequests")
	if requests.Exists() && requests.Kind() != '{' {
		return decision.Refuse(decision.UpstreamInvalid, "inputRequests is no object")
	}
	capabilities := ex.msg.Params.At("_meta", wire.MetaCapabilities)
	for _, q := range requests.Members() {
		if twin, found := q.Lookalike("method", "params"); found {
			return decision.Refuse(decision.UpstreamInvalid, "a member named %s", printable(twin))
		}
		method := q.Get("method").Text()
		if declared(capabilities, method, q.Get("params")) {
			if err := properQuestion(method, q.Get("params")); err != nil {
				return err
			}
			continue
		}
		needs, known := capability[method]
		if !known {
			return decision.Refuse(decision.UpstreamInvalid, "it asks the client for %s", printable(method))
		}
		return missingCapability(needs, ex.server.id)
	}
	return nil
}

// mayPutQuestions asks policies and quotas about what a modern server asks of a modern
// client. What one of the revisions before asks is a request of its own, and they were
// asked about that.
func (g *Gateway) mayPutQuestions(ctx context.Context, ex *exchange) error {
	questions := ex.answer.Result.Get("inputRequests")
	if !questions.Exists() || ex.crosses() {
		return nil
	}
	if err := ex.authorizeQuestions(questions); err != nil {
		return err
	}
	return g.limitQuestions(ctx, ex, questions)
}

func missingCapability(name, server string) error {
	data := object(wire.Change{Key: "requiredCapabilities", Raw: object(wire.Change{Key: name, Raw: []byte(`{}`)})})
	return &protocolError{code: wire.CodeMissingCapability, status: http.StatusBadRequest, data: data,
		refusal: decision.Refuse(decision.Unsupported, "%s needs a client with the capability %s", server, name)}
}

// declared reports whether what a client declared covers a question.
func declared(capabilities wire.Value, method string, params wire.Value) bool {
	needs, known := capability[method]
	if !known {
		return false
	}
	has := capabilities.Get(needs)
	if method != wire.MethodElicit || has.Kind() != '{' {
		return has.Exists() && has.Kind() != 'n'
	}
	// "An empty capabilities object is equivalent to declaring support for form mode
	// only."
	if params.Get("mode").Text() == "url" {
		return has.Get("url").Exists()
	}
	return has.Get("form").Exists() || !has.Get("url").Exists()
}

// mirror repeats arguments as headers where the tool's input schema asks for it:
// "clients MUST mirror the designated parameter values into HTTP headers".
func (ex *exchange) mirror(header http.Header, arguments wire.Value) {
	if ex.item == nil {
		return
	}
	doc, err := wire.Scan(ex.item.Definition, wire.Limits{})
	if err != nil {
		return // it was read before, so it can be
	}
	for path, wanted := range mirrored(doc.Root) {
		argument := arguments.At(path...)
		switch argument.Kind() {
		case '"':
			header[http.CanonicalHeaderKey(headerParam+wanted)] = []string{encodeHeader(argument.Text())}
		case '0', 't', 'f':
			header[http.CanonicalHeaderKey(headerParam+wanted)] = []string{string(argument.Raw())}
		}
	}
}
