package policy

import (
	"errors"
	"iter"

	"github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// rule is one policy, ready to be found and evaluated.
type rule struct {
	number int // in the order of the files
	id     string
	file   string // as people know it
	line   int
	offset int // of the first byte in the file
	ready  bool
	reason string
	permit bool
	report bool     // refuses nothing, is only reported
	scopes []string // that a token may be asked to have, so that the policy applies

	principal, resource scope
	actions             uint64

	ast       *ast.Policy
	condition *condition // nil: always
	formula   formula    // the same for partial knowledge
}

// scope is the part of a policy that says for which principals or resources it is.
type scope struct {
	exact  bool            // only the entity itself, not what is in it
	entity types.EntityUID // zero: any
	types  uint16          // bits of typeBits; 0: any
}

func scopeOf(node ast.IsScopeNode) scope {
	switch n := node.(type) {
	case ast.ScopeTypeEq:
		return scope{exact: true, entity: n.Entity}
	case ast.ScopeTypeIn:
		return scope{entity: n.Entity}
	case ast.ScopeTypeIs:
		return scope{types: typeBits[n.Type]}
	case ast.ScopeTypeIsIn:
		return scope{entity: n.Entity, types: typeBits[n.Type]}
	}
	return scope{}
}

// key is what the index knows the entity of a scope by.
func (s scope) key() scopeKey { return scopeKey{s.exact, s.entity} }

type scopeKey struct {
	exact  bool
	entity types.EntityUID
}

func actionsOf(node ast.IsActionScopeNode, v *vocabulary) uint64 {
	switch n := node.(type) {
	case ast.ScopeTypeEq:
		// A group itself is never the action of a request.
		if a := v.actions[string(n.Entity.ID)]; a != nil && a.uid == n.Entity {
			return a.bit
		}
		return 0
	case ast.ScopeTypeIn:
		return v.groups[n.Entity]
	case ast.ScopeTypeInSet:
		var all uint64
		for _, uid := range n.Entities {
			all |= v.groups[uid]
		}
		return all
	}
	return ^uint64(0)
}

// condition is a Boolean expression, compiled. It is a permit for anything, so that
// the authorizer of Cedar says whether it holds.
type condition struct{ policy *cedar.Policy }

func compile(conditions ...ast.ConditionType) *condition {
	permit := ast.Permit()
	permit.Conditions = conditions
	return &condition{cedar.NewPolicyFromAST((*cedarast.Policy)(permit))}
}

// All makes a condition what the authorizer of Cedar iterates over.
func (c *condition) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) { yield("", c.policy) }
}

// holds evaluates the condition in a world.
func (c *condition) holds(w *world) (bool, error) {
	w.err = nil
	decision, diagnostic := cedar.Authorize(c, w, w.question)
	if len(diagnostic.Errors) > 0 {
		return false, errors.New(diagnostic.Errors[0].Message)
	}
	if w.err != nil {
		return false, w.err
	}
	return decision == cedar.Allow, nil
}

// candidates are policies whose scopes fit a request, as the authorizer of Cedar
// iterates over them: their conditions, all at once because a call costs as much as
// several conditions.
type candidates struct {
	w      *world
	rules  []*rule
	failed map[*rule]error // what the evaluator cannot see
}

func (c *candidates) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] { return c.each }

func (c *candidates) each(yield func(cedar.PolicyID, *cedar.Policy) bool) {
	for _, r := range c.rules {
		if r.condition == nil {
			continue
		}
		c.w.err = nil
		if !yield(cedar.PolicyID(r.id), r.condition.policy) {
			return
		}
		if c.w.err != nil { // the policy was evaluated within yield
			if c.failed == nil {
				c.failed = map[*rule]error{}
			}
			c.failed[r] = c.w.err
		}
	}
}
