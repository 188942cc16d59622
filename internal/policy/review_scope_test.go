package policy

import (
	"testing"

	"gatehouse/internal/config"
	"gatehouse/internal/identity"
)

func Test_a_scope_of_a_type_that_makes_no_requests_is_for_nobody(t *testing.T) {
	c := &config.Config{Servers: []config.Server{{ID: "files"}}}
	for _, text := range []string{
		`permit (principal is Team, action, resource);`,
		`permit (principal is Client, action, resource);`,
		`permit (principal is Server, action, resource);`,
		`permit (principal is Team in Team::"x", action, resource);`,
		`permit (principal, action, resource is Team);`,
		`permit (principal, action, resource is Arguments);`,
		`permit (principal, action, resource is User);`,
		`permit (principal, action, resource in Team::"x");`,
		`permit (principal in Server::"files", action, resource);`,
	} {
		e, err := New(c, []Source{{Name: "p", Text: []byte(text)}})
		if err != nil {
			continue // refused is fine too
		}
		d := e.Decide(&Request{Principal: &identity.Principal{ID: "user:okta/eve", Kind: identity.User, Teams: []string{"y"}}, Method: "tools/call", Server: "files", Kind: KindTool, Name: "read"})
		if d.Allow {
			t.Errorf("%s: it lets a user through", text)
		}
	}
}
