package gateway

import (
	"net/http"

	"gatehouse/internal/config"
	"gatehouse/internal/oauth"
)

// withTokens adds the principal's token to requests for a server. A server whose
// configuration sets Authorization itself gets that and nothing else.
func (g *Gateway) withTokens(c config.Server, base http.RoundTripper) http.RoundTripper {
	if _, own := c.Headers["Authorization"]; own || g.tokens == nil {
		return base
	}
	client, err := oauth.NewClient(c, g.localUser, g.tokens, g.log.With("server", c.ID))
	if err != nil {
		panic("gateway: internal error: " + err.Error()) // the configuration was checked
	}
	return client.Transport(base)
}

// LocalPrincipal is whom the gateway takes the caller for when it is started by the
// user of this process.
func LocalPrincipal() string { return localUser() }
