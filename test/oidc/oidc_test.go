//go:build unix

package oidc

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/identity"
	"gatehouse/test/program"
)

const home = "https://gatehouse.example.com"

// provider is the real one, in a process of its own.
type provider struct {
	t      *testing.T
	issuer string
	stdin  io.WriteCloser
	lines  *bufio.Scanner
}

func start(t *testing.T) *provider {
	t.Helper()
	program.Package(t, "oidc-provider", "package.json")
	command := exec.Command(program.Node(t), "provider.mjs")
	p := &provider{t: t}
	var err error
	if p.stdin, err = command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = t.Output()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stdin.Close()
		_ = command.Wait()
	})
	p.lines = bufio.NewScanner(stdout)
	p.issuer = p.line("at ")
	return p
}

// line waits for a line that begins with a word and returns the rest.
func (p *provider) line(word string) string {
	p.t.Helper()
	for p.lines.Scan() {
		if rest, found := strings.CutPrefix(p.lines.Text(), word); found {
			return strings.TrimSpace(rest)
		}
	}
	p.t.Fatalf("the provider ended: %v", p.lines.Err())
	return ""
}

// rotate makes the provider sign with another key.
func (p *provider) rotate() {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, "rotate\n"); err != nil {
		p.t.Fatal(err)
	}
	p.line("rotated")
}

// token asks the token endpoint for an access token.
func (p *provider) token(form url.Values, id, secret string) string {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id != "" {
		req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
		Error string `json:"error_description"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
		p.t.Fatalf("no token: %v %s", err, answer.Error)
	}
	return answer.Token
}

// machine gets a token for a program.
func (p *provider) machine(resource, scope string) string {
	p.t.Helper()
	return p.token(url.Values{"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {scope}}, "nightly", "a secret of the nightly job")
}

// person logs somebody in as a browser does, with PKCE and a resource indicator, and
// gets a token.
func (p *provider) person(name, resource string) string {
	p.t.Helper()
	const redirect = "http://127.0.0.1:8976/callback"
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	var code string
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(next.URL.String(), redirect) {
			code = next.URL.Query().Get("code")
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := browser.Get(p.issuer + "/auth?" + url.Values{
		"client_id": {"inspector"}, "response_type": {"code"}, "redirect_uri": {redirect}, "scope": {"openid mcp"}, "resource": {resource},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"}, "state": {rand.Text()},
	}.Encode())
	action := regexp.MustCompile(`<form[^>]* action="([^"]+)"`)
	for _, form := range []url.Values{{"prompt": {"login"}, "login": {name}, "password": {"any"}}, {"prompt": {"consent"}}} {
		if err != nil {
			p.t.Fatal(err)
		}
		page, err2 := io.ReadAll(resp.Body)
		resp.Body.Close()
		found := action.FindSubmatch(page)
		if err2 != nil || found == nil {
			p.t.Fatalf("no form: %v\n%.2000s", err2, page)
		}
		resp, err = browser.PostForm(string(found[1]), form)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	if code == "" {
		p.t.Fatal("the browser came back without a code")
	}
	return p.token(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "client_id": {"inspector"},
		"code_verifier": {verifier}, "resource": {resource},
	}, "", "")
}

// gatehouse is a configuration as a person writes it.
func (p *provider) gatehouse() *identity.Identifier {
	p.t.Helper()
	p.t.Setenv("GATEHOUSE_TEST_SECRET", "a secret of: the gateway")
	path := filepath.Join(p.t.TempDir(), "gatehouse.yaml")
	text := `
identity:
  resource: ` + home + `
  issuers:
    corp:
      url: ` + p.issuer + `
      scopes: [mcp]
      typ: at+jwt
      name_claim: email
      teams_claim: groups
      introspection: {client_id: gatehouse, client_secret: "env:GATEHOUSE_TEST_SECRET"}
teams:
  data: {groups: [corp/data-eng]}
servers:
  files: {command: [npx]}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		p.t.Fatal(err)
	}
	i, err := identity.New(c, slog.New(slog.NewTextHandler(p.t.Output(), nil)))
	if err != nil {
		p.t.Fatal(err)
	}
	return i
}

func bearing(token, mount string) *identity.Request {
	return &identity.Request{Header: http.Header{"Authorization": {"Bearer " + token}}, Mount: mount}
}

func Test_tokens_of_a_real_provider(t *testing.T) {
	p := start(t)
	i := p.gatehouse()
	accepted := func(token, mount string) *identity.Principal {
		t.Helper()
		who, err := i.Identify(t.Context(), bearing(token, mount))
		if err != nil {
			t.Fatal(err)
		}
		return who
	}
	refused := func(token, mount string, status int) {
		t.Helper()
		who, err := i.Identify(t.Context(), bearing(token, mount))
		var c *identity.Challenge
		if !errors.As(err, &c) || c.Status != status {
			t.Errorf("identified %+v, error %v; want status %d", who, err, status)
		}
	}

	alice := p.person("alice", home+"/mcp")
	who := accepted(alice, "")
	if who.ID != "user:corp/alice" || who.Kind != identity.User || who.Name != "alice@example.com" || who.Means != identity.ByJWT ||
		who.Client != "inspector" || !slices.Equal(who.Teams, []string{"corp/data-eng", "data"}) || !slices.Contains(who.Scopes, "mcp") ||
		time.Until(who.Expires) > 5*time.Minute || time.Until(who.Expires) < 4*time.Minute {
		t.Errorf("alice is %+v", who)
	}
	if who := accepted(p.machine(home, "mcp"), "files"); who.ID != "agent:corp/nightly" || who.Kind != identity.Agent {
		t.Errorf("the nightly job is %+v", who)
	}
	refused(p.machine("https://other.example/mcp", "mcp"), "", http.StatusUnauthorized)
	refused(p.machine(home, "read"), "", http.StatusForbidden)

	// Opaque tokens, for one server.
	opaque := p.person("bob", home+"/mcp/files")
	if strings.Contains(opaque, ".") {
		t.Fatal("the token is not opaque")
	}
	if who := accepted(opaque, "files"); who.ID != "user:corp/bob" || who.Means != identity.ByOpaque {
		t.Errorf("bob is %+v", who)
	}
	refused(opaque, "", http.StatusUnauthorized)
	refused("nobody-made-this-token", "files", http.StatusUnauthorized)
	if who := accepted(p.machine(home+"/mcp/files", "mcp"), "files"); who.ID != "agent:corp/nightly" || who.Means != identity.ByOpaque {
		t.Errorf("the nightly job is %+v", who)
	}
}

func Test_keys_of_a_real_provider_rotate(t *testing.T) {
	p := start(t)
	i := p.gatehouse()
	before := p.machine(home, "mcp")
	if _, err := i.Identify(t.Context(), bearing(before, "")); err != nil {
		t.Fatal(err)
	}
	p.rotate()
	after := p.machine(home, "mcp")
	// Keys are read again ten seconds later at the earliest; one that has read none
	// stands for one that waited.
	i = p.gatehouse()
	if _, err := i.Identify(t.Context(), bearing(after, "")); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if _, err := i.Identify(t.Context(), bearing(before, "")); err == nil {
		t.Error("the old key still signs")
	}
}
