package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/golang-jwt/jwt/v5"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// clientCredentials gets a token for the gateway itself (SEP-1046).
func (c *Client) clientCredentials(ctx context.Context, p place, scopes []string) (tokens, error) {
	t, err := c.requestToken(ctx, p.server, c.ownIdentity(p.server), addScopes(url.Values{
		"grant_type": {grantClient}, "resource": {p.resource},
	}, scopes))
	if err != nil {
		return tokens{}, fmt.Errorf("client credentials: %w", err)
	}
	return t, nil
}

// workloadIdentity gets a token for the gateway, for which the platform that it runs
// on vouches (SEP-1933, a draft): RFC 7523, section 2.1.
func (c *Client) workloadIdentity(ctx context.Context, p place, scopes []string) (tokens, error) {
	assertion, err := c.auth.Assertion.Resolve()
	if err != nil {
		return tokens{}, err
	}
	t, err := c.requestToken(ctx, p.server, c.ownIdentity(p.server), addScopes(url.Values{
		"grant_type": {grantBearer}, "assertion": {assertion}, "resource": {p.resource},
	}, scopes))
	if err != nil {
		return tokens{}, fmt.Errorf("workload identity: %w", err)
	}
	return t, nil
}

// enterprise gets a token for a user whom the company's identity provider knows
// (enterprise-managed authorization): the user's ID token is exchanged for an
// assertion to the server's authorization server, and that for a token.
func (c *Client) enterprise(ctx context.Context, p place, scopes []string) (tokens, error) {
	idToken, err := c.auth.IdP.IDToken.Resolve()
	if err != nil {
		return tokens{}, err
	}
	provider, err := c.authorizationServer(ctx, c.auth.IdP.Issuer)
	if err != nil {
		return tokens{}, fmt.Errorf("the identity provider: %w", err)
	}
	who := identity{id: c.auth.IdP.ClientID, secret: c.auth.IdP.ClientSecret, method: authNone}
	if !who.secret.IsZero() {
		who.method = chooseMethod(provider.authMethods)
	}
	vouched, err := c.requestToken(ctx, provider, who, addScopes(url.Values{
		"grant_type": {grantExchange}, "requested_token_type": {oauthex.TokenTypeIDJAG},
		"audience": {p.server.issuer}, "resource": {p.resource},
		"subject_token": {idToken}, "subject_token_type": {oauthex.TokenTypeIDToken},
	}, scopes))
	if err != nil {
		return tokens{}, fmt.Errorf("the identity provider: %w", err)
	}
	if err := c.checkAssertion(vouched, p); err != nil {
		return tokens{}, fmt.Errorf("the identity provider's assertion: %w", err)
	}
	t, err := c.requestToken(ctx, p.server, c.ownIdentity(p.server), addScopes(url.Values{
		"grant_type": {grantBearer}, "assertion": {open(vouched.access)}, "resource": {p.resource},
	}, scopes))
	if err != nil {
		return tokens{}, fmt.Errorf("trading the assertion for a token: %w", err)
	}
	return t, nil
}

// checkAssertion looks at whom an assertion is for before it is handed over. Its
// signature is for the authorization server to verify.
func (c *Client) checkAssertion(t tokens, p place) error {
	if t.kind != oauthex.TokenTypeIDJAG {
		return fmt.Errorf("its type is %.100q", t.kind)
	}
	var claims struct {
		jwt.RegisteredClaims
		ClientID string `json:"client_id"`
	}
	parsed, _, err := jwt.NewParser().ParseUnverified(open(t.access), &claims)
	switch {
	case err != nil:
		return errors.New("it is no JWT")
	case parsed.Header["typ"] != "oauth-id-jag+jwt":
		return fmt.Errorf("its typ is %.60q", fmt.Sprint(parsed.Header["typ"]))
	case len(claims.Audience) != 1 || claims.Audience[0] != p.server.issuer:
		return fmt.Errorf("it is for %.200q and not for %.200q", claims.Audience, p.server.issuer)
	case claims.ClientID != c.auth.ClientID:
		return errors.New("it is for another client")
	}
	return nil
}
