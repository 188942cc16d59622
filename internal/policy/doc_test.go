package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"

	"gatehouse/internal/config"
	"gatehouse/internal/identity"
	"gatehouse/internal/wire"
)

// blocks are the examples of one language in a page.
func blocks(t *testing.T, page, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```").FindAllStringSubmatch(string(text), -1) {
		list = append(list, m[1])
	}
	return list
}

// The examples of the page work, together: configuration, policies and cases.
func Test_the_examples_of_the_documentation_work(t *testing.T) {
	policies, yaml := blocks(t, "policy.md", "cedar"), blocks(t, "policy.md", "yaml")
	if len(policies) != 3 || len(yaml) != 2 {
		t.Fatalf("%d examples in Cedar and %d in YAML", len(policies), len(yaml))
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"gatehouse.yaml": yaml[0], "cases.yaml": yaml[1], "policies/a.cedar": policies[0], "policies/b.cedar": policies[1] + policies[2]} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(filepath.Join(dir, "gatehouse.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c.Policy.Ready = nil // production forbids what the cases of the other examples allow
	e, err := Load(c)
	if err != nil {
		t.Fatal(err)
	}
	cases, err := config.LoadPolicyCases(filepath.Join(dir, "cases.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		doc, err := wire.Scan(c.Arguments, wire.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		r := &Request{Principal: PrincipalOf(c.Principal, c.Teams), Method: c.Method, Server: c.Server, Kind: KindTool, Name: c.Tool, Arguments: doc.Root, Time: noon}
		d := e.Decide(r)
		if d.Allow != (c.Decision == "allow") || c.Reason != d.Reason || c.Policies != nil && !slices.Equal(c.Policies, d.Policies) {
			t.Errorf("%s: got %+v", c.Name, d)
		}
	}
	shop := *c
	shop.Servers = append(shop.Servers, config.Server{ID: "shop"}, config.Server{ID: "mail"})
	if e, err = Load(&shop); err != nil {
		t.Fatal(err)
	}
	support := &identity.Principal{ID: "user:corp/sue", Kind: identity.User, Teams: []string{"support"}}
	for arguments, want := range map[string]bool{`{"amount":50}`: true, `{"amount":50.01}`: false, `{"amount":"50"}`: false, `{}`: false} {
		if d := e.Decide(withArguments(t, call(support, "shop/refund"), arguments)); d.Allow != want {
			t.Errorf("%s: got %+v", arguments, d)
		}
	}
	for arguments, want := range map[string]bool{`{"to":["help@example.com"]}`: true, `{"to":["help@example.com","x@evil.example"]}`: false, `{"to":"help@example.com"}`: false} {
		if d := e.Decide(withArguments(t, call(support, "mail/send"), arguments)); d.Allow != want {
			t.Errorf("%s: got %+v", arguments, d)
		}
	}
}

// Every action, attribute and annotation that policies may use stands in the page.
func Test_the_schema_is_documented(t *testing.T) {
	raw, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	s := words().schema
	for uid := range s.Actions {
		if name := string(uid.ID); !strings.Contains(page, "`"+name+"`") {
			t.Errorf("the page does not name the action %s", name)
		}
	}
	attributes := map[string]resolved.RecordType{"": {}}
	for name, e := range s.Entities {
		attributes[string(name)] = e.Shape
	}
	for name, shape := range attributes {
		for attribute := range shape {
			if !strings.Contains(page, "."+string(attribute)+"`") && !strings.Contains(page, "`"+string(attribute)+"`") {
				t.Errorf("the page does not name %s.%s", name, attribute)
			}
		}
	}
	for part := range contextParts {
		if !strings.Contains(page, "`context."+string(part)) {
			t.Errorf("the page does not name context.%s", part)
		}
	}
	for _, claim := range []string{"readOnly", "destructive", "idempotent", "openWorld"} {
		if !strings.Contains(page, "`"+claim+"`") {
			t.Errorf("the page does not name the claim %s", claim)
		}
	}
	for _, annotation := range annotations {
		if !strings.Contains(page, "`@"+annotation+"(") {
			t.Errorf("the page does not name @%s", annotation)
		}
	}
}

func Test_ready_policies_are_documented(t *testing.T) {
	for _, page := range []string{"policy.md", "configuration.md"} {
		text, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range ReadyNames() {
			if !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("%s does not name %s", page, name)
			}
		}
	}
}
