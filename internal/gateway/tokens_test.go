package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/oauth"
	"gatehouse/internal/rules"
	"gatehouse/internal/wire"
)

const ownToken = "gatehouse-upstream-token-5b1e"

// guarded is a server that wants ownToken and whose tool repeats it.
type guarded struct {
	more    string // scope that tools/call needs besides; "" for none
	mu      sync.Mutex
	seen    []string // Authorization headers
	refused []string // methods
}

func (s *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.seen = append(s.seen, r.Header.Get("Authorization"))
	s.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+ownToken {
		raw, _ := io.ReadAll(r.Body)
		if m, err := wire.Parse(raw, wire.Limits{}); err == nil {
			s.mu.Lock()
			s.refused = append(s.refused, m.Method)
			s.mu.Unlock()
		}
		w.Header().Set("WWW-Authenticate", `Bearer scope="read"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	raw, _ := io.ReadAll(r.Body)
	m, err := wire.Parse(raw, wire.Limits{})
	if err != nil || m.Kind != wire.Request {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if m.Method == wire.MethodToolsCall && s.more != "" {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer error="insufficient_scope", scope=%q`, s.more))
		w.WriteHeader(http.StatusForbidden)
		return
	}
	result := (&stub{}).plain(m)
	if m.Method == wire.MethodToolsCall {
		result = fmt.Sprintf(`{"content":[{"type":"text","text":"you sent %s"}],"resultType":"complete"}`, r.Header.Get("Authorization"))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(wire.NewResult(m.ID, []byte(result)))
}

func (s *guarded) headers() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.seen...)
}

// newTokenHouse is a gateway in front of a guarded server, with its state and log.
func newTokenHouse(t *testing.T, s http.Handler) (h *house, c *config.Config, store *oauth.Store, log *bytes.Buffer) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "servers: {stub: {url: %q, auth: {scopes: [read]}}}", server.URL+"/mcp"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	h = &house{t: t, dir: dir}
	if h.trail, err = audit.Open(filepath.Join(dir, "audit"), audit.Options{}); err != nil {
		t.Fatal(err)
	}
	book, err := approval.Open(c.Lock, filepath.Join(dir, "pending"))
	if err != nil {
		t.Fatal(err)
	}
	store, log = oauth.NewStore(filepath.Join(dir, "oauth"), config.Secret{}), &bytes.Buffer{}
	h.g, err = New(Options{Config: c, Rules: rules.All(), Book: book, Audit: h.trail, Log: slog.New(slog.NewTextHandler(log, nil)), Version: "test", Tokens: store})
	if err != nil {
		t.Fatal(err)
	}
	return h, c, store, log
}

func TestTokens_a_server_that_wants_one(t *testing.T) {
	s := &guarded{}
	h, c, store, log := newTokenHouse(t, s)
	peer := h.peer(nil, nil)
	peer.Header = http.Header{
		"Authorization": {"Bearer the-clients-own-token"}, "Mcp-Protocol-Version": {wire.ModernVersion}, "Mcp-Method": {wire.MethodToolsCall}, "Mcp-Name": {"echo"},
	}
	call := func() string {
		h.id++
		r := h.g.Handle(t.Context(), fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"},%s}}`, h.id, modernMeta), peer)
		return string(r.Body)
	}
	for range 3 { // nothing is held back because it failed before
		if body := call(); !strings.Contains(body, "run `gatehouse login stub`") || !strings.Contains(body, "upstream-auth") {
			t.Fatalf("without a token: %s", body)
		}
	}
	// To refuse is not to speak the other era.
	if slices.Contains(s.refused, wire.MethodInitialize) {
		t.Errorf("the server was asked %q", s.refused)
	}
	grant := &oauth.Grant{Principal: LocalPrincipal(), Server: "stub", URL: c.Servers[0].URL, Access: config.NewSecret(ownToken)}
	if err := store.Save(grant); err != nil {
		t.Fatal(err)
	}
	body := call()
	if !strings.Contains(body, "you sent Bearer") || strings.Contains(body, "isError\":true") {
		t.Fatalf("with a token: %s", body)
	}
	for _, header := range s.headers() {
		if header != "" && header != "Bearer "+ownToken {
			t.Errorf("the server was sent %q", header)
		}
	}
	h.close()
	shown := body + log.String()
	files, _ := filepath.Glob(filepath.Join(h.dir, "audit", "*"))
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		shown += string(raw)
	}
	if len(files) == 0 || strings.Contains(shown, ownToken) {
		t.Errorf("the token came back, to the client or into a log: %s", shown)
	}
}

func TestTokens_elevations_are_logged_with_the_call_that_needs_them(t *testing.T) {
	h, c, store, _ := newTokenHouse(t, &guarded{more: "write"})
	h.refused(h.call(nil, "x"), "upstream-auth") // the first look is over, and writes nothing any more
	grant := &oauth.Grant{Principal: LocalPrincipal(), Server: "stub", URL: c.Servers[0].URL, Access: config.NewSecret(ownToken)}
	if err := store.Save(grant); err != nil {
		t.Fatal(err)
	}
	h.refused(h.call(nil, "the token is found"), "upstream-auth")
	h.refused(h.call(nil, "x"), "upstream-auth")
	h.close()
	var calls []string
	for _, r := range h.records(audit.Ended) {
		calls = append(calls, r.Exchange)
	}
	elevated := h.records(audit.Elevated)
	if len(elevated) == 0 {
		t.Error("no elevation is logged")
	}
	for _, r := range elevated {
		if !slices.Contains(calls, r.Exchange) || !strings.Contains(r.Detail, "write") {
			t.Errorf("%+v belongs to none of the calls %q", r, calls)
		}
	}
}

func TestTokens_of_another_principal_or_URL_are_not_used(t *testing.T) {
	s := &guarded{}
	h, c, store, _ := newTokenHouse(t, s)
	defer h.close()
	for _, g := range []*oauth.Grant{
		{Principal: "local:somebody-else", Server: "stub", URL: c.Servers[0].URL},
		{Principal: LocalPrincipal(), Server: "other", URL: c.Servers[0].URL},
		{Principal: LocalPrincipal(), Server: "stub", URL: "https://elsewhere.example/mcp"},
	} {
		g.Access = config.NewSecret(ownToken)
		if err := store.Save(g); err != nil {
			t.Fatal(err)
		}
	}
	if body := string(h.call(nil, `"x"`).Body); !strings.Contains(body, "gatehouse login stub") {
		t.Errorf("got %s", body)
	}
	for _, header := range s.headers() {
		if header != "" {
			t.Errorf("the server was sent %q", header)
		}
	}
}

func TestTokens_headers_of_the_configuration_stand_alone(t *testing.T) {
	h := newHouse(t, &stub{}, "")
	defer h.close()
	h.g.tokens = oauth.NewStore(t.TempDir(), config.Secret{})
	base := &stub{}
	with := config.Server{ID: "a", URL: "https://a.example/", Headers: map[string]config.Secret{"Authorization": config.NewSecret("x")}}
	if h.g.withTokens(with, base) != http.RoundTripper(base) {
		t.Error("a server with its own Authorization got tokens as well")
	}
	if h.g.withTokens(config.Server{ID: "a", URL: "https://a.example/"}, base) == http.RoundTripper(base) {
		t.Error("a server without one got none")
	}
}

func TestReload_keeps_a_server_whose_auth_is_the_same(t *testing.T) {
	read := func(auth string) config.Server {
		file := filepath.Join(t.TempDir(), "gatehouse.yaml")
		text, err := json.Marshal(map[string]any{"servers": map[string]any{"a": map[string]any{"url": "https://a.example/", "auth": json.RawMessage(auth)}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		s := c.Servers[0]
		s.Dir = "" // the folder of the test
		return s
	}
	auth := `{"client_id":"c","client_secret":"env:HOME"}`
	old := &server{config: read(auth)}
	l := &live{servers: map[string]*server{"a": old}}
	if l.unchanged(read(auth)) != old {
		t.Error("the same section made another server")
	}
	for _, other := range []string{`{}`, `null`, `{"client_id":"c","client_secret":"env:PATH"}`, `{"client_id":"d","client_secret":"env:HOME"}`} {
		if l.unchanged(read(other)) != nil {
			t.Errorf("%s kept the old server", other)
		}
	}
}
