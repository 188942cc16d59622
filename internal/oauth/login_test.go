package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/config"
)

func TestLogin(t *testing.T) {
	w := newWorld(t)
	w.challenge += `, scope="read write"`
	c, _ := w.client(config.Auth{})
	b := &browser{uri: "http://127.0.0.1:1234/callback"}
	g, err := c.Login(t.Context(), http.DefaultTransport, b)
	if err != nil {
		t.Fatal(err)
	}
	if open(g.Access) != "access-token-2" || open(g.Refresh) != "refresh-token-2" || g.Issuer != w.issuer.URL || !slices.Equal(g.Scopes, []string{"read", "write"}) {
		t.Errorf("granted %+v", g)
	}
	visit, exchange := w.visits[0], w.tokens[0]
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "client-1", "redirect_uri": b.uri, "code_challenge_method": "S256", "resource": w.url(), "scope": "read write",
	} {
		if got := visit.Get(name); got != want {
			t.Errorf("the authorization request says %s=%q, want %q", name, got, want)
		}
	}
	if len(visit.Get("state")) < 22 || len(exchange.Get("code_verifier")) < 43 {
		t.Errorf("state %q and verifier %q are too short to be unguessable", visit.Get("state"), exchange.Get("code_verifier"))
	}
	if exchange.Get("resource") != w.url() || exchange.Get("redirect_uri") != b.uri || exchange.Get("client_id") != "client-1" {
		t.Errorf("the token request says %v", exchange)
	}
	want := map[string]any{
		"client_name": "Gatehouse", "application_type": "native", "redirect_uris": []any{b.uri}, "response_types": []any{"code"},
		"grant_types": []any{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": "none",
	}
	if diff := cmp.Diff(want, w.register[0]); diff != "" {
		t.Errorf("registration: %s", diff)
	}
}

// Each of these must end without a token, and most of them before anyone is sent
// anywhere.
func TestLogin_is_refused(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was asked for %s", r.Host, r.URL)
	}))
	defer elsewhere.Close()
	for _, test := range []struct {
		name   string
		change func(w *world)
		auth   config.Auth
		back   func(w *world, answer url.Values)
		want   string
		visits int
	}{
		{"metadata about another server", func(w *world) { w.resource["resource"] = "https://other.example/mcp" }, config.Auth{}, nil, "about another server", 0},
		{"metadata about another path", func(w *world) { w.resource["resource"] = w.server.URL + "/other" }, config.Auth{}, nil, "about another server", 0},
		{"metadata about a path that only begins the same", func(w *world) { w.resource["resource"] = w.server.URL + "/mc" }, config.Auth{}, nil, "about another server", 0},
		{"metadata without an authorization server", func(w *world) { delete(w.resource, "authorization_servers") }, config.Auth{}, nil, "names no authorization server", 0},
		{"metadata that is announced and missing", func(w *world) { w.resource = nil }, config.Auth{}, nil, "no such document", 0},
		{"another issuer than the configured one", nil, config.Auth{Issuer: "https://auth.example.com"}, nil, "does not name the configured issuer", 0},
		{"an issuer that says it is another", func(w *world) { w.metadata["issuer"] = "https://attacker.example" }, config.Auth{}, nil, "says that it is of", 0},
		{"an issuer with one slash more", func(w *world) { w.metadata["issuer"] = w.issuer.URL + "/" }, config.Auth{}, nil, "says that it is of", 0},
		{"an authorization server without metadata", func(w *world) { w.metadata = nil }, config.Auth{}, nil, "no such document", 0},
		{"no PKCE", func(w *world) { delete(w.metadata, "code_challenge_methods_supported") }, config.Auth{}, nil, "does not offer PKCE", 0},
		{"plain PKCE only", func(w *world) { w.metadata["code_challenge_methods_supported"] = []string{"plain"} }, config.Auth{}, nil, "does not offer PKCE", 0},
		{"javascript:", func(w *world) { w.metadata["authorization_endpoint"] = "javascript:alert(1)" }, config.Auth{}, nil, "not https", 0},
		{"vbscript:", func(w *world) { w.metadata["authorization_endpoint"] = "vbscript:x" }, config.Auth{}, nil, "not https", 0},
		{"data:", func(w *world) { w.metadata["authorization_endpoint"] = "data:text/html,x" }, config.Auth{}, nil, "not https", 0},
		{"file:", func(w *world) { w.metadata["authorization_endpoint"] = "file:///etc/passwd" }, config.Auth{}, nil, "not https", 0},
		{"a shell in the URL", func(w *world) { w.metadata["authorization_endpoint"] = "https://a.example/;$(id)`id`" }, config.Auth{}, nil, "is no URL", 0},
		{"plain http to another machine", func(w *world) { w.metadata["authorization_endpoint"] = "http://a.example/" }, config.Auth{}, nil, "not https", 0},
		{"a token endpoint in the machine's network", func(w *world) { w.metadata["token_endpoint"] = "http://10.0.0.1/token" }, config.Auth{}, nil, "not https", 0},
		{"an authorization server that is a metadata service", func(w *world) { w.resource["authorization_servers"] = []string{"http://169.254.169.254"} }, config.Auth{}, nil, "not https", 0},
		{"resource metadata in the machine's network", func(w *world) { w.challenge = `Bearer resource_metadata="https://10.0.0.1/meta"` }, config.Auth{}, nil, "not allowed", 0},
		{"resource metadata behind a redirect into it", func(w *world) {
			moved := httptest.NewServer(http.RedirectHandler("https://192.168.0.1/", http.StatusFound))
			w.t.Cleanup(moved.Close)
			w.challenge = `Bearer resource_metadata="` + moved.URL + `"`
		}, config.Auth{}, nil, "not allowed", 0},
		{"duplicate names in metadata", func(w *world) {
			twice := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "application/json")
				rw.Write([]byte(`{"resource":"` + w.url() + `","Resource":"x","authorization_servers":["` + elsewhere.URL + `"]}`))
			}))
			w.t.Cleanup(twice.Close)
			w.challenge = `Bearer resource_metadata="` + twice.URL + `"`
		}, config.Auth{}, nil, "reading the server's metadata", 0},
		{"a registration that is refused", func(w *world) { w.refuse = "invalid_client_metadata" }, config.Auth{}, nil, "set servers.up.auth.client_id", 0},
		{"no way to register", func(w *world) { delete(w.metadata, "registration_endpoint") }, config.Auth{}, nil, "registers no clients by itself", 0},
		{"a token endpoint that says no", func(w *world) { w.refuse = "invalid_grant" }, config.Auth{ClientID: "known"}, nil, "invalid_grant", 1},
		{"another state", nil, config.Auth{}, func(_ *world, a url.Values) { a.Set("state", "x") }, "wrong state", 1},
		{"no state", nil, config.Auth{}, func(_ *world, a url.Values) { a.Del("state") }, "wrong state", 1},
		{"two states", nil, config.Auth{}, func(_ *world, a url.Values) { a.Add("state", "x") }, "wrong state", 1},
		{"no code", nil, config.Auth{}, func(_ *world, a url.Values) { a.Del("code") }, "no code", 1},
		{"another code", nil, config.Auth{}, func(_ *world, a url.Values) { a.Set("code", "guess") }, "invalid_grant", 1},
		{"an error", nil, config.Auth{}, func(_ *world, a url.Values) { a.Set("error", "access_denied\x1b[31m") }, "refused: access_denied[31m", 1},
		{"another issuer's answer", nil, config.Auth{}, func(_ *world, a url.Values) { a.Set("iss", "https://attacker.example") }, "another authorization server", 1},
		{"another issuer's error, which is not shown", nil, config.Auth{}, func(_ *world, a url.Values) {
			a.Set("iss", "https://attacker.example")
			a.Set("error", "evil")
		}, "another authorization server", 1},
		{"an issuer in another spelling", nil, config.Auth{}, func(w *world, a url.Values) { a.Set("iss", w.issuer.URL+"/") }, "another authorization server", 1},
		{"two issuers", nil, config.Auth{}, func(w *world, a url.Values) { a["iss"] = []string{w.issuer.URL, w.issuer.URL} }, "another authorization server", 1},
		{"no issuer where there always is one", func(w *world) { w.metadata["authorization_response_iss_parameter_supported"] = true }, config.Auth{}, nil, "does not say which", 1},
		{"an account of the gateway's own", nil, config.Auth{Type: config.ClientCredentials, ClientID: "x"}, nil, "without a login", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			if test.change != nil {
				test.change(w)
			}
			c, _ := w.client(test.auth)
			b := &browser{uri: "http://127.0.0.1:1/callback"}
			if test.back != nil {
				b.change = func(a url.Values) { test.back(w, a) }
			}
			g, err := c.Login(t.Context(), http.DefaultTransport, b)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "evil") {
				t.Errorf("got %+v and the error %v, want %q", g, err, test.want)
			}
			if len(w.visits) != test.visits {
				t.Errorf("a person was sent to the authorization server %d times, want %d", len(w.visits), test.visits)
			}
			if stored, err := c.store.Grant("local:somebody", "up", w.url()); err != nil || (stored != nil && !stored.Access.IsZero()) {
				t.Errorf("stored %+v, %v", stored, err)
			}
		})
	}
}

func TestLogin_without_an_allowance_stays_on_public_addresses(t *testing.T) {
	w := newWorld(t)
	c, err := NewClient(config.Server{ID: "up", URL: w.url()}, "p", NewStore(t.TempDir(), config.Secret{}), discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Login(t.Context(), http.DefaultTransport, &browser{uri: "http://127.0.0.1:1/callback"}); err == nil || !strings.Contains(err.Error(), "not https") {
		t.Errorf("metadata of this machine: %v, want it refused", err)
	}
	if len(w.seen) > 0 {
		t.Errorf("asked for %q", w.seen)
	}
}

func TestLogin_prefers_preregistered_then_document_then_registration(t *testing.T) {
	document := "https://example.com/gatehouse.json"
	for _, test := range []struct {
		name      string
		auth      config.Auth
		documents bool
		want      string
		register  int
	}{
		{"all three", config.Auth{ClientID: "known", ClientMetadataURL: document}, true, "known", 0},
		{"a document", config.Auth{ClientMetadataURL: document}, true, document, 0},
		{"a document that is not taken", config.Auth{ClientMetadataURL: document}, false, "client-1", 1},
		{"nothing", config.Auth{}, true, "client-1", 1},
	} {
		w := newWorld(t)
		w.metadata["client_id_metadata_document_supported"] = test.documents
		c, _ := w.client(test.auth)
		g := w.login(c)
		if g.ClientID != test.want || len(w.register) != test.register || w.visits[0].Get("client_id") != test.want {
			t.Errorf("%s: client %q after %d registrations, want %q after %d", test.name, g.ClientID, len(w.register), test.want, test.register)
		}
	}
}

func TestLogin_authenticates_as_the_authorization_server_wants(t *testing.T) {
	for _, test := range []struct {
		methods []string
		auth    config.Auth
		want    string // none, basic or post
	}{
		{[]string{"none"}, config.Auth{}, "none"},
		{[]string{"client_secret_post"}, config.Auth{}, "post"},
		{[]string{"client_secret_basic"}, config.Auth{}, "basic"},
		{[]string{"client_secret_post", "none"}, config.Auth{}, "none"},
		{[]string{"client_secret_post", "client_secret_basic"}, config.Auth{ClientID: "a b", ClientSecret: config.NewSecret("s:1 é")}, "basic"},
		{[]string{"client_secret_post"}, config.Auth{ClientID: "a b", ClientSecret: config.NewSecret("s:1 é")}, "post"},
		{nil, config.Auth{ClientID: "a b", ClientSecret: config.NewSecret("s:1 é")}, "basic"},
		{nil, config.Auth{ClientID: "public"}, "none"},
	} {
		w := newWorld(t)
		w.metadata["token_endpoint_auth_methods_supported"] = test.methods
		c, _ := w.client(test.auth)
		w.login(c)
		form, header := w.tokens[0], w.basic[0]
		got := "none"
		switch {
		case header != "" && form.Get("client_secret") == "":
			got = "basic"
		case header == "" && form.Get("client_secret") != "":
			got = "post"
		case header != "":
			got = "both"
		}
		if got != test.want {
			t.Errorf("%v with %q: %s, want %s", test.methods, test.auth.ClientID, got, test.want)
		}
		if test.auth.ClientID == "a b" && test.want == "basic" {
			req := http.Request{Header: http.Header{"Authorization": {header}}}
			if user, password, _ := req.BasicAuth(); user != "a+b" || password != "s%3A1+%C3%A9" {
				t.Errorf("basic credentials %q, %q are not encoded as a form", user, password)
			}
		}
	}
}

func TestLogin_keeps_a_registration_for_its_authorization_server_only(t *testing.T) {
	w := newWorld(t)
	c, _ := w.client(config.Auth{})
	first, second := w.login(c), w.login(c)
	if len(w.register) != 1 || first.ClientID != second.ClientID {
		t.Errorf("%d registrations for two logins, want one", len(w.register))
	}
	// The same address to come back to is part of it.
	if _, err := c.Login(t.Context(), http.DefaultTransport, &browser{uri: "http://127.0.0.1:2/callback"}); err != nil || len(w.register) != 2 {
		t.Errorf("another redirect URI: %v, %d registrations, want another one", err, len(w.register))
	}
	other := newWorld(t)
	w.with(func() { w.resource["authorization_servers"] = []string{other.issuer.URL} })
	moved := w.login(c)
	if len(other.register) != 1 || moved.Issuer != other.issuer.URL {
		t.Errorf("at another authorization server: %d registrations, issuer %q", len(other.register), moved.Issuer)
	}
	for _, form := range other.tokens {
		if form.Get("refresh_token") != "" {
			t.Error("the other authorization server was shown a refresh token of the first one")
		}
	}
}

func TestLogin_chooses_scopes(t *testing.T) {
	for _, test := range []struct {
		name              string
		challenge         string
		listed, supported []string
		auth              config.Auth
		want              string
	}{
		{"of the challenge", `, scope="a b"`, []string{"c"}, nil, config.Auth{}, "a b"},
		{"that the server lists", "", []string{"c", "d"}, nil, config.Auth{}, "c d"},
		{"none", "", nil, nil, config.Auth{}, ""},
		{"of the configuration", `, scope="a b"`, []string{"c"}, nil, config.Auth{Scopes: []string{"mine"}}, "mine"},
		{"with a refresh token where there can be one", `, scope="a"`, nil, []string{"a", "offline_access"}, config.Auth{}, "a offline_access"},
		{"not readable", `, scope="a\"b"`, []string{"c"}, nil, config.Auth{}, "c"},
		{"twice", `, scope="a a b"`, nil, nil, config.Auth{}, "a b"},
	} {
		w := newWorld(t)
		w.challenge += test.challenge
		if test.listed != nil {
			w.resource["scopes_supported"] = test.listed
		}
		w.metadata["scopes_supported"] = test.supported
		c, _ := w.client(test.auth)
		w.login(c)
		if got := w.visits[0].Get("scope"); got != test.want || w.visits[0].Has("scope") != (test.want != "") {
			t.Errorf("scopes %s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestLogin_as_before_2025_06_18(t *testing.T) {
	// The server is its own authorization server and has no metadata at all.
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		switch r.URL.Path {
		case "/mcp":
			rw.WriteHeader(http.StatusUnauthorized)
		case "/register":
			answer(rw, http.StatusCreated, map[string]any{"client_id": "c", "redirect_uris": []string{"http://127.0.0.1:1/callback"}, "token_endpoint_auth_method": "none"})
		case "/authorize":
			q := r.URL.Query()
			if q.Get("code_challenge_method") != "S256" {
				t.Error("no PKCE")
			}
			http.Redirect(rw, r, q.Get("redirect_uri")+"?code=x&state="+q.Get("state"), http.StatusFound)
		case "/token":
			answer(rw, http.StatusOK, map[string]any{"access_token": "t", "token_type": "bearer"})
		default:
			http.NotFound(rw, r)
		}
	}))
	defer server.Close()
	c, err := NewClient(config.Server{ID: "up", URL: server.URL + "/mcp", Auth: &config.Auth{Type: config.OAuth, UnsafePrefixes: loopback}}, "p", NewStore(t.TempDir(), config.Secret{}), discard)
	if err != nil {
		t.Fatal(err)
	}
	g, err := c.Login(t.Context(), http.DefaultTransport, &browser{uri: "http://127.0.0.1:1/callback"})
	if err != nil || open(g.Access) != "t" || g.Issuer != server.URL {
		t.Fatalf("%+v, %v", g, err)
	}
	want := []string{"/mcp", "/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/register", "/authorize", "/token"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
}

func TestLogin_is_not_needed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mcp" {
			rw.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	c, err := NewClient(config.Server{ID: "up", URL: server.URL + "/mcp", Auth: &config.Auth{Type: config.OAuth, UnsafePrefixes: loopback}}, "p", NewStore(t.TempDir(), config.Secret{}), discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Login(t.Context(), http.DefaultTransport, &browser{}); !errors.Is(err, ErrNotNeeded) {
		t.Errorf("got %v", err)
	}
}

func TestLogout_forgets_and_tells(t *testing.T) {
	w := newWorld(t)
	c, _ := w.client(config.Auth{})
	w.login(c)
	if len(w.refresh) != 1 {
		t.Fatalf("%d refresh tokens", len(w.refresh))
	}
	removed, told, err := c.Logout(t.Context())
	if removed != 1 || !told || err != nil || len(w.refresh) != 0 {
		t.Errorf("removed %d, told %v, %v; the authorization server has %d refresh tokens", removed, told, err, len(w.refresh))
	}
	if g, err := c.current(true); g != nil || err != nil {
		t.Errorf("after that: %+v, %v", g, err)
	}
	if removed, _, err = c.Logout(t.Context()); removed != 0 || err != nil {
		t.Errorf("a second time: %d, %v", removed, err)
	}
}

// A resource that lies on another origin, or beside the server, must never pass.
func FuzzIsAbout(f *testing.F) {
	for _, s := range []string{"https://mcp.example.com/a/mcp", "https://mcp.example.com", "https://mcp.example.com/a/", "https://mcp.example.com.evil.example/a", "https://u@mcp.example.com/a", "//mcp.example.com/a"} {
		f.Add(s)
	}
	c, err := NewClient(config.Server{ID: "up", URL: "https://mcp.example.com/a/mcp"}, "p", NewStore(f.TempDir(), config.Secret{}), discard)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, resource string) {
		if !c.isAbout(resource) {
			return
		}
		u, err := url.Parse(resource)
		if err != nil || u.Scheme != "https" || !strings.EqualFold(u.Hostname(), "mcp.example.com") || (u.Port() != "" && u.Port() != "443") ||
			!slices.Contains([]string{"", "/", "/a", "/a/", "/a/mcp", "/a/mcp/"}, u.EscapedPath()) {
			t.Errorf("%q passes", resource)
		}
	})
}

// Whatever the header says, what is read of it can be asked for.
func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer scope="a b", resource_metadata="https://x.example"`, 401)
	f.Add(`Basic realm="x", Bearer error=insufficient_scope`, 403)
	f.Add(`"`, 401)
	f.Fuzz(func(t *testing.T, header string, status int) {
		ch, ok := challengeOf(&http.Response{StatusCode: status, Header: http.Header{"Www-Authenticate": {header}}})
		if ok != (status == 401 || (status == 403 && ch.more)) {
			t.Errorf("status %d with %q: %v", status, header, ok)
		}
		if len(ch.scopes) > maxScopes || !slices.Equal(ch.scopes, union(ch.scopes)) {
			t.Errorf("scopes %q", ch.scopes)
		}
		for _, s := range ch.scopes {
			if s == "" || strings.ContainsAny(s, " \"\\\x00\r\n") || len(s) > maxScopeBytes {
				t.Errorf("scope %q", s)
			}
		}
	})
}

func TestGrant_status_is_json_without_secrets(t *testing.T) {
	g := &Grant{Server: "up", Access: config.NewSecret("canary-access"), Refresh: config.NewSecret("canary-refresh"), Wanted: []string{"a", "b"}, Requested: []string{"a"}}
	text, err := json.Marshal(g.Status())
	if err != nil || strings.Contains(string(text), "canary") || !strings.Contains(string(text), `"wanted":["b"]`) || !strings.Contains(string(text), `"scopes":[]`) {
		t.Errorf("%s, %v", text, err)
	}
}
