package gateway

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/identity"
	"gatehouse/internal/wire"
)

// A tool whose permit asks for a scope is shown, and a call of it is challenged; one
// that only has the condition does not exist for a token without the scope.
func TestAuthorize_a_scope_that_is_missing_is_asked_for(t *testing.T) {
	const condition = `permit (principal in Team::"data", action == Action::"tools/call", resource == Tool::"stub/echo") when { context.scopes.contains("echo:use") };`
	with := *ann
	with.Scopes = []string{"echo:use"}
	key := *ann
	key.ID, key.Means, key.Kind = "key:ann", identity.ByKey, identity.Agent
	for _, test := range []struct {
		name, policies string
		who            *identity.Principal
		status         int
		answer         string
		shown          bool
	}{
		{"lacking", `@scope("echo:use") ` + condition, ann, http.StatusForbidden, `"reason":"denied"`, true},
		{"held", `@scope("echo:use") ` + condition, &with, http.StatusOK, canary, true},
		{"without the annotation", condition, ann, http.StatusOK, `"reason":"not-found"`, false},
		{"a key gets no other scopes", `@scope("echo:use") ` + condition, &key, http.StatusOK, `"reason":"not-found"`, false},
		{"what is forbidden is not asked for", `@scope("echo:use") ` + condition + ` forbid (principal, action == Action::"tools/call", resource);`, ann, http.StatusOK, `"reason":"not-found"`, false},
		{"nor what is forbidden with these arguments", `@scope("echo:use") ` + condition + ` @reason("not today") forbid (principal, action == Action::"tools/call", resource) unless { context.arguments.hasTag("x") };`, ann, http.StatusOK, `not today`, true},
	} {
		eachMount(t, func(t *testing.T, modern bool, mount string) {
			m := newMatrix(t, talkative(), modern, test.policies)
			defer m.close()
			m.who = test.who
			r := m.send(mount, wire.MethodToolsCall, cells[wire.MethodToolsCall].of(mount, "stub", "echo"))
			if r.Status != test.status || !strings.Contains(string(r.Body), test.answer) {
				t.Errorf("%s: %d %s", test.name, r.Status, r.Body)
			}
			challenged := strings.Contains(r.Challenge, `error="insufficient_scope"`) && strings.Contains(r.Challenge, `scope="echo:use"`)
			if challenged != (test.status == http.StatusForbidden) {
				t.Errorf("%s: challenged by %q", test.name, r.Challenge)
			}
			list := m.send(mount, wire.MethodToolsList, "")
			if got := strings.Contains(string(list.Body), `echo"`); got != test.shown {
				t.Errorf("%s: the list is %s", test.name, list.Body)
			}
			if n := m.stub.count(wire.MethodToolsCall); (n > 0) != (test.answer == canary) {
				t.Errorf("%s: the server was called %d times", test.name, n)
			}
		})
	}
}
