package policy

import (
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Not everything is known where a list is made, where a log is read, or where
// policies are checked without a request. A formula is a condition that can be
// evaluated then: it says which outcomes are possible.

// outcomes is a set of what an expression may come to.
type outcomes uint8

const (
	canHold outcomes = 1 << iota
	canNot
	canFail

	anything = canHold | canNot | canFail
)

// unknown is a set of what is not known.
type unknown uint16

const (
	noArguments unknown = 1 << iota // also what is understood of them
	noTime
	noState // score and conversation
	noAddress
	noClientName
	noCredential // means, issuer, scopes
	noPrincipal  // attributes and teams
	noName       // of the principal, which an id does not give away
	noResource   // attributes
	noUse        // which thing of a server, and by which method; what all of them may have is known

	ofContext = noArguments | noTime | noState | noAddress | noClientName | noCredential
	nothing   = ^unknown(0)
)

var contextParts = map[types.String]unknown{
	"arguments": noArguments, "time": noTime, "score": noState, "conversation": noState,
	"address": noAddress, "clientName": noClientName, "means": noCredential, "issuer": noCredential, "scopes": noCredential,
}

// configured are the attributes of a resource that the configuration says, and not its
// server.
var configured = map[types.String]bool{"server": true, "labels": true, "teams": true, "environment": true}

// formula is a Boolean expression under partial knowledge.
type formula interface {
	outcomes(w *world, without unknown) outcomes
}

// newFormula is the conjunction of the conditions of a policy.
func newFormula(conditions []ast.ConditionType) formula {
	var all formula = constant(canHold)
	for i, c := range conditions {
		f := formulaOf(c.Body)
		if c.Condition == ast.ConditionUnless {
			f = negation{f}
		}
		if i == 0 {
			all = f
			continue
		}
		all = conjunction{all, f}
	}
	return all
}

func formulaOf(node ast.IsNode) formula {
	switch n := node.(type) {
	case ast.NodeTypeAnd:
		return conjunction{formulaOf(n.Left), formulaOf(n.Right)}
	case ast.NodeTypeOr:
		return disjunction{formulaOf(n.Left), formulaOf(n.Right)}
	case ast.NodeTypeNot:
		return negation{formulaOf(n.Arg)}
	case ast.NodeTypeIfThenElse:
		return choice{formulaOf(n.If), formulaOf(n.Then), formulaOf(n.Else)}
	}
	return leaf{needs(node), compile(ast.ConditionType{Condition: ast.ConditionWhen, Body: node})}
}

// needs is what must be known to evaluate an expression.
func needs(node ast.IsNode) (all unknown) {
	ast.Inspect(ast.NewNode(node), func(n ast.IsNode) bool {
		switch n := n.(type) {
		case ast.NodeTypeAccess:
			if isVariable(n.Arg, "context") {
				all |= contextParts[n.Value]
				return false
			}
			if isVariable(n.Arg, "resource") && configured[n.Value] {
				all |= noResource
				return false
			}
			if isVariable(n.Arg, "principal") && n.Value == "name" {
				all |= noPrincipal | noName
				return false
			}
		case ast.NodeTypeHas:
			if isVariable(n.Arg, "context") {
				if n.Value == "address" {
					all |= noAddress
				}
				return false // everything else is always there
			}
		case ast.NodeTypeVariable:
			switch n.Name {
			case "context":
				all |= ofContext
			case "principal":
				all |= noPrincipal
			case "resource":
				all |= noResource | noUse
			case "action":
				all |= noUse
			}
		}
		return true
	})
	return all
}

func isVariable(node ast.IsNode, name types.String) bool {
	v, ok := node.(ast.NodeTypeVariable)
	return ok && v.Name == name
}

type constant outcomes

func (c constant) outcomes(*world, unknown) outcomes { return outcomes(c) }

// leaf is an expression that is known whole or not at all.
type leaf struct {
	needs     unknown
	condition *condition
}

func (l leaf) outcomes(w *world, without unknown) outcomes {
	if l.needs&without != 0 {
		return anything
	}
	holds, err := l.condition.holds(w)
	switch {
	case err != nil:
		return canFail
	case holds:
		return canHold
	}
	return canNot
}

type negation struct{ of formula }

func (n negation) outcomes(w *world, without unknown) outcomes {
	of := n.of.outcomes(w, without)
	out := of & canFail
	if of&canHold != 0 {
		out |= canNot
	}
	if of&canNot != 0 {
		out |= canHold
	}
	return out
}

type conjunction struct{ left, right formula }

func (c conjunction) outcomes(w *world, without unknown) outcomes {
	left := c.left.outcomes(w, without)
	out := left &^ canHold
	if left&canHold != 0 {
		out |= c.right.outcomes(w, without)
	}
	return out
}

type disjunction struct{ left, right formula }

func (d disjunction) outcomes(w *world, without unknown) outcomes {
	left := d.left.outcomes(w, without)
	out := left &^ canNot
	if left&canNot != 0 {
		out |= d.right.outcomes(w, without)
	}
	return out
}

type choice struct{ condition, yes, no formula }

func (c choice) outcomes(w *world, without unknown) outcomes {
	condition := c.condition.outcomes(w, without)
	out := condition & canFail
	if condition&canHold != 0 {
		out |= c.yes.outcomes(w, without)
	}
	if condition&canNot != 0 {
		out |= c.no.outcomes(w, without)
	}
	return out
}
