package policy

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/identity"
)

func Test_scopes_that_a_token_may_be_asked_for(t *testing.T) {
	e := engine(t, office(), `
@scope("db:write db:admin")
permit (principal, action == Action::"tools/call", resource == Tool::"db/drop")
when { context.scopes.containsAll(["db:write", "db:admin"]) && context.arguments.hasTag("table") };
forbid (principal, action, resource) when { context.arguments.hasTag("never") };
`)
	token := func(means identity.Means, scopes ...string) *identity.Principal {
		return &identity.Principal{ID: "user:corp/zoe", Kind: identity.User, Means: means, Scopes: scopes}
	}
	for _, test := range []struct {
		name, arguments string
		who             *identity.Principal
		allow, asked    bool
		listed          bool
	}{
		{"no scope", `{"table":"a"}`, token(identity.ByJWT), false, true, true},
		{"one of two", `{"table":"a"}`, token(identity.ByOpaque, "db:write"), false, true, true},
		{"all", `{"table":"a"}`, token(identity.ByJWT, "db:admin", "db:write"), true, false, true},
		{"arguments for which no scope is enough", `{}`, token(identity.ByJWT), false, false, true},
		{"forbidden", `{"table":"a","never":"x"}`, token(identity.ByJWT), false, false, true},
		{"a key", `{"table":"a"}`, token(identity.ByKey), false, false, false},
		{"a certificate", `{"table":"a"}`, token(identity.ByCertificate), false, false, false},
	} {
		r := withArguments(t, call(test.who, "db/drop"), test.arguments)
		d := e.Decide(r)
		if d.Err != nil || d.Allow != test.allow || slices.Equal(d.Scopes, []string{"db:write", "db:admin"}) != test.asked || !test.asked && d.Scopes != nil {
			t.Errorf("%s: got %+v", test.name, d)
		}
		if got := e.Lists(r); got != test.listed {
			t.Errorf("%s: listed %v, want %v", test.name, got, test.listed)
		}
	}
}

func Test_scopes_that_mean_nothing_are_refused(t *testing.T) {
	for policies, want := range map[string]string{
		`@scope("a") permit (principal, action, resource);`:                                             `no condition asks for "a"`,
		`@scope("a") permit (principal, action, resource) when { principal.name == "a" };`:              `no condition asks for "a"`,
		`@scope("a b") permit (principal, action, resource) when { context.scopes.contains("a") };`:     `no condition asks for "b"`,
		`@scope("") permit (principal, action, resource) when { context.scopes.contains("a") };`:        "expected scopes",
		`@scope("a") forbid (principal, action, resource) when { context.scopes.contains("a") };`:       "expected scopes",
		`@scope("a\"b") permit (principal, action, resource) when { context.scopes.contains("a\"b") };`: "no condition asks for",
	} {
		if _, err := New(office(), []Source{{Name: "t.cedar", Text: []byte(policies)}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", policies, err, want)
		}
	}
}
