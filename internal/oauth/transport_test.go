package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/config"
	"gatehouse/internal/decision"
)

// wantAuth checks that an error tells a person what to do, and nothing else.
func wantAuth(t *testing.T, err error, hint string) {
	t.Helper()
	var refusal *decision.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != decision.UpstreamAuth || !strings.Contains(refusal.Detail, hint) {
		t.Errorf("got %v, want a refusal that says %q", err, hint)
	}
}

func TestTransport_says_what_to_run(t *testing.T) {
	w := newWorld(t)
	w.challenge += `, scope="a"`
	c, _ := w.client(config.Auth{})
	_, err := w.call(c.Transport(http.DefaultTransport), "x")
	wantAuth(t, err, "run `gatehouse login up`")
	if len(w.tokens) > 0 || len(w.headers) != 1 {
		t.Errorf("%d token requests and %d requests; without a person nothing can be done", len(w.tokens), len(w.headers))
	}
	// What it said is kept for the login.
	g, err := c.store.Grant("local:somebody", "up", w.url())
	if err != nil || g == nil || len(g.Wanted) != 1 || g.Metadata == "" || !g.Access.IsZero() {
		t.Errorf("remembered %+v, %v", g, err)
	}
}

func TestTransport_does_not_write_at_every_refusal(t *testing.T) {
	w := newWorld(t)
	c, _ := w.client(config.Auth{})
	rt := c.Transport(http.DefaultTransport)
	for i := range 5 {
		w.with(func() {
			w.challenge = fmt.Sprintf(`Bearer scope="s%d", resource_metadata="https://a.example/%d"`, i, i)
		})
		if _, err := w.call(rt, "x"); err == nil {
			t.Fatal("it works without a token")
		}
	}
	if g, err := c.current(true); err != nil || len(g.Wanted) != 1 || g.Metadata != "https://a.example/0" {
		t.Errorf("remembered %+v, %v, want the first refusal only", g, err)
	}
}

func TestTransport_uses_a_login_of_another_process(t *testing.T) {
	w := newWorld(t)
	running, _ := w.client(config.Auth{})
	rt := running.Transport(http.DefaultTransport)
	if _, err := w.call(rt, "x"); err == nil {
		t.Fatal("it works without a token")
	}
	command, _ := w.clientAt(running.store, config.Auth{})
	w.login(command)
	if status, err := w.call(rt, "hello"); status != http.StatusOK || err != nil {
		t.Fatalf("after the login: %d, %v", status, err)
	}
	if got := w.bodies[len(w.bodies)-1]; got != "hello" {
		t.Errorf("the server took %q, want the body as it was", got)
	}
	if _, _, err := command.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	if g, err := running.current(true); g != nil || err != nil {
		t.Errorf("after the logout: %+v, %v", g, err)
	}
}

func TestTransport_sends_the_token_to_its_server_only(t *testing.T) {
	w := newWorld(t)
	c, _ := w.client(config.Auth{})
	w.login(c)
	var seen []string
	rt := c.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		seen = append(seen, r.Header.Get("Authorization"))
		return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
	}))
	own, _ := url.Parse(w.url())
	for _, test := range []struct {
		url   string
		token bool
	}{
		{w.url(), true},
		{w.server.URL + "/other", true},
		{"https://" + own.Host + "/mcp", false},
		{"http://localhost:" + own.Port() + "/mcp", false},
		{"http://127.0.0.1:1/mcp", false},
		{"https://evil.example/mcp", false},
	} {
		req := httptest.NewRequest(http.MethodGet, test.url, nil)
		if _, err := rt.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		if got := seen[len(seen)-1]; (got != "") != test.token {
			t.Errorf("%s was sent %q", test.url, got)
		}
		if req.Header.Get("Authorization") != "" {
			t.Error("the caller's request was changed")
		}
	}
	// A request that has its own credentials keeps them.
	req := httptest.NewRequest(http.MethodGet, w.url(), nil)
	req.Header.Set("Authorization", "Basic x")
	if _, err := rt.RoundTrip(req); err != nil || seen[len(seen)-1] != "Basic x" {
		t.Errorf("sent %q, %v", seen[len(seen)-1], err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransport_sends_no_token_over_plain_http(t *testing.T) {
	refusing := roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusUnauthorized, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
	})
	for _, auth := range []*config.Auth{nil, {Type: config.ClientCredentials, ClientID: "c", ClientSecret: config.NewSecret("s")}} {
		c, err := NewClient(config.Server{ID: "up", URL: "http://mcp.example.com/mcp", UnsafePlainHTTP: true, Auth: auth}, "p", NewStore(t.TempDir(), config.Secret{}), discard)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Transport(refusing).RoundTrip(httptest.NewRequest(http.MethodGet, "http://mcp.example.com/mcp", nil))
		wantAuth(t, err, "plain http")
		if auth == nil {
			if _, err := c.Login(t.Context(), refusing, &browser{}); !errors.Is(err, errPlain) {
				t.Errorf("login: %v", err)
			}
		}
	}
}

func TestTransport_does_not_follow_redirects(t *testing.T) {
	w := newWorld(t)
	c, _ := w.client(config.Auth{})
	w.login(c)
	var asked int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer other.Close()
	moved := c.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusTemporaryRedirect, Body: http.NoBody, Header: http.Header{"Location": {other.URL}}, Request: r}, nil
	}))
	if status, err := w.call(moved, "x"); status != http.StatusTemporaryRedirect || err != nil || asked > 0 {
		t.Errorf("status %d, %v, and %d requests at the place it points to", status, err, asked)
	}
}

func TestTransport_renews_a_token_once_for_all(t *testing.T) {
	w := newWorld(t)
	c, log := w.client(config.Auth{})
	w.login(c)
	rt := c.Transport(http.DefaultTransport)
	w.expire()
	var all sync.WaitGroup
	errs := make(chan error, 20)
	for range cap(errs) {
		all.Go(func() {
			status, err := w.call(rt, "x")
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("status %d", status)
			}
			errs <- err
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if len(w.tokens) != 2 {
		t.Errorf("%d token requests, want the login's and one more", len(w.tokens))
	}
	renewal := w.tokens[1]
	if renewal.Get("grant_type") != "refresh_token" || renewal.Get("resource") != w.url() || renewal.Get("client_id") != "client-1" || renewal.Has("scope") {
		t.Errorf("the renewal says %v", renewal)
	}
	// The new refresh token is kept: the old one was good once.
	fresh, _ := w.clientAt(c.store, config.Auth{})
	w.expire()
	if status, err := w.call(fresh.Transport(http.DefaultTransport), "x"); status != http.StatusOK || err != nil {
		t.Errorf("a second renewal, by another process: %d, %v", status, err)
	}
	if strings.Contains(log.String(), "token-") {
		t.Errorf("the log holds a token: %s", log)
	}
}

func TestTransport_asks_for_a_login_when_renewing_does_not_help(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(w *world)
		hint   string
		tokens int // requests, in two calls
	}{
		{"the refresh token is no good", func(w *world) { w.refresh = map[string][]string{} }, "run `gatehouse login up`", 2},
		{"the server refuses every token", func(w *world) { w.lifeless = true }, "run `gatehouse login up`", 2},
		{"the metadata points into the machine's network", func(w *world) { w.metadata["token_endpoint"] = "https://10.0.0.1/token" }, "unsafe_addresses", 0},
		{"the authorization server fails", func(w *world) { w.metadata["token_endpoint"] = w.issuer.URL + "/nothing" }, "cannot be used now", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			c, _ := w.client(config.Auth{})
			w.login(c)
			w.expire()
			w.with(func() { test.change(w) })
			before := len(w.tokens)
			rt := c.Transport(http.DefaultTransport)
			for range 2 {
				_, err := w.call(rt, "x")
				wantAuth(t, err, test.hint)
			}
			if got := len(w.tokens) - before; got > test.tokens {
				t.Errorf("%d token requests in two calls, want at most %d", got, test.tokens)
			}
		})
	}
}

// "Clients MUST NOT reuse" at one authorization server what another one gave.
func TestTransport_takes_nothing_to_another_authorization_server(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	c, _ := w.client(config.Auth{})
	w.login(c)
	w.expire()
	w.with(func() { w.resource["authorization_servers"] = []string{other.issuer.URL} })
	_, err := w.call(c.Transport(http.DefaultTransport), "x")
	wantAuth(t, err, "run `gatehouse login up`")
	if len(w.tokens) != 1 || len(other.tokens) > 0 {
		t.Errorf("%d token requests at the first authorization server and %d at the other, want the login's only", len(w.tokens), len(other.tokens))
	}
}

// A server that answers 401 to every token must not make the gateway spend a refresh
// token for each request.
func TestTransport_does_not_renew_again_and_again(t *testing.T) {
	w := newWorld(t)
	c, _ := w.client(config.Auth{})
	w.login(c)
	w.expire()
	w.with(func() { w.lifeless = true })
	rt := c.Transport(http.DefaultTransport)
	for range 10 {
		_, err := w.call(rt, "x")
		wantAuth(t, err, "gatehouse login")
	}
	if got := len(w.tokens); got > 1+maxRounds {
		t.Errorf("%d token requests for ten calls", got)
	}
	w.with(func() { w.lifeless = false })
	again, _ := w.clientAt(c.store, config.Auth{})
	w.login(again)
	if status, err := w.call(rt, "x"); status != http.StatusOK || err != nil {
		t.Errorf("after another login: %d, %v", status, err)
	}
}

func TestTransport_steps_up_with_a_person(t *testing.T) {
	w := newWorld(t)
	w.challenge += `, scope="read"`
	c, _ := w.client(config.Auth{})
	w.login(c)
	w.with(func() { w.needs = []string{"write"} })
	rt := c.Transport(http.DefaultTransport)
	_, err := w.call(rt, "x")
	wantAuth(t, err, "it wants more rights than were granted; run `gatehouse login up`")
	if g, _ := c.current(true); len(g.Status().Wanted) != 1 {
		t.Errorf("wanted %v", g.Status().Wanted)
	}
	w.login(c)
	if got := w.visits[1].Get("scope"); got != "read write" {
		t.Errorf("the next login asks for %q, want the union", got)
	}
	if status, err := w.call(rt, "x"); status != http.StatusOK || err != nil {
		t.Errorf("after the second login: %d, %v", status, err)
	}
	// What was asked for and not given is not asked for again.
	w.with(func() {
		w.needs = []string{"write"}
		for token := range w.issued {
			w.issued[token] = []string{"read"}
		}
	})
	_, err = w.call(rt, "x")
	wantAuth(t, err, "it refuses this with the rights that were granted")
}

func TestTransport_leaves_other_refusals_alone(t *testing.T) {
	w := newWorld(t)
	c, _ := w.client(config.Auth{})
	for _, header := range []string{"", "Bearer", `Bearer error="invalid_request"`, `Basic realm="x"`} {
		rt := c.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusForbidden, Body: http.NoBody, Header: http.Header{"Www-Authenticate": {header}}, Request: r}, nil
		}))
		if status, err := w.call(rt, "x"); status != http.StatusForbidden || err != nil {
			t.Errorf("403 with %q: %d, %v", header, status, err)
		}
	}
}

func TestTransport_refuses_what_cannot_be_sent_twice(t *testing.T) {
	w := newWorld(t)
	c, _ := w.client(config.Auth{})
	w.login(c)
	w.expire()
	req, err := http.NewRequest(http.MethodPost, w.url(), io.MultiReader(strings.NewReader("x")))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Transport(http.DefaultTransport).RoundTrip(req)
	wantAuth(t, err, "cannot be sent twice")
}

func TestTransport_ends_with_its_request(t *testing.T) {
	w := newWorld(t)
	c, _ := w.client(config.Auth{})
	w.login(c)
	w.expire()
	c.renewing <- struct{}{} // somebody else renews and does not come to an end
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the client is gone")
	rt := c.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		cancel(gone)
		return &http.Response{StatusCode: http.StatusUnauthorized, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
	}))
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, w.url(), nil)
	if _, err := rt.RoundTrip(req); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

func TestTransport_ends_a_renewal_that_it_began(t *testing.T) {
	w := newWorld(t)
	c, _ := w.client(config.Auth{})
	w.login(c)
	w.expire()
	ctx, cancel := context.WithCancelCause(t.Context())
	gone, proceed := errors.New("the client is gone"), make(chan struct{})
	w.with(func() {
		w.onToken = func() {
			cancel(gone)
			<-proceed // the request is over before the token comes
		}
	})
	rt := c.Transport(http.DefaultTransport)
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, w.url(), nil)
	if _, err := rt.RoundTrip(req); !errors.Is(err, gone) {
		t.Fatalf("got %v", err)
	}
	close(proceed)
	w.with(func() { w.onToken = nil })
	if status, err := w.call(rt, "x"); status != http.StatusOK || err != nil {
		t.Errorf("afterwards: %d, %v", status, err)
	}
	if len(w.tokens) != 2 {
		t.Errorf("%d token requests, want the login's and one renewal", len(w.tokens))
	}
}

func TestTransport_refuses_when_the_store_cannot_be_read(t *testing.T) {
	w := newWorld(t)
	c, _ := w.client(config.Auth{})
	w.login(c)
	other, _ := w.clientAt(NewStore(c.store.dir, config.NewSecret("another key of the store")), config.Auth{})
	sent := false
	_, err := w.call(other.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
		sent = true
		return nil, errors.New("unreachable")
	})), "x")
	wantAuth(t, err, "the stored tokens cannot be used")
	if sent {
		t.Error("the request was sent without its token")
	}
}

// Every server with url stands behind a Transport, and most of them want no token.
func TestTransport_costs_nothing_where_no_token_is_wanted(t *testing.T) {
	w := newWorld(t)
	c, _ := w.client(config.Auth{})
	answer := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}}
	rt := c.Transport(roundTrip(func(*http.Request) (*http.Response, error) { return answer, nil }))
	req := httptest.NewRequest(http.MethodGet, w.url(), nil)
	if _, err := rt.RoundTrip(req); err != nil { // looks for a token once
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { rt.RoundTrip(req) }); n > 0 {
		t.Errorf("%v allocations for each request, want none", n)
	}
}

func BenchmarkTransport(b *testing.B) {
	for _, token := range []string{"", "a-token"} {
		b.Run("token="+token, func(b *testing.B) {
			c, err := NewClient(config.Server{ID: "up", URL: "https://mcp.example.com/mcp"}, "p", NewStore(b.TempDir(), config.Secret{}), discard)
			if err != nil {
				b.Fatal(err)
			}
			if token != "" {
				if err := c.save(&Grant{Principal: "p", Server: "up", URL: c.server.URL, Access: config.NewSecret(token)}); err != nil {
					b.Fatal(err)
				}
			}
			answer := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}}
			rt := c.Transport(roundTrip(func(*http.Request) (*http.Response, error) { return answer, nil }))
			req := httptest.NewRequest(http.MethodPost, c.server.URL, nil)
			for _, name := range []string{"Content-Type", "Accept", "Mcp-Session-Id", "Mcp-Protocol-Version"} {
				req.Header.Set(name, "x")
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rt.RoundTrip(req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
