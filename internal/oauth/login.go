package oauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"gatehouse/internal/config"
)

// Browser takes a person to an authorization server and back.
type Browser interface {
	// RedirectURI is where the authorization server sends the person back to.
	RedirectURI() string
	// Visit shows the URL to a person and returns the parameters with which the
	// person came back. Answers that right does not hold for are passed over: others
	// can send requests to this machine as well.
	Visit(ctx context.Context, authorizationURL string, right func(url.Values) bool) (url.Values, error)
}

// ErrNotNeeded says that the server asks for no token.
var ErrNotNeeded = errors.New("the server does not ask for a login")

// Login gets a grant with the help of a person: the authorization code flow with
// PKCE. The server is asked first, through base, what it wants.
func (c *Client) Login(ctx context.Context, base http.RoundTripper, browser Browser) (*Grant, error) {
	if c.auth.Type != config.OAuth {
		return nil, fmt.Errorf("server %s has auth.type %s: the gateway gets its tokens without a login", c.server.ID, c.auth.Type)
	}
	if !c.private() {
		return nil, fmt.Errorf("server %s: %w", c.server.ID, errPlain)
	}
	before, err := c.current(true)
	if err != nil {
		return nil, fmt.Errorf("%w; run `gatehouse logout %s` first", err, c.server.ID)
	}
	ch, asked, err := c.probe(ctx, base)
	if err != nil {
		return nil, err
	}
	if !asked && before != nil { // it refused something else before
		ch, asked = challenge{metadata: before.Metadata}, true
		if before.Access.IsZero() {
			ch.scopes = before.Wanted
		}
	}
	p, err := c.discover(ctx, ch)
	if err != nil {
		if !asked && errors.Is(err, errNothing) {
			return nil, ErrNotNeeded
		}
		return nil, fmt.Errorf("finding the authorization server: %w", err)
	}
	if !asked && p.server.guessed {
		return nil, ErrNotNeeded
	}
	// "MCP clients … MUST verify PKCE support … If code_challenge_methods_supported is
	// absent … clients MUST refuse to proceed." A server of 2025-03-26 without any
	// metadata cannot say; PKCE is used all the same.
	if !p.server.guessed && !slices.Contains(p.server.pkce, "S256") {
		return nil, fmt.Errorf("the authorization server %.200q does not offer PKCE with S256", p.server.issuer)
	}
	who, err := c.identify(ctx, p.server, browser.RedirectURI())
	if err != nil {
		return nil, err
	}
	scopes := c.scopes(ch, p, before)
	if slices.Contains(p.server.scopes, "offline_access") {
		scopes = union(scopes, []string{"offline_access"}) // for a refresh token
	}
	t, err := c.authorize(ctx, p, who, scopes, browser)
	if err != nil {
		return nil, err
	}
	g := &Grant{
		Principal: c.principal, Server: c.server.ID, URL: c.server.URL, Resource: p.resource, Issuer: p.server.issuer,
		ClientID: who.id, AuthMethod: who.method, Requested: scopes, Scopes: scopes,
	}
	if c.auth.ClientID == "" {
		g.Client = who.secret
	}
	g.take(t)
	// A gateway that is just renewing the old token must not write it over this one.
	unlock, err := c.store.lock(ctx, c.fileName())
	if err != nil {
		return nil, err
	}
	defer unlock()
	return g, c.save(g)
}

// probeBody is what a client of any revision may begin with. A server that wants a
// token refuses it before it reads it.
const probeBody = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"gatehouse-login","version":"1"}}}`

// maxProbe of the answer is read; what counts is in its header.
const maxProbe = 64 << 10

// probe asks the server for what it refuses without a token.
func (c *Client) probe(ctx context.Context, base http.RoundTripper) (ch challenge, asked bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.server.URL, bytes.NewReader([]byte(probeBody)))
	if err != nil {
		return challenge{}, false, err
	}
	headers, err := c.server.ResolvedHeaders()
	if err != nil {
		return challenge{}, false, err
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := base.RoundTrip(req)
	if err != nil {
		return challenge{}, false, fmt.Errorf("asking server %s: %w", c.server.ID, err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxProbe))
	ch, asked = challengeOf(resp)
	return ch, asked, nil
}

// identify finds out as whom the gateway comes: "1. pre-registered … 2. Client ID
// Metadata Documents … 3. Dynamic Client Registration as a fallback".
func (c *Client) identify(ctx context.Context, s server, redirectURI string) (identity, error) {
	if c.auth.ClientID != "" {
		return c.ownIdentity(s), nil
	}
	if c.auth.ClientMetadataURL != "" && s.metadataIDs {
		return identity{id: c.auth.ClientMetadataURL, method: authNone}, nil
	}
	if s.registration == "" {
		return identity{}, fmt.Errorf("the authorization server %.200q registers no clients by itself; register Gatehouse there and set servers.%s.auth.client_id", s.issuer, c.server.ID)
	}
	known, err := c.store.registered(s.issuer, redirectURI)
	if err != nil {
		return identity{}, err
	}
	if known == nil {
		if known, err = c.register(ctx, s, redirectURI); err != nil {
			return identity{}, fmt.Errorf("registering at %.200q: %w; register Gatehouse there by hand and set servers.%s.auth.client_id", s.issuer, err, c.server.ID)
		}
	}
	return identity{id: known.ClientID, secret: known.Secret, method: known.AuthMethod}, nil
}

func (c *Client) register(ctx context.Context, s server, redirectURI string) (*registration, error) {
	if err := c.checkURL(s.registration); err != nil {
		return nil, err
	}
	want := authNone // a program on somebody's machine keeps no secret from them
	if !slices.Contains(s.authMethods, authNone) && (len(s.authMethods) > 0 || !s.guessed) {
		want = chooseMethod(s.authMethods)
	}
	got, err := oauthex.RegisterClient(ctx, s.registration, &oauthex.ClientRegistrationMetadata{
		ClientName: "Gatehouse", RedirectURIs: []string{redirectURI}, ApplicationType: "native",
		GrantTypes: []string{grantCode, grantRefresh}, ResponseTypes: []string{"code"}, TokenEndpointAuthMethod: want,
	}, c.http)
	var refused *oauthex.ClientRegistrationError
	switch {
	case errors.As(err, &refused):
		return nil, fmt.Errorf("it answered %.60q", refused.ErrorCode)
	case err != nil:
		return nil, errors.New("it did not answer with a registration") // err may repeat the whole answer
	case !isToken(got.ClientID) || (got.ClientSecret != "" && !isToken(got.ClientSecret)):
		return nil, errors.New("it answered with a client ID that cannot be used")
	}
	r := &registration{Issuer: s.issuer, RedirectURI: redirectURI, ClientID: got.ClientID, Secret: seal(got.ClientSecret), AuthMethod: got.TokenEndpointAuthMethod, Expires: got.ClientSecretExpiresAt}
	if r.AuthMethod == "" {
		r.AuthMethod = want
	}
	if r.AuthMethod != authNone && r.Secret.IsZero() {
		return nil, fmt.Errorf("it wants the client to authenticate by %.60q and gave it no secret", r.AuthMethod)
	}
	return r, c.store.register(r)
}

// authorize sends a person to the authorization server and trades what they bring
// back for a token.
func (c *Client) authorize(ctx context.Context, p place, who identity, scopes []string, browser Browser) (tokens, error) {
	if err := c.checkURL(p.server.authorization); err != nil {
		return tokens{}, fmt.Errorf("the authorization endpoint: %w", err)
	}
	state, verifier := rand.Text(), rand.Text()+rand.Text() // 130 and 260 bits
	target, err := authorizationURL(p, who, scopes, browser.RedirectURI(), state, verifier)
	if err != nil {
		return tokens{}, err
	}
	back, err := browser.Visit(ctx, target, func(answer url.Values) bool {
		return len(answer["state"]) == 1 && subtle.ConstantTimeCompare([]byte(answer.Get("state")), []byte(state)) == 1
	})
	if err != nil {
		return tokens{}, err
	}
	code, err := readAnswer(back, p.server)
	if err != nil {
		return tokens{}, err
	}
	t, err := c.requestToken(ctx, p.server, who, url.Values{
		"grant_type": {grantCode}, "code": {code}, "redirect_uri": {browser.RedirectURI()},
		"code_verifier": {verifier}, "resource": {p.resource},
	})
	if err != nil {
		return tokens{}, fmt.Errorf("trading the code for a token: %w", err)
	}
	return t, nil
}

func authorizationURL(p place, who identity, scopes []string, redirectURI, state, verifier string) (string, error) {
	u, err := url.Parse(p.server.authorization)
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(verifier))
	query := u.Query()
	for name, value := range map[string]string{
		"response_type": "code", "client_id": who.id, "redirect_uri": redirectURI, "state": state,
		"code_challenge": base64.RawURLEncoding.EncodeToString(hash[:]), "code_challenge_method": "S256",
		// RFC 8707: in the authorization and in the token request, "regardless of
		// whether authorization servers support it".
		"resource": p.resource,
	} {
		query.Set(name, value)
	}
	addScopes(query, scopes)
	if slices.Contains(scopes, "offline_access") {
		query.Set("prompt", "consent") // OpenID Connect gives no refresh token without it
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// readAnswer takes the code out of an answer whose state is right, after making sure
// that it came from the authorization server that was asked (RFC 9207): "if the value
// does not match … clients MUST reject", and nothing of it is shown.
func readAnswer(back url.Values, s server) (code string, err error) {
	issuers := back["iss"]
	switch {
	case len(issuers) > 1 || (len(issuers) == 1 && issuers[0] != s.issuer):
		return "", errors.New("the answer came from another authorization server than the one that was asked; nothing of it is used")
	case len(issuers) == 0 && s.sendsIssuer:
		return "", errors.New("the answer does not say which authorization server it is from, though this one always does; nothing of it is used")
	}
	if failure := back.Get("error"); failure != "" {
		return "", fmt.Errorf("the authorization server refused: %s", printable(failure))
	}
	if codes := back["code"]; len(codes) != 1 || codes[0] == "" || len(codes[0]) > maxTokenBytes {
		return "", errors.New("the answer holds no code")
	}
	return back.Get("code"), nil
}

// printable is what a terminal may show of a text that somebody else wrote.
func printable(s string) string {
	const most = 100
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}

// revokeTimeout bounds telling an authorization server that tokens are not needed
// any more; logging out works without it.
const revokeTimeout = 5 * time.Second

// Logout forgets the grant, and tells the authorization server if it takes that
// (RFC 7009). told is false if it does not, or could not be reached.
func (c *Client) Logout(ctx context.Context) (removed int, told bool, err error) {
	unlock, err := c.store.lock(ctx, c.fileName())
	if err != nil {
		return 0, false, err
	}
	defer unlock()
	if g, err := c.current(true); err == nil && g != nil && !g.Access.IsZero() {
		told = c.revoke(ctx, g)
	}
	removed, err = c.store.Forget(c.principal, c.server.ID, c.server.URL)
	return removed, told, err
}

func (c *Client) revoke(ctx context.Context, g *Grant) bool {
	ctx, stop := context.WithTimeout(ctx, revokeTimeout)
	defer stop()
	s, err := c.authorizationServer(ctx, g.Issuer)
	if err != nil || s.revocation == "" {
		return false
	}
	who, err := c.identityOf(g)
	if err != nil {
		return false
	}
	form := url.Values{"token": {open(g.Access)}, "token_type_hint": {"access_token"}}
	if !g.Refresh.IsZero() {
		form = url.Values{"token": {open(g.Refresh)}, "token_type_hint": {"refresh_token"}}
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if who.authenticate(s, form, header) != nil {
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return false
	}
	req.Header = header
	resp, err := c.http.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
