// Package poisoneddefinition shows what servers say of themselves to the rules.
package poisoneddefinition

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
	ID:         "poisoned-definition",
	Title:      "What a server says of itself gives orders to a model",
	Severity:   rule.High,
	References: []string{"CWE-1427: Improper Neutralization of Input Used for LLM Prompting", "OWASP MCP Top 10, MCP03: Tool Poisoning", "SAFE-T1001"},
	Doc:        doc,
	Run:        run,
}

// elsewhere are rules about several servers, which another check shows to all of them.
var elsewhere = []string{"tool-shadowing", "name-imitation"}

// inspector has the rules that the gateway shows definitions to before it admits a server.
var inspector = sync.OnceValue(func() *inspect.Inspector {
	list := slices.DeleteFunc(slices.Clone(rules.All()), func(r rule.Rule) bool {
		return r.Surfaces&rule.Definitions == 0 || slices.Contains(elsewhere, r.ID)
	})
	return inspect.New(list, nil)
})

func run(scene *check.Scene) check.Result {
	return scene.Defined(func(d check.Defined) ([]check.Finding, error) {
		var out []check.Finding
		var failed error // the first; what else the server says is judged all the same
		for _, t := range d.Tools {
			found, err := look(d, rule.ToolDefinition, "the tool "+check.Shown(t.Name), t.Name, t.Definition)
			failed = cmp.Or(failed, err)
			out = append(out, found...)
		}
		for _, i := range d.Others {
			what := i.Kind
			if i.Name != "" {
				what += " " + check.Shown(i.Name)
			}
			surface, known := surfaces[i.Kind]
			if !known {
				failed = cmp.Or(failed, fmt.Errorf("no rule reads its %s", what))
				continue
			}
			found, err := look(d, surface, "its "+what, i.Name, i.Definition)
			failed = cmp.Or(failed, err)
			out = append(out, found...)
		}
		return out, failed
	})
}

var surfaces = map[string]rule.Surface{
	"instructions": rule.Instructions, "prompt": rule.PromptDefinition, "resource": rule.ResourceDefinition, "template": rule.ResourceDefinition,
}

// look is one finding about a definition: for what would keep the gateway from admitting
// it.
func look(d check.Defined, surface rule.Surface, what, name string, definition []byte) ([]check.Finding, error) {
	doc, err := wire.Scan(definition, wire.Limits{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	out, err := inspector().Message(&doc, doc.Root, rule.Subject{Surface: surface, Server: d.Server.Name, Owner: d.Owner(), Name: name})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	var objected []finding.Finding
	for _, f := range out.Findings {
		if f.Effect == inspect.Objected {
			objected = append(objected, f)
		}
	}
	if len(objected) == 0 {
		return nil, nil
	}
	worst := slices.MaxFunc(objected, func(a, b finding.Finding) int { return cmp.Compare(a.Severity, b.Severity) })
	f := d.Finding(what, string(definition))
	f.Severity = worst.Severity
	f.Why = fmt.Sprintf("%s: %s (rule %s)", what, worst.Detail, worst.Rule)
	if n := len(objected) - 1; n > 0 {
		f.Why += fmt.Sprintf(", and %d more matches", n)
	}
	f.Fix = "read the definition and take the server out if it gives orders; through `gatehouse run` such a definition waits for a person"
	f.Refers = []string{"rules/" + worst.Rule + ".md"}
	return []check.Finding{f}, nil
}
