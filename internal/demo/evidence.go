package demo

import (
	"fmt"
	"slices"

	"gatehouse/internal/audit"
	"gatehouse/internal/decision"
	"gatehouse/internal/finding"
)

// Entry is a record of the audit log that says what became of a call, of a result
// or of a definition.
type Entry struct {
	Record uint64 `json:"record"` // its number
	Kind   string `json:"kind"`
	Server string `json:"server,omitempty"`
	Target string `json:"target,omitempty"`
	// Action is "allowed" for a call that was let through, "redacted", "quarantined",
	// "drift" or "rule-matched".
	Action string   `json:"action"`
	Rules  []string `json:"rules,omitempty"`
	Detail string   `json:"detail,omitempty"` // of the worst match
}

const (
	allowed  = "allowed"
	redacted = "redacted"
)

// readLog finds what the gateway let through and what it did not, in the order of
// the log. It verifies the log first and counts its records.
func readLog(dir string) (entries []Entry, records int, err error) {
	report, err := audit.Verify(dir)
	if err != nil {
		return nil, 0, err
	}
	if report.Tampered() {
		return nil, 0, fmt.Errorf("the audit log in %s is damaged", dir)
	}
	err = audit.Read(dir, audit.Filter{}, func(r *audit.Record) error {
		records++
		if e, ok := entryOf(r); ok {
			entries = append(entries, e)
		}
		return nil
	})
	return entries, records, err
}

// effects of a match that changed something.
var effects = []string{"refused", redacted, "quarantined"}

// judgements are the reasons that speak of what was seen. The others speak of how
// the programs work together.
var judgements = []decision.Reason{decision.Quarantined, decision.Drift, decision.RuleMatched}

func entryOf(r *audit.Record) (Entry, bool) {
	e := Entry{Record: r.Seq, Kind: string(r.Kind), Server: r.Server, Target: r.Target}
	var worst finding.Finding
	for _, f := range r.Findings {
		if !slices.Contains(effects, f.Effect) {
			continue
		}
		if worst.Rule == "" || f.Severity > worst.Severity {
			worst = f
		}
		if !slices.Contains(e.Rules, f.Rule) {
			e.Rules = append(e.Rules, f.Rule)
		}
	}
	e.Detail = worst.Detail
	switch {
	case r.Decision == audit.Deny && slices.Contains(judgements, decision.Reason(r.Reason)):
		e.Action = r.Reason
	case worst.Rule != "":
		e.Action = redacted
	case r.Kind == audit.Decided && r.Method == "tools/call":
		e.Action = allowed
	}
	return e, e.Action != ""
}
