package egress

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestReasons_are_documented(t *testing.T) {
	page, err := os.ReadFile("../../docs/egress.md")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Reason" {
			found++
			reason, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil || !strings.Contains(string(page), "`"+reason+"`") {
				t.Errorf("docs/egress.md does not explain %s (%v)", reason, err)
			}
		}
		return true
	})
	if found < 10 {
		t.Errorf("found %d reasons", found)
	}
}

// A server that tries the same in a loop makes few records, and the last one says how
// often it was; one that tries ever new things is not told apart any more.
func TestRefusals_do_not_fill_the_log(t *testing.T) {
	var times []int
	b, err := NewBroker(nil, func(e Event) error { times = append(times, e.Times); return nil }, Options{})
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(host string) {
		c := &connection{broker: b, host: host, to: netip.MustParseAddrPort("192.0.2.1:443")}
		c.refuse(AddressNotAllowed, "")
	}
	for range 12_345 {
		refuse("192.0.2.1")
	}
	if want := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100, 1000, 10_000}; !slices.Equal(times, want) {
		t.Errorf("recorded at %v, want %v", times, want)
	}
	times = nil
	for i := range 20 * maxRefusals {
		refuse(fmt.Sprint("host", i))
	}
	if len(times) > maxRefusals+20 || times[len(times)-1] != 10_000 || len(b.refusals) > maxRefusals+1 {
		t.Errorf("%d records of %d kinds, the last of %d", len(times), len(b.refusals), times[len(times)-1])
	}
}
