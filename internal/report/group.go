package report

import (
	"cmp"
	"slices"
	"strconv"

	"gatehouse/internal/check"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

// alike are findings that are one for a person: the same words about the same server.
type alike struct {
	check, subject string
	severity       rule.Severity
	why, fix       string
}

// group puts together what says the same of one server in several clients. The worst
// come first. What is about no server and no file is about the home of whoever scans.
func (r *Report) group(found []check.Finding, titles map[string]string) []Finding {
	known := map[string]inventory.Server{}
	for _, s := range r.Servers {
		known[s.ID] = s
	}
	at := map[alike]int{}
	evidence := map[int][]string{}
	out := []Finding{}
	for _, f := range found {
		subject := cmp.Or(f.Server, f.File, r.Home)
		key := alike{f.Check, subject, f.Severity, f.Why, f.Fix}
		i, seen := at[key]
		if !seen {
			i = len(out)
			at[key] = i
			out = append(out, Finding{
				Check: f.Check, Title: titles[f.Check], Severity: f.Severity, Server: f.Server, Why: f.Why, Fix: f.Fix,
				Name: cmp.Or(known[f.Server].Name, f.Name), Clients: []string{}, Places: []Place{},
			})
			if f.Server == "" {
				out[i].Name = subject
			}
		}
		out[i].take(f)
		if f.File == "" { // it is about all of the server
			for _, e := range known[f.Server].Entries {
				out[i].stands(Place{e.Clients, e.File, e.Line, e.Path})
			}
		}
		evidence[i] = append(evidence[i], f.Evidence)
	}
	seen := map[string]bool{}
	for i := range out {
		out[i].bind(evidence[i], seen)
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Check, b.Check), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return out
}

// take adds one place in which the same was found.
func (f *Finding) take(from check.Finding) {
	f.Protect = f.Protect || from.Protect
	for _, c := range from.Clients {
		f.Clients = with(f.Clients, c)
	}
	for _, ref := range from.Refers {
		f.References = with(f.References, ref)
	}
	if from.File != "" {
		f.stands(Place{from.Clients, from.File, from.Line, from.Path})
	}
}

// stands adds a place once.
func (f *Finding) stands(place Place) {
	same := func(p Place) bool {
		return p.File == place.File && p.Line == place.Line && slices.Equal(p.Path, place.Path)
	}
	if !slices.ContainsFunc(f.Places, same) {
		f.Places = append(f.Places, place)
	}
}

// bind signs a group by the facts of all its members: the same server in one more client
// changes nothing, unless the client is one of the facts.
func (f *Finding) bind(evidence []string, seen map[string]bool) {
	slices.Sort(evidence)
	evidence = slices.Compact(evidence)
	f.Evidence = evidence[0]
	if len(evidence) > 1 {
		f.Evidence = check.Bind(evidence...)
	}
	f.Fingerprint = check.Bind("finding", f.Check, f.Subject(), f.Evidence)
	for n := 2; seen[f.Fingerprint]; n++ { // one fact, told in two ways
		f.Fingerprint = check.Bind("finding", f.Check, f.Subject(), f.Evidence, strconv.Itoa(n))
	}
	seen[f.Fingerprint] = true
}

func with(list []string, item string) []string {
	if slices.Contains(list, item) {
		return list
	}
	list = append(list, item)
	slices.Sort(list)
	return list
}
