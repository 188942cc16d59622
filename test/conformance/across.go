package conformance

import (
	"fmt"
	"slices"
)

// untranslated are the required scenarios that cannot pass when the server behind the
// gateway is of the other era, by revision of the client. The server is the same
// program in both cases, but it offers other things in each era.
var untranslated = map[string]map[string]string{
	"2025-11-25": {
		"tools-call-sampling":          noRequests,
		"tools-call-elicitation":       noRequests,
		"elicitation-sep1034-defaults": noRequests,
		"elicitation-sep1330-enums":    noRequests,
	},
	"2026-07-28": {
		"input-required-result-basic-elicitation":       ownKeys,
		"input-required-result-multiple-input-requests": ownKeys,
		"input-required-result-ignore-extra-params":     ownKeys,
		"input-required-result-multi-round": "in a session, the server's SDK answers the second round as if it were complete " +
			"and leaves the questions in the result; the gateway gets no question that it could pass on",
	},
}

const (
	noRequests = "the tool sends a request to the client by itself, which no server of 2026-07-28 can; the server answers with an error"
	ownKeys    = "the scenario looks for the keys under which this server asks in its own era; in a session a question has no key, " +
		"so the gateway numbers them"
)

// CompareAcross lists what a server of the other era made worse without a reason,
// and reasons that nothing needs any more.
func CompareAcross(revision string, direct, across Report) []string {
	var problems []string
	for _, name := range names(direct, across) {
		d, a := direct[name], across[name]
		if !d.Scored {
			continue // mostly tasks, which are not translated
		}
		_, excused := untranslated[revision][name]
		switch worse := a.worse(d, skipped[name]); {
		case worse && !excused:
			problems = append(problems, fmt.Sprintf("%s with a server of the other era: directly %v passed/failed, across %v", name, d, a))
		case !worse && excused:
			problems = append(problems, fmt.Sprintf("%s passes with a server of the other era; take its reason from the list", name))
		}
	}
	slices.Sort(problems)
	return problems
}
