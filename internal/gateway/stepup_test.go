package gateway

import (
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/audit"
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

// The log has what policies were told, so that a replay can ask the same again.
func TestAuthorize_what_policies_were_told_is_recorded(t *testing.T) {
	h := ruled(t, talkative().stub, dataMayAll, "")
	defer h.close()
	who := *ann
	who.Name, who.Scopes, who.Client = "Ann", []string{"echo:use"}, "app"
	h.who = &who
	peer := h.peer(nil, nil)
	peer.Remote = netip.MustParseAddr("192.0.2.7")
	h.g.Handle(t.Context(), h.message(true, wire.MethodToolsCall, cells[wire.MethodToolsCall].of("stub", "stub", "echo")), peer)
	var got *audit.Asked
	if err := audit.Read(filepath.Join(h.dir, "audit"), audit.Filter{Kinds: []audit.Kind{audit.Decided}}, func(r *audit.Record) error {
		got = r.Asked
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := &audit.Asked{Name: "Ann", Means: "jwt", Issuer: "corp", TokenClient: "app", Scopes: []string{"echo:use"}, Address: "192.0.2.7"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
