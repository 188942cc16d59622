package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cedar-policy/cedar-go/types"

	"gatehouse/internal/config"
	"gatehouse/internal/identity"
	"gatehouse/internal/wire"
)

// office is a configuration with servers that have labels.
func office() *config.Config {
	c := config.Default("/gatehouse.yaml")
	c.Policy.Configured = true
	c.Servers = []config.Server{
		{ID: "db", Environment: "production", Labels: []string{"team:data"}, ToolLabels: []config.ToolLabels{{Pattern: "get_*", Labels: []string{"read"}}}},
		{ID: "files", ToolLabels: []config.ToolLabels{{Pattern: "read_*", Labels: []string{"read", "team:ops"}}, {Pattern: "write_*", Labels: []string{"write"}}}},
		{ID: "mail"},
	}
	return c
}

func engine(t testing.TB, c *config.Config, text string) *Engine {
	t.Helper()
	e, err := New(c, []Source{{Name: "test.cedar", Text: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var (
	ann  = &identity.Principal{ID: "user:corp/ann", Kind: identity.User, Name: "Ann", Teams: []string{"data", "ops"}, Client: "chat", Means: "jwt", Issuer: "corp", Scopes: []string{"mcp"}}
	bob  = &identity.Principal{ID: "user:corp/bob", Kind: identity.User, Name: "Bob", Means: "jwt", Issuer: "corp"}
	ci   = &identity.Principal{ID: "key:ci", Kind: identity.Agent, Name: "ci", Teams: []string{"ops"}, Means: "key"}
	root = &identity.Principal{ID: "local:root", Kind: identity.Local, Name: "root", Means: "local"}
)

// noon is a Wednesday.
var noon = time.Date(2026, 11, 25, 12, 30, 0, 0, time.UTC)

func object(t testing.TB, text string) wire.Value {
	t.Helper()
	doc, err := wire.Scan([]byte(text), wire.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return doc.Root
}

// call is a call of SERVER/TOOL.
func call(p *identity.Principal, tool string) *Request {
	server, name, _ := strings.Cut(tool, "/")
	return &Request{Principal: p, Method: "tools/call", Server: server, Kind: KindTool, Name: name, Time: noon}
}

func with(r *Request, change func(*Request)) *Request {
	c := *r
	change(&c)
	return &c
}

func withArguments(t testing.TB, r *Request, text string) *Request {
	return with(r, func(r *Request) { r.Arguments = object(t, text) })
}

func Test_decisions(t *testing.T) {
	const everything = `permit (principal, action, resource);`
	args := func(tool, text string) *Request { return withArguments(t, call(ann, tool), text) }
	tests := []struct {
		name, policies string
		request        *Request
		want           bool
	}{
		{"nothing permits", `forbid (principal, action, resource) when { context.clientName == "x" };`, call(ann, "files/read_file"), false},
		{"everything", everything, call(ann, "files/read_file"), true},
		{"forbid wins", everything + `forbid (principal, action, resource);`, call(ann, "files/read_file"), false},
		{"one user", `permit (principal == User::"user:corp/ann", action, resource);`, call(ann, "files/a"), true},
		{"another user", `permit (principal == User::"user:corp/ann", action, resource);`, call(bob, "files/a"), false},
		{"the local user", `permit (principal == User::"local:root", action, resource);`, call(root, "files/a"), true},
		{"programs are no users", `permit (principal is User, action, resource);`, call(ci, "files/a"), false},
		{"programs", `permit (principal is Agent, action, resource);`, call(ci, "files/a"), true},
		{"an id of the other type", `permit (principal == Agent::"user:corp/ann", action, resource);`, call(ann, "files/a"), false},
		{"team", `permit (principal in Team::"ops", action, resource);`, call(ann, "files/a"), true},
		{"not in the team", `permit (principal in Team::"ops", action, resource);`, call(bob, "files/a"), false},
		{"programs of a team", `permit (principal is Agent in Team::"ops", action, resource);`, call(ci, "files/a"), true},
		{"users of a team", `permit (principal is User in Team::"ops", action, resource);`, call(ci, "files/a"), false},
		{"client of the token", `permit (principal in Client::"chat", action, resource);`, call(ann, "files/a"), true},
		{"no client", `permit (principal in Client::"chat", action, resource);`, call(bob, "files/a"), false},
		{"team in a condition", `permit (principal, action, resource) when { principal in Team::"data" };`, call(ann, "files/a"), true},
		{"method", `permit (principal, action == Action::"tools/call", resource);`, call(ann, "files/a"), true},
		{"other method", `permit (principal, action == Action::"prompts/get", resource);`, call(ann, "files/a"), false},
		{"group of methods", `permit (principal, action in Action::"use", resource);`, call(ann, "files/a"), true},
		{"other group", `permit (principal, action in Action::"read", resource);`, call(ann, "files/a"), false},
		{"list of methods", `permit (principal, action in [Action::"tools/call", Action::"read"], resource);`, call(ann, "files/a"), true},
		{"tool", `permit (principal, action, resource == Tool::"files/a");`, call(ann, "files/a"), true},
		{"other tool", `permit (principal, action, resource == Tool::"files/a");`, call(ann, "files/b"), false},
		{"tool of another server", `permit (principal, action, resource == Tool::"files/a");`, call(ann, "mail/a"), false},
		{"slash in a name", `permit (principal, action, resource == Tool::"files/a/b");`, call(ann, "files/a/b"), true},
		{"server", `permit (principal, action, resource in Server::"files");`, call(ann, "files/a"), true},
		{"other server", `permit (principal, action, resource in Server::"files");`, call(ann, "mail/a"), false},
		{"the server itself is not its tools", `permit (principal, action, resource == Server::"files");`, call(ann, "files/a"), false},
		{"gateway", `permit (principal, action, resource in Gateway::"gatehouse");`, call(ann, "files/a"), true},
		{"tools of a server", `permit (principal, action, resource is Tool in Server::"files");`, call(ann, "files/a"), true},
		{"label of the tool", `permit (principal, action, resource) when { resource.labels.contains("read") };`, call(ann, "files/read_a"), true},
		{"no label", `permit (principal, action, resource) when { resource.labels.contains("read") };`, call(ann, "files/write_a"), false},
		{"label of the server", `permit (principal, action, resource) when { resource.labels.contains("team:data") };`, call(ann, "db/x"), true},
		{"environment", `permit (principal, action, resource) when { resource.environment == "production" };`, call(ann, "db/x"), true},
		{"claim", `permit (principal, action == Action::"tools/call", resource) unless { resource.claims has destructive && resource.claims.destructive };`,
			with(call(ann, "db/x"), func(r *Request) { r.Claims.Destructive = Yes }), false},
		{"claim not made", `permit (principal, action == Action::"tools/call", resource) unless { resource.claims has destructive && resource.claims.destructive };`, call(ann, "db/x"), true},
		{"claim denied", `permit (principal, action == Action::"tools/call", resource) unless { resource.claims has destructive && resource.claims.destructive };`,
			with(call(ann, "db/x"), func(r *Request) { r.Claims.Destructive = No }), true},
		{"time", `permit (principal, action, resource) when { context.time.weekday == "Wednesday" && context.time.day == 3 && context.time.hour == 12 && context.time.minute == 30 && context.time.date == "2026-11-25" };`, call(ann, "db/x"), true},
		{"address", `permit (principal, action, resource) when { context has address && context.address.isInRange(ip("10.0.0.0/8")) };`,
			with(call(ann, "db/x"), func(r *Request) { r.Address = netip.MustParseAddr("10.1.2.3") }), true},
		{"address in its other form", `permit (principal, action, resource) when { context has address && context.address.isInRange(ip("10.0.0.0/8")) };`,
			with(call(ann, "db/x"), func(r *Request) { r.Address = netip.MustParseAddr("::ffff:10.1.2.3") }), true},
		{"no address", `permit (principal, action, resource) when { context has address && context.address.isInRange(ip("10.0.0.0/8")) };`, call(ann, "db/x"), false},
		{"credential", `permit (principal, action, resource) when { context.means == "jwt" && context.issuer == "corp" && context.scopes.contains("mcp") };`, call(ann, "db/x"), true},
		{"score", `permit (principal, action, resource) when { context.score.lessThan(decimal("0.5")) };`, with(call(ann, "db/x"), func(r *Request) { r.Score = 0.5 }), false},
		{"conversation", `permit (principal, action, resource) unless { context.conversation.contains("untrusted") };`,
			with(call(ann, "db/x"), func(r *Request) { r.Conversation = []string{"untrusted"} }), false},
		{"text", `permit (principal, action, resource) when { context.arguments.hasTag("path") && context.arguments.getTag("path") like "/srv/*" };`, args("db/x", `{"path":"/srv/a"}`), true},
		{"text of another form", `permit (principal, action, resource) when { context.arguments.hasTag("path") && context.arguments.getTag("path") like "/srv/*" };`, args("db/x", `{"path":["/srv/a"]}`), false},
		{"no arguments", `permit (principal, action, resource) when { context.arguments.hasTag("path") };`, call(ann, "db/x"), false},
		{"nested text", `permit (principal, action, resource) when { context.arguments.hasTag("a.b") };`, args("db/x", `{"a":{"b":"c"}}`), true},
		{"a dot in a name", `permit (principal, action, resource) when { context.arguments.hasTag("a.b") };`, args("db/x", `{"a.b":"c"}`), false},
		{"a dot in a name, written", `permit (principal, action, resource) when { context.arguments.hasTag("a%2Eb") };`, args("db/x", `{"a.b":"c"}`), true},
		{"whole number", `permit (principal, action, resource) when { context.arguments.numbers.hasTag("n") && context.arguments.numbers.getTag("n") <= 100 };`, args("db/x", `{"n":1e2}`), true},
		{"number with places", `permit (principal, action, resource) when { context.arguments.numbers.hasTag("n") };`, args("db/x", `{"n":1.5}`), false},
		{"decimal", `permit (principal, action, resource) when { context.arguments.decimals.hasTag("n") && context.arguments.decimals.getTag("n").lessThan(decimal("10.5")) };`, args("db/x", `{"n":10.4999}`), true},
		{"whole decimal", `permit (principal, action, resource) when { context.arguments.decimals.hasTag("n") && context.arguments.decimals.getTag("n") == decimal("-3.0") };`, args("db/x", `{"n":-3}`), true},
		{"number too fine", `permit (principal, action, resource) when { context.arguments.unread == ["m", "n", "o", "p"] };`, args("db/x", `{"n":1.00001,"m":null,"o":1e400,"p":123456789012345678901234567890}`), true},
		{"flag", `permit (principal, action, resource) when { context.arguments.flags.hasTag("f") && !context.arguments.flags.getTag("f") };`, args("db/x", `{"f":false}`), true},
		{"list", `permit (principal, action, resource) when { context.arguments.lists.hasTag("to") && ["a", "b", "1", "true"].containsAll(context.arguments.lists.getTag("to")) };`, args("db/x", `{"to":["a",["b"],1,true]}`), true},
		{"list within a list", `permit (principal, action, resource) when { context.arguments.lists.hasTag("edits.path") && context.arguments.lists.getTag("edits.path") == ["a", "b"] };`, args("db/x", `{"edits":[{"path":"a"},{"path":"b"}]}`), true},
		{"what was understood", `permit (principal, action, resource) when { context.arguments has hosts && ["example.com"].containsAll(context.arguments.hosts) };`,
			with(call(ann, "db/x"), func(r *Request) { r.Facts = &Facts{Hosts: []string{"example.com"}} }), true},
		{"nothing was understood", `permit (principal, action, resource) when { context.arguments has hosts && ["example.com"].containsAll(context.arguments.hosts) };`, call(ann, "db/x"), false},
		{"amount", `permit (principal, action, resource) when { context.arguments has amount && context.arguments.amount.lessThanOrEqual(decimal("100.0")) };`,
			with(call(ann, "db/x"), func(r *Request) { r.Facts = &Facts{Amount: "99.95"} }), true},
		{"unknown method", `permit (principal, action == Action::"other", resource in Server::"db");`, &Request{Principal: ann, Method: "x/y", Server: "db", Kind: KindServer, Time: noon}, true},
		{"unknown method, not permitted", `permit (principal, action in Action::"use", resource in Server::"db");`, &Request{Principal: ann, Method: "x/y", Server: "db", Kind: KindServer, Time: noon}, false},
		{"a group is no method", everything, &Request{Principal: ann, Method: "use", Server: "db", Kind: KindServer, Time: noon}, true},
		{"a question", `permit (principal, action in Action::"use", resource);`, &Request{Principal: ann, Method: "sampling/createMessage", Server: "db", Kind: KindServer, Time: noon}, false},
		{"a permitted question", `permit (principal, action in Action::"ask", resource in Server::"db");`, &Request{Principal: ann, Method: "sampling/createMessage", Server: "db", Kind: KindServer, Time: noon}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := engine(t, office(), test.policies).Decide(test.request)
			if d.Err != nil {
				t.Fatal(d.Err)
			}
			if d.Allow != test.want {
				t.Errorf("got %+v, want allow %v", d, test.want)
			}
		})
	}
}

func Test_what_cannot_be_answered_is_denied(t *testing.T) {
	e := engine(t, office(), `permit (principal, action, resource);`)
	tests := []struct {
		name    string
		request *Request
		want    string
	}{
		{"no principal", call(nil, "db/x"), "no principal"},
		{"no id", call(&identity.Principal{Kind: identity.User}, "db/x"), "no id"},
		{"no kind", call(&identity.Principal{ID: "x"}, "db/x"), "of no known kind"},
		{"no server", call(ann, "none/x"), "there is no server"},
		{"no kind of thing", with(call(ann, "db/x"), func(r *Request) { r.Kind = "thing" }), "no kind of resource"},
		{"another kind of thing", with(call(ann, "db/x"), func(r *Request) { r.Kind = KindPrompt }), "is not about a prompt"},
		{"score", with(call(ann, "db/x"), func(r *Request) { r.Score = 2 }), "not between 0 and 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := e.Decide(test.request)
			if d.Allow || d.Err == nil || !strings.Contains(d.Err.Error(), test.want) {
				t.Errorf("got %+v, want an error with %q", d, test.want)
			}
		})
	}
}

// Cedar leaves out a policy that cannot be evaluated. A forbid that is left out
// lets pass what it was written to stop.
func Test_a_policy_that_fails_denies(t *testing.T) {
	many := `{"a":"b"` + strings.Repeat(`,"list":[`+strings.Repeat(`1,`, maxArguments)+`1]`, 1) + `}`
	tests := []struct {
		name, policy string
		request      *Request
	}{
		{"forbid", `@id("broken") forbid (principal, action, resource) when { context.arguments.numbers.hasTag("n") && context.arguments.numbers.getTag("n") * 9223372036854775807 > 0 };`, withArguments(t, call(ann, "db/x"), `{"n":2}`)},
		{"permit", `@id("broken") permit (principal, action, resource) when { context.arguments.numbers.hasTag("n") && context.arguments.numbers.getTag("n") + 9223372036854775807 > 0 };`, withArguments(t, call(ann, "db/x"), `{"n":2}`)},
		{"too many arguments", `@id("broken") forbid (principal, action, resource) when { context.arguments.hasTag("evil") };`, withArguments(t, call(ann, "db/x"), many)},
		{"amount", `@id("broken") forbid (principal, action, resource) when { context.arguments has amount && context.arguments.amount.greaterThan(decimal("1.0")) };`, with(call(ann, "db/x"), func(r *Request) { r.Facts = &Facts{Amount: "1e9"} })},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := engine(t, office(), `permit (principal, action, resource);`+test.policy)
			d := e.Decide(test.request)
			if d.Allow || d.Err == nil || !strings.Contains(d.Err.Error(), "policy broken could not be evaluated") {
				t.Errorf("got %+v, want a denial that names the policy", d)
			}
			if diff := cmp.Diff([]string{"broken"}, d.Policies); diff != "" {
				t.Error(diff)
			}
			// Without the guard the policy would be left out, as Cedar does.
			w, err := e.world(test.request)
			if err != nil {
				t.Fatal(err)
			}
			v := w.evaluate(w.candidates())
			v.failed = nil
			if d := v.decision(); !d.Allow {
				t.Errorf("the test proves nothing: it is denied without the guard too, %+v", d)
			}
		})
	}
}

func Test_what_decided_is_named(t *testing.T) {
	e := engine(t, office(), `
permit (principal, action, resource);
@id("twice") permit (principal in Team::"ops", action, resource);
@id("no writing") @reason("nobody writes here")
forbid (principal, action, resource in Server::"files") when { resource.name like "write_*" };
@id("no mail") forbid (principal, action, resource in Server::"mail");
@id("no mail at all") @reason("mail is closed") forbid (principal, action, resource in Server::"mail");
@id("soon") @mode("report") forbid (principal, action, resource) when { resource.name == "read_file" };
@id("unclear") @mode("report") forbid (principal, action, resource) when { context.arguments.numbers.hasTag("n") && context.arguments.numbers.getTag("n") * 9223372036854775807 > 0 };
`)
	tests := []struct {
		name    string
		request *Request
		want    Decision
	}{
		{"both permits", call(ann, "files/a"), Decision{Allow: true, Policies: []string{"test.cedar:2", "twice"}}},
		{"a reason", call(ann, "files/write_a"), Decision{Policies: []string{"no writing"}, Reason: "nobody writes here"}},
		{"two forbids", call(bob, "mail/a"), Decision{Policies: []string{"no mail", "no mail at all"}, Reason: "mail is closed"}},
		{"a policy that reports", call(bob, "files/read_file"), Decision{Allow: true, Policies: []string{"test.cedar:2"}, Would: []string{"soon"}}},
		{"a failing policy that reports", withArguments(t, call(bob, "files/a"), `{"n":2}`), Decision{Allow: true, Policies: []string{"test.cedar:2"}, Would: []string{"unclear"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, e.Decide(test.request)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func Test_a_section_that_reports_lets_pass_and_says_so(t *testing.T) {
	c := office()
	c.Policy.Mode = config.Report
	e := engine(t, c, `
@id("files") permit (principal, action, resource in Server::"files");
@id("no writing") @reason("r") forbid (principal, action, resource) when { resource.name like "write_*" };
@id("broken") forbid (principal, action, resource in Server::"db") when { context.arguments.numbers.hasTag("n") && context.arguments.numbers.getTag("n") * 9223372036854775807 > 0 };
`)
	tests := []struct {
		request *Request
		want    Decision
	}{
		{call(ann, "files/a"), Decision{Allow: true, Policies: []string{"files"}}},
		{call(ann, "files/write_a"), Decision{Allow: true, Policies: []string{"files"}, Would: []string{"no writing"}}},
		{call(ann, "mail/a"), Decision{Allow: true, Would: []string{NoPermit}}},
		{withArguments(t, call(ann, "db/a"), `{"n":2}`), Decision{Allow: true, Would: []string{"broken"}}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, e.Decide(test.request)); diff != "" {
			t.Error(diff)
		}
		if !e.Lists(test.request) {
			t.Errorf("%s is hidden although nothing is refused", test.request.Name)
		}
	}
}

func Test_who_may_use_something_may_connect_and_list(t *testing.T) {
	e := engine(t, office(), `
@id("one tool") permit (principal in Team::"ops", action == Action::"tools/call", resource == Tool::"files/read_file") when { context.time.hour == 3 };
@id("a resource") permit (principal in Team::"data", action in Action::"read", resource in Server::"db");
forbid (principal is Agent, action == Action::"prompts/list", resource);
`)
	ask := func(p *identity.Principal, method, server string) *Request {
		kind := KindServer
		if server == "" {
			kind = KindGateway
		}
		return &Request{Principal: p, Method: method, Server: server, Kind: kind, Time: noon}
	}
	tests := []struct {
		request *Request
		want    bool
	}{
		{ask(ann, "initialize", "files"), true},
		{ask(ann, "tools/list", "files"), true},
		{ask(ann, "tasks/get", "files"), true},
		{ask(ann, "notifications/prompts/list_changed", "db"), true},
		{ask(ann, "notifications/tools/list_changed", "db"), false}, // who may use no tool hears nothing of tools
		{ask(ann, "notifications/tools/list_changed", ""), true},    // of some server
		{ask(ci, "notifications/tools/list_changed", "files"), true},
		{ask(ci, "notifications/resources/updated", "files"), false},
		{ask(ann, "notifications/message", "db"), true},
		{ask(ann, "initialize", ""), true},
		{ask(ann, "initialize", "mail"), false},
		{ask(bob, "initialize", "files"), false},
		{ask(bob, "initialize", ""), false},
		{ask(ci, "tools/list", "files"), true},
		{ask(ci, "initialize", "db"), false},
		{ask(ci, "prompts/list", "files"), false},
		{ask(ann, "sampling/createMessage", "files"), false},
		{ask(ann, "x/y", "files"), false},
	}
	for _, test := range tests {
		if d := e.Decide(test.request); d.Allow != test.want || d.Err != nil {
			t.Errorf("%s %s %q: got %+v, want %v", test.request.Principal.ID, test.request.Method, test.request.Server, d, test.want)
		}
	}
}

// A permit for the gateway alone, or only for questions, lets nobody use anything.
func Test_what_gives_no_use_lets_nobody_connect_elsewhere(t *testing.T) {
	e := engine(t, office(), `permit (principal, action, resource == Gateway::"gatehouse"); permit (principal, action == Action::"tools/list", resource);`)
	if d := e.Decide(&Request{Principal: ann, Method: "initialize", Server: "db", Kind: KindServer, Time: noon}); d.Allow {
		t.Errorf("got %+v", d)
	}
	if d := e.Decide(&Request{Principal: ann, Method: "initialize", Kind: KindGateway, Time: noon}); !d.Allow {
		t.Errorf("got %+v", d)
	}
}

// What the engine shows to policies must be what the schema says: the validator
// proves policies by it.
func Test_entities_and_context_conform_to_the_schema(t *testing.T) {
	e := engine(t, office(), `permit (principal, action, resource);`)
	requests := []*Request{
		call(root, "db/get_x"),
		with(withArguments(t, call(ann, "files/read_a"), `{"a":"b","n":1,"d":1.5,"f":true,"l":["x"],"z":null,"o":{"p":"q"}}`), func(r *Request) {
			r.Address, r.Score, r.Conversation = netip.MustParseAddr("fe80::1%eth0"), 0.25, []string{"untrusted"}
			r.Claims = Claims{Yes, No, Yes, Yes}
			r.Facts = &Facts{Paths: []string{"/a"}, Hosts: []string{}, Tables: []string{"t"}, Statements: []string{"select"}, Recipients: []string{"x"}, Amount: "1.5"}
		}),
		{Principal: ci, Method: "prompts/get", Server: "mail", Kind: KindPrompt, Name: "p", Time: noon},
		{Principal: ci, Method: "resources/read", Server: "mail", Kind: KindResource, Name: "file:///a", Time: noon},
		{Principal: ci, Method: "resources/read", Server: "mail", Kind: KindTemplate, Name: "file:///{a}", Time: noon},
		{Principal: ci, Method: "initialize", Server: "mail", Kind: KindServer, Time: noon},
		{Principal: ci, Method: "initialize", Kind: KindGateway, Time: noon},
	}
	for _, r := range requests {
		w, err := e.world(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := words().validator.Request(w.question); err != nil {
			t.Errorf("%s: %v", r.Kind, err)
		}
		for _, uid := range []types.EntityUID{w.question.Principal, w.question.Resource, w.question.Action, timeUID, argumentsUID, numbersUID, decimalsUID, flagsUID, listsUID, gatewayThing.entity.UID, types.NewEntityUID(typeServer, "db"), types.NewEntityUID(typeTeam, "ops")} {
			entity, found := w.Get(uid)
			if !found || entity.UID != uid {
				t.Errorf("%s is not found", uid)
				continue
			}
			if err := words().validator.Entity(entity); err != nil {
				t.Errorf("%s: %v", uid, err)
			}
		}
		for _, uid := range []types.EntityUID{types.NewEntityUID(typeUser, "x"), types.NewEntityUID(typeTool, "x"), types.NewEntityUID(typeServer, "x"), types.NewEntityUID(typeGateway, "x"), types.NewEntityUID("None", "x")} {
			if _, found := w.Get(uid); found {
				t.Errorf("%s is found", uid)
			}
		}
	}
}

func Test_what_is_wrong_with_a_policy_is_said_with_its_line(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"syntax", "permit (principal, action, resource);\npermit (principal, action, resource) when { }\n}", `test.cedar:3: this is not a policy at "}"`},
		{"nothing", "// nothing\n", "test.cedar: there is no policy in it"},
		{"unknown action", "\npermit (principal, action == Action::\"tools/cal\", resource);", "test.cedar:2: unrecognized action"},
		{"unknown type", `permit (principal == Usr::"a", action, resource);`, "test.cedar:1: unrecognized entity type `Usr`"},
		{"unknown attribute", `permit (principal, action, resource) when { resource.label == "x" };`, "test.cedar:1: attribute `label`"},
		{"attribute without has", `permit (principal, action == Action::"tools/call", resource) when { resource.claims.readOnly };`, "unable to guarantee safety of access to optional attribute `claims.readOnly`"},
		{"claim of a server", `permit (principal, action, resource) when { resource.claims has readOnly };`, "`claims`"},
		{"tag without has", `permit (principal, action, resource) when { context.arguments.getTag("x") == "y" };`, "test.cedar:1: unable to guarantee safety of access to tag"},
		{"type", `permit (principal, action, resource) when { context.time.hour < "8" };`, "test.cedar:1: unexpected type"},
		{"not a condition", `permit (principal, action, resource) when { resource.name };`, "expected Bool"},
		{"impossible", `permit (principal, action == Action::"tools/call", resource is Prompt);`, "unable to find an applicable action"},
		{"id twice", "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") permit (principal, action, resource);", `test.cedar:2: the @id "a" is taken by the policy at test.cedar:1`},
		{"id", `@id("a\nb") permit (principal, action, resource);`, "test.cedar:1: @id("},
		{"mistyped annotation", `@mod("report") forbid (principal, action, resource);`, "test.cedar:1: @mod means nothing here; known are @id"},
		{"mode", `@mode("warn") forbid (principal, action, resource);`, `@mode("warn"): expected report or enforce`},
		{"permit that reports", `@mode("report") permit (principal, action, resource);`, `@mode("report") is for a forbid`},
		{"reason", `@reason("` + strings.Repeat("x", 501) + `") permit (principal, action, resource);`, "@reason has 501 bytes"},
		{"depth", "permit (principal, action, resource)\nwhen { " + strings.Repeat("(", 101) + "true" + strings.Repeat(")", 101) + " };", "test.cedar:2: brackets are nested"},
		{"size", strings.Repeat(" ", maxFileBytes+1), "test.cedar: larger than"},
		{"several", "permit (principal, action == Action::\"a\", resource);\npermit (principal, action == Action::\"b\", resource);", "test.cedar:2: unrecognized action"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e, err := New(office(), []Source{{Name: "good.cedar", Text: []byte("permit (principal, action, resource);")}, {Name: "test.cedar", Text: []byte(test.text)}})
			if err == nil || e != nil {
				t.Fatal("it was loaded")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got\n%v\nwant\n%s", err, test.want)
			}
		})
	}
}

func Test_lists_show_what_could_be_allowed(t *testing.T) {
	tests := []struct {
		name, policies string
		request        *Request
		want           bool
	}{
		{"nothing permits", `permit (principal, action, resource in Server::"mail");`, call(ann, "db/x"), false},
		{"permitted", `permit (principal, action, resource in Server::"db");`, call(ann, "db/x"), true},
		{"for some arguments", `permit (principal, action, resource) when { context.arguments.hasTag("a") && context.arguments.getTag("a") == "b" };`, call(ann, "db/x"), true},
		{"for no arguments", `permit (principal, action, resource) when { context.arguments.hasTag("a") && principal.name == "Bob" };`, call(ann, "db/x"), false},
		{"for no arguments, either way", `permit (principal, action, resource) when { principal.name == "Bob" || context.arguments.hasTag("a") && false };`, call(ann, "db/x"), false},
		{"at another time", `permit (principal, action, resource) when { context.time.hour == 3 };`, call(ann, "db/x"), true},
		{"forbidden for some", `permit (principal, action, resource); forbid (principal, action, resource) when { context.arguments.hasTag("a") };`, call(ann, "db/x"), true},
		{"forbidden for all", `permit (principal, action, resource); forbid (principal, action, resource) when { context.arguments.hasTag("a") || resource.name == "x" };`, call(ann, "db/x"), false},
		{"forbidden unless", `permit (principal, action, resource); forbid (principal, action, resource) unless { context.arguments.hasTag("a") && principal in Team::"data" };`, call(ann, "db/x"), true},
		{"forbidden unless somebody else", `permit (principal, action, resource); forbid (principal, action, resource) unless { context.arguments.hasTag("a") && principal in Team::"data" };`, call(bob, "db/x"), false},
		{"forbidden in report", `permit (principal, action, resource); @mode("report") forbid (principal, action, resource);`, call(ann, "db/x"), true},
		{"if", `permit (principal, action, resource) when { if context.arguments.hasTag("a") then principal.name == "Ann" else false };`, call(ann, "db/x"), true},
		{"if for nobody", `permit (principal, action, resource) when { if context.arguments.hasTag("a") then principal.name == "Bob" else false };`, call(ann, "db/x"), false},
		{"always fails", `permit (principal, action, resource); forbid (principal, action, resource) when { Server::"none".name == "x" };`, call(ann, "db/x"), false},
		{"credentials are known", `permit (principal, action, resource) when { context.means == "key" };`, call(ann, "db/x"), false},
		{"score is not known", `permit (principal, action, resource) when { context.score.greaterThan(decimal("0.5")) };`, call(ann, "db/x"), true},
		{"a prompt", `permit (principal, action == Action::"prompts/get", resource);`, &Request{Principal: ann, Server: "db", Kind: KindPrompt, Name: "p"}, true},
		{"a template", `permit (principal, action == Action::"resources/read", resource);`, &Request{Principal: ann, Server: "db", Kind: KindTemplate, Name: "p"}, true},
		{"no principal", `permit (principal, action, resource);`, call(nil, "db/x"), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := with(test.request, func(r *Request) { r.Method = "" })
			if got := engine(t, office(), test.policies).Lists(r); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func Test_ready_policies(t *testing.T) {
	const all = `@id("all") permit (principal, action, resource);`
	destroys := func(r *Request) { r.Claims.Destructive = Yes }
	saturday := func(r *Request) { r.Time = noon.AddDate(0, 0, 3) }
	night := func(r *Request) { r.Time = noon.Add(-5 * time.Hour) }
	ops := &identity.Principal{ID: "user:corp/eve", Kind: identity.User, Teams: []string{"production"}}
	ask := &Request{Principal: ann, Method: "sampling/createMessage", Server: "db", Kind: KindServer, Time: noon}
	tests := []struct {
		ready, also string
		request     *Request
		want        string // the policies that decide
	}{
		{"read-only", "", call(bob, "files/read_file"), "allow [read-only/use]"},
		{"read-only", "", call(bob, "files/write_file"), "deny [read-only/tools]"},
		{"read-only", "", with(call(bob, "mail/read_everything"), func(r *Request) { r.Claims.ReadOnly = Yes }), "deny [read-only/tools]"},
		{"read-only", "", &Request{Principal: bob, Method: "prompts/get", Server: "mail", Kind: KindPrompt, Name: "p", Time: noon}, "allow [read-only/use]"},
		{"read-only", "", &Request{Principal: bob, Method: "resources/read", Server: "mail", Kind: KindResource, Name: "p:", Time: noon}, "allow [read-only/use]"},
		{"read-only", "", ask, "deny []"},
		{"production", all, call(ann, "db/drop"), "deny [production/team]"},
		{"production", all, call(ann, "db/get_rows"), "allow [all]"},
		{"production", all, call(ops, "db/drop"), "allow [all]"},
		{"production", all, with(call(ops, "db/drop"), func(r *Request) { r.Conversation = []string{"untrusted"} }), "deny [production/untrusted]"},
		{"production", all, with(call(ops, "db/get_rows"), func(r *Request) { r.Conversation = []string{"untrusted"} }), "allow [all]"},
		{"production", all, call(ann, "files/write_file"), "allow [all]"},
		{"production", all, ask, "deny [production/questions]"},
		{"production", "", call(ops, "db/drop"), "deny []"},
		{"least-privilege", all, call(ann, "mail/send"), "deny [least-privilege/unlabelled]"},
		{"least-privilege", all, call(ann, "files/write_file"), "allow [all]"},
		{"least-privilege", all, call(ci, "files/write_file"), "deny [least-privilege/programs]"},
		{"least-privilege", all, call(ci, "files/read_file"), "allow [all]"},
		{"least-privilege", all, with(call(ann, "db/drop"), destroys), "deny [least-privilege/destructive]"},
		{"least-privilege", all, with(call(ann, "files/write_file"), destroys), "allow [all]"},
		{"least-privilege", all, ask, "deny [least-privilege/questions]"},
		{"least-privilege", "", call(ann, "files/read_file"), "deny []"},
		{"business-hours", all, call(ann, "files/write_file"), "allow [all]"},
		{"business-hours", all, with(call(ann, "files/write_file"), saturday), "deny [business-hours]"},
		{"business-hours", all, with(call(ann, "files/write_file"), night), "deny [business-hours]"},
		{"business-hours", all, with(call(ann, "files/read_file"), night), "allow [all]"},
		{"per-team-tools", "", call(ann, "db/drop"), "allow [per-team-tools]"},
		{"per-team-tools", "", call(bob, "db/drop"), "deny []"},
		{"per-team-tools", "", call(ci, "files/read_file"), "allow [per-team-tools]"},
		{"per-team-tools", "", call(ci, "files/write_file"), "deny []"},
		{"per-team-tools", "", call(ci, "db/drop"), "deny []"},
	}
	tested := map[string]bool{}
	for _, test := range tests {
		tested[test.ready] = true
		text, err := Ready(test.ready)
		if err != nil {
			t.Fatal(err)
		}
		sources := []Source{{Name: "ready/" + test.ready, Text: text, Ready: true}}
		if test.also != "" {
			sources = append(sources, Source{Name: "also.cedar", Text: []byte(test.also)})
		}
		e, err := New(office(), sources)
		if err != nil {
			t.Fatal(err)
		}
		d := e.Decide(test.request)
		got := "deny "
		if d.Allow {
			got = "allow "
		}
		got += fmt.Sprint(d.Policies)
		if got != test.want || d.Err != nil {
			t.Errorf("%s: %s calls %s of %s: got %s %v, want %s", test.ready, test.request.Principal.ID, test.request.Name, test.request.Server, got, d.Err, test.want)
		}
	}
	for _, name := range ReadyNames() {
		if !tested[name] {
			t.Errorf("no test for the ready policy %s", name)
		}
	}
	if _, err := Ready("../x"); err == nil {
		t.Error("a ready policy outside the folder")
	}
}

func Test_time_zone(t *testing.T) {
	c := office()
	c.TimeZone = "Asia/Tokyo"
	e := engine(t, c, `permit (principal, action, resource) when { context.time.hour == 21 && context.time.weekday == "Wednesday" };`)
	if d := e.Decide(call(ann, "db/x")); !d.Allow {
		t.Errorf("got %+v", d)
	}
}

func Test_what_is_remembered_is_bounded(t *testing.T) {
	e := engine(t, office(), `permit (principal, action, resource in Server::"db");`)
	for i := range 3 * maxCached {
		p := *ann
		e.Decide(call(&p, fmt.Sprintf("db/tool%d", i)))
	}
	if n, m := len(e.things.values), len(e.subjects.values); n > maxCached || m > maxCached || n == 0 || m == 0 {
		t.Errorf("%d resources and %d principals are remembered", n, m)
	}
}
