package oidc

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse/test/program"
)

// Provider is the real one, in a process of its own.
type Provider struct {
	t      *testing.T
	Issuer string
	stdin  io.WriteCloser
	lines  *bufio.Scanner
}

// Start starts it for as long as the test lasts.
func Start(t *testing.T) *Provider {
	t.Helper()
	program.Package(t, "oidc-provider", "package.json")
	command := exec.Command(program.Node(t), filepath.Join("..", "oidc", "provider.mjs"))
	p := &Provider{t: t}
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
	p.Issuer = p.line("at ")
	return p
}

// line waits for a line that begins with a word and returns the rest.
func (p *Provider) line(word string) string {
	p.t.Helper()
	for p.lines.Scan() {
		if rest, found := strings.CutPrefix(p.lines.Text(), word); found {
			return strings.TrimSpace(rest)
		}
	}
	p.t.Fatalf("the provider ended: %v", p.lines.Err())
	return ""
}

// Rotate makes the provider sign with another key.
func (p *Provider) Rotate() {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, "rotate\n"); err != nil {
		p.t.Fatal(err)
	}
	p.line("rotated")
}

// token asks the token endpoint for an access token.
func (p *Provider) token(form url.Values, id, secret string) string {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.Issuer+"/token", strings.NewReader(form.Encode()))
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

// Machine gets a token for a program.
func (p *Provider) Machine(resource, scope string) string {
	p.t.Helper()
	return p.token(url.Values{"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {scope}}, "nightly", "a secret of the nightly job")
}

// Person logs somebody in as a browser does, with PKCE and a resource indicator, and
// gets a token.
func (p *Provider) Person(name, resource string) string {
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
	resp, err := browser.Get(p.Issuer + "/auth?" + url.Values{
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
