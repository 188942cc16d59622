// Package schema checks tool arguments against a tool's input schema. The schema
// comes from the server and is hostile until shown otherwise: nothing is fetched,
// and its size, depth and time are bounded.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"gatehouse/internal/wire"
)

const (
	// "Implementations SHOULD bound schema depth, the number of subschemas and
	// validation time" (MCP 2026-07-28, tools, security considerations). The
	// largest schemas of published servers are below 30 KB and 12 levels.
	maxBytes = 256 << 10
	maxDepth = 64
	// maxNumber bounds the length of a number and its decimal exponent. Numbers are
	// compared exactly, and 1e999999999 written out is a gigabyte.
	maxNumber = 1000
	// maxProblems of one call are named; more help neither model nor person.
	maxProblems = 3
)

// Schema is a compiled input schema. It is safe for concurrent use. Checks against
// one schema wait for each other, so that a schema that is slow by intent slows
// down its own tool only.
type Schema struct {
	mu       sync.Mutex // guards what follows
	compiled *jsonschema.Schema
	budget   *budget
}

// errRemote answers every reference that leaves the schema. "Implementations MUST
// NOT automatically dereference $ref values that point to network resources."
var errRemote = errors.New("a reference to another document is not followed")

type noLoader struct{}

func (noLoader) Load(string) (any, error) { return nil, errRemote }

// Compile prepares a schema for checking. Without "$schema" it is JSON Schema
// 2020-12, as MCP says; an unknown dialect is an error.
func Compile(raw []byte) (*Schema, error) {
	if len(raw) > maxBytes {
		return nil, fmt.Errorf("an input schema of over %d bytes", maxBytes)
	}
	doc, err := wire.Scan(raw, wire.Limits{Depth: maxDepth})
	if err != nil {
		return nil, fmt.Errorf("reading the input schema: %w", err)
	}
	root, err := newTree(doc.Root)
	if err != nil {
		return nil, fmt.Errorf("reading the input schema: %w", err)
	}
	b := newBudget(root.largest)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noLoader{})
	c.UseRegexpEngine(b.compilePattern)
	c.RegisterVocabulary(b.vocabulary())
	c.AssertVocabs()
	// The base has a path, so that a relative reference is one to another document
	// too: with an opaque one the validator takes it for the schema itself.
	const base = "gatehouse://schema/input"
	if err := c.AddResource(base, root.top); err != nil {
		return nil, fmt.Errorf("reading the input schema: %w", err)
	}
	var compiled *jsonschema.Schema
	// A schema may bring a dialect of its own, which is then checked with itself.
	err = b.spending(0, func() error {
		compiled, err = c.Compile(base)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("compiling the input schema: %w", err)
	}
	return &Schema{compiled: compiled, budget: b}, nil
}

// Check reports whether arguments fit. The error names fields and what was
// expected, never a value: values may be secrets, and the error reaches the log.
func (s *Schema) Check(arguments wire.Value) error {
	instance := &tree{top: map[string]any{}, values: 1}
	if arguments.Exists() {
		var err error
		if instance, err = newTree(arguments); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.budget.spending(instance.values, func() error { return s.compiled.Validate(instance.top) })
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		return errors.New(strings.Join(problems(invalid, nil), "; "))
	}
	return err
}

func problems(e *jsonschema.ValidationError, list []string) []string {
	for _, cause := range e.Causes {
		list = problems(cause, list)
	}
	if len(e.Causes) > 0 || len(list) >= maxProblems {
		return list
	}
	where := "/" + strings.Join(e.InstanceLocation, "/")
	return append(list, fmt.Sprintf("%s: %s", where, expectation(e.ErrorKind)))
}

// expectation describes what a schema wants without the value it got.
func expectation(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Required:
		return "missing " + strings.Join(k.Missing, ", ")
	case *kind.AdditionalProperties:
		return "unexpected " + strings.Join(k.Properties, ", ")
	case *kind.Type:
		return fmt.Sprintf("must be %s, is %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.Enum, *kind.Const, *kind.Format, *kind.Pattern:
		return "must satisfy " + strings.Join(k.KeywordPath(), "/")
	case *kind.FalseSchema:
		return "must not be given"
	case *kind.Not:
		return "must satisfy not"
	}
	if path := k.KeywordPath(); len(path) > 0 {
		return "must satisfy " + strings.Join(path, "/")
	}
	return k.LocalizedString(message.NewPrinter(language.English))
}

// tree is a value as the validator wants it: maps, slices, strings, booleans, nil,
// and numbers as json.Number, so that none loses digits.
type tree struct {
	top     any
	values  int // in all
	largest int // how many of them one member named enum or const holds at most
	err     error
}

func newTree(v wire.Value) (*tree, error) {
	t := &tree{}
	t.top = t.value(v)
	return t, t.err
}

func (t *tree) value(v wire.Value) any {
	t.values++
	switch v.Kind() {
	case '{':
		object := map[string]any{}
		for key, value := range v.Members() {
			object[key] = t.member(key, value)
		}
		return object
	case '[':
		list := []any{}
		for item := range v.Items() {
			list = append(list, t.value(item))
		}
		return list
	case '"':
		return v.Text()
	case '0':
		return t.number(v.Raw())
	case 't':
		return true
	case 'f':
		return false
	}
	return nil
}

func (t *tree) member(key string, v wire.Value) any {
	before := t.values
	value := t.value(v)
	if key == "enum" || key == "const" {
		t.largest = max(t.largest, t.values-before)
	}
	return value
}

func (t *tree) number(literal []byte) any {
	if len(literal) <= maxNumber && bytes.IndexByte(literal, 'e') < 0 && bytes.IndexByte(literal, 'E') < 0 {
		return json.Number(literal)
	}
	_, exponent, _ := bytes.Cut(bytes.ToLower(literal), []byte{'e'})
	n, err := strconv.Atoi(string(exponent))
	if len(literal) > maxNumber || len(exponent) > 0 && err != nil || n > maxNumber || n < -maxNumber {
		t.err = fmt.Errorf("a number of over %d digits", maxNumber)
		return json.Number("0")
	}
	return json.Number(literal)
}
