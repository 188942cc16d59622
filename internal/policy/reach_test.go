package policy

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/config"
)

// A condition that the call decides lets the principal connect; one that the
// configuration decides does not.
func Test_who_could_use_nothing_of_a_server_does_not_reach_it(t *testing.T) {
	c := &config.Config{TimeZone: "UTC", Servers: []config.Server{
		{ID: "plain"},
		{ID: "ours", Labels: []string{"team:data"}, Environment: "production"},
		{ID: "single", ToolLabels: []config.ToolLabels{{Pattern: "read_one", Labels: []string{"team:data", "read"}}}},
		{ID: "pattern", ToolLabels: []config.ToolLabels{{Pattern: "*_b", Labels: []string{"team:data"}}, {Pattern: "a_*", Labels: []string{"read"}}}},
	}}
	all := []string{"plain", "ours", "single", "pattern"}
	for _, test := range []struct {
		condition string
		reached   []string
	}{
		{`resource.teams.containsAny(principal.teams)`, []string{"ours", "single", "pattern"}},
		{`resource.teams.containsAny(principal.teams) && resource.labels.contains("read")`, []string{"single", "pattern"}},
		{`resource.environment == "production"`, []string{"ours"}},
		{`resource.server == "plain"`, []string{"plain"}},
		{`!resource.labels.contains("read")`, all},
		{`principal.teams.contains("nobody")`, nil},
		{`principal.name == "x" || resource.labels.contains("read")`, []string{"single", "pattern"}},
		// What depends on the call, or on which thing it is, may hold some time.
		{`resource.name == "x"`, all},
		{`resource is Tool && resource.claims has readOnly && resource.claims.readOnly`, all},
		{`resource is Prompt`, all},
		{`action == Action::"prompts/get"`, all},
		{`context.time.hour == 3`, all},
		{`context.arguments.hasTag("path")`, all},
		{`context.means == "jwt" && resource.environment == "production"`, []string{"ours"}},
		{`context has score && resource.environment == "production"`, []string{"ours"}},
	} {
		e := engine(t, c, `permit (principal, action in Action::"use", resource) when { `+test.condition+` };`)
		who := *ann
		who.Teams = []string{"data"}
		connects := func(r *Request) bool {
			r.Principal, r.Method, r.Time = &who, "initialize", noon
			d := e.Decide(r)
			if lists := e.Lists(r); lists != d.Allow {
				t.Errorf("%s: %q is listed %v and connected to %v", test.condition, r.Server, lists, d.Allow)
			}
			return d.Allow
		}
		var reached []string
		for _, s := range c.Servers {
			if connects(&Request{Server: s.ID, Kind: KindServer}) {
				reached = append(reached, s.ID)
			}
		}
		if strings.Join(reached, " ") != strings.Join(test.reached, " ") {
			t.Errorf("%s: reached %v, want %v", test.condition, reached, test.reached)
		}
		if got, want := connects(&Request{Kind: KindGateway}), len(test.reached) > 0; got != want {
			t.Errorf("%s: the gateway is reached: %v, want %v", test.condition, got, want)
		}
	}
}

// Nobody is locked out because there are too many combinations to try.
func Test_many_patterns_hide_nothing(t *testing.T) {
	s := config.Server{ID: "many"}
	for i := range maxOverlapping + 1 {
		s.ToolLabels = append(s.ToolLabels, config.ToolLabels{Pattern: fmt.Sprintf("%d*", i), Labels: []string{"x"}})
	}
	e := engine(t, &config.Config{TimeZone: "UTC", Servers: []config.Server{s}}, `permit (principal, action, resource in Server::"many") when { resource.labels.contains("never") };`)
	if !e.Decide(&Request{Principal: ann, Method: "initialize", Server: "many", Kind: KindServer, Time: noon}).Allow {
		t.Error("the server is not reached")
	}
}
