//go:build unix

package requirements

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// canary is a credential that must be found nowhere.
const canary = "canary-4711-credential-of-a-client"

// credentials are the ways in which a client may present one.
var credentials = http.Header{
	"Authorization":       {"Bearer " + canary},
	"Proxy-Authorization": {"Basic " + canary},
	"Cookie":              {"session=" + canary},
	"X-Api-Key":           {canary},
	"X-Forwarded-User":    {canary},
}

func Test_no_authorization_server_is_offered(t *testing.T) {
	g := open(t)
	for _, path := range []string{
		"/authorize", "/token", "/register", "/callback", "/consent", "/oauth/authorize", "/mcp/authorize",
		"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/.well-known/oauth-protected-resource",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			request, err := http.NewRequestWithContext(t.Context(), method, g.url+path+"?client_id=a&redirect_uri=https://a.example/&response_type=code", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode < 400 || response.Header.Get("Set-Cookie") != "" || response.Header.Get("Location") != "" {
				t.Errorf("%s %s was answered %s %v", method, path, response.Status, response.Header)
			}
		}
	}
}

func Test_R025_no_credential_of_a_client_reaches_a_server(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", "newest", ""} {
		prefix := ""
		if mount == "" {
			prefix = "web__"
		}
		for _, c := range g.both(t, mount) {
			c.header = credentials
			got := g.web.during(func() {
				if r := c.call(prefix+"echo", object{"text": "hello"}); r.text() != "hello" {
					t.Errorf("on %q in %s: answered %s", mount, c.era(), r.raw)
				}
				c.request("tools/list", object{})
				c.request("prompts/get", object{"name": prefix + "greeting", "arguments": object{"who": "you"}})
			})
			if len(only(got, "tools/call")) != 1 || anywhere(got, canary) {
				t.Errorf("on %q in %s the server got %v", mount, c.era(), got)
			}
		}
	}
}

func Test_R028_a_token_in_a_URL_is_not_passed_on(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", ""} {
		for _, c := range g.both(t, mount) {
			c.url += "?access_token=" + canary
			name := "echo"
			if mount == "" {
				name = "web__echo"
			}
			got := g.web.during(func() { c.call(name, object{"text": "hello"}) })
			if len(only(got, "tools/call")) != 1 || anywhere(got, canary) {
				t.Errorf("on %q in %s the server got %v", mount, c.era(), got)
			}
		}
	}
}

func Test_R030_credentials_are_kept_nowhere(t *testing.T) {
	g := open(t)
	for _, c := range append(g.both(t, "web"), g.both(t, "files")...) {
		c.header = credentials
		c.url += "?access_token=" + canary
		c.call("echo", object{"text": "hello"})
		c.call("nothing", object{"text": "hello"})
		c.send("{", nil)
		c.url = g.url + "/nowhere?access_token=" + canary
		c.send("{}", nil)
	}
	files := g.kept(t)
	if len(files) < 3 {
		t.Errorf("the gateway keeps %d files; the test looks in the wrong place", len(files))
	}
	for path, text := range files {
		if strings.Contains(text, canary) {
			t.Errorf("%s holds the credential", path)
		}
	}
	if strings.Contains(g.printed.String(), canary) {
		t.Error("the gateway printed the credential")
	}
	err := filepath.WalkDir(filepath.Join(g.dir, ".gatehouse"), func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
