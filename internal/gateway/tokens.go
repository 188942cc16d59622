package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/oauth"
)

// withTokens adds the principal's token to requests for a server. A server whose
// configuration sets Authorization itself gets that and nothing else.
func (g *Gateway) withTokens(c config.Server, base http.RoundTripper) http.RoundTripper {
	if _, own := c.Headers["Authorization"]; own || g.tokens == nil {
		return base
	}
	client, err := oauth.NewClient(c, g.local.ID, g.tokens, g.log.With("server", c.ID))
	if err != nil {
		panic("gateway: internal error: " + err.Error()) // the configuration was checked
	}
	client.Elevates = func(ctx context.Context, scopes []string) {
		id, _ := ctx.Value(exchangeKey{}).(string)
		g.note(&audit.Record{Kind: audit.Elevated, Exchange: id, Principal: g.local.ID, Server: c.ID,
			Detail: "scopes asked for: " + strings.Join(scopes, " ")})
	}
	return client.Transport(base)
}

// exchangeKey is the id of an exchange in the context of its call at the server.
type exchangeKey struct{}

// ownSecrets are all values that the gateway gives to servers: those of the
// configuration and the tokens in use. They must come back to nobody.
func (l *live) ownSecrets() []string {
	if l.tokens == nil {
		return l.secrets
	}
	tokens := l.tokens.Secrets()
	if len(tokens) == 0 {
		return l.secrets
	}
	known := l.withTokens.Load()
	if known == nil || !sameSlice(known.tokens, tokens) {
		known = &knownTokens{tokens, slices.Concat(l.secrets, tokens)}
		l.withTokens.Store(known)
	}
	return known.all
}

// knownTokens keeps what ownSecrets put together for one state of the tokens.
type knownTokens struct{ tokens, all []string }

func sameSlice(a, b []string) bool { return len(a) == len(b) && &a[0] == &b[0] }

// LocalPrincipal is whom the gateway takes the caller for when it is started by the
// user of this process.
func LocalPrincipal() string { return localUser().ID }
