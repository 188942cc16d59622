package checklist

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/inventory"
)

// vendors are scopes of npm to which only their vendor can publish.
var vendors = []string{"@modelcontextprotocol/", "@playwright/", "@notionhq/", "@stripe/", "@upstash/", "@brave/", "@sentry/", "@cloudflare/", "@azure/", "@supabase/"}

func source(f *facts) (Status, []string) {
	s := f.Server
	switch {
	case s.Kind == inventory.NPM && s.Pinned() && slices.ContainsFunc(vendors, func(v string) bool { return strings.HasPrefix(s.Package, v) }):
		scope, _, _ := strings.Cut(s.Package, "/")
		return Pass, []string{fmt.Sprintf("%s %s is published under %s, to which only its vendor can publish", s.Package, s.Version, scope)}
	case !s.Pinned():
		return Unknown, []string{fmt.Sprintf("%s has no fixed version: what was reviewed may not be what runs", s.Package)}
	}
	return Unknown, []string{fmt.Sprintf("nobody has said so of %s %s", s.Package, s.Version)}
}

// without answers for a server that holds no credential.
func (f *facts) without() (Status, []string, bool) {
	if len(f.secrets) > 0 {
		return Unknown, []string{"a credential may stand in " + strings.Join(slices.Compact(slices.Sorted(slices.Values(f.secrets))), ", ")}, false
	}
	if f.remote || f.Server.Kind == inventory.BuiltIn {
		return Unknown, []string{"whether its client signs in to it does not stand in the file"}, false
	}
	return Pass, []string{"no variable, header or argument of it holds a credential"}, true
}

func credentials(f *facts) (Status, []string) {
	status, evidence, none := f.without()
	if !none {
		evidence = append(evidence, "what it can do has not been tried")
	}
	return status, evidence
}

// shapes are forms of tokens that say how much they can do.
var shapes = []struct {
	form   *regexp.Regexp
	status Status
	what   string
}{
	{regexp.MustCompile(`^github_pat_`), Pass, "a fine-grained token of GitHub"},
	{regexp.MustCompile(`^gh[sr]_`), Pass, "a token of a GitHub App"},
	{regexp.MustCompile(`^ghp_`), Fail, "a classic token of GitHub, which counts for everything that its owner reaches"},
	{regexp.MustCompile(`^xoxp-`), Fail, "a token of Slack with all rights of a person"},
	{regexp.MustCompile(`^AKIA`), Fail, "a long-lived key of AWS"},
	{regexp.MustCompile(`^sk_live_`), Fail, "an unrestricted key of Stripe"},
	{regexp.MustCompile(`^rk_live_`), Pass, "a restricted key of Stripe"},
}

func tokens(f *facts) (Status, []string) {
	status, evidence, none := f.without()
	if none {
		return status, evidence
	}
	known := 0
	for _, token := range f.Tokens {
		for _, s := range shapes {
			if s.form.MatchString(token) {
				known++
				evidence = append(evidence, "it holds "+s.what)
				if s.status == Fail {
					status = Fail
				}
			}
		}
	}
	if status == Unknown && known > 0 && known == len(f.Tokens) && known == len(f.secrets) {
		return Pass, evidence
	}
	return status, evidence
}

func fileSystem(f *facts) (Status, []string) {
	if f.remote {
		return Pass, []string{"it runs elsewhere and sees no file of this machine"}
	}
	if f.Server.Kind == inventory.OCI {
		var mounts []string
		for _, m := range f.Server.Mounts {
			mounts = append(mounts, m.Source)
		}
		if len(mounts) == 0 {
			return Pass, []string{"its container is given no folder of this machine"}
		}
		return Unknown, []string{"its container is given " + strings.Join(mounts, ", ")}
	}
	all, but := f.every(func(r run) bool { return r.sandbox != "" })
	if !all {
		return Fail, []string{"nothing keeps it from the files of this machine: " + strings.Join(but, "; ")}
	}
	var evidence []string
	for _, r := range f.runs {
		evidence = append(evidence, fmt.Sprintf("%s: it may read %s, and change %s", r.who, listed(r.read), listed(r.write)))
	}
	return Pass, evidence
}

func listed(names []string) string {
	if len(names) == 0 {
		return "nothing of yours"
	}
	return strings.Join(names, ", ")
}

func sandboxed(f *facts) (Status, []string) {
	if f.remote {
		return Pass, []string{"nothing of it runs on this machine"}
	}
	if f.Server.Kind == inventory.OCI {
		return Pass, []string{"it runs in a container"}
	}
	all, but := f.every(func(r run) bool { return r.sandbox != "" })
	if !all {
		return Fail, []string{"it has all rights of the person: " + strings.Join(but, "; ")}
	}
	return Pass, []string{"every client starts it in a sandbox, and it does not start where that cannot be enforced"}
}

func approvals(f *facts) (Status, []string) {
	var unasked []string
	for _, e := range f.Server.Entries {
		if e.Trusted {
			unasked = append(unasked, fmt.Sprintf("%s trusts all of it", strings.Join(e.Clients, ", ")))
		}
		if len(e.Approved) > 0 {
			unasked = append(unasked, fmt.Sprintf("%s runs %s unasked", strings.Join(e.Clients, ", "), strings.Join(e.Approved, ", ")))
		}
	}
	if len(unasked) > 0 {
		return Fail, unasked
	}
	return Unknown, []string{"no entry lets tools run unasked; what else its clients are set to does not stand in these files"}
}

func data(f *facts) (Status, []string) {
	nothing, _ := f.every(func(r run) bool { return r.sandbox != "" && len(r.read)+len(r.write)+len(r.network) == 0 })
	if nothing && len(f.secrets) == 0 && !f.remote {
		return Pass, []string{"it is given no file, no place on the network and no credential"}
	}
	return Unknown, []string{"what lies in its files and behind its credentials is not known"}
}

func rotation(f *facts) (Status, []string) {
	status, evidence, none := f.without()
	if !none {
		evidence = append(evidence, "when they were last changed is not known")
	}
	return status, evidence
}

// ids are the names under which the server runs through Gatehouse.
func (f *facts) ids() (ids []string, all bool, but []string) {
	all, but = f.every(func(r run) bool { return r.through })
	for _, r := range f.runs {
		if r.id != "" && !slices.Contains(ids, r.id) {
			ids = append(ids, r.id)
		}
	}
	return ids, all, but
}

func allowlisted(f *facts) (Status, []string) {
	ids, all, but := f.ids()
	switch {
	case !all:
		return Fail, []string{"it does not run through Gatehouse, so no list holds for it: " + strings.Join(but, "; ")}
	case f.LockProblem != nil:
		return Unknown, []string{fmt.Sprintf("the approved definitions could not be read: %v", f.LockProblem)}
	case slices.ContainsFunc(f.runs, func(r run) bool { return r.id == "" }):
		return Unknown, []string{"it runs without --id, so that its approvals cannot be told"}
	}
	status, evidence := Pass, []string{}
	for _, id := range ids {
		switch l := f.Lock[id]; {
		case l.Waiting > 0:
			status, evidence = Fail, append(evidence, fmt.Sprintf("%s: %d changes wait for approval", id, l.Waiting))
		case l.Items == 0:
			status, evidence = worse(status, Unknown), append(evidence, id+" is not in the list of approved definitions; it has not been started yet")
		case len(l.People) == 0:
			status, evidence = worse(status, Unknown), append(evidence, fmt.Sprintf("%s was approved at first sight, by nobody; --explicit waits for `gatehouse approve`", id))
		default:
			evidence = append(evidence, fmt.Sprintf("%s: %d definitions, approved by %s", id, l.Items, strings.Join(l.People, ", ")))
		}
	}
	return status, evidence
}

// worse is the worse of two answers.
func worse(a, b Status) Status {
	order := []Status{Fail, Unknown, Pass}
	return order[min(slices.Index(order, a), slices.Index(order, b))]
}

// recent is how long ago a server that is watched was last seen, at most.
const recent = 30 * 24 * time.Hour

func monitored(f *facts) (Status, []string) {
	ids, all, but := f.ids()
	switch {
	case !all:
		return Fail, []string{"it does not run through Gatehouse, so nothing of it is on record: " + strings.Join(but, "; ")}
	case f.LogProblem != nil:
		return Unknown, []string{fmt.Sprintf("the log could not be read: %v", f.LogProblem)}
	}
	for _, id := range ids {
		if seen := f.Log[id]; seen.Records > 0 && f.Now.Sub(seen.Last) <= recent {
			return Pass, []string{fmt.Sprintf("%s: %d records, the last on %s", id, seen.Records, seen.Last.Format(time.DateOnly))}
		}
	}
	return Unknown, []string{"it runs through Gatehouse, and the log has nothing about it from the last 30 days"}
}
