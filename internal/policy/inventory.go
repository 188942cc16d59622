package policy

import (
	"fmt"
	"slices"

	"gatehouse/internal/approval"
	"gatehouse/internal/config"
	"gatehouse/internal/wire"
)

// Item is something that a server has and that was approved.
type Item struct {
	Server, Kind, Name string
	Claims             Claims
	arguments          []string // of a tool: names at the top of its input schema; nil: not known
}

// Label is an item for people, SERVER/NAME.
func (i Item) Label() string { return i.Kind + " " + i.Server + "/" + i.Name }

// Inventory is what the lock of a configuration holds of the servers of the
// configuration, sorted by server.
func Inventory(c *config.Config) ([]Item, error) {
	approved, err := approval.ReadApproved(c.Lock)
	if err != nil {
		return nil, err
	}
	kinds := map[approval.Kind]string{approval.KindTool: KindTool, approval.KindPrompt: KindPrompt, approval.KindTemplate: KindTemplate}
	var list []Item
	for _, s := range c.Servers {
		for _, a := range approved[s.ID] {
			kind := kinds[a.Kind]
			if kind == "" {
				continue
			}
			doc, err := wire.Scan(a.Definition, wire.DefaultLimits)
			if err != nil {
				return nil, fmt.Errorf("reading approvals: %s %s: %w", s.ID, a.Name, err)
			}
			item := Item{Server: s.ID, Kind: kind, Name: a.Name}
			if kind == KindTool {
				item.Claims, item.arguments = ClaimsOf(doc.Root), argumentNames(doc.Root)
			}
			list = append(list, item)
		}
	}
	return list, nil
}

// ClaimsOf reads the annotations of a tool's definition.
func ClaimsOf(tool wire.Value) Claims {
	annotations := tool.Get("annotations")
	claim := func(name string) Claim {
		switch annotations.Get(name).Kind() {
		case 't':
			return Yes
		case 'f':
			return No
		}
		return Unsaid
	}
	return Claims{claim("readOnlyHint"), claim("destructiveHint"), claim("idempotentHint"), claim("openWorldHint")}
}

func argumentNames(tool wire.Value) []string {
	properties := tool.At("inputSchema", "properties")
	if properties.Kind() != '{' {
		return nil
	}
	names := []string{}
	for name := range properties.Members() {
		names = append(names, escaped.Replace(name))
	}
	slices.Sort(names)
	return names
}
