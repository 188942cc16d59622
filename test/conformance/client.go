package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// Checks is the outcome of one run of a client scenario: the worst status that each
// check had, by its id. Information is left out.
type Checks map[string]string

// The statuses of the suite, from best to worst.
var statuses = []string{"SUCCESS", "WARNING", "FAILURE"}

// ParseChecks reads the checks.json that the suite writes for one run.
func ParseChecks(raw []byte) (Checks, error) {
	var list []struct{ ID, Status string }
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("reading checks: %w", err)
	}
	checks := Checks{}
	for _, c := range list {
		if rank(c.Status) >= rank(checks[c.ID]) && rank(c.Status) >= 0 {
			checks[c.ID] = c.Status
		}
	}
	return checks, nil
}

// rank is -1 for what is no outcome.
func rank(status string) int { return slices.Index(statuses, status) }

// with lists the checks that had a status, sorted.
func (c Checks) with(status ...string) []string {
	var ids []string
	for id, s := range c {
		if slices.Contains(status, s) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (c Checks) String() string {
	text := fmt.Sprintf("%d/%d", len(c.with("SUCCESS")), len(c.with("FAILURE")))
	if n := len(c.with("WARNING")); n > 0 {
		text += fmt.Sprintf(" (%d warnings)", n)
	}
	return text
}

// ClientRun is one client scenario with the official Go SDK's client directly at the
// suite's server, and with the gateway in the middle; in the auth scenarios the
// gateway is the OAuth client.
type ClientRun struct {
	Scenario string `json:"scenario"`
	Revision string `json:"revision"`
	Direct   Checks `json:"direct"`
	Gateway  Checks `json:"gateway"`
	Reason   string `json:"reason,omitempty"` // why the gateway does not pass
}

// Lost lists the checks that pass directly and not with the gateway, and the ones
// that only the gateway fails.
func (r ClientRun) Lost() []string {
	var lost []string
	for _, id := range r.Direct.with("SUCCESS") {
		if r.Gateway[id] != "SUCCESS" {
			lost = append(lost, id)
		}
	}
	for _, id := range r.Gateway.with("WARNING", "FAILURE") {
		if rank(r.Direct[id]) < rank(r.Gateway[id]) && !slices.Contains(lost, id) {
			lost = append(lost, id)
		}
	}
	return lost
}

// Passes reports whether the scenario was run with the gateway and nothing failed.
func (r ClientRun) Passes() bool {
	return len(r.Gateway.with("SUCCESS")) > 0 && len(r.Gateway.with("WARNING", "FAILURE")) == 0
}

// clientReasons are why scenarios do not pass with the gateway. None of them passes
// with the SDK's client either.
var clientReasons = map[string]string{
	"auth/dpop":       "DPoP (SEP-1932) is a draft; the gateway sends bearer tokens",
	"auth/dpop-nonce": "DPoP (SEP-1932) is a draft; the gateway sends bearer tokens",
}

// CompareClients lists what is wrong with the runs, one sentence each.
func CompareClients(runs []ClientRun) []string {
	var problems []string
	needed := map[string]bool{}
	for _, r := range runs {
		name := r.Scenario + " (" + r.Revision + ")"
		if lost := r.Lost(); len(lost) > 0 && r.Reason == "" {
			problems = append(problems, fmt.Sprintf("%s: lost with the gateway: %s", name, strings.Join(lost, ", ")))
		}
		needed[r.Scenario] = needed[r.Scenario] || !r.Passes()
		if !r.Passes() && r.Reason == "" {
			problems = append(problems, fmt.Sprintf("%s: does not pass with the gateway: %s", name, strings.Join(r.Gateway.with("WARNING", "FAILURE"), ", ")))
		}
	}
	for scenario := range clientReasons {
		if !needed[scenario] {
			problems = append(problems, scenario+" passes, or was not run; take its reason from the list")
		}
	}
	slices.Sort(problems)
	return problems
}

// ClientTable shows both columns side by side.
func ClientTable(runs []ClientRun) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\trevision\tSDK client\tgateway\t")
	for _, r := range runs {
		fmt.Fprintf(w, "%s\t%s\t%v\t%v\t%s\n", r.Scenario, r.Revision, r.Direct, r.Gateway, r.Reason)
	}
	w.Flush()
	return b.String()
}
