package policy

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cedar-policy/cedar-go/types"
)

// Tighten finds what policies grant and nobody used.
type Tighten struct {
	Engine    *Engine
	Inventory []Item

	used map[*rule]map[types.EntityUID]bool
}

// Change is what becomes of one policy.
type Change struct {
	Policy string   `json:"policy"`
	File   string   `json:"file"`
	Line   int      `json:"line"`
	Remove bool     `json:"remove"`           // it permitted nothing that was used
	Keep   []string `json:"keep,omitempty"`   // tools that it permits from now on
	Unused []string `json:"unused,omitempty"` // tools that it permitted and nobody called

	rule *rule
	keep []types.EntityUID
}

// Add notes an exchange that was let through: every permit that may have allowed it
// counts as used.
func (t *Tighten) Add(past Past) {
	if !past.Allowed {
		return
	}
	w, err := t.Engine.world(past.Request)
	if err != nil {
		return
	}
	if t.used == nil {
		t.used = map[*rule]map[types.EntityUID]bool{}
	}
	for _, r := range w.candidates() {
		if !r.permit || r.formula.outcomes(w, past.without)&canHold == 0 {
			continue
		}
		if t.used[r] == nil {
			t.used[r] = map[types.EntityUID]bool{}
		}
		t.used[r][w.question.Resource] = true
	}
}

// Changes are the permits that can be smaller, in the order of the files. Policies
// that come with the program, forbids, and policies for what cannot be counted,
// such as resources, stay as they are.
func (t *Tighten) Changes() []Change {
	var list []Change
	for _, r := range t.Engine.rules {
		if !r.permit || r.ready {
			continue
		}
		c := Change{Policy: r.id, File: r.file, Line: r.line, rule: r}
		if len(t.used[r]) == 0 {
			c.Remove = true
			list = append(list, c)
			continue
		}
		if c.narrow(t); len(c.Unused) > 0 {
			list = append(list, c)
		}
	}
	return list
}

// narrow sorts the tools that a policy could permit into used and unused ones.
func (c *Change) narrow(t *Tighten) {
	checker := checker{Engine: t.Engine, inventory: t.Inventory}
	for _, item := range t.Inventory {
		if item.Kind != KindTool {
			continue
		}
		thing, action := checker.used(item)
		if !c.rule.isFor(thing, action) || c.rule.formula.outcomes(checker.unknownWorld(thing, action), noPrincipal|ofContext)&canHold == 0 {
			continue
		}
		if uid := thing.entity.UID; !t.used[c.rule][uid] {
			c.Unused = append(c.Unused, item.Server+"/"+item.Name)
		}
	}
	for uid := range t.used[c.rule] {
		if uid.Type == typeTool {
			c.keep = append(c.keep, uid)
		}
	}
	slices.SortFunc(c.keep, compareUIDs)
	for _, uid := range c.keep {
		c.Keep = append(c.Keep, string(uid.ID))
	}
}

// Apply makes the changes in the text of one file of policies.
func Apply(text []byte, changes []Change) ([]byte, error) {
	changes = slices.Clone(changes)
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(b.rule.offset, a.rule.offset) }) // from the end
	for _, c := range changes {
		end, err := statementEnd(text, c.rule.offset)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", c.File, c.Line, err)
		}
		if c.Remove {
			for end < len(text) && text[end] != '\n' && (text[end] == ' ' || text[end] == '\t') {
				end++
			}
			if end < len(text) && text[end] == '\n' {
				end++
			}
			text = slices.Concat(text[:c.rule.offset], text[end:])
			continue
		}
		text = slices.Concat(text[:end-1], []byte(c.condition()), text[end-1:])
	}
	return text, nil
}

// condition narrows a policy to the tools that were called. What else it permits
// stays.
func (c *Change) condition() string {
	if c.rule.actions == words().actions["tools/call"].bit || c.rule.resource.types == typeBits[typeTool] {
		return "\nwhen { resource in " + list(c.keep) + " }"
	}
	if len(c.keep) == 0 {
		return "\nunless { resource is Tool }"
	}
	return "\nunless { resource is Tool && !(resource in " + list(c.keep) + ") }"
}

// statementEnd is the offset behind the semicolon that ends the policy at from.
func statementEnd(text []byte, from int) (int, error) {
	for i := from; i < len(text); i++ {
		switch text[i] {
		case ';':
			return i + 1, nil
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '/':
			if i+1 < len(text) && text[i+1] == '/' {
				for i < len(text) && text[i] != '\n' {
					i++
				}
			}
		}
	}
	return 0, fmt.Errorf("the policy does not end")
}
