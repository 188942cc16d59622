//go:build unix

package requirements

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/test/issuer"
)

// guarded is a gateway that takes the tokens of an issuer, and API keys. Ann and Bob
// may use everything, Guest may call echo.
type guarded struct {
	*gateway
	issuer *issuer.Issuer
	keys   int
}

const guardedPolicy = `
permit (principal in Team::"data", action, resource);
permit (principal in Team::"guests", action == Action::"tools/call", resource == Tool::"web/echo");
permit (principal in Team::"guests", action == Action::"tools/list", resource);
permit (principal in Team::"guests", action == Action::"initialize", resource);
`

func openGuarded(t *testing.T) *guarded {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "who.cedar"), []byte(guardedPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	i := issuer.New(t)
	g, err := begin(dir, object{
		"identity": object{"resource": issuer.Resource, "issuers": object{"corp": i.Config()}, "keys": object{},
			// Nobody connects from there: the header means nothing.
			"proxies": object{"edge": object{"from": []string{"203.0.113.0/24"}, "user": "X-Forwarded-User", "teams": "X-Forwarded-Groups"}}},
		"teams": object{
			"data":   object{"users": []string{"user:corp/ann", "user:corp/bob", "proxy:edge/ann"}},
			"guests": object{"users": []string{"user:corp/guest"}},
		},
		"policy": object{"files": []string{"who.cedar"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.end(); err != nil {
			t.Error(err)
		}
	})
	return &guarded{gateway: g, issuer: i}
}

// key makes an API key with the real command.
func (g *guarded) key(t *testing.T, args ...string) string {
	t.Helper()
	g.keys++
	args = append([]string{"key", "create", "--config", filepath.Join(g.dir, "gatehouse.yaml"), "--json", fmt.Sprintf("key-%d", g.keys)}, args...)
	out, err := exec.Command(g.command.Path, args...).Output()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	var made struct{ Secret string }
	if json.Unmarshal(out, &made) != nil || made.Secret == "" {
		t.Fatalf("the command printed %s", out)
	}
	return made.Secret
}

// as is a client that shows a credential with every request. One of the revisions
// before begins its session with it.
func (g *gateway) as(t *testing.T, modern bool, mount, credential string, declares ...string) *client {
	t.Helper()
	c := g.client(t, true, mount, declares...)
	c.modern = modern
	c.shows(credential)
	if !modern {
		c.initialize()
	}
	return c
}

// shows makes the client show another credential from here on, or none.
func (c *client) shows(credential string) {
	c.header = http.Header{}
	if credential != "" {
		c.header.Set("Authorization", "Bearer "+credential)
	}
}

// everywhere runs a test with a client of each era on each kind of mount, that ann
// began; name is what the tool echo is called there.
func (g *guarded) everywhere(t *testing.T, do func(c *client, echo string)) {
	t.Helper()
	for _, mount := range []string{"web", ""} {
		name := "echo"
		if mount == "" {
			name = "web__echo"
		}
		for _, modern := range []bool{false, true} {
			do(g.as(t, modern, mount, g.issuer.Token("ann", nil)), name)
		}
	}
}

// turnedAway checks that a call with a credential is answered with a status and that
// the server hears nothing of it.
func (g *guarded) turnedAway(t *testing.T, c *client, echo string, status int, about string) reply {
	t.Helper()
	var r reply
	got := g.web.during(func() { r = c.call(echo, object{"text": "hello"}) })
	if r.status != status || r.text() == "hello" {
		t.Errorf("%s on %s in %s: answered %d %s, want %d", about, c.url, c.era(), r.status, r.raw, status)
	}
	quiet(t, got, "tools/call")
	return r
}

func Test_R024_a_token_for_somebody_else_is_refused(t *testing.T) {
	g := openGuarded(t)
	g.everywhere(t, func(c *client, echo string) {
		for _, audience := range []any{"https://other.example/mcp", nil, "inspector", []string{"https://other.example"}, issuer.Resource + ".evil.example", issuer.Resource + "/mcp/files"} {
			c.shows(g.issuer.Token("ann", object{"aud": audience}))
			g.turnedAway(t, c, echo, http.StatusUnauthorized, fmt.Sprintf("the audience %v", audience))
		}
		c.shows(g.issuer.Token("ann", object{"aud": []string{"https://other.example", issuer.Resource}}))
		if r := c.call(echo, object{"text": "hello"}); r.text() != "hello" {
			t.Errorf("a token for the gateway and another: answered %d %s", r.status, r.raw)
		}
	})
}

func Test_R025_no_good_credential_reaches_a_server_either(t *testing.T) {
	g := openGuarded(t)
	for _, credential := range []string{g.issuer.Token("ann", nil), g.key(t, "--team", "data")} {
		secret := credential[len(credential)-20:]
		for _, mount := range []string{"web", "newest"} {
			for _, modern := range []bool{false, true} {
				got := g.web.during(func() {
					if r := g.as(t, modern, mount, credential).call("echo", object{"text": "hello"}); r.text() != "hello" {
						t.Errorf("on %q: answered %s", mount, r.raw)
					}
				})
				if len(only(got, "tools/call")) != 1 || anywhere(got, secret) {
					t.Errorf("on %q the server got %v", mount, got)
				}
			}
		}
	}
}

func Test_R026_what_a_token_says_is_checked_before_anything_is_done(t *testing.T) {
	g := openGuarded(t)
	now := time.Now()
	good := g.issuer.Token("ann", nil)
	for about, token := range map[string]string{
		"expired":           g.issuer.Token("ann", object{"exp": now.Add(-2 * time.Minute).Unix()}),
		"not valid yet":     g.issuer.Token("ann", object{"nbf": now.Add(2 * time.Minute).Unix()}),
		"of another issuer": g.issuer.Token("ann", object{"iss": "https://evil.example"}),
		"signed by another": g.issuer.Forge("ann", nil),
		"cut off":           good[:len(good)-8],
		"nothing of ours":   "opaque",
	} {
		g.everywhere(t, func(c *client, echo string) {
			c.shows(token)
			g.turnedAway(t, c, echo, http.StatusUnauthorized, about)
		})
	}
}

func Test_R027_the_status_says_what_is_wrong(t *testing.T) {
	g := openGuarded(t)
	g.everywhere(t, func(c *client, echo string) {
		c.shows("")
		if r := g.turnedAway(t, c, echo, http.StatusUnauthorized, "no token"); strings.Contains(r.header.Get("Www-Authenticate"), "error=") {
			// RFC 6750, section 3.1: without a credential there is no error code.
			t.Errorf("who shows nothing is told %s", r.header.Get("Www-Authenticate"))
		}
		for about, test := range map[string]struct {
			show   func()
			status int
			code   string
		}{
			"expired":     {func() { c.shows(g.issuer.Token("ann", object{"exp": time.Now().Add(-time.Hour).Unix()})) }, http.StatusUnauthorized, "invalid_token"},
			"too little":  {func() { c.shows(g.issuer.Token("ann", object{"scope": "read"})) }, http.StatusForbidden, "insufficient_scope"},
			"two headers": {func() { c.header["Authorization"] = []string{"Bearer a", "Bearer b"} }, http.StatusBadRequest, "invalid_request"},
		} {
			test.show()
			r := g.turnedAway(t, c, echo, test.status, about)
			if told := r.header.Get("Www-Authenticate"); !strings.Contains(told, `error="`+test.code+`"`) {
				t.Errorf("%s: told %q, want the error %s", about, told, test.code)
			}
		}
	})
}

func Test_R028_a_token_in_a_URL_is_refused(t *testing.T) {
	g := openGuarded(t)
	g.everywhere(t, func(c *client, echo string) {
		plain, token := c.url, g.issuer.Token("ann", nil)
		for _, name := range []string{"access_token", "Access_Token", "token", "id_token", "api_key"} {
			c.url = plain + "?" + name + "=" + token
			c.shows("")
			g.turnedAway(t, c, echo, http.StatusBadRequest, "a token in the URL alone")
			c.shows(token)
			g.turnedAway(t, c, echo, http.StatusBadRequest, "a token in the URL beside the header")
		}
		c.url = plain + "?harmless=1"
		if r := c.call(echo, object{"text": "hello"}); r.text() != "hello" {
			t.Errorf("another parameter: answered %d %s", r.status, r.raw)
		}
	})
}

func Test_R029_what_one_may_see_reaches_nobody_else(t *testing.T) {
	g := openGuarded(t)
	for _, mount := range []string{"web", ""} {
		echo := map[string]string{"web": "echo", "": "web__echo"}[mount]
		for _, modern := range []bool{false, true} {
			// The one who sees more goes first and last: what was kept for one is shown to
			// neither.
			for _, who := range []string{"ann", "guest", "ann", "guest"} {
				c := g.as(t, modern, mount, g.issuer.Token(who, nil))
				r := c.request("tools/list", object{})
				names := r.names("tools")
				if all := len(names) > 1; all != (who == "ann") || !slices.Contains(names, echo) {
					t.Errorf("on %q in %s %s sees %v", mount, c.era(), who, names)
				}
				if scope := r.result()["cacheScope"]; modern && scope != "private" {
					t.Errorf("on %q the list of %s may be kept for others: %v", mount, who, scope)
				}
				if who == "guest" {
					trusted := strings.Replace(echo, "echo", "trusted", 1)
					denied, unknown := c.call(trusted, object{"text": "x"}), c.call(trusted+"-no", object{"text": "x"})
					if denied.reason() != unknown.reason() || denied.status != unknown.status {
						t.Errorf("on %q what is denied is told from what is not there: %s %s", mount, denied.raw, unknown.raw)
					}
				}
			}
		}
	}
}

func Test_R030_good_credentials_are_kept_nowhere(t *testing.T) {
	g := openGuarded(t)
	token, key := g.issuer.Token("ann", nil), g.key(t, "--team", "data")
	for _, credential := range []string{token, key} {
		for _, modern := range []bool{false, true} {
			c := g.as(t, modern, "web", credential)
			if r := c.call("echo", object{"text": "hello"}); r.text() != "hello" {
				t.Errorf("answered %s", r.raw)
			}
			c.call("nothing", object{})
			c.send("{", nil)
			c.url += "?access_token=" + credential
			c.call("echo", object{"text": "hello"})
		}
	}
	if len(g.records(t, audit.Filter{})) == 0 {
		t.Error("the log is empty; the test looks in the wrong place")
	}
	for path, text := range g.kept(t) {
		for _, secret := range []string{token[len(token)-20:], key[len(key)-20:]} {
			if strings.Contains(text, secret) || strings.Contains(g.printed.String(), secret) {
				t.Errorf("%s, or what is printed, holds a credential", path)
			}
		}
	}
	info, err := os.Stat(filepath.Join(g.dir, ".gatehouse", "keys"))
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the file of the keys can be read by others: %v %v", info, err)
	}
}

// metadata reads a document of RFC 9728, nil if there is none.
func (g *gateway) metadata(t *testing.T, path string) object {
	t.Helper()
	response, err := http.Get(g.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var doc object
	if response.StatusCode == http.StatusOK {
		if err := json.NewDecoder(response.Body).Decode(&doc); err != nil {
			t.Error(err)
		}
	}
	return doc
}

func Test_R033_offline_access_is_not_asked_for(t *testing.T) {
	g := openGuarded(t)
	doc, _ := json.Marshal(g.metadata(t, "/.well-known/oauth-protected-resource/mcp"))
	c := g.as(t, true, "web", "")
	told := g.turnedAway(t, c, "echo", http.StatusUnauthorized, "no token").header.Get("Www-Authenticate")
	if len(doc) < 10 || told == "" || strings.Contains(string(doc)+told, "offline_access") {
		t.Errorf("the metadata are %s, the challenge %s", doc, told)
	}
	// Nor can it be configured.
	dir := t.TempDir()
	bad := fmt.Sprintf(`{"identity":{"resource":%q,"issuers":{"corp":{"url":"https://a.example","scopes":["offline_access"]}}},"servers":{}}`, issuer.Resource)
	if err := os.WriteFile(filepath.Join(dir, "gatehouse.yaml"), []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(g.command.Path, "serve", "--config", filepath.Join(dir, "gatehouse.yaml")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "offline_access") {
		t.Errorf("a configuration that asks for it starts: %v %s", err, out)
	}
}

func Test_R034_metadata_name_the_authorization_server(t *testing.T) {
	g := openGuarded(t)
	for path, resource := range map[string]string{"": "", "/mcp": "/mcp", "/mcp/web": "/mcp/web"} {
		doc := g.metadata(t, "/.well-known/oauth-protected-resource"+path)
		servers, _ := doc["authorization_servers"].([]any)
		if doc["resource"] != issuer.Resource+resource || len(servers) != 1 || servers[0] != g.issuer.URL {
			t.Errorf("the metadata at %q are %v", path, doc)
		}
	}
	if doc := open(t).metadata(t, "/.well-known/oauth-protected-resource"); doc != nil {
		t.Errorf("a gateway without issuers says where to get a token: %v", doc)
	}
}

func Test_R035_a_refusal_leads_to_the_metadata(t *testing.T) {
	g := openGuarded(t)
	for _, mount := range []string{"web", ""} {
		c := g.as(t, true, mount, "")
		told := c.request("tools/list", object{}).header.Get("Www-Authenticate")
		_, rest, _ := strings.Cut(told, `resource_metadata="`)
		where, _, _ := strings.Cut(rest, `"`)
		path, ours := strings.CutPrefix(where, issuer.Resource)
		if doc := g.metadata(t, path); !ours || doc["resource"] != strings.Replace(c.url, g.url, issuer.Resource, 1) {
			t.Errorf("on %q the challenge %q leads to %v", mount, told, doc)
		}
	}
}

func Test_R036_a_refusal_names_the_scopes(t *testing.T) {
	g := openGuarded(t)
	for _, mount := range []string{"web", ""} {
		r := g.as(t, true, mount, "").request("tools/list", object{})
		if told := r.header.Get("Www-Authenticate"); r.status != http.StatusUnauthorized || !strings.Contains(told, `scope="mcp"`) {
			t.Errorf("on %q: %d %s", mount, r.status, told)
		}
	}
}

func Test_R060_every_request_of_a_session_is_checked(t *testing.T) {
	g := openGuarded(t)
	for _, mount := range []string{"web", ""} {
		echo := map[string]string{"web": "echo", "": "web__echo"}[mount]
		c := g.as(t, false, mount, g.issuer.Token("ann", nil))
		for about, credential := range map[string]string{"none": "", "a bad one": "x", "an expired one": g.issuer.Token("ann", object{"exp": time.Now().Add(-time.Hour).Unix()})} {
			c.shows(credential)
			g.turnedAway(t, c, echo, http.StatusUnauthorized, "a session and as credential "+about)
		}
		c.shows(g.issuer.Token("ann", nil)) // another token of the same person
		if r := c.call(echo, object{"text": "hello"}); r.text() != "hello" {
			t.Errorf("a new token of the owner: answered %d %s", r.status, r.raw)
		}
	}
	// A key that is revoked ends at once, in the middle of a session.
	c := g.as(t, false, "web", g.key(t, "--team", "data"))
	if out, err := exec.Command(g.command.Path, "key", "revoke", "--config", filepath.Join(g.dir, "gatehouse.yaml"), "key-1").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	deadline := time.Now().Add(patience)
	for c.call("echo", object{"text": "hello"}).status != http.StatusUnauthorized {
		if time.Now().After(deadline) {
			t.Fatal("a session goes on with a key that was revoked")
		}
	}
}

func Test_R061_a_session_is_of_no_use_to_another(t *testing.T) {
	g := openGuarded(t)
	for _, mount := range []string{"web", ""} {
		echo := map[string]string{"web": "echo", "": "web__echo"}[mount]
		c := g.as(t, false, mount, g.issuer.Token("ann", nil))
		c.shows(g.issuer.Token("bob", nil))
		stolen := g.turnedAway(t, c, echo, http.StatusNotFound, "the session of another")
		c.session = "no-such-session"
		wrong := g.turnedAway(t, c, echo, http.StatusNotFound, "a session that does not exist")
		if stolen.reason() != wrong.reason() {
			t.Errorf("on %q a session of another is told from one that does not exist: %s %s", mount, stolen.raw, wrong.raw)
		}
	}
}

func Test_R063_streams_and_their_events_are_for_their_owner(t *testing.T) {
	g := openGuarded(t)
	ann, bob := g.issuer.Token("ann", nil), g.issuer.Token("bob", nil)
	c := g.as(t, false, "files", ann)
	get := func(credential, lastEvent, method string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header = http.Header{"Accept": {"text/event-stream"}, "Mcp-Session-Id": {c.session}}
		if credential != "" {
			request.Header.Set("Authorization", "Bearer "+credential)
		}
		if lastEvent != "" {
			request.Header.Set("Last-Event-Id", lastEvent)
		}
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	for _, lastEvent := range []string{"", "1", "0-0"} {
		if got := get(bob, lastEvent, http.MethodGet); got != http.StatusNotFound {
			t.Errorf("another's stream behind %q: %d", lastEvent, got)
		}
		if got := get("", lastEvent, http.MethodGet); got != http.StatusUnauthorized {
			t.Errorf("a stream without a token behind %q: %d", lastEvent, got)
		}
	}
	if got := get(ann, "", http.MethodGet); got != http.StatusOK {
		t.Errorf("one's own stream: %d", got)
	}
	if got := get(bob, "", http.MethodDelete); got != http.StatusNotFound {
		t.Errorf("ending another's session: %d", got)
	}
	if r := c.call("echo", object{"text": "hello"}); r.text() != "hello" {
		t.Errorf("the session is gone: %d %s", r.status, r.raw)
	}
}

func Test_R065_a_session_that_has_ended_is_not_found(t *testing.T) {
	g := openGuarded(t)
	c := g.as(t, false, "web", g.issuer.Token("ann", nil))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, c.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = c.header.Clone()
	request.Header.Set("Mcp-Session-Id", c.session)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		t.Errorf("ending it was answered %s", response.Status)
	}
	g.turnedAway(t, c, "echo", http.StatusNotFound, "a session that has ended")
}

// The server sees as many handshakes as there are principals, however many clients
// without a session each has.
func Test_R067_a_session_behind_a_client_is_for_one_principal(t *testing.T) {
	g := openGuarded(t)
	begun := func(who string) int {
		return len(only(g.web.during(func() {
			for range 2 {
				if r := g.as(t, true, "old", g.issuer.Token(who, nil)).call("echo", object{"text": "hello"}); r.text() != "hello" {
					t.Errorf("answered %d %s", r.status, r.raw)
				}
			}
		}), "initialize"))
	}
	g.as(t, true, "old", g.issuer.Token("ann", nil)).call("echo", object{"text": "hello"}) // the gateway itself looks at the server first
	if n := begun("ann"); n != 0 {
		t.Errorf("the same principal began %d sessions more", n)
	}
	if n := begun("bob"); n != 1 {
		t.Errorf("another principal began %d sessions, want 1", n)
	}
}

func Test_R096_a_refusal_says_precisely_what_is_missing(t *testing.T) {
	g := openGuarded(t)
	g.everywhere(t, func(c *client, echo string) {
		c.shows(g.issuer.Token("ann", object{"scope": "read"}))
		r := g.turnedAway(t, c, echo, http.StatusForbidden, "a scope is missing")
		told := r.header.Get("Www-Authenticate")
		for _, part := range []string{`error="insufficient_scope"`, `scope="mcp"`, "resource_metadata="} {
			if !strings.Contains(told, part) {
				t.Errorf("told %s, want %s", told, part)
			}
		}
	})
}

func Test_R098_a_refusal_for_want_of_scope_is_in_the_log(t *testing.T) {
	g := openGuarded(t)
	c := g.as(t, true, "web", g.issuer.Token("ann", object{"scope": "read"}))
	g.turnedAway(t, c, "echo", http.StatusForbidden, "a scope is missing")
	if !slices.ContainsFunc(g.records(t, audit.Filter{}), func(r *audit.Record) bool {
		return r.Reason == "unidentified" && strings.Contains(r.Detail, "scope")
	}) {
		t.Error("the log does not say that a scope was missing")
	}
}

func Test_R101_a_scope_alone_allows_nothing(t *testing.T) {
	g := openGuarded(t)
	for _, scope := range []string{"mcp", "mcp *", "mcp admin all full-access mcp:*", "mcp web/echo tools/call"} {
		for _, modern := range []bool{false, true} {
			c := g.client(t, true, "web")
			c.modern = modern
			c.shows(g.issuer.Token("nobody", object{"scope": scope}))
			if !modern {
				if r := c.request("initialize", object{"protocolVersion": legacyVersion, "capabilities": object{}, "clientInfo": object{"name": "test", "version": "1"}}); r.result() != nil {
					t.Errorf("with %q: answered %s", scope, r.raw)
				}
				continue
			}
			if r := g.turnedAway(t, c, "echo", http.StatusNotFound, scope); r.reason() == "unidentified" {
				t.Errorf("with %q: answered %s; the token is not taken, so the test shows nothing", scope, r.raw)
			}
		}
	}
}

func Test_R104_no_connection_is_exempt(t *testing.T) {
	g := openGuarded(t)
	for _, path := range []string{"/mcp", "/mcp/web", "/mcp/files", "/mcp/no-such-server"} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			request, err := http.NewRequestWithContext(t.Context(), method, g.url+path, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
			if err != nil {
				t.Fatal(err)
			}
			request.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Mcp-Session-Id": {"any"}}
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s %s from this machine without a credential: %s", method, path, response.Status)
			}
		}
	}
}
