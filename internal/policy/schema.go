package policy

import (
	_ "embed"
	"maps"
	"slices"
	"sync"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
)

//go:embed schema.cedarschema
var schemaText []byte

// Schema is the text of the schema, for people and editors.
func Schema() []byte { return slices.Clone(schemaText) }

// SchemaJSON is the schema in the form that programs read.
func SchemaJSON() ([]byte, error) {
	var s schema.Schema
	if err := s.UnmarshalCedar(schemaText); err != nil {
		return nil, err
	}
	return s.MarshalJSON()
}

// Kinds of resources, as Request.Kind has them.
const (
	KindGateway  = "gateway" // what the gateway answers where servers are joined
	KindServer   = "server"
	KindTool     = "tool"
	KindResource = "resource"
	KindTemplate = "template"
	KindPrompt   = "prompt"
)

// Entity types of the schema.
const (
	typeTeam    types.EntityType = "Team"
	typeClient  types.EntityType = "Client"
	typeUser    types.EntityType = "User"
	typeAgent   types.EntityType = "Agent"
	typeGateway types.EntityType = "Gateway"
	typeServer  types.EntityType = "Server"
	typeTool    types.EntityType = "Tool"
	typeAction  types.EntityType = "Action"
)

var kindTypes = map[string]types.EntityType{
	KindGateway: typeGateway, KindServer: typeServer, KindTool: typeTool,
	KindResource: "Resource", KindTemplate: "Template", KindPrompt: "Prompt",
}

// typeBits number the types of principals and resources, for sets of them.
var typeBits = map[types.EntityType]uint16{
	typeUser: 1 << 0, typeAgent: 1 << 1,
	typeGateway: 1 << 2, typeServer: 1 << 3, typeTool: 1 << 4, "Resource": 1 << 5, "Template": 1 << 6, "Prompt": 1 << 7,
}

// other is the action of a method that the schema does not name.
const other = "other"

// vocabulary is the schema as it is used.
type vocabulary struct {
	schema    *resolved.Schema
	validator *validate.Validator
	actions   map[string]*action               // by method
	groups    map[types.EntityUID]uint64       // actions in each action, itself included
	entities  map[types.EntityUID]types.Entity // of the actions
	use       uint64                           // what is permitted for its own sake
	implied   uint64                           // what follows from being permitted to use something
	useKinds  uint16                           // types that "use" applies to
}

// action is one action that requests have.
type action struct {
	uid       types.EntityUID
	bit       uint64
	resources uint16 // types it applies to
	follows   uint64 // what must be permitted for this to follow, if it is implied
	kinds     uint16 // of what that is used
}

// announces are the notifications that are about one kind of thing, and how things of
// that kind are used: who may use no tool hears nothing of tools.
var announces = map[string][]string{
	"notifications/tools/list_changed":     {"tools/call"},
	"notifications/prompts/list_changed":   {"prompts/get", "completion/complete"},
	"notifications/resources/list_changed": {"resources/read", "resources/subscribe", "resources/unsubscribe", "completion/complete"},
	"notifications/resources/updated":      {"resources/read", "resources/subscribe", "resources/unsubscribe"},
}

// words reads the schema, once and only if there are policies.
var words = sync.OnceValue(func() *vocabulary {
	var text schema.Schema
	if err := text.UnmarshalCedar(schemaText); err != nil {
		panic("policy: internal error: " + err.Error())
	}
	s, err := text.Resolve()
	if err != nil {
		panic("policy: internal error: " + err.Error())
	}
	v := &vocabulary{
		schema: s, validator: validate.New(s), actions: map[string]*action{},
		groups: map[types.EntityUID]uint64{}, entities: map[types.EntityUID]types.Entity{},
	}
	next := uint64(1)
	for _, uid := range slices.SortedFunc(maps.Keys(s.Actions), compareUIDs) {
		a := s.Actions[uid]
		v.entities[uid] = types.Entity{UID: uid, Parents: types.NewEntityUIDSet(v.ancestors(uid)...)}
		if a.AppliesTo == nil {
			continue
		}
		known := &action{uid: uid, bit: next}
		for _, t := range a.AppliesTo.Resources {
			known.resources |= typeBits[t]
		}
		v.actions[string(uid.ID)] = known
		v.addTo(uid, known.bit)
		next <<= 1
	}
	group := func(name types.String) uint64 { return v.groups[types.NewEntityUID(typeAction, name)] }
	v.use = group("use") | group("ask") | group(other)
	v.implied = group("connect") | group("list") | group("follow") | group("notify")
	for _, a := range v.actions {
		if a.bit&group("use") != 0 {
			v.useKinds |= a.resources
		}
	}
	for method, a := range v.actions {
		a.follows, a.kinds = v.use, v.useKinds
		if uses, ok := announces[method]; ok {
			a.follows, a.kinds = 0, 0
			for _, use := range uses {
				a.follows |= v.actions[use].bit
				a.kinds |= v.actions[use].resources
			}
		}
	}
	return v
})

// ancestors are the groups that an action is in.
func (v *vocabulary) ancestors(uid types.EntityUID) []types.EntityUID {
	var all []types.EntityUID
	for parent := range v.schema.Actions[uid].Entity.Parents.All() {
		all = append(append(all, parent), v.ancestors(parent)...)
	}
	return all
}

// addTo puts an action into the group uid and all groups around it.
func (v *vocabulary) addTo(uid types.EntityUID, bit uint64) {
	v.groups[uid] |= bit
	for parent := range v.schema.Actions[uid].Entity.Parents.All() {
		v.addTo(parent, bit)
	}
}

func compareUIDs(a, b types.EntityUID) int {
	if a.Type != b.Type {
		if a.Type < b.Type {
			return -1
		}
		return 1
	}
	switch {
	case a.ID < b.ID:
		return -1
	case a.ID > b.ID:
		return 1
	}
	return 0
}

// Methods are the methods for which the schema has an action of their own.
func Methods() []string {
	var list []string
	for name := range words().actions {
		if name != other {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// action finds the action of a method.
func (v *vocabulary) action(method string) *action {
	if a, ok := v.actions[method]; ok && method != other {
		return a
	}
	return v.actions[other]
}
