// Package checklist answers ten questions that should be settled before a server is
// trusted: each with pass, fail or unknown, with what shows it, and with what a person
// must still attest. Nothing passes for want of evidence.
package checklist

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/config"
	"gatehouse/internal/credential"
	"gatehouse/internal/inventory"
	"gatehouse/internal/profile"
)

// Status is the answer to one question.
type Status string

const (
	Pass    Status = "pass"
	Fail    Status = "fail"
	Unknown Status = "unknown" // could not be told; never counted as pass
)

// Subject is a server with everything that is known about it.
type Subject struct {
	Now    time.Time
	Server inventory.Server
	Result check.Result      // of the checks, for this server only
	Tokens []string          // credentials, one for each place of each entry, as far as they can be had; never repeated
	Lock   map[string]Listed // by the id under which it runs
	Log    map[string]Seen   // by the same id
	// LockProblem and LogProblem say why the two could not be read.
	LockProblem, LogProblem error
}

// Listed is what the file of approved definitions says of a server.
type Listed struct {
	Items   int
	People  []string // who approved something; nobody if all was accepted at first sight
	Waiting int
}

// Seen is what the log says of a server.
type Seen struct {
	Records int
	Last    time.Time
}

// Answer is the answer to one question.
type Answer struct {
	Item     string       `json:"item"`
	Title    string       `json:"title"`
	Status   Status       `json:"status"`
	Evidence []string     `json:"evidence"`
	Attest   string       `json:"attest,omitempty"` // what a person must still say
	Attested *Attestation `json:"attested,omitempty"`
}

// item is one question.
type item struct {
	id, title string
	attest    string
	checks    []string // whose findings answer it with fail
	judge     func(*facts) (Status, []string)
}

// items in the order in which people go through them.
var items = []item{
	{"source", "Its source was reviewed, or its vendor is trusted", "I reviewed the source of this version, or trust who published it",
		[]string{"known-malicious", "known-vulnerable", "missing-package", "imitated-package", "lookalike-host", "other-registry", "download-and-run", "shell-line", "poisoned-definition", "loaded-code", "temporary-place", "project-program"}, source},
	{"credentials", "Its credentials can read only, and only what it needs", "its credentials can only read, and only what it needs",
		[]string{"excess-rights", "mixed-environments"}, credentials},
	{"file-system", "It sees only the files that it needs", "it sees only the files that it needs",
		[]string{"broad-root", "container-rights"}, fileSystem},
	{"tokens", "Its tokens are fine-grained", "its tokens are bound to single rights and places",
		[]string{"shared-secret"}, tokens},
	{"sandbox", "It runs in a sandbox", "", []string{"elevated", "container-rights"}, sandboxed},
	{"approval", "People are asked before its tools run", "its clients ask before a tool runs",
		[]string{"unasked-tools", "unasked-servers"}, approvals},
	{"data", "It gets no sensitive data that it does not need", "what it sees holds nothing sensitive that it does not need",
		[]string{"plain-secret", "secret-in-address", "open-file", "toxic-combination", "plain-http", "tls-off"}, data},
	{"rotation", "Its credentials are changed on a schedule", "its credentials are changed before this attestation ends", nil, rotation},
	{"allowlist", "It is on the list of what may be used", "", nil, allowlisted},
	{"monitored", "What it does is on record", "", nil, monitored},
}

// Items are the names of the questions.
func Items() (ids []string) {
	for _, i := range items {
		ids = append(ids, i.id)
	}
	return ids
}

// Judge answers every question. Attestations that hold turn unknown into pass; they never
// answer what fails.
func Judge(s Subject, attestations []Attestation) []Answer {
	f := gather(s)
	evidence := Evidence(s.Server)
	out := make([]Answer, 0, len(items))
	for _, i := range items {
		a := Answer{Item: i.id, Title: i.title}
		a.Status, a.Evidence = i.judge(f)
		for _, found := range s.Result.Findings {
			if slices.Contains(i.checks, found.Check) {
				a.Status, a.Evidence = Fail, append(a.Evidence, found.Check+": "+found.Why)
			}
		}
		for _, u := range s.Result.Unchecked {
			if slices.Contains(i.checks, u.Check) {
				a.Evidence = append(a.Evidence, u.Check+" could not be checked: "+u.Why)
			}
		}
		if a.Status == Unknown {
			a.attested(i, s, attestations, evidence)
		}
		out = append(out, a)
	}
	return out
}

// attested looks for the word of a person.
func (a *Answer) attested(i item, s Subject, all []Attestation, evidence string) {
	a.Attest = i.attest
	for _, at := range slices.Backward(all) {
		if at.Server != s.Server.ID || at.Item != i.id {
			continue
		}
		switch {
		case at.Evidence != evidence:
			a.Evidence = append(a.Evidence, fmt.Sprintf("%s attested it on %s, and the server has changed since", at.By, at.At.Format(time.DateOnly)))
		case !s.Now.Before(at.Expires):
			a.Evidence = append(a.Evidence, fmt.Sprintf("%s attested it until %s", at.By, at.Expires.Format(time.DateOnly)))
		default:
			a.Status, a.Attest, a.Attested = Pass, "", &at
			a.Evidence = append(a.Evidence, fmt.Sprintf("%s attests it until %s: %s", at.By, at.Expires.Format(time.DateOnly), at.Note))
		}
		return
	}
}

// facts are what several questions ask.
type facts struct {
	Subject
	runs   []run
	remote bool
	// secrets name what may hold a credential, once for each entry.
	secrets []string
}

func gather(s Subject) *facts {
	f := &facts{Subject: s, remote: s.Server.Kind == inventory.Remote}
	for _, e := range s.Server.Entries {
		f.runs = append(f.runs, runOf(e))
		places := map[string]bool{}
		for _, c := range credential.Of(e) {
			places[c.Where()] = true
		}
		for _, v := range e.Env {
			if v.Secret || v.Kind == client.Reference {
				places["the variable "+v.Name] = true
			}
		}
		for _, v := range e.Headers {
			places["the header "+v.Name] = true
		}
		if !slices.Equal(e.Shown, e.Words) {
			places["an argument"] = true
		}
		if e.ShownURL != e.URL && strings.Contains(e.ShownURL, "[redacted]") {
			places["the address"] = true
		}
		f.secrets = append(f.secrets, slices.Sorted(maps.Keys(places))...)
	}
	return f
}

// run is how one entry starts the server.
type run struct {
	who     string // clients and place
	through bool   // through gatehouse run
	id      string
	sandbox string
	read    []string
	write   []string
	network []string
}

// switches are the flags of gatehouse run that have no value.
var switches = []string{"--explicit", "--verbose", "-v", "--unsafe-no-sandbox"}

// runOf reads the flags of gatehouse run.
func runOf(e client.Entry) run {
	r := run{who: fmt.Sprintf("%s, %s line %d", strings.Join(e.Clients, ", "), e.File, e.Line)}
	start := slices.IndexFunc(e.Words, func(w string) bool { return w == "run" })
	end := slices.Index(e.Words, "--")
	if !inventory.Of(e).Protected || start < 0 || end < start {
		return r
	}
	r.through = true
	// What it launches from a package has a sandbox, said or not.
	launched := config.Server{Command: e.Words[end+1:]}
	launched.ConfinePackage()
	lists := map[string]*[]string{"--read": &r.read, "--write": &r.write, "--network": &r.network}
	texts := map[string]*string{"--id": &r.id, "--sandbox": &r.sandbox}
	unsafe := false
	for i := start + 1; i < end; i++ {
		name, value, joined := strings.Cut(e.Words[i], "=")
		// A value may look like a flag: --pass-env --sandbox confines nothing.
		if !joined && !slices.Contains(switches, name) {
			i++
			value = e.Words[i]
		}
		if list := lists[name]; list != nil {
			*list = append(*list, value)
		} else if text := texts[name]; text != nil {
			*text = value
		}
		unsafe = unsafe || name == "--unsafe-no-sandbox"
	}
	if r.sandbox == "" && launched.Sandbox != nil && !unsafe {
		r.sandbox = launched.Sandbox.Preset
	}
	if preset, err := profile.FromPreset(strings.TrimPrefix(r.sandbox, "nothing")); r.sandbox != "" && err == nil {
		for _, place := range preset.Network {
			r.network = append(r.network, place.String())
		}
	}
	return r
}

// every reports whether something holds for each way in which the server is started, and
// where it does not.
func (f *facts) every(holds func(run) bool) (all bool, but []string) {
	for _, r := range f.runs {
		if !holds(r) {
			but = append(but, r.who)
		}
	}
	return len(but) == 0 && len(f.runs) > 0, but
}
