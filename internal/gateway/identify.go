package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"gatehouse/internal/decision"
	"gatehouse/internal/identity"
)

// identify says who sends the message. Every request is identified by itself, once and
// before anything in it is read: "MCP servers that implement authorization MUST
// verify all inbound requests".
func (g *Gateway) identify(ctx context.Context, ex *exchange) error {
	if ex.fromServer() {
		ex.principal = "server:" + ex.peer.link.server.id
		return nil
	}
	who := ex.peer.who.Load()
	if who == nil {
		var err error
		if who, err = g.whoIs(ctx, ex.peer); err != nil {
			return err
		}
		ex.peer.who.Store(who)
	}
	ex.who, ex.principal = who, who.ID
	return nil
}

func (g *Gateway) whoIs(ctx context.Context, p *Peer) (*identity.Principal, error) {
	identifier := g.live.Load().identifier
	if identifier == nil {
		if !p.Local {
			return nil, decision.Refuse(decision.Unidentified, "only this machine may connect while there is no identity section")
		}
		return g.local, nil
	}
	var query url.Values
	if p.Query != "" {
		query, _ = url.ParseQuery(p.Query) // what cannot be parsed holds no token that anybody would find
	}
	who, err := identifier.Identify(ctx, &identity.Request{
		Header: p.Header, TLS: p.TLS, Remote: p.Remote, Local: p.Local, Mount: p.Mount, Query: query,
	})
	var challenge *identity.Challenge
	if errors.As(err, &challenge) {
		return nil, &challengeError{challenge, decision.Refuse(decision.Unidentified, "%s", challenge.Reason)}
	}
	return who, err
}

// challengeError is a refusal that tells the client how it can identify itself.
type challengeError struct {
	challenge *identity.Challenge
	refusal   *decision.Refusal
}

func (e *challengeError) Error() string { return e.refusal.Error() }
func (e *challengeError) Unwrap() error { return e.refusal }

// challengeReply is the answer to a request whose sender is not known. It repeats
// nothing of the request.
func challengeReply(ex *exchange, err *challengeError) Reply {
	reply := errorReply(ex, err.refusal)
	reply.Status, reply.Challenge = err.challenge.Status, err.challenge.Header
	if reply.Status == 0 {
		reply.Status = http.StatusUnauthorized
	}
	return reply
}
