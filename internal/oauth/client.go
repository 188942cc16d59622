// Package oauth makes the gateway an OAuth 2.1 client of the servers behind it. It
// finds out where a server's tokens come from, gets them, by a login of a person or
// with credentials of the gateway's own, keeps them encrypted, and adds them to
// requests to exactly that server.
//
// A token is for one principal and one server. It never goes to another origin, it
// is never the token of a client, and nothing prints it. Every URL that a server or
// an authorization server names is requested through internal/egress.
package oauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/decision"
	"gatehouse/internal/egress"
)

// Client gets the tokens for one server on behalf of one principal. Its methods may
// be called from any goroutine.
type Client struct {
	// Elevates, if it is set, is told of every time more rights are asked for, with the
	// context of the request that needs them.
	Elevates func(ctx context.Context, scopes []string)

	server    config.Server
	auth      config.Auth
	principal string
	url       *url.URL
	store     *Store
	log       *slog.Logger
	guard     *egress.Guard
	http      *http.Client

	renewing chan struct{} // holds one value while a token is being renewed

	mu      sync.Mutex  // guards what follows
	grant   *Grant      // as last read; nil if there is none
	file    os.FileInfo // that it was read from; nil if there was none
	looked  time.Time   // when the file was last looked at
	useless time.Time   // until then a renewal is not tried again
	noted   time.Time   // when what the server wants was last remembered
}

const (
	// lookEvery is how soon a logout in another process takes effect.
	lookEvery = time.Second
	// uselessFor keeps a server that refuses every token from making the gateway ask
	// for a new one at every request.
	uselessFor = 30 * time.Second
	// noteEvery keeps a server that says something else in each refusal from making
	// the gateway write a file for each.
	noteEvery = 10 * time.Second
	// renewTimeout bounds one renewal: two documents and at most two token requests,
	// of which each is usually far below a second.
	renewTimeout = 45 * time.Second
)

// NewClient makes a Client for a server that is reached over HTTP.
func NewClient(s config.Server, principal string, store *Store, log *slog.Logger) (*Client, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, fmt.Errorf("server %s: its URL cannot be read", s.ID)
	}
	c := &Client{
		server: s, auth: config.Auth{Type: config.OAuth}, principal: principal, url: u, store: store, log: log,
		renewing: make(chan struct{}, 1),
	}
	if s.Auth != nil {
		c.auth = *s.Auth
	}
	var proxy *url.URL
	if c.auth.Proxy != "" {
		if proxy, err = url.Parse(c.auth.Proxy); err != nil {
			return nil, fmt.Errorf("server %s: its proxy cannot be read", s.ID)
		}
	}
	c.guard = &egress.Guard{UnsafePrefixes: c.auth.UnsafePrefixes, UnsafeHosts: c.auth.UnsafeHosts}
	c.http = egress.Client(c.guard, proxy)
	return c, nil
}

// current is the grant to use, nil if there is none. The file is looked at again now
// and then, and always when fresh is asked for.
func (c *Client) current(fresh bool) (*Grant, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !fresh && time.Since(c.looked) < lookEvery {
		return c.grant, nil
	}
	file := c.stat()
	if c.looked.IsZero() || !sameFile(file, c.file) {
		grant, err := c.store.Grant(c.principal, c.server.ID, c.server.URL)
		if err != nil {
			return nil, err
		}
		c.grant, c.file, c.useless, c.noted = grant, file, time.Time{}, time.Time{}
		c.store.use(c.fileName(), grant)
	}
	c.looked = time.Now()
	return c.grant, nil
}

func (c *Client) stat() os.FileInfo {
	info, err := os.Stat(filepath.Join(c.store.dir, c.fileName()))
	if err != nil {
		return nil
	}
	return info
}

// sameFile tells whether a file was written anew. It is then another file under the
// same name, even if its size and, on a coarse clock, its time are the same.
func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (c *Client) fileName() string {
	return c.store.grantName(c.principal, c.server.ID, c.server.URL)
}

// save stores a grant and puts it to use. One that cannot be stored is still used: a
// refresh token may already be spent for it.
func (c *Client) save(g *Grant) error {
	err := c.store.Save(g)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.grant, c.file, c.looked = g, c.stat(), time.Now()
	c.store.use(c.fileName(), g)
	return err
}

// token is the access token to send, "" if there is none.
func (c *Client) token() (string, error) {
	g, err := c.current(false)
	if err != nil || g == nil {
		return "", err
	}
	return open(g.Access), nil
}

// refusal is an error that a person can do something about.
func (c *Client) refusal(err error, format string, args ...any) error {
	if err != nil {
		// The error may repeat what a server wrote, so it goes to the log only.
		c.log.Warn("the server wants another token", "error", err)
	}
	return &decision.Refusal{Reason: decision.UpstreamAuth, Detail: fmt.Sprintf("%s: %s", c.server.ID, fmt.Sprintf(format, args...)), Err: err}
}

// needLogin tells what to run.
func (c *Client) needLogin(err error) error {
	if c.auth.Type != config.OAuth {
		return c.refusal(err, "its authorization server gave the gateway no token; the log of the gateway says why")
	}
	return c.refusal(err, "run `gatehouse login %s`", c.server.ID)
}

// answer meets a challenge without a person, if that can be done: nil means that the
// request may be sent again. used is the token that the server refused, "" if none
// was sent.
//
// A renewal that has begun goes on when its request is withdrawn: a refresh token
// that was spent without reading the answer would cost a person another login.
func (c *Client) answer(ctx context.Context, ch challenge, used string) error {
	select {
	case c.renewing <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	met := make(chan error, 1)
	go func() {
		defer func() { <-c.renewing }()
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), renewTimeout)
		defer stop()
		met <- c.meet(ctx, ch, used)
	}()
	select {
	case err := <-met:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Client) meet(ctx context.Context, ch challenge, used string) error {
	if !c.private() {
		return c.refusal(nil, "%v", errPlain)
	}
	unlock, err := c.store.lock(ctx, c.fileName())
	if err != nil {
		return c.refusal(err, "the stored tokens cannot be used; the log of the gateway says why")
	}
	defer unlock()
	g, err := c.current(true)
	if err != nil {
		return c.refusal(err, "the stored tokens cannot be used; run `gatehouse login %s`", c.server.ID)
	}
	if g != nil && !g.Access.IsZero() && open(g.Access) != used {
		return nil // somebody logged in, or another request was first
	}
	if ch.more {
		return c.stepUp(ctx, ch, g)
	}
	if c.uselessNow() {
		return c.needLogin(nil)
	}
	return c.renew(ctx, ch, g)
}

// errPlain answers a server with unsafe_plain_http. RFC 6750, section 5.3: "Clients MUST
// always use TLS … when making requests with bearer tokens".
var errPlain = errors.New("its url is plain http, over which no token is sent")

// private reports whether nobody on the way can read what is sent to the server.
func (c *Client) private() bool {
	if c.url.Scheme == "https" || c.url.Hostname() == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(c.url.Hostname())
	return err == nil && a.IsLoopback()
}

// uselessNow reports that the last renewal was refused, or its token as soon as it
// was new.
func (c *Client) uselessNow() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Before(c.useless)
}

// gaveUp is called when a renewal is refused, or a token that was just renewed.
func (c *Client) gaveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.useless = time.Now().Add(uselessFor)
}

// renew gets a new access token in the place of one that is no longer good.
func (c *Client) renew(ctx context.Context, ch challenge, g *Grant) error {
	if c.auth.Type == config.OAuth && (g == nil || g.Refresh.IsZero()) {
		c.remember(ch, g)
		return c.needLogin(nil) // without a person nothing can be done
	}
	p, err := c.discover(ctx, ch)
	if err != nil {
		return c.notNow(ctx, fmt.Errorf("finding the authorization server: %w", err))
	}
	if g != nil && g.Issuer != p.server.issuer {
		if c.auth.Type == config.OAuth {
			c.remember(ch, g)
			return c.needLogin(fmt.Errorf("the server moved from %.200q to %.200q", g.Issuer, p.server.issuer))
		}
		g = nil // nothing of the other authorization server counts here
	}
	wanted := c.scopes(ch, p, g)
	if c.auth.Type == config.OAuth {
		return c.refresh(ctx, p, g)
	}
	return c.machine(ctx, p, wanted)
}

// stepUp asks for more than was granted: "Clients … SHOULD compute the union", and
// never for the same twice, which no answer would change.
func (c *Client) stepUp(ctx context.Context, ch challenge, g *Grant) error {
	var asked []string
	if g != nil {
		asked = g.Requested
	}
	if len(ch.scopes) == 0 || covers(asked, ch.scopes) {
		return c.refusal(nil, "it refuses this with the rights that were granted; scopes asked for so far: %d", len(asked))
	}
	if c.auth.Type == config.OAuth {
		if g == nil {
			return c.needLogin(nil)
		}
		c.remember(ch, g)
		c.elevates(ctx, union(asked, ch.scopes))
		return c.refusal(nil, "it wants more rights than were granted; run `gatehouse login %s` to grant them", c.server.ID)
	}
	p, err := c.discover(ctx, ch)
	if err != nil {
		return c.notNow(ctx, fmt.Errorf("finding the authorization server: %w", err))
	}
	if g != nil && g.Issuer != p.server.issuer {
		asked = nil
	}
	c.elevates(ctx, union(asked, ch.scopes))
	return c.machine(ctx, p, union(asked, ch.scopes))
}

// elevates tells that more rights are asked for, of the authorization server or of a
// person: elevations are logged with what they belong to (MCP Security Best
// Practices, scope minimization).
func (c *Client) elevates(ctx context.Context, scopes []string) {
	c.log.Info("the server wants more rights; they are asked for", "scopes", strings.Join(scopes, " "))
	if c.Elevates != nil {
		c.Elevates(ctx, scopes)
	}
}

// remember keeps what a challenge says for the login that has to follow. Many servers
// refuse only what needs a token, which is not what a login begins with.
func (c *Client) remember(ch challenge, g *Grant) {
	next := Grant{Principal: c.principal, Server: c.server.ID, URL: c.server.URL}
	if g != nil {
		next = *g
	}
	next.Wanted = union(next.Wanted, ch.scopes)
	next.Metadata = cmp.Or(ch.metadata, next.Metadata)
	if g != nil && len(next.Wanted) == len(g.Wanted) && next.Metadata == g.Metadata || len(next.Wanted) > maxScopes || !c.mayNote() {
		return
	}
	if err := c.save(&next); err != nil {
		c.log.Error("what the server wants is not remembered", "error", err)
	}
}

func (c *Client) mayNote() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.noted) < noteEvery {
		return false
	}
	c.noted = time.Now()
	return true
}

// scopes to ask for: those of the configuration; else those of the challenge, which
// is authoritative; else those that the server lists; else none. What was asked for
// before at the same authorization server is asked for again.
func (c *Client) scopes(ch challenge, p place, g *Grant) []string {
	wanted := ch.scopes
	switch {
	case len(c.auth.Scopes) > 0:
		wanted = c.auth.Scopes
	case len(wanted) == 0:
		wanted = p.scopes
	}
	if g != nil && (g.Issuer == p.server.issuer || g.Issuer == "") {
		wanted = union(wanted, g.Requested, g.Wanted)
	}
	return wanted
}

// refresh trades the refresh token for an access token. The scopes stay as they are:
// RFC 6749, section 6, forbids to ask for more.
func (c *Client) refresh(ctx context.Context, p place, g *Grant) error {
	who, err := c.identityOf(g)
	if err != nil {
		return c.needLogin(err)
	}
	t, err := c.requestToken(ctx, p.server, who, url.Values{
		"grant_type": {grantRefresh}, "refresh_token": {open(g.Refresh)}, "resource": {g.Resource},
	})
	if err != nil {
		return c.notNow(ctx, fmt.Errorf("renewing the token: %w", err))
	}
	next := *g
	next.take(t)
	if err := c.save(&next); err != nil {
		c.log.Error("a renewed token is used but not stored", "error", err)
	}
	return nil
}

// identityOf is the client that a grant was made for. A client that is configured
// differently now needs a login of its own.
func (c *Client) identityOf(g *Grant) (identity, error) {
	who := identity{id: g.ClientID, secret: g.Client, method: g.AuthMethod}
	if c.auth.ClientID != "" && c.auth.ClientID == g.ClientID {
		who.secret, who.key = c.auth.ClientSecret, c.auth.ClientKey
	} else if c.auth.ClientID != "" {
		return identity{}, errors.New("client_id is another one than at the last login")
	}
	return who, nil
}

// take puts new tokens into a grant. A server that does not send a new refresh token
// lets the old one stand.
func (g *Grant) take(t tokens) {
	g.Access, g.Expires = t.access, t.expires
	if !t.refresh.IsZero() {
		g.Refresh = t.refresh
	}
	if t.scopes != nil {
		g.Scopes = t.scopes
	}
}

// machine gets a token with credentials of the gateway's own.
func (c *Client) machine(ctx context.Context, p place, scopes []string) error {
	get := map[string]func(context.Context, place, []string) (tokens, error){
		config.ClientCredentials: c.clientCredentials,
		config.Enterprise:        c.enterprise,
		config.WorkloadIdentity:  c.workloadIdentity,
	}[c.auth.Type]
	t, err := get(ctx, p, scopes)
	if err != nil {
		return c.notNow(ctx, err)
	}
	g := &Grant{
		Principal: c.principal, Server: c.server.ID, URL: c.server.URL, Resource: p.resource, Issuer: p.server.issuer,
		ClientID: c.auth.ClientID, Requested: scopes, Scopes: scopes,
	}
	g.take(t)
	g.Refresh = config.Secret{} // the credentials get another token whenever one is needed
	if err := c.save(g); err != nil {
		c.log.Error("a token is used but not stored", "error", err)
	}
	return nil
}

// notNow tells what a person can mend from what may work later.
func (c *Client) notNow(ctx context.Context, err error) error {
	var answered *tokenError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &answered) && answered.final():
		c.gaveUp()
		return c.needLogin(err)
	case errors.Is(err, egress.ErrRefused):
		return c.refusal(err, "its metadata names a place that is not public; see servers.%s.auth.unsafe_addresses", c.server.ID)
	}
	return c.refusal(err, "its authorization server cannot be used now; the log of the gateway says why")
}

// ownIdentity is the client that the configuration describes, registered beforehand.
func (c *Client) ownIdentity(s server) identity {
	who := identity{id: c.auth.ClientID, secret: c.auth.ClientSecret, key: c.auth.ClientKey, method: authNone}
	switch {
	case !who.key.IsZero():
		who.method = authKey
	case !who.secret.IsZero():
		who.method = chooseMethod(s.authMethods)
	}
	return who
}

func addScopes(form url.Values, scopes []string) url.Values {
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	return form
}

// Status is a grant as people may see it.
type Status struct {
	Server    string     `json:"server"`
	Principal string     `json:"principal"`
	URL       string     `json:"url"`
	Issuer    string     `json:"issuer"`
	Scopes    []string   `json:"scopes"`
	Wanted    []string   `json:"wanted,omitempty"` // that the server asked for since
	Expires   *time.Time `json:"expires,omitempty"`
	Granted   bool       `json:"granted"` // false if a login has yet to come
	Renews    bool       `json:"renews"`  // without another login
}

// Status says what was granted, without any secret.
func (g *Grant) Status() Status {
	s := Status{
		Server: g.Server, Principal: g.Principal, URL: g.URL, Issuer: g.Issuer, Scopes: append([]string{}, g.Scopes...),
		Granted: !g.Access.IsZero(), Renews: !g.Refresh.IsZero(),
	}
	for _, scope := range g.Wanted {
		if !slices.Contains(g.Requested, scope) {
			s.Wanted = append(s.Wanted, scope)
		}
	}
	if !g.Expires.IsZero() {
		s.Expires = &g.Expires
	}
	return s
}
