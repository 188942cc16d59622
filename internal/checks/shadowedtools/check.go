// Package shadowedtools finds servers that meddle with tools of others.
package shadowedtools

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"sync"

	"gatehouse/internal/check"
	"gatehouse/internal/finding"
	"gatehouse/internal/inspect"
	"gatehouse/internal/rule"
	"gatehouse/internal/rules"
	"gatehouse/internal/wire"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "shadowed-tools",
	Title:      "A server speaks for the tools of another",
	Severity:   rule.Medium,
	References: []string{"CWE-290: Authentication Bypass by Spoofing", "OWASP MCP Top 10, MCP03: Tool Poisoning", "SAFE-T1008", "SAFE-T1301"},
	Doc:        doc,
	Run:        run,
}

// inspector has the rules that compare servers with each other.
var inspector = sync.OnceValue(func() *inspect.Inspector {
	var list []rule.Rule
	for _, id := range []string{"tool-shadowing", "name-imitation"} {
		if r, found := rules.ByID(id); found {
			list = append(list, r)
		}
	}
	return inspect.New(list, nil)
})

func run(scene *check.Scene) check.Result {
	told := map[string]bool{} // a pair of servers is told of once, though several clients have both
	return scene.Together(func(c check.Together) ([]check.Finding, error) {
		var out []check.Finding
		var failed error // the first; the other tools are judged all the same
		for _, d := range c.Servers {
			found, err := bent(d, c.Servers)
			failed = cmp.Or(failed, err)
			out = append(out, found...)
		}
		out = append(out, same(c)...)
		return slices.DeleteFunc(out, func(f check.Finding) bool {
			seen := told[f.Evidence]
			told[f.Evidence] = true
			return seen
		}), failed
	})
}

// bent finds definitions that speak of, or look like, tools of other servers.
func bent(d check.Defined, all []check.Defined) ([]check.Finding, error) {
	var neighbours []rule.Neighbour
	for _, other := range all {
		for _, t := range other.Tools {
			neighbours = append(neighbours, rule.Neighbour{Server: other.Server.Name, Name: t.Name})
		}
	}
	var out []check.Finding
	var failed error
	for _, t := range d.Tools {
		said, err := look(t, rule.Subject{Surface: rule.ToolDefinition, Server: d.Server.Name, Owner: d.Owner(), Name: t.Name, Neighbours: neighbours})
		if err != nil {
			failed = cmp.Or(failed, fmt.Errorf("the tool %s of %s: %w", check.Shown(t.Name), d.Server.Name, err))
		}
		for _, match := range said {
			if match.Effect != inspect.Objected {
				continue
			}
			f := d.Finding("bent", t.Name, match.Rule, string(t.Definition))
			f.Severity = match.Severity
			f.Why = fmt.Sprintf("the tool %s: %s (rule %s)", check.Shown(t.Name), match.Detail, match.Rule)
			f.Fix = "read the definition, and take the server out if it bends what another server does"
			f.Refers = []string{"rules/" + match.Rule + ".md"}
			out = append(out, f)
			break // one is enough to look at the tool
		}
	}
	return out, failed
}

func look(t check.Tool, subject rule.Subject) ([]finding.Finding, error) {
	doc, err := wire.Scan(t.Definition, wire.Limits{})
	if err != nil {
		return nil, err
	}
	said, err := inspector().Message(&doc, doc.Root, subject)
	return said.Findings, err
}

// same finds tools of one name in two servers of a client: which of them is called
// depends on the client.
func same(c check.Together) []check.Finding {
	first := map[string]check.Defined{}
	shared := map[pair][]string{}
	by := map[pair]owners{}
	var order []pair
	for _, d := range c.Servers {
		for _, t := range d.Tools {
			other, there := first[t.Name]
			if !there {
				first[t.Name] = d
				continue
			}
			if other.Server.ID == d.Server.ID {
				continue
			}
			key := pair{other.Server.ID, d.Server.ID}
			if shared[key] == nil {
				order, by[key] = append(order, key), owners{other, d}
			}
			shared[key] = append(shared[key], t.Name)
		}
	}
	var out []check.Finding
	for _, key := range order {
		names := shared[key]
		f := by[key].second.Finding(append([]string{"same", key.a, key.b}, names...)...)
		f.Severity = rule.Low
		shown := make([]string, len(names))
		for i, name := range names {
			shown[i] = check.Shown(name)
		}
		f.Why = fmt.Sprintf("%s and %s both have %s: which one a model means, and which one is called, differs from client to client",
			by[key].first.Server.Name, by[key].second.Server.Name, check.Few(shown))
		f.Fix = "keep one of them, or put both behind `gatehouse serve`, which gives each tool the name of its server"
		out = append(out, f)
	}
	return out
}

// pair are two servers, by ID.
type pair struct{ a, b string }

type owners struct{ first, second check.Defined }
