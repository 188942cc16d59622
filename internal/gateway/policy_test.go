package gateway

import (
	"slices"
	"testing"

	"gatehouse/internal/policy"
)

// A method without an action could be used by whoever may use methods that nobody
// knows.
func Test_every_method_has_an_action_in_policies(t *testing.T) {
	actions := policy.Methods()
	for method := range methods {
		if !slices.Contains(actions, method) {
			t.Errorf("the schema of policies has no action %q", method)
		}
	}
}
