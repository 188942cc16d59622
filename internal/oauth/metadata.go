package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"gatehouse/internal/egress"
	"gatehouse/internal/wire"
)

// documentLimits bound a JSON document of an authorization server. The largest in
// use are OpenID configurations with some hundred strings.
var documentLimits = wire.Limits{Bytes: egress.MaxBodyBytes, Depth: 16, Items: 5000, Members: 500, Strings: 10_000}

const (
	// maxScopes and maxScopeBytes bound what one challenge or document may ask for.
	maxScopes     = 200
	maxScopeBytes = 256
	// maxURL of metadata is kept for a login; the longest in use are far shorter.
	maxURL = 2048
)

// challenge is what a server says when it refuses a request for want of a token.
type challenge struct {
	metadata string   // URL of its metadata; "" if it names none
	scopes   []string // that the request needs; empty if it does not say
	more     bool     // the token was good, but for less than this
}

// challengeOf reads a refusal; ok is false for an answer that is none. A header that
// cannot be read says nothing, and the metadata is looked for in its usual places.
func challengeOf(resp *http.Response) (ch challenge, ok bool) {
	if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
		return challenge{}, false
	}
	all, err := oauthex.ParseWWWAuthenticate(resp.Header.Values("Www-Authenticate"))
	if err != nil {
		all = nil
	}
	for _, c := range all {
		if c.Scheme != "bearer" {
			continue
		}
		if location := c.Params["resource_metadata"]; len(location) <= maxURL {
			ch.metadata = location
		}
		ch.scopes = scopesOf(c.Params["scope"])
		ch.more = resp.StatusCode == http.StatusForbidden && c.Params["error"] == "insufficient_scope"
		break
	}
	return ch, resp.StatusCode == http.StatusUnauthorized || ch.more
}

// scopesOf reads a list of scopes, RFC 6749, section 3.3. One that is too long to be
// meant is as good as none.
func scopesOf(text string) []string {
	scopes := strings.Fields(text)
	bad := func(s string) bool {
		return len(s) > maxScopeBytes || strings.ContainsFunc(s, func(c rune) bool { return c < 0x21 || c > 0x7e || c == '"' || c == '\\' })
	}
	if len(scopes) > maxScopes || slices.ContainsFunc(scopes, bad) {
		return nil
	}
	return union(scopes)
}

// union keeps the order in which scopes are first named.
func union(lists ...[]string) []string {
	var out []string
	for _, list := range lists {
		for _, scope := range list {
			if !slices.Contains(out, scope) {
				out = append(out, scope)
			}
		}
	}
	return out
}

func covers(has, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(s string) bool { return !slices.Contains(has, s) })
}

// place is where tokens for a server come from.
type place struct {
	resource string   // the resource indicator of the server
	scopes   []string // that the server lists
	bare     bool     // the server has no metadata, as before 2025-06-18
	server   server
}

// server is the metadata of an authorization server, as far as it is used.
type server struct {
	issuer        string
	authorization string
	token         string
	registration  string
	revocation    string
	scopes        []string
	authMethods   []string // empty if it does not say
	pkce          []string
	metadataIDs   bool // takes the URL of a document as client ID
	sendsIssuer   bool // RFC 9207
	guessed       bool // it has no metadata; the endpoints are those of 2025-03-26
}

// errNothing says that a document does not exist.
var errNothing = errors.New("there is no such document")

// discover finds where tokens for the server come from: protected resource metadata
// (RFC 9728) and then the metadata of the authorization server that it names.
func (c *Client) discover(ctx context.Context, ch challenge) (place, error) {
	p, issuer, err := c.resource(ctx, ch)
	if err != nil {
		return place{}, err
	}
	if p.server, err = c.authorizationServer(ctx, issuer); err == nil {
		return p, nil
	}
	if !errors.Is(err, errNothing) || !p.bare || issuer != c.origin() {
		return place{}, err
	}
	// 2025-03-26: "For servers that do not implement OAuth 2.0 Authorization Server
	// Metadata, clients MUST use the following default endpoint paths".
	p.server = server{issuer: issuer, authorization: issuer + "/authorize", token: issuer + "/token", registration: issuer + "/register", guessed: true}
	return p, nil
}

// origin is the server's URL without its path.
func (c *Client) origin() string { return c.url.Scheme + "://" + c.url.Host }

// resource reads the server's metadata: where the challenge says, else at the two
// well-known places. Where it is named it must exist, and where it exists it must be
// about this server: nothing is tried behind a document that is wrong.
func (c *Client) resource(ctx context.Context, ch challenge) (p place, issuer string, err error) {
	where := wellKnown(c.url, "oauth-protected-resource")
	if ch.metadata != "" {
		where = []string{ch.metadata}
	}
	for _, location := range where {
		doc, err := c.document(ctx, location)
		if errors.Is(err, errNothing) && ch.metadata == "" {
			continue
		}
		if err != nil {
			return place{}, "", fmt.Errorf("reading the server's metadata: %w", err)
		}
		return c.readResource(doc)
	}
	// Before 2025-06-18 a server was its own authorization server.
	p = place{resource: c.server.URL, bare: true}
	if c.auth.Issuer != "" {
		return p, c.auth.Issuer, nil
	}
	return p, c.origin(), nil
}

func (c *Client) readResource(doc wire.Value) (p place, issuer string, err error) {
	p = place{resource: doc.Get("resource").Text(), scopes: scopesOf(strings.Join(texts(doc.Get("scopes_supported")), " "))}
	if !c.isAbout(p.resource) {
		return place{}, "", fmt.Errorf("the server's metadata is about another server, %.200q", p.resource)
	}
	issuers := texts(doc.Get("authorization_servers"))
	switch {
	case len(issuers) == 0:
		return place{}, "", errors.New("the server's metadata names no authorization server")
	case c.auth.Issuer == "":
		return p, issuers[0], nil
	case !slices.Contains(issuers, c.auth.Issuer):
		return place{}, "", fmt.Errorf("the server's metadata does not name the configured issuer, but %.200q", issuers)
	}
	return p, c.auth.Issuer, nil
}

// isAbout reports whether a resource is the configured server or a folder that it
// lies in, on the same origin. RFC 9728, section 3.3, wants it identical, but many
// servers name their origin; a token for that goes to the same place.
func (c *Client) isAbout(resource string) bool {
	u, err := url.Parse(resource)
	if err != nil || u.User != nil || u.Fragment != "" || !egress.SameOrigin(u, c.url) {
		return false
	}
	folder, path := strings.TrimSuffix(u.EscapedPath(), "/"), strings.TrimSuffix(c.url.EscapedPath(), "/")
	if u.RawQuery != "" && u.RawQuery != c.url.RawQuery {
		return false
	}
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// wellKnown are the places of a document about u: below its path, then at the root.
func wellKnown(u *url.URL, name string) []string {
	root := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/.well-known/" + name}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	if path == "" {
		return []string{root.String()}
	}
	return []string{root.String() + path, root.String()}
}

// authorizationServer reads the metadata of an issuer from the places that the
// specification lists, in its order.
func (c *Client) authorizationServer(ctx context.Context, issuer string) (server, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.RawQuery != "" || u.Fragment != "" {
		return server{}, fmt.Errorf("%.200q is no issuer", issuer)
	}
	where := []string{wellKnown(u, "oauth-authorization-server")[0], wellKnown(u, "openid-configuration")[0]}
	if path := strings.TrimSuffix(u.EscapedPath(), "/"); path != "" {
		where = append(where, u.Scheme+"://"+u.Host+path+"/.well-known/openid-configuration")
	}
	for _, location := range where {
		doc, err := c.document(ctx, location)
		if errors.Is(err, errNothing) {
			continue
		}
		if err != nil {
			return server{}, fmt.Errorf("reading the metadata of %.200q: %w", issuer, err)
		}
		return c.readServer(doc, issuer)
	}
	return server{}, fmt.Errorf("the metadata of %.200q: %w", issuer, errNothing)
}

func (c *Client) readServer(doc wire.Value, issuer string) (server, error) {
	s := server{
		issuer:        doc.Get("issuer").Text(),
		authorization: doc.Get("authorization_endpoint").Text(),
		token:         doc.Get("token_endpoint").Text(),
		registration:  doc.Get("registration_endpoint").Text(),
		revocation:    doc.Get("revocation_endpoint").Text(),
		scopes:        texts(doc.Get("scopes_supported")),
		authMethods:   texts(doc.Get("token_endpoint_auth_methods_supported")),
		pkce:          texts(doc.Get("code_challenge_methods_supported")),
		metadataIDs:   doc.Get("client_id_metadata_document_supported").IsTrue(),
		sendsIssuer:   doc.Get("authorization_response_iss_parameter_supported").IsTrue(),
	}
	// RFC 8414, section 3.3: "The issuer value returned MUST be identical to the
	// authorization server's issuer identifier value". Bytes are compared.
	if s.issuer != issuer {
		return server{}, fmt.Errorf("the metadata of %.200q says that it is of %.200q", issuer, s.issuer)
	}
	for _, endpoint := range []string{s.authorization, s.token, s.registration, s.revocation} {
		if err := c.checkURL(endpoint); endpoint != "" && err != nil {
			return server{}, fmt.Errorf("the metadata of %.200q: %w", issuer, err)
		}
	}
	return s, nil
}

// checkURL refuses what may not be requested, nor shown to a person as the place to
// log in: only https, or http to this machine where that is allowed. That leaves out
// javascript:, data: and their like.
func (c *Client) checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'<>\\`{}|^", r) }) {
		return fmt.Errorf("%.200q is no URL", raw)
	}
	if u.Fragment != "" {
		return fmt.Errorf("%.200q has a fragment", raw)
	}
	return c.guard.CheckURL(u)
}

// document reads a JSON document strictly; errNothing stands for any 4xx status.
func (c *Client) document(ctx context.Context, location string) (wire.Value, error) {
	if err := c.checkURL(location); err != nil {
		return wire.Value{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return wire.Value{}, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return wire.Value{}, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 400 && resp.StatusCode < 500:
		return wire.Value{}, errNothing
	case resp.StatusCode != http.StatusOK:
		return wire.Value{}, fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	return readJSON(resp)
}

func readJSON(resp *http.Response) (wire.Value, error) {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || (kind != "application/json" && !strings.HasSuffix(kind, "+json")) {
		return wire.Value{}, fmt.Errorf("content type %.100q", resp.Header.Get("Content-Type"))
	}
	raw, err := io.ReadAll(resp.Body) // bounded by the egress client
	if err != nil {
		return wire.Value{}, err
	}
	doc, err := wire.Scan(raw, documentLimits)
	if err != nil {
		return wire.Value{}, err
	}
	if doc.Root.Kind() != '{' {
		return wire.Value{}, errors.New("the document is no JSON object")
	}
	return doc.Root, nil
}

func texts(list wire.Value) []string {
	var out []string
	for item := range list.Items() {
		if text := item.Text(); text != "" {
			out = append(out, text)
		}
	}
	return out
}
