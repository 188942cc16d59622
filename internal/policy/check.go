package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"gatehouse/internal/identity"
)

// Kinds of Finding.
const (
	Never     = "never"     // the policy can apply to nothing
	Shadowed  = "shadowed"  // another policy makes it pointless
	Unknown   = "unknown"   // it names something that is not there
	Unreached = "unreached" // nobody may use something that was approved
)

// Finding is something about policies that are valid and perhaps not meant.
type Finding struct {
	Kind    string `json:"kind"`
	Policy  string `json:"policy,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Message string `json:"message"`
}

func (f Finding) String() string {
	if f.File == "" {
		return f.Kind + ": " + f.Message
	}
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Kind, f.Message)
}

// Check looks for policies that are not what somebody meant, and for servers and
// items that no policy lets anybody use. Nothing is found out about what the
// inventory does not hold.
func (e *Engine) Check(inventory []Item) []Finding {
	c := checker{Engine: e, inventory: inventory}
	for _, r := range e.rules {
		if c.unknown(r) || c.never(r) {
			continue
		}
		c.shadowed(r)
	}
	for _, s := range sorted(e.servers) {
		c.unreachedServer(s)
	}
	for _, item := range inventory {
		c.unreached(item)
	}
	return c.findings
}

func sorted(servers map[string]*thing) []*thing {
	var list []*thing
	for _, s := range servers {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *thing) int { return cmp.Compare(a.server, b.server) })
	return list
}

type checker struct {
	*Engine
	inventory []Item
	findings  []Finding
}

func (c *checker) find(r *rule, kind, format string, args ...any) {
	f := Finding{Kind: kind, Message: fmt.Sprintf(format, args...)}
	if r != nil {
		f.Policy, f.File, f.Line = r.id, r.file, r.line
	}
	c.findings = append(c.findings, f)
}

// unknown finds principals, servers, tools and arguments that a policy names and that are not
// there: most likely they are mistyped.
func (c *checker) unknown(r *rule) bool {
	if p := r.principal.entity; (p.Type == typeUser || p.Type == typeAgent) && !strings.Contains(string(p.ID), ":") {
		c.find(r, Unknown, "%s is nobody; ids of principals begin with user:, local:, key: and the like, as in the audit log", p)
		return true
	}
	entity := r.resource.entity
	server, isOne := serverOf(entity)
	if !isOne {
		c.find(r, Unknown, "%s is nothing; write SERVER/NAME, with the name as the server has it", entity)
		return true
	}
	if server == "" {
		return false
	}
	if c.servers[server] == nil {
		c.find(r, Unknown, "there is no server %q in the configuration", server)
		return true
	}
	if entity.Type != typeTool && entity.Type != "Prompt" && entity.Type != "Template" {
		return false
	}
	item, found := c.item(entity)
	if !found && c.knows(server) {
		c.find(r, Unknown, "%s is not among what is approved of the server", entity)
		return true
	}
	if item.arguments != nil {
		c.unknownArguments(r, item)
	}
	return false
}

func (c *checker) item(uid types.EntityUID) (Item, bool) {
	for _, item := range c.inventory {
		if thingUID(item.Kind, item.Server, item.Name) == uid {
			return item, true
		}
	}
	return Item{}, false
}

// knows reports whether the inventory holds anything of a server.
func (c *checker) knows(server string) bool {
	return slices.ContainsFunc(c.inventory, func(i Item) bool { return i.Server == server })
}

func (c *checker) unknownArguments(r *rule, item Item) {
	seen := map[string]bool{}
	for _, condition := range r.ast.Conditions {
		ast.Inspect(ast.NewNode(condition.Body), func(n ast.IsNode) bool {
			has, ok := n.(ast.NodeTypeHasTag)
			if !ok {
				return true
			}
			value, ok := has.Right.(ast.NodeValue)
			name, isText := value.Value.(types.String)
			if !ok || !isText || seen[string(name)] {
				return true
			}
			seen[string(name)] = true
			first, _, _ := strings.Cut(string(name), ".")
			if !slices.Contains(item.arguments, first) {
				c.find(r, Unknown, "the tool has no argument %q; it has %s", first, strings.Join(item.arguments, ", "))
			}
			return true
		})
	}
}

// somebody stands for all principals where nothing about them is known.
var somebody = &identity.Principal{ID: "anybody", Kind: identity.User}

// never finds policies that can apply to nothing: their condition holds never, or
// for none of the things that are known to be there.
func (c *checker) never(r *rule) bool {
	w := &world{engine: c.Engine, request: &Request{Principal: somebody}, subject: &subject{}, thing: gatewayThing}
	if r.formula.outcomes(w, nothing)&canHold == 0 {
		c.find(r, Never, "its conditions can never hold")
		return true
	}
	if r.ready || !c.onlyInventory(r) { // a ready policy waits for what gets its labels
		return false
	}
	for _, item := range c.inventory {
		t, a := c.used(item)
		if r.isFor(t, a) && r.formula.outcomes(c.unknownWorld(t, a), noPrincipal|ofContext)&canHold != 0 {
			return false
		}
	}
	c.find(r, Never, "it applies to nothing that is approved now")
	return true
}

// onlyInventory reports whether all that a policy is about would be in the
// inventory, if it were there.
func (c *checker) onlyInventory(r *rule) bool {
	listed := words().actions["tools/call"].bit | words().actions["prompts/get"].bit
	if len(c.inventory) == 0 || r.actions&^listed != 0 {
		return false
	}
	server, isOne := serverOf(r.resource.entity)
	if isOne && server != "" {
		return c.knows(server)
	}
	for id := range c.servers {
		if !c.knows(id) {
			return false
		}
	}
	return true
}

// isFor reports whether the scope of a policy fits a thing and an action, whoever
// the principal is.
func (r *rule) isFor(t *thing, a *action) bool {
	if r.actions&a.bit == 0 || !r.resource.fits(t.kind) {
		return false
	}
	uid := r.resource.entity
	switch {
	case uid.IsZero(), uid == t.entity.UID:
		return true
	case r.resource.exact:
		return false
	}
	return t.entity.Parents.Contains(uid) || uid.Type == typeGateway
}

func (c *checker) used(i Item) (*thing, *action) {
	t := newThing(thingKey{i.Kind, i.Server, i.Name, i.Claims}, c.settings[i.Server], c.index)
	return t, words().action(usedBy[i.Kind])
}

// unknownWorld is one in which only the resource is known.
func (c *checker) unknownWorld(t *thing, a *action) *world {
	s := &subject{entity: types.Entity{UID: types.NewEntityUID(typeUser, types.String(somebody.ID))}}
	return &world{engine: c.Engine, request: &Request{Principal: somebody}, subject: s, thing: t, action: a,
		question: types.Request{Principal: s.entity.UID, Action: a.uid, Resource: t.entity.UID}}
}

// shadowed finds policies that change nothing because of another one.
func (c *checker) shadowed(r *rule) {
	for _, other := range c.rules {
		if other == r || other.report || !other.covers(r) {
			continue
		}
		switch {
		case r.permit && !other.permit:
			c.find(r, Shadowed, "policy %s forbids all that it permits", other.id)
			return
		case r.permit != other.permit:
		case r.covers(other) && other.number > r.number: // the same twice; the first one stays
		default:
			c.find(r, Shadowed, "policy %s does all that it does", other.id)
			return
		}
	}
}

// covers reports whether r applies to whatever another policy applies to. It may
// miss that, and never invents it.
func (r *rule) covers(other *rule) bool {
	return r.actions&other.actions == other.actions && r.principal.covers(other.principal) && r.resource.covers(other.resource) &&
		(len(r.ast.Conditions) == 0 || sameConditions(r.ast.Conditions, other.ast.Conditions))
}

func (s scope) covers(other scope) bool {
	if s.types != 0 && other.types != s.types && typeBits[other.entity.Type] != s.types {
		return false
	}
	switch {
	case s.entity.IsZero(), s == other:
		return true
	case s.exact:
		return other.exact && s.entity == other.entity
	case s.entity == other.entity:
		return true
	}
	server, isOne := serverOf(other.entity)
	switch s.entity.Type {
	case typeGateway:
		return typeBits[other.entity.Type]&^(typeBits[typeUser]|typeBits[typeAgent]) != 0
	case typeServer:
		return isOne && other.entity.Type != typeServer && server == string(s.entity.ID)
	}
	return false
}

func sameConditions(a, b []ast.ConditionType) bool {
	return slices.EqualFunc(a, b, func(a, b ast.ConditionType) bool {
		return a.Condition == b.Condition && ast.Equal(ast.NewNode(a.Body), ast.NewNode(b.Body))
	})
}

func (c *checker) unreachedServer(s *thing) {
	for k := range c.index.reach {
		if k.server == "" || k.server == s.server {
			return
		}
	}
	c.find(nil, Unreached, "no policy permits anybody to use the server %s", s.server)
}

// unreached finds an item that nobody could be allowed to use.
func (c *checker) unreached(i Item) {
	t, a := c.used(i)
	w := c.unknownWorld(t, a)
	var about []*rule
	for _, r := range c.rules {
		// A forbid for some principals says nothing about the others.
		if r.isFor(t, a) && (r.permit || r.principal == scope{}) {
			about = append(about, r)
		}
	}
	if !w.couldAllow(about, noPrincipal|ofContext) {
		c.find(nil, Unreached, "nobody may use the %s", i.Label())
	}
}
