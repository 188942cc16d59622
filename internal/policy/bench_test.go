package policy

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/config"
	"gatehouse/internal/identity"
)

// manyPolicies are n policies of the kinds that people write: most for one server
// and team, some for tools, and a few for everybody.
func manyPolicies(n int) (*config.Config, string) {
	c := office()
	var text strings.Builder
	for i := range n {
		server := fmt.Sprintf("s%d", i%50)
		if i < 50 {
			c.Servers = append(c.Servers, config.Server{ID: server, Labels: []string{"read"}})
		}
		switch {
		case i%10 == 0 && i < 50:
			fmt.Fprintf(&text, "@id(\"p%d\") forbid (principal, action == Action::\"tools/call\", resource) when { context.conversation.contains(\"l%d\") };\n", i, i)
		case i%10 == 1:
			fmt.Fprintf(&text, "@id(\"p%d\") permit (principal in Team::\"t%d\", action == Action::\"tools/call\", resource == Tool::\"%s/t%d\");\n", i, i%7, server, i)
		case i%10 == 2:
			fmt.Fprintf(&text, "@id(\"p%d\") permit (principal == User::\"user:corp/u%d\", action, resource) when { resource.labels.contains(\"read\") };\n", i, i)
		case i%10 == 3:
			fmt.Fprintf(&text, "@id(\"p%d\") forbid (principal, action == Action::\"tools/call\", resource in Server::\"%s\") when { context.time.hour < 8 };\n", i, server)
		default:
			fmt.Fprintf(&text, "@id(\"p%d\") permit (principal in Team::\"t%d\", action in Action::\"use\", resource in Server::\"%s\") when { resource.labels.contains(\"read\") || context.means == \"jwt\" };\n", i, i, server)
		}
	}
	return c, text.String()
}

func benchmarkDecide(b *testing.B, n int, arguments string) {
	c, text := manyPolicies(n)
	text += `permit (principal in Team::"t4", action == Action::"tools/call", resource in Server::"s3") when { context.arguments.hasTag("path") && context.arguments.getTag("path") like "/srv/*" };`
	e := engine(b, c, text)
	p := &identity.Principal{ID: "user:corp/u12", Kind: identity.User, Name: "U", Teams: []string{"t14", "t4", "t54", "t9"}, Means: "jwt", Issuer: "corp", Scopes: []string{"mcp"}}
	tool := "s4/read_file"
	if arguments != "" {
		tool = "s3/read_file"
	}
	r := call(p, tool)
	if arguments != "" {
		r = withArguments(b, r, arguments)
	}
	if d := e.Decide(r); !d.Allow {
		b.Fatalf("%+v", d)
	}
	b.ReportAllocs()
	for b.Loop() {
		if d := e.Decide(r); !d.Allow {
			b.Fatalf("%+v", d)
		}
	}
}

func BenchmarkDecide_20(b *testing.B)   { benchmarkDecide(b, 20, "") }
func BenchmarkDecide_1000(b *testing.B) { benchmarkDecide(b, 1000, "") }
func BenchmarkDecide_1000_arguments(b *testing.B) {
	benchmarkDecide(b, 1000, `{"path":"/srv/a","limit":10,"deep":{"a":true,"b":["x","y"]}}`)
}

func BenchmarkLists_1000(b *testing.B) {
	c, text := manyPolicies(1000)
	e := engine(b, c, text)
	p := &identity.Principal{ID: "user:corp/u12", Kind: identity.User, Teams: []string{"t14", "t4"}, Means: "jwt"}
	r := call(p, "s4/read_file")
	if !e.Lists(r) {
		b.Fatal("hidden")
	}
	b.ReportAllocs()
	for b.Loop() {
		e.Lists(r)
	}
}

func BenchmarkNew_1000(b *testing.B) {
	c, text := manyPolicies(1000)
	for b.Loop() {
		engine(b, c, text)
	}
}
