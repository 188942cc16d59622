package checklist

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// server is a server with one entry that runs words.
func server(words string, change func(*client.Entry)) inventory.Server {
	e := client.Entry{Name: "s", Clients: []string{"cursor"}, File: "/home/ada/.cursor/mcp.json", Line: 3, Path: []string{"mcpServers", "s"}, Transport: client.Stdio}
	e.Words = strings.Fields(words)
	e.Shown = slices.Clone(e.Words)
	if change != nil {
		change(&e)
	}
	return inventory.Servers([]client.Entry{e})[0]
}

const (
	bare     = "npx -y @modelcontextprotocol/server-x@1.0.0"
	confined = "/opt/gatehouse run --id s --sandbox node --read /srv/docs -- " + bare
	closed   = "/opt/gatehouse run --id s --sandbox=nothing -- /usr/bin/x"
)

func secretly(e *client.Entry) {
	e.Env = []client.Value{{Name: "API_TOKEN", Kind: client.Literal, Secret: true}}
}

// inAddress gives a server a password where no name speaks of one.
func inAddress(e *client.Entry) {
	e.Env = []client.Value{{Name: "DATABASE", Kind: client.Literal, Raw: "postgres://ann:pferd-99-batterie@db.example.com/shop"}}
}

// answered is the answer to one question.
func answered(t *testing.T, s Subject, item string, attestations ...Attestation) Answer {
	t.Helper()
	s.Now = now
	for _, a := range Judge(s, attestations) {
		if a.Item == item {
			if len(a.Evidence) == 0 {
				t.Errorf("%s is %s without evidence", item, a.Status)
			}
			return a
		}
	}
	t.Fatalf("nothing is said of %s", item)
	return Answer{}
}

func Test_each_question_has_every_answer_that_it_may_have(t *testing.T) {
	list := func(l Listed) Subject { return Subject{Server: server(confined, nil), Lock: map[string]Listed{"s": l}} }
	url := inventory.Servers([]client.Entry{{Name: "s", URL: "https://x.example/mcp", ShownURL: "https://x.example/mcp", Transport: client.HTTP}})[0]
	first, second := server(bare, secretly), server(bare, secretly)
	twice := inventory.Servers(append(first.Entries, second.Entries...))[0]
	nameless := inventory.Servers(append(server(confined, nil).Entries, server("gatehouse run -- "+bare, nil).Entries...))[0]
	for _, c := range []struct {
		item    string
		want    Status
		subject Subject
		says    string
	}{
		{"source", Pass, Subject{Server: server(bare, nil)}, "@modelcontextprotocol"},
		{"source", Unknown, Subject{Server: server("npx -y @modelcontextprotocol/server-x", nil)}, "no fixed version"},
		{"source", Unknown, Subject{Server: server("npx -y other@1.0.0", nil)}, "nobody has said so"},
		{"credentials", Pass, Subject{Server: server(bare, nil)}, "holds a credential"},
		{"credentials", Unknown, Subject{Server: server(bare, secretly)}, "API_TOKEN"},
		{"credentials", Unknown, Subject{Server: url}, "signs in"},
		{"credentials", Unknown, Subject{Server: server(bare, inAddress)}, "the variable DATABASE"},
		{"file-system", Pass, Subject{Server: server(confined, nil)}, "/srv/docs"},
		{"file-system", Pass, Subject{Server: server("docker run -i img", nil)}, "no folder"},
		{"file-system", Unknown, Subject{Server: server("docker run -v /srv:/data img", nil)}, "/srv"},
		{"file-system", Fail, Subject{Server: server(bare, nil)}, "nothing keeps it"},
		{"file-system", Pass, Subject{Server: url}, "elsewhere"},
		{"tokens", Pass, Subject{Server: server(bare, nil)}, "holds a credential"},
		{"tokens", Fail, Subject{Server: server(bare, secretly), Tokens: []string{"ghp_abc"}}, "classic"},
		{"tokens", Pass, Subject{Server: server(bare, secretly), Tokens: []string{"github_pat_abc"}}, "fine-grained"},
		{"tokens", Unknown, Subject{Server: server(bare, secretly), Tokens: []string{"abc"}}, "API_TOKEN"},
		{"tokens", Unknown, Subject{Server: server(bare, secretly)}, "API_TOKEN"},
		{"tokens", Unknown, Subject{Server: twice, Tokens: []string{"github_pat_abc"}}, "API_TOKEN"},
		{"tokens", Pass, Subject{Server: twice, Tokens: []string{"github_pat_abc", "github_pat_abc"}}, "fine-grained"},
		{"sandbox", Pass, Subject{Server: server(confined, nil)}, "in a sandbox"},
		{"sandbox", Fail, Subject{Server: server("gatehouse run -- node x.js", nil)}, "all rights"},
		{"sandbox", Fail, Subject{Server: server("gatehouse run --unsafe-no-sandbox -- "+bare, nil)}, "all rights"},
		{"sandbox", Pass, Subject{Server: server("gatehouse run -- "+bare, nil)}, "in a sandbox"},
		{"sandbox", Fail, Subject{Server: server(bare+" run --sandbox node --", nil)}, "all rights"},
		{"sandbox", Fail, Subject{Server: server("gatehouse run --pass-env --sandbox --read x -- node x.js", nil)}, "all rights"},
		{"sandbox", Fail, Subject{Server: server("gatehouse run --id --sandbox -- node x.js", nil)}, "all rights"},
		{"sandbox", Pass, Subject{Server: server("gatehouse run --explicit --sandbox node -- "+bare, nil)}, "in a sandbox"},
		{"sandbox", Pass, Subject{Server: server("docker run -i img", nil)}, "container"},
		{"approval", Unknown, Subject{Server: server(bare, nil)}, "no entry"},
		{"approval", Fail, Subject{Server: server(bare, func(e *client.Entry) { e.Approved = []string{"*"} })}, "unasked"},
		{"approval", Fail, Subject{Server: server(bare, func(e *client.Entry) { e.Trusted = true })}, "trusts"},
		{"data", Pass, Subject{Server: server(closed, nil)}, "no file"},
		{"data", Unknown, Subject{Server: server(confined, nil)}, "not known"},
		{"data", Unknown, Subject{Server: server(closed, secretly)}, "not known"},
		{"data", Unknown, Subject{Server: server("gatehouse run --sandbox web-reader -- "+bare, nil)}, "not known"},
		{"rotation", Pass, Subject{Server: server(bare, nil)}, "holds a credential"},
		{"rotation", Unknown, Subject{Server: server(bare, secretly)}, "last changed"},
		{"allowlist", Fail, Subject{Server: server(bare, nil)}, "does not run through"},
		{"allowlist", Pass, list(Listed{Items: 3, People: []string{"ada"}}), "ada"},
		{"allowlist", Unknown, list(Listed{Items: 3}), "by nobody"},
		{"allowlist", Fail, list(Listed{Items: 3, People: []string{"ada"}, Waiting: 1}), "wait"},
		{"allowlist", Unknown, list(Listed{}), "not been started"},
		{"allowlist", Unknown, Subject{Server: nameless, Lock: map[string]Listed{"s": {Items: 3, People: []string{"ada"}}}}, "without --id"},
		{"allowlist", Unknown, Subject{Server: server(confined, nil), LockProblem: errors.New("broken")}, "broken"},
		{"monitored", Fail, Subject{Server: server(bare, nil)}, "does not run through"},
		{"monitored", Pass, Subject{Server: server(confined, nil), Log: map[string]Seen{"s": {4, now.AddDate(0, 0, -1)}}}, "4 records"},
		{"monitored", Unknown, Subject{Server: server(confined, nil), Log: map[string]Seen{"s": {4, now.AddDate(0, 0, -40)}}}, "last 30 days"},
		{"monitored", Unknown, Subject{Server: server(confined, nil), LogProblem: errors.New("broken")}, "broken"},
	} {
		a := answered(t, c.subject, c.item)
		if a.Status != c.want || !strings.Contains(strings.Join(a.Evidence, "\n"), c.says) {
			t.Errorf("%s of %v is %s: %q; want %s with %q", c.item, c.subject.Server.Entries[0].Shown, a.Status, a.Evidence, c.want, c.says)
		}
	}
}

// One client that starts it without a sandbox is enough.
func Test_a_server_is_as_confined_as_its_loosest_entry(t *testing.T) {
	one, two := server(confined, nil).Entries[0], server(bare, nil).Entries[0]
	two.Clients = []string{"kiro"}
	s := inventory.Servers([]client.Entry{one, two})
	if len(s) != 1 {
		t.Fatalf("%d servers", len(s))
	}
	for _, item := range []string{"sandbox", "file-system", "allowlist", "monitored"} {
		a := answered(t, Subject{Server: s[0], Lock: map[string]Listed{"s": {Items: 1, People: []string{"ada"}}}, Log: map[string]Seen{"s": {1, now}}}, item)
		if a.Status != Fail || !strings.Contains(strings.Join(a.Evidence, ""), "kiro") || strings.Contains(strings.Join(a.Evidence, ""), "cursor, ") {
			t.Errorf("%s is %s: %q", item, a.Status, a.Evidence)
		}
	}
}

func Test_findings_fail_and_what_was_not_checked_is_said(t *testing.T) {
	s := Subject{Server: server(confined, nil)}
	s.Result.Findings = []check.Finding{{Check: "broad-root", Why: "it is given everything"}, {Check: "elsewhere", Why: "never mind"}}
	s.Result.Unchecked = []check.Unchecked{{Check: "known-vulnerable", Why: "no advisories"}}
	if a := answered(t, s, "file-system"); a.Status != Fail || !strings.Contains(strings.Join(a.Evidence, "\n"), "given everything") {
		t.Errorf("%+v", a)
	}
	if a := answered(t, s, "source"); !strings.Contains(strings.Join(a.Evidence, "\n"), "no advisories") {
		t.Errorf("%+v", a)
	}
	if a := answered(t, s, "sandbox"); a.Status != Pass {
		t.Errorf("%+v", a)
	}
}

func attestation(s inventory.Server, item string) Attestation {
	return Attestation{Server: s.ID, Item: item, By: "ada", Note: "I looked", At: now.Add(-time.Hour), Expires: now.Add(time.Hour), Evidence: Evidence(s)}
}

func Test_the_word_of_a_person_counts_for_this_server_as_it_is_and_for_a_time(t *testing.T) {
	s := server(bare, secretly)
	good := attestation(s, "rotation")
	if a := answered(t, Subject{Server: s}, "rotation", good); a.Status != Pass || a.Attested == nil || a.Attest != "" {
		t.Errorf("%+v", a)
	}
	for name, change := range map[string]func(*Attestation){
		"of another server":   func(a *Attestation) { a.Server = "x" },
		"of another question": func(a *Attestation) { a.Item = "data" },
		"ended":               func(a *Attestation) { a.Expires = now },
		"of other evidence":   func(a *Attestation) { a.Evidence = "x" },
	} {
		bad := good
		change(&bad)
		if a := answered(t, Subject{Server: s}, "rotation", bad); a.Status != Unknown || a.Attest == "" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	// A newer word that no longer counts is not outdone by an older one.
	older, newer := good, good
	newer.Evidence = "x"
	if a := answered(t, Subject{Server: s}, "rotation", older, newer); a.Status != Unknown {
		t.Errorf("%+v", a)
	}
	if a := answered(t, Subject{Server: s}, "sandbox", attestation(s, "sandbox")); a.Status != Fail {
		t.Errorf("what fails is attested away: %+v", a)
	}
}

func Test_evidence_changes_with_how_the_server_is_set_up(t *testing.T) {
	base := Evidence(server(confined, secretly))
	for name, s := range map[string]inventory.Server{
		"another version":  server(strings.Replace(confined, "1.0.0", "1.0.1", 1), secretly),
		"another grant":    server(strings.Replace(confined, "/srv/docs", "/", 1), secretly),
		"no sandbox":       server(bare, secretly),
		"no variable":      server(confined, nil),
		"another variable": server(confined, func(e *client.Entry) { e.Env = []client.Value{{Name: "OTHER", Kind: client.Literal, Secret: true}} }),
	} {
		if Evidence(s) == base {
			t.Errorf("%s is the same evidence", name)
		}
	}
	mode := func(value string) string {
		return Evidence(server(confined, func(e *client.Entry) {
			e.Env = []client.Value{{Name: "MODE", Kind: client.Literal, Raw: client.Raw(value)}}
		}))
	}
	if mode("read") == mode("write") {
		t.Error("another value is the same evidence")
	}
	if Evidence(server(confined, secretly)) != base {
		t.Error("the same server is other evidence")
	}
}

func Test_attestations_are_kept_or_refused(t *testing.T) {
	store := Store{filepath.Join(t.TempDir(), "deep", "checklist.json")}
	s := server(bare, secretly)
	answers := Judge(Subject{Server: s, Now: now}, nil)
	good := attestation(s, "rotation")
	if err := store.Add(good, answers); err != nil {
		t.Fatal(err)
	}
	second := good
	second.Item = "data"
	if err := store.Add(second, answers); err != nil {
		t.Fatal(err)
	}
	all, err := store.All()
	if err != nil || len(all) != 2 || all[0] != good || all[1] != second {
		t.Errorf("%+v, %v", all, err)
	}
	for name, change := range map[string]func(*Attestation){
		"an unknown question": func(a *Attestation) { a.Item = "weather" },
		"what fails":          func(a *Attestation) { a.Item = "sandbox" },
		"what passes":         func(a *Attestation) { a.Item = "source" },
		"no name":             func(a *Attestation) { a.By = " " },
		"no note":             func(a *Attestation) { a.Note = "" },
		"a long note":         func(a *Attestation) { a.Note = strings.Repeat("x", maxNote+1) },
		"no end":              func(a *Attestation) { a.Expires = a.At },
		"a far end":           func(a *Attestation) { a.Expires = a.At.Add(MaxAttestation + 1) },
	} {
		bad := good
		change(&bad)
		if err := store.Add(bad, answers); err == nil {
			t.Errorf("%s is kept", name)
		}
	}
	allowed := Judge(Subject{Server: server(confined, nil), Now: now}, nil)
	if err := store.Add(Attestation{Item: "allowlist", By: "a", Note: "b", At: now, Expires: now.Add(1)}, allowed); err == nil || !strings.Contains(err.Error(), "not for people") {
		t.Errorf("the list is attested: %v", err)
	}
}

func Test_attestations_that_cannot_be_read_are_no_empty_list(t *testing.T) {
	store := Store{filepath.Join(t.TempDir(), "checklist.json")}
	for _, text := range []string{"{", `{"schema": "gatehouse.attestations/9"}`, strings.Repeat(" ", maxStore+1)} {
		if err := os.WriteFile(store.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if all, err := store.All(); err == nil {
			t.Errorf("%.40q is read as %v", text, all)
		}
	}
}

func Test_the_questions_are_ten_and_each_has_its_own_name(t *testing.T) {
	ids := Items()
	if slices.Sort(ids); len(ids) != 10 || len(slices.Compact(ids)) != 10 {
		t.Errorf("the questions are %q", ids)
	}
}
