package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/config"
	"gatehouse/internal/gateway"
	"gatehouse/internal/oauth"
)

// gatehouse runs the program in this process.
func gatehouse(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, problems bytes.Buffer
	code = Run(t.Context(), args, strings.NewReader(stdin), &out, &problems)
	return code, out.String(), problems.String()
}

// guarded is a server that wants tokens and its authorization server in one. Whoever
// asks is allowed.
func guarded(t *testing.T) *httptest.Server {
	t.Helper()
	reply := func(w http.ResponseWriter, status int, body map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(body)
	}
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/mcp":
			w.WriteHeader(http.StatusUnauthorized)
		case "/.well-known/oauth-protected-resource/mcp":
			reply(w, http.StatusOK, map[string]any{"resource": server.URL + "/mcp", "authorization_servers": []string{server.URL}, "scopes_supported": []string{"read"}})
		case "/.well-known/oauth-authorization-server":
			reply(w, http.StatusOK, map[string]any{
				"issuer": server.URL, "authorization_endpoint": server.URL + "/authorize", "token_endpoint": server.URL + "/token", "code_challenge_methods_supported": []string{"S256"},
			})
		case "/authorize":
			q := r.URL.Query()
			http.Redirect(w, r, q.Get("redirect_uri")+"?code=c&state="+q.Get("state"), http.StatusFound)
		case "/token":
			reply(w, http.StatusOK, map[string]any{"access_token": "a-secret-token", "token_type": "Bearer", "expires_in": 3600})
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func loginConfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse.yaml")
	text := fmt.Sprintf(`servers:
  up: {url: %q, auth: {client_id: known, unsafe_addresses: [127.0.0.1]}}
  closed: {url: %[1]q, auth: {client_id: known}}
  files: {command: [server]}
  fixed: {url: "https://a.example/", headers: {Authorization: x}}
`, guarded(t).URL+"/mcp")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// browse follows the address that a program prints as the only line of its kind.
type browse struct {
	bytes.Buffer
	t *testing.T
}

func (b *browse) Write(p []byte) (int, error) {
	var said struct {
		URL string `json:"authorization_url"`
	}
	if json.Unmarshal(p, &said) == nil && said.URL != "" {
		go func() {
			resp, err := http.Get(said.URL)
			if err != nil {
				b.t.Error(err)
				return
			}
			resp.Body.Close()
		}()
	}
	return b.Buffer.Write(p)
}

func TestLogin_list_logout(t *testing.T) {
	path := loginConfig(t)
	if code, out, _ := gatehouse(t, "", "login", "--list", "--config", path); code != exitOK || !strings.Contains(out, "No server was granted anything yet") {
		t.Errorf("before: %d, %s", code, out)
	}
	out, problems := &browse{t: t}, &bytes.Buffer{}
	if code := Run(t.Context(), []string{"login", "--json", "--config", path, "up"}, strings.NewReader(""), out, problems); code != exitOK {
		t.Fatalf("login: %d, %s %s", code, out, problems)
	}
	if text := out.String() + problems.String(); strings.Contains(text, "a-secret-token") || !strings.Contains(text, `"scopes":["read"]`) || strings.Contains(text, `\u0026`) {
		t.Errorf("login says %s", text)
	}
	code, list, _ := gatehouse(t, "", "login", "--list", "--config", path)
	if code != exitOK || !strings.Contains(list, "up") || !strings.Contains(list, "read") || strings.Contains(list, "a-secret-token") {
		t.Errorf("list: %d, %s", code, list)
	}
	code, list, _ = gatehouse(t, "", "login", "--list", "--json", "--config", path)
	var statuses []oauth.Status
	if err := json.Unmarshal([]byte(list), &statuses); code != exitOK || err != nil || len(statuses) != 1 || !statuses[0].Granted || statuses[0].Principal != gateway.LocalPrincipal() {
		t.Errorf("list as JSON: %d, %s, %v", code, list, err)
	}
	if code, out, _ := gatehouse(t, "", "logout", "--config", path, "up"); code != exitOK || !strings.Contains(out, "is removed here") {
		t.Errorf("logout: %d, %s", code, out)
	}
	if code, out, _ := gatehouse(t, "", "logout", "--json", "--config", path, "up"); code != exitOK || !strings.Contains(out, `"removed":0`) {
		t.Errorf("logout again: %d, %s", code, out)
	}
}

func TestLogin_pasted(t *testing.T) {
	path := loginConfig(t)
	code, out, problems := gatehouse(t, "http://127.0.0.1:8849/callback?code=c&state=guess\n", "login", "--no-browser", "--config", path, "up")
	if code != exitIncomplete || !strings.Contains(problems, "not the answer to this login") || !strings.Contains(out, "/authorize?") || !strings.Contains(out, "code_challenge=") {
		t.Errorf("%d, %s %s", code, out, problems)
	}
	if code, _, problems := gatehouse(t, "", "login", "--no-browser", "--config", path, "up"); code != exitIncomplete || !strings.Contains(problems, "nothing was pasted") {
		t.Errorf("%d, %s", code, problems)
	}
}

func TestLogin_says_what_is_wrong(t *testing.T) {
	path := loginConfig(t)
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"login"}, exitUsage, "name one server, or --list"},
		{[]string{"login", "a", "b"}, exitUsage, "name one server, or --list"},
		{[]string{"login", "--list", "up"}, exitUsage, "name one server, or --list"},
		{[]string{"login", "nothing"}, exitUsage, `there is no server "nothing"`},
		{[]string{"login", "files"}, exitUsage, "is a process"},
		{[]string{"login", "fixed"}, exitUsage, "has an Authorization header"},
		{[]string{"login", "closed"}, exitIncomplete, "name it under servers.closed.auth.unsafe_addresses"},
		{[]string{"logout"}, exitUsage, "accepts 1 arg"},
		{[]string{"logout", "nothing"}, exitUsage, `there is no server "nothing"`},
	} {
		if code, _, problems := gatehouse(t, "", append(test.args, "--config", path)...); code != test.code || !strings.Contains(problems, test.want) {
			t.Errorf("%v: %d, %s, want %d, %s", test.args, code, problems, test.code, test.want)
		}
	}
}

func TestLogin_list_tells_what_servers_want(t *testing.T) {
	path := loginConfig(t)
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.EnsureState(); err != nil {
		t.Fatal(err)
	}
	up, _ := c.Server("up")
	err = openTokens(c).Save(&oauth.Grant{Principal: gateway.LocalPrincipal(), Server: "up", URL: up.URL, Wanted: []string{"write"}})
	if err != nil {
		t.Fatal(err)
	}
	code, out, _ := gatehouse(t, "", "login", "--list", "--config", path)
	if code != exitFindings || !strings.Contains(out, "waits for a login") || !strings.Contains(out, "Server up wants more: write") {
		t.Errorf("%d, %s", code, out)
	}
	if err := os.Truncate(filepath.Join(c.State, "oauth", "key"), 3); err != nil {
		t.Fatal(err)
	}
	if code, _, problems := gatehouse(t, "", "login", "--list", "--config", path); code != exitIncomplete || !strings.Contains(problems, "damaged") {
		t.Errorf("with a damaged key: %d, %s", code, problems)
	}
}
