package policy

import (
	"fmt"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

// Results of a policy in an Explanation.
const (
	Applies       = "applies"
	DoesNotApply  = "does not apply"
	CannotBeRead  = "could not be evaluated"
	Follows       = "permits some use, from which this follows"
	IsForAnother  = "is for another"
	reportsSuffix = " (only reports)"
)

// Explanation says how a decision came about.
type Explanation struct {
	Decision Decision
	// Policies are those whose scope fits, in the order of the files; where nothing
	// permits, then permits that miss by one part of their scope.
	Policies []Considered
}

// Considered is one policy and what it came to.
type Considered struct {
	ID     string  `json:"id"`
	File   string  `json:"file"`
	Line   int     `json:"line"`
	Effect string  `json:"effect"`
	Result string  `json:"result"`
	Detail string  `json:"detail,omitempty"`
	Values []Value `json:"values,omitempty"`
}

// Value is what an expression of a policy came to.
type Value struct {
	Expression string `json:"expression"`
	Value      string `json:"value"` // as Cedar writes it
}

// maxNear bounds the policies that are named because they nearly fit.
const maxNear = 5

// Explain decides a request and says why.
func (e *Engine) Explain(r *Request) Explanation {
	x := Explanation{Decision: e.Decide(r)}
	w, err := e.world(r)
	if err != nil {
		return x
	}
	rules := w.candidates()
	for _, rule := range rules {
		x.Policies = append(x.Policies, w.considered(rule))
	}
	if w.action.bit&words().implied != 0 {
		if by := w.reachedBy(); by != nil {
			c := by.considered()
			c.Result = Follows
			x.Policies = append(x.Policies, c)
		}
	}
	if len(x.Decision.Policies) == 0 {
		x.Policies = append(x.Policies, w.near()...)
	}
	return x
}

func (r *rule) considered() Considered {
	c := Considered{ID: r.id, File: r.file, Line: r.line, Effect: "forbid"}
	if r.permit {
		c.Effect = "permit"
	}
	return c
}

func (w *world) considered(r *rule) Considered {
	c := r.considered()
	c.Result = Applies
	if r.condition != nil {
		holds, err := r.condition.holds(w)
		switch {
		case err != nil:
			c.Result, c.Detail = CannotBeRead, err.Error()
		case !holds:
			c.Result = DoesNotApply
		}
		c.Values = w.values(r)
	}
	if r.report {
		c.Result += reportsSuffix
	}
	return c
}

// near are permits that would fit if one thing about the request were another.
func (w *world) near() []Considered {
	var list []Considered
	for _, r := range w.engine.rules {
		if !r.permit || len(list) == maxNear {
			continue
		}
		var misses []string
		if !r.principal.isIn(w.subject.entity) {
			misses = append(misses, "principal")
		}
		if r.actions&w.action.bit == 0 {
			misses = append(misses, "action")
		}
		if !r.isFor(w.thing, &action{bit: r.actions}) {
			misses = append(misses, "resource")
		}
		if len(misses) == 1 {
			c := r.considered()
			c.Result = IsForAnother + " " + misses[0]
			list = append(list, c)
		}
	}
	return list
}

// isIn reports whether an entity fits the scope.
func (s scope) isIn(e types.Entity) bool {
	return s.fits(typeBits[e.UID.Type]) &&
		(s.entity.IsZero() || s.entity == e.UID || !s.exact && e.Parents.Contains(s.entity))
}

// values are what the expressions of a policy's conditions come to that name
// something of the request.
func (w *world) values(r *rule) []Value {
	env := eval.Env{Entities: w, Principal: w.question.Principal, Action: w.question.Action, Resource: w.question.Resource, Context: w.question.Context}
	var list []Value
	seen := map[string]bool{}
	for _, condition := range r.ast.Conditions {
		ast.Inspect(ast.NewNode(condition.Body), func(n ast.IsNode) bool {
			name, ok := written(n)
			if !ok {
				return true
			}
			if seen[name] {
				return false
			}
			seen[name] = true
			list = append(list, Value{name, shown(eval.Eval(n, env))})
			return false
		})
	}
	return list
}

// maxShown bounds a value in an explanation, in bytes.
const maxShown = 300

func shown(v types.Value, err error) string {
	if err != nil {
		return "absent"
	}
	text := string(v.MarshalCedar())
	if len(text) > maxShown {
		return strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return text
}

// written is an expression that names something of the request, as it stands in a
// policy; false for anything else.
func written(n ast.IsNode) (string, bool) {
	switch n := n.(type) {
	case ast.NodeTypeVariable:
		return string(n.Name), true
	case ast.NodeTypeAccess:
		if of, ok := written(n.Arg); ok {
			return of + "." + string(n.Value), true
		}
	case ast.NodeTypeHas:
		if of, ok := written(n.Arg); ok {
			return of + " has " + string(n.Value), true
		}
	case ast.NodeTypeGetTag:
		return writtenTag("getTag", n.BinaryNode)
	case ast.NodeTypeHasTag:
		return writtenTag("hasTag", n.BinaryNode)
	}
	return "", false
}

func writtenTag(method string, n ast.BinaryNode) (string, bool) {
	of, ok := written(n.Left)
	name, isValue := n.Right.(ast.NodeValue)
	if !ok || !isValue {
		return "", false
	}
	return fmt.Sprintf("%s.%s(%s)", of, method, name.Value.MarshalCedar()), true
}
