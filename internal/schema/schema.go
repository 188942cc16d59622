// Package schema checks tool arguments against a tool's input schema. The schema
// comes from the server and is hostile until shown otherwise: nothing is fetched,
// and its size, depth and time are bounded.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
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
	maxBytes    = 256 << 10
	maxDepth    = 64
	maxPattern  = 4 << 10
	patternTime = 20 * time.Millisecond
	// maxProblems of one call are named; more help neither model nor person.
	maxProblems = 3
)

// Schema is a compiled input schema. It is safe for concurrent use.
type Schema struct{ compiled *jsonschema.Schema }

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
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noLoader{})
	c.UseRegexpEngine(compilePattern)
	const base = "gatehouse:input-schema"
	if err := c.AddResource(base, tree(doc.Root)); err != nil {
		return nil, fmt.Errorf("reading the input schema: %w", err)
	}
	compiled, err := c.Compile(base)
	if err != nil {
		return nil, fmt.Errorf("compiling the input schema: %w", err)
	}
	return &Schema{compiled}, nil
}

// Check reports whether arguments fit. The error names fields and what was
// expected, never a value: values may be secrets, and the error reaches the log.
func (s *Schema) Check(arguments wire.Value) error {
	var instance any = map[string]any{}
	if arguments.Exists() {
		instance = tree(arguments)
	}
	err := s.compiled.Validate(instance)
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
	}
	if path := k.KeywordPath(); len(path) > 0 {
		return "must satisfy " + strings.Join(path, "/")
	}
	return k.LocalizedString(message.NewPrinter(language.English))
}

// pattern is a regular expression of a schema. JSON Schema means ECMA-262, which
// has look-around; Go's engine is tried first because it is linear.
type pattern struct {
	source string
	linear *regexp.Regexp
	ecma   *regexp2.Regexp
}

func (p *pattern) String() string { return p.source }

// MatchString is false, so that the value is refused, when the pattern takes
// longer than patternTime: a server must not buy time with a bad pattern
// (CWE-1333).
func (p *pattern) MatchString(s string) bool {
	if p.linear != nil {
		return p.linear.MatchString(s)
	}
	ok, err := p.ecma.MatchString(s)
	return ok && err == nil
}

func compilePattern(source string) (jsonschema.Regexp, error) {
	if len(source) > maxPattern {
		return nil, fmt.Errorf("a pattern of over %d bytes", maxPattern)
	}
	if linear, err := regexp.Compile(source); err == nil {
		return &pattern{source: source, linear: linear}, nil
	}
	ecma, err := regexp2.Compile(source, regexp2.ECMAScript|regexp2.Unicode)
	if err != nil {
		return nil, err
	}
	ecma.MatchTimeout = patternTime
	return &pattern{source: source, ecma: ecma}, nil
}

// tree is a value as the validator wants it: maps, slices, strings, booleans,
// nil, and numbers as json.Number, so that none loses digits.
func tree(v wire.Value) any {
	switch v.Kind() {
	case '{':
		object := map[string]any{}
		for key, value := range v.Members() {
			object[key] = tree(value)
		}
		return object
	case '[':
		list := []any{}
		for item := range v.Items() {
			list = append(list, tree(item))
		}
		return list
	case '"':
		return v.Text()
	case '0':
		return json.Number(bytes.Clone(v.Raw()))
	case 't':
		return true
	case 'f':
		return false
	}
	return nil
}
