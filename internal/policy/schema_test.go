package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// methodConstants are the methods and notifications that the reader of messages
// knows, of all revisions.
func methodConstants(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../wire/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no source of wire: %v", err)
	}
	found := map[string]string{}
	for _, name := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != len(spec.Names) {
				return true
			}
			for i, name := range spec.Names {
				value, isText := spec.Values[i].(*ast.BasicLit)
				if isText && (strings.HasPrefix(name.Name, "Method") || strings.HasPrefix(name.Name, "Notify")) {
					found[name.Name], _ = strconv.Unquote(value.Value)
				}
			}
			return true
		})
	}
	return found
}

func Test_every_method_has_an_action(t *testing.T) {
	methods := Methods()
	constants := methodConstants(t)
	if len(constants) < 30 {
		t.Fatalf("found %d methods only", len(constants))
	}
	known := map[string]bool{}
	for name, method := range constants {
		known[method] = true
		if !slices.Contains(methods, method) {
			t.Errorf("wire.%s: the schema has no action %q", name, method)
		}
	}
	for _, method := range methods {
		if !known[method] {
			t.Errorf("the schema has an action %q, which is no method", method)
		}
	}
}

func Test_actions_fit_into_a_set(t *testing.T) {
	seen := uint64(0)
	for name, a := range words().actions {
		if a.bit == 0 || seen&a.bit != 0 {
			t.Errorf("%s has no bit of its own", name)
		}
		if a.resources == 0 {
			t.Errorf("%s applies to nothing", name)
		}
		if a.bit&(words().use|words().implied) == 0 {
			t.Errorf("%s is in no group", name)
		}
		seen |= a.bit
	}
}
