package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var stock = []Item{
	{Server: "db", Kind: KindTool, Name: "get_rows", arguments: []string{"table"}},
	{Server: "db", Kind: KindTool, Name: "drop", Claims: Claims{Destructive: Yes}},
	{Server: "files", Kind: KindTool, Name: "read_file"},
	{Server: "files", Kind: KindPrompt, Name: "review"},
	{Server: "mail", Kind: KindTool, Name: "send"},
}

func Test_check(t *testing.T) {
	const all = "permit (principal, action, resource);\n"
	tests := []struct {
		name, policies string
		want           []string
	}{
		{"nothing", all, nil},
		{"some", `permit (principal, action in Action::"use", resource in Server::"files");`, []string{
			"unreached: no policy permits anybody to use the server db", "unreached: no policy permits anybody to use the server mail",
			"unreached: nobody may use the tool db/get_rows", "unreached: nobody may use the tool db/drop", "unreached: nobody may use the tool mail/send",
		}},
		{"by label", `permit (principal in Team::"a", action in Action::"use", resource) when { resource.labels.contains("read") || resource is Prompt };`, []string{
			"unreached: nobody may use the tool db/drop", "unreached: nobody may use the tool mail/send",
		}},
		{"forbidden for all", all + `forbid (principal, action, resource in Server::"mail");`, []string{"unreached: nobody may use the tool mail/send"}},
		{"forbidden for some", all + `forbid (principal in Team::"a", action, resource in Server::"mail");`, nil},
		{"forbidden sometimes", all + `forbid (principal, action, resource in Server::"mail") when { context.time.hour < 8 };`, nil},
		{"forbidden by a claim", all + `forbid (principal, action == Action::"tools/call", resource) when { resource.claims has destructive && resource.claims.destructive };`, []string{"unreached: nobody may use the tool db/drop"}},
		{"never, by itself", all + `permit (principal, action, resource) when { principal.name == "x" && false };`, []string{"test.cedar:2: never: its conditions can never hold"}},
		{"never, for what is there", all + `forbid (principal, action == Action::"tools/call", resource in Server::"files") when { resource.name == "write" };`, []string{"test.cedar:2: never: it applies to nothing that is approved now"}},
		{"perhaps, for resources", all + `forbid (principal, action, resource in Server::"files") when { resource.name == "write" };`, nil},
		{"server", all + `forbid (principal, action, resource in Server::"fiels");`, []string{`test.cedar:2: unknown: there is no server "fiels" in the configuration`}},
		{"tool without a server", all + `forbid (principal, action, resource == Tool::"files__read");`, []string{`test.cedar:2: unknown: Tool::"files__read" is nothing; write SERVER/NAME, with the name as the server has it`}},
		{"principal without a kind", all + `forbid (principal == User::"ann", action, resource);`, []string{`test.cedar:2: unknown: User::"ann" is nobody; ids of principals begin with user:, local:, key: and the like, as in the audit log`}},
		{"tool", all + `forbid (principal, action, resource == Tool::"files/raed");`, []string{`test.cedar:2: unknown: Tool::"files/raed" is not among what is approved of the server`}},
		{"resources are not listed", all + `forbid (principal, action, resource == Resource::"files/file:///a");`, nil},
		{"argument", all + `forbid (principal, action, resource == Tool::"db/get_rows") when { context.arguments.hasTag("tabel") || context.arguments.numbers.hasTag("table.x") };`, []string{`test.cedar:2: unknown: the tool has no argument "tabel"; it has table`}},
		{"the same twice", all + all, []string{"test.cedar:2: shadowed: policy test.cedar:1 does all that it does"}},
		{"the same with a condition", `permit (principal, action, resource) when { context.means == "jwt" };` + "\n" + `permit (principal is User, action in Action::"use", resource in Server::"files") when { context.means == "jwt" };`, []string{"test.cedar:2: shadowed: policy test.cedar:1 does all that it does"}},
		{"another condition", `permit (principal, action, resource) when { context.means == "jwt" };` + "\n" + `permit (principal is User, action in Action::"use", resource in Server::"files") when { context.means == "key" };`, nil},
		{"more for fewer", `permit (principal in Team::"a", action in Action::"use", resource);` + "\n" + `permit (principal in Team::"b", action, resource);`, nil},
		{"forbidden altogether", `permit (principal in Team::"a", action, resource == Tool::"mail/send");` + "\n" + all + `forbid (principal, action, resource in Server::"mail");`, []string{
			"test.cedar:1: shadowed: policy test.cedar:2 does all that it does", "unreached: nobody may use the tool mail/send",
		}},
		{"a forbid that reports hides nothing", all + `@mode("report") forbid (principal, action, resource);` + "\n" + `forbid (principal, action, resource in Server::"db");`, []string{
			"unreached: nobody may use the tool db/get_rows", "unreached: nobody may use the tool db/drop",
		}},
		{"types", `permit (principal is User, action, resource);` + "\n" + `permit (principal is Agent, action, resource);` + "\n" + `permit (principal == User::"user:corp/ann", action, resource);`, []string{"test.cedar:3: shadowed: policy test.cedar:1 does all that it does"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := checker{findings: engine(t, office(), test.policies).Check(stock)}
			if diff := cmp.Diff(test.want, c.lines()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func Test_explain(t *testing.T) {
	e := engine(t, office(), `
@id("ops") permit (principal in Team::"ops", action == Action::"tools/call", resource in Server::"files");
@id("etc") @reason("not there") forbid (principal, action == Action::"tools/call", resource) when { context.arguments.hasTag("path") && context.arguments.getTag("path") like "/etc/*" };
@id("soon") @mode("report") forbid (principal, action == Action::"tools/call", resource) unless { context has address };
@id("broken") forbid (principal, action == Action::"tools/call", resource) when { context.arguments.numbers.hasTag("n") && context.arguments.numbers.getTag("n") * 9223372036854775807 > 0 };
`)
	got := e.Explain(withArguments(t, call(ann, "files/a"), `{"path":"/etc/x","n":2}`))
	if got.Decision.Allow || got.Decision.Err == nil {
		t.Errorf("got %+v", got.Decision)
	}
	want := []Considered{
		{ID: "ops", File: "test.cedar", Line: 2, Effect: "permit", Result: "applies"},
		{ID: "etc", File: "test.cedar", Line: 3, Effect: "forbid", Result: "applies", Values: []Value{
			{`context.arguments.hasTag("path")`, "true"}, {`context.arguments.getTag("path")`, `"/etc/x"`},
		}},
		{ID: "soon", File: "test.cedar", Line: 4, Effect: "forbid", Result: "applies (only reports)", Values: []Value{{"context has address", "false"}}},
		{ID: "broken", File: "test.cedar", Line: 5, Effect: "forbid", Result: "could not be evaluated", Detail: got.Policies[3].Detail, Values: []Value{
			{`context.arguments.numbers.hasTag("n")`, "true"}, {`context.arguments.numbers.getTag("n")`, "2"},
		}},
	}
	if diff := cmp.Diff(want, got.Policies); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(got.Policies[3].Detail, "overflow") {
		t.Errorf("the detail says %q", got.Policies[3].Detail)
	}
	near := engine(t, office(), `@id("ops") permit (principal in Team::"ops", action == Action::"tools/call", resource in Server::"files"); @id("far") permit (principal in Team::"ops", action, resource in Server::"db");`).Explain(call(bob, "files/a"))
	if diff := cmp.Diff([]Considered{{ID: "ops", File: "test.cedar", Line: 1, Effect: "permit", Result: "is for another principal"}}, near.Policies); diff != "" {
		t.Error(diff)
	}
}
