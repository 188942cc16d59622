//go:build unix

package oidc

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/identity"
)

const home = "https://gatehouse.example.com"

// gatehouse is a configuration as a person writes it.
func (p *Provider) gatehouse() *identity.Identifier {
	p.t.Helper()
	p.t.Setenv("GATEHOUSE_TEST_SECRET", "a secret of: the gateway")
	path := filepath.Join(p.t.TempDir(), "gatehouse.yaml")
	text := `
identity:
  resource: ` + home + `
  issuers:
    corp:
      url: ` + p.Issuer + `
      scopes: [mcp]
      typ: at+jwt
      name_claim: email
      teams_claim: groups
      introspection: {client_id: gatehouse, client_secret: "env:GATEHOUSE_TEST_SECRET"}
teams:
  data: {groups: [corp/data-eng]}
servers:
  files: {command: [server]}
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
	p := Start(t)
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

	alice := p.Person("alice", home+"/mcp")
	who := accepted(alice, "")
	if who.ID != "user:corp/alice" || who.Kind != identity.User || who.Name != "alice@example.com" || who.Means != identity.ByJWT ||
		who.Client != "inspector" || !slices.Equal(who.Teams, []string{"corp/data-eng", "data"}) || !slices.Contains(who.Scopes, "mcp") ||
		time.Until(who.Expires) > 5*time.Minute || time.Until(who.Expires) < 4*time.Minute {
		t.Errorf("alice is %+v", who)
	}
	if who := accepted(p.Machine(home, "mcp"), "files"); who.ID != "agent:corp/nightly" || who.Kind != identity.Agent {
		t.Errorf("the nightly job is %+v", who)
	}
	refused(p.Machine("https://other.example/mcp", "mcp"), "", http.StatusUnauthorized)
	refused(p.Machine(home, "read"), "", http.StatusForbidden)

	// Opaque tokens, for one server.
	opaque := p.Person("bob", home+"/mcp/files")
	if strings.Contains(opaque, ".") {
		t.Fatal("the token is not opaque")
	}
	if who := accepted(opaque, "files"); who.ID != "user:corp/bob" || who.Means != identity.ByOpaque {
		t.Errorf("bob is %+v", who)
	}
	refused(opaque, "", http.StatusUnauthorized)
	refused("nobody-made-this-token", "files", http.StatusUnauthorized)
	if who := accepted(p.Machine(home+"/mcp/files", "mcp"), "files"); who.ID != "agent:corp/nightly" || who.Means != identity.ByOpaque {
		t.Errorf("the nightly job is %+v", who)
	}
}

func Test_keys_of_a_real_provider_rotate(t *testing.T) {
	p := Start(t)
	i := p.gatehouse()
	before := p.Machine(home, "mcp")
	if _, err := i.Identify(t.Context(), bearing(before, "")); err != nil {
		t.Fatal(err)
	}
	p.Rotate()
	after := p.Machine(home, "mcp")
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
