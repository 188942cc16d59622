//go:build !race

package rules

import (
	"fmt"
	"testing"

	"gatehouse/internal/rule"
)

// A clean text costs no memory for each rule: with every rule four times there are no
// more allocations than with every rule once. Under the race detector pools forget, so
// there it says nothing.
func Test_memory_does_not_grow_with_the_rules(t *testing.T) {
	for _, surface := range []rule.Surface{rule.ToolResult, rule.ToolDefinition, rule.Arguments} {
		var many []rule.Rule
		for n := range 4 {
			for _, r := range reading(surface) {
				r.ID = fmt.Sprint(r.ID, n)
				many = append(many, r)
			}
		}
		subject := rule.Subject{Surface: surface, Text: clean}
		allocations := func(reader *rule.Reader) float64 {
			return testing.AllocsPerRun(200, func() {
				if found, err := reader.Detect(subject, nil); err != nil || len(found) > 0 {
					t.Fatal(found, err)
				}
			})
		}
		if once, fourTimes := allocations(readers[surface]), allocations(rule.NewReader(many)); fourTimes > once {
			t.Errorf("%v: %v allocations with %d rules, %v with %d", surface, once, len(many)/4, fourTimes, len(many))
		}
	}
}
