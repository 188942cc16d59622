package oauth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/config"
)

// world is a server that wants tokens and the authorization server that gives them.
// Tests change what they say before they are asked.
type world struct {
	t      *testing.T
	server *httptest.Server // the MCP server, at /mcp
	issuer *httptest.Server // the authorization server

	mu        sync.Mutex
	resource  map[string]any // metadata of the server; nil for none
	metadata  map[string]any // of the authorization server; nil for none
	challenge string         // WWW-Authenticate of a 401
	needs     []string       // scopes that the server wants
	iss       string         // of the authorization response; "-" for none
	refuse    string         // error code of the token endpoint
	lifeless  bool           // tokens that are no good
	noRefresh bool
	onToken   func() // called before a token request is answered

	issued  map[string][]string // access token → scopes
	refresh map[string][]string // refresh token → scopes
	codes   map[string]url.Values
	count   int

	seen     []string     // paths asked for at the authorization server, in order
	tokens   []url.Values // forms of token requests
	basic    []string     // Authorization headers of token requests
	register []map[string]any
	visits   []url.Values // authorization requests
	bodies   []string     // that the server took
	headers  []http.Header
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, iss: "-", issued: map[string][]string{}, refresh: map[string][]string{}, codes: map[string]url.Values{}}
	w.issuer = httptest.NewServer(http.HandlerFunc(w.authorizationServer))
	t.Cleanup(w.issuer.Close)
	w.server = httptest.NewServer(http.HandlerFunc(w.mcp))
	t.Cleanup(w.server.Close)
	w.resource = map[string]any{"resource": w.url(), "authorization_servers": []string{w.issuer.URL}}
	w.metadata = map[string]any{
		"issuer": w.issuer.URL, "authorization_endpoint": w.issuer.URL + "/authorize", "token_endpoint": w.issuer.URL + "/token",
		"registration_endpoint": w.issuer.URL + "/register", "code_challenge_methods_supported": []string{"S256"},
		"token_endpoint_auth_methods_supported": []string{"none", "client_secret_basic"}, "revocation_endpoint": w.issuer.URL + "/revoke",
	}
	w.challenge = `Bearer resource_metadata="` + w.server.URL + `/meta"`
	return w
}

func (w *world) url() string { return w.server.URL + "/mcp" }

// with changes the world while it is being asked.
func (w *world) with(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func answer(rw http.ResponseWriter, status int, body any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	json.NewEncoder(rw).Encode(body)
}

func (w *world) mcp(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.URL.Path == "/meta" || strings.HasPrefix(r.URL.Path, "/.well-known/oauth-protected-resource") {
		if w.resource == nil {
			http.NotFound(rw, r)
			return
		}
		answer(rw, http.StatusOK, w.resource)
		return
	}
	body, _ := io.ReadAll(r.Body)
	w.headers = append(w.headers, r.Header.Clone())
	scopes, good := w.issued[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	switch {
	case !good:
		rw.Header().Set("WWW-Authenticate", w.challenge)
		rw.WriteHeader(http.StatusUnauthorized)
	case !covers(scopes, w.needs):
		rw.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer error="insufficient_scope", scope=%q, resource_metadata="%s/meta"`, strings.Join(w.needs, " "), w.server.URL))
		rw.WriteHeader(http.StatusForbidden)
	default:
		w.bodies = append(w.bodies, string(body))
		answer(rw, http.StatusOK, map[string]any{"ok": true})
	}
}

func (w *world) authorizationServer(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, r.URL.Path)
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server":
		if w.metadata == nil {
			http.NotFound(rw, r)
			return
		}
		answer(rw, http.StatusOK, w.metadata)
	case "/register":
		var request map[string]any
		json.NewDecoder(r.Body).Decode(&request)
		w.register = append(w.register, request)
		if w.refuse != "" {
			answer(rw, http.StatusBadRequest, map[string]any{"error": w.refuse})
			return
		}
		method, _ := request["token_endpoint_auth_method"].(string)
		registered := map[string]any{"client_id": fmt.Sprint("client-", len(w.register)), "redirect_uris": request["redirect_uris"], "token_endpoint_auth_method": method}
		if method != "none" {
			registered["client_secret"] = "registered-secret"
		}
		answer(rw, http.StatusCreated, registered)
	case "/authorize":
		query := r.URL.Query()
		w.visits = append(w.visits, query)
		w.count++
		code := fmt.Sprint("code-", w.count)
		w.codes[code] = query
		back := url.Values{"code": {code}, "state": {query.Get("state")}}
		if w.iss != "-" {
			back.Set("iss", w.iss)
		}
		http.Redirect(rw, r, query.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
	case "/token":
		r.ParseForm()
		w.tokens = append(w.tokens, r.PostForm)
		w.basic = append(w.basic, r.Header.Get("Authorization"))
		if w.onToken != nil {
			w.onToken()
		}
		w.token(rw, r.PostForm)
	case "/revoke":
		r.ParseForm()
		delete(w.refresh, r.PostForm.Get("token"))
		rw.WriteHeader(http.StatusOK)
	default:
		http.NotFound(rw, r)
	}
}

func (w *world) token(rw http.ResponseWriter, form url.Values) {
	refuse := func(code string) { answer(rw, http.StatusBadRequest, map[string]any{"error": code}) }
	if w.refuse != "" {
		refuse(w.refuse)
		return
	}
	scopes := strings.Fields(form.Get("scope"))
	switch form.Get("grant_type") {
	case "authorization_code":
		asked, known := w.codes[form.Get("code")]
		delete(w.codes, form.Get("code"))
		hash := sha256.Sum256([]byte(form.Get("code_verifier")))
		if !known || asked.Get("redirect_uri") != form.Get("redirect_uri") || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(hash[:]) {
			refuse("invalid_grant")
			return
		}
		scopes = strings.Fields(asked.Get("scope"))
	case "refresh_token":
		had, known := w.refresh[form.Get("refresh_token")]
		delete(w.refresh, form.Get("refresh_token")) // each is good once
		if !known {
			refuse("invalid_grant")
			return
		}
		scopes = had
	}
	w.count++
	access, refresh := fmt.Sprint("access-token-", w.count), fmt.Sprint("refresh-token-", w.count)
	if !w.lifeless {
		w.issued[access] = scopes
	}
	body := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 3600}
	if !w.noRefresh {
		w.refresh[refresh] = scopes
		body["refresh_token"] = refresh
	}
	answer(rw, http.StatusOK, body)
}

// expire makes every access token of the server one that was.
func (w *world) expire() { w.with(func() { w.issued = map[string][]string{} }) }

// browser follows the address as a browser does, without a person.
type browser struct {
	uri     string
	change  func(url.Values) // of the answer on its way back
	visited string
}

func (b *browser) RedirectURI() string { return b.uri }

func (b *browser) Visit(_ context.Context, target string, right func(url.Values) bool) (url.Values, error) {
	b.visited = target
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Get(target)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		return nil, fmt.Errorf("the authorization server answered %s", resp.Status)
	}
	query := back.Query()
	if b.change != nil {
		b.change(query)
	}
	if !right(query) {
		return nil, fmt.Errorf("the answer has a wrong state")
	}
	return query, nil
}

// loopback allows what a test needs and a configuration has to say.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// client is a Client for the world's server with an empty store, and its log.
func (w *world) client(auth config.Auth) (*Client, *bytes.Buffer) {
	w.t.Helper()
	return w.clientAt(NewStore(w.t.TempDir(), config.Secret{}), auth)
}

func (w *world) clientAt(store *Store, auth config.Auth) (*Client, *bytes.Buffer) {
	w.t.Helper()
	if auth.Type == "" {
		auth.Type = config.OAuth
	}
	auth.UnsafePrefixes = loopback
	var log bytes.Buffer
	c, err := NewClient(config.Server{ID: "up", URL: w.url(), Auth: &auth}, "local:somebody", store, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		w.t.Fatal(err)
	}
	return c, &log
}

func (w *world) login(c *Client) *Grant {
	w.t.Helper()
	g, err := c.Login(w.t.Context(), http.DefaultTransport, &browser{uri: "http://127.0.0.1:1/callback"})
	if err != nil {
		w.t.Fatalf("login: %v", err)
	}
	return g
}

// call sends one request through the transport.
func (w *world) call(rt http.RoundTripper, body string) (int, error) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url(), strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}
