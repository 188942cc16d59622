package schema

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"time"

	"github.com/dlclark/regexp2"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	// maxSteps bounds the work of one check. A step is one value held against one
	// subschema and takes a few microseconds. References let a schema of a few
	// lines ask for 2^n of them.
	maxSteps = 1 << 17
	// itemsPerStep members or elements are gone through, enumPerStep values of an
	// enum compared, and workPerStep states of a linear pattern times bytes worked
	// off in one step.
	itemsPerStep = 16
	enumPerStep  = 256
	workPerStep  = 1024
	// patternTime bounds one match of a pattern that is not linear, and patternSum
	// all of them in one check.
	patternTime = 20 * time.Millisecond
	patternSum  = 100 * time.Millisecond
	maxPattern  = 4 << 10
)

var errTooMuch = errors.New("the input schema takes too long to check")

// budget is what is left for one check. The validator knows neither contexts nor
// bounds; it is stopped by a panic with errTooMuch that spending takes up.
type budget struct {
	perValue int // steps that comparing one value with the largest enum costs
	steps    int
	patterns time.Duration
}

// newBudget is for a schema whose largest enum holds so many values.
func newBudget(largest int) *budget { return &budget{perValue: largest / enumPerStep} }

// spending runs one check of something with so many values.
func (b *budget) spending(values int, check func() error) (err error) {
	b.steps, b.patterns = maxSteps, patternSum
	defer func() {
		if r := recover(); r == errTooMuch {
			err = errTooMuch
		} else if r != nil {
			panic(r)
		}
	}()
	b.spend(values * b.perValue)
	return check()
}

func (b *budget) spend(steps int) {
	if b.steps -= steps; b.steps < 0 {
		panic(errTooMuch)
	}
}

// Validate implements jsonschema.SchemaExt, as a keyword that stands in every
// subschema: it fails nothing and counts.
func (b *budget) Validate(_ *jsonschema.ValidatorContext, v any) {
	items := 0
	switch v := v.(type) {
	case map[string]any:
		items = len(v)
	case []any:
		items = len(v)
	}
	b.spend(1 + items/itemsPerStep + items*b.perValue)
}

// vocabulary puts the counting keyword into every subschema.
func (b *budget) vocabulary() *jsonschema.Vocabulary {
	yes := true
	return &jsonschema.Vocabulary{
		URL:    "gatehouse:budget",
		Schema: &jsonschema.Schema{Bool: &yes},
		Compile: func(*jsonschema.CompilerContext, map[string]any) (jsonschema.SchemaExt, error) {
			return b, nil
		},
	}
}

// pattern is a regular expression of a schema. JSON Schema means ECMA-262, which
// has look-around; Go's engine is tried first because it is linear.
type pattern struct {
	budget *budget
	source string
	linear *regexp.Regexp
	states int // of linear
	ecma   *regexp2.Regexp
}

func (p *pattern) String() string { return p.source }

// MatchString ends the check when the pattern takes longer than patternTime, so
// that the value is refused: a server must not buy time with a bad pattern
// (CWE-1333).
func (p *pattern) MatchString(s string) bool {
	if p.linear != nil {
		p.budget.spend(1 + p.states*len(s)/workPerStep)
		return p.linear.MatchString(s)
	}
	began := time.Now()
	ok, err := p.ecma.MatchString(s)
	if p.budget.patterns -= time.Since(began); err != nil || p.budget.patterns < 0 {
		panic(errTooMuch)
	}
	return ok
}

func (b *budget) compilePattern(source string) (jsonschema.Regexp, error) {
	if len(source) > maxPattern {
		return nil, fmt.Errorf("a pattern of over %d bytes", maxPattern)
	}
	if linear, err := regexp.Compile(source); err == nil {
		return &pattern{budget: b, source: source, linear: linear, states: states(source)}, nil
	}
	ecma, err := regexp2.Compile(source, regexp2.ECMAScript|regexp2.Unicode)
	if err != nil {
		return nil, err
	}
	ecma.MatchTimeout = patternTime
	return &pattern{budget: b, source: source, ecma: ecma}, nil
}

// states is the size of the program of a pattern that compiles: a few bytes of
// pattern can ask for a thousand repetitions.
func states(source string) int {
	tree, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return maxPattern
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return maxPattern
	}
	return len(program.Inst)
}
