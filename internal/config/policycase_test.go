package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func Test_policy_cases(t *testing.T) {
	got, err := LoadPolicyCases(write(t, "cases.yaml", `
cases:
  - name: everything
    principal: user:corp/ann
    kind: user
    principal_name: Ann
    teams: [data, ops]
    client: chat
    means: jwt
    issuer: corp
    scopes: [mcp]
    method: tools/call
    server: db
    tool: query
    claims: {readOnly: true, destructive: false}
    arguments: {sql: "select 1", limit: 12345678901234567890, deep: {a: [1, true, null, x], "quo\"te": 1.50}}
    facts: {hosts: [a.example], paths: [], amount: 12}
    time: 2026-11-25T12:30:00Z
    address: 10.0.0.1
    client_name: inspector
    score: 0.5
    conversation: [untrusted]
    decision: deny
    reason: not so
    policies: [a]
    would: []
  - {principal: "local:root", method: ping, decision: allow}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []PolicyCase{
		{
			Name: "everything", Line: 3, Principal: "user:corp/ann", Kind: "user", PrincipalName: "Ann", Teams: []string{"data", "ops"}, Client: "chat", Means: "jwt", Issuer: "corp", Scopes: []string{"mcp"},
			Method: "tools/call", Server: "db", Tool: "query", Claims: map[string]bool{"readOnly": true, "destructive": false},
			Arguments: []byte(`{"sql":"select 1","limit":12345678901234567890,"deep":{"a":[1,true,null,"x"],"quo\"te":1.50}}`),
			Facts:     map[string][]string{"hosts": {"a.example"}, "paths": {}}, Amount: "12.0",
			Time: time.Date(2026, 11, 25, 12, 30, 0, 0, time.UTC), Address: netip.MustParseAddr("10.0.0.1"), ClientName: "inspector", Score: 0.5, Conversation: []string{"untrusted"},
			Decision: "deny", Reason: "not so", Policies: []string{"a"}, Would: []string{},
		},
		{Line: 27, Principal: "local:root", Method: "ping", Decision: "allow"},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}

func Test_wrong_policy_cases(t *testing.T) {
	one := func(lines string) string {
		return "cases:\n  - {principal: 'local:a', method: tools/call, decision: allow, " + lines + "}\n"
	}
	tests := []struct{ name, file, want string }{
		{"empty", "", "cases: there are none"},
		{"no cases", "cases: []", "cases: there are none"},
		{"a list", "- a", "found a list, expected a mapping"},
		{"unknown key", one("servr: x"), `:2:65: cases.0.servr: unknown key; did you mean "server"?`},
		{"missing", "cases: [{principal: a, method: b}]", "cases.0: decision is missing"},
		{"decision", "cases: [{principal: a, method: b, decision: maybe}]", "expected allow or deny"},
		{"two things", one("server: a, tool: b, prompt: c"), "is about one tool"},
		{"no server", one("tool: b"), "of a server"},
		{"time", one("time: noon"), "expected a time with its zone"},
		{"address", one("address: here"), "expected an IP address"},
		{"score", one("score: 2"), "expected a number from 0 to 1"},
		{"kind", one("kind: robot"), "expected user or agent or local"},
		{"claims", one("claims: {readOnly: perhaps}"), "expected true or false"},
		{"arguments", one("arguments: [a]"), "expected a mapping"},
		{"number", one("arguments: {a: .inf}"), "a number that JSON has"},
		{"facts", one("facts: {host: [a]}"), "unknown key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cases, err := LoadPolicyCases(write(t, "cases.yaml", test.file))
			if err == nil {
				t.Fatalf("accepted: %+v", cases)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got\n%v\nwant\n%s", err, test.want)
			}
		})
	}
}
