package gateway

import (
	"context"
	"crypto/x509"
	"net/url"

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
	var query url.Values
	if p.Query != "" {
		query, _ = url.ParseQuery(p.Query) // what cannot be parsed holds no token that anybody would find
	}
	return g.live.Load().identifier.Identify(ctx, &identity.Request{
		Header: p.Header, TLS: p.TLS, Remote: p.Remote, Local: p.Local, Mount: p.Mount, Query: query,
	})
}

// challengeReply is the answer to a request whose sender is not known. It repeats
// nothing of the request.
func challengeReply(ex *exchange, c *identity.Challenge) Reply {
	reply := errorReply(ex, c)
	reply.Status, reply.Challenge = c.Status, c.Authenticate
	return reply
}

// Metadata is what a client reads to learn where it gets a token (RFC 9728), at a
// path below /.well-known/; ok is false where there is nothing.
func (g *Gateway) Metadata(path string) (doc []byte, ok bool) {
	return g.live.Load().identifier.MetadataAt(path)
}

// ClientCAs are the authorities of client certificates; nil if none are taken.
func (g *Gateway) ClientCAs() *x509.CertPool { return g.live.Load().identifier.ClientCAs() }
