package approval

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/finding"
	"gatehouse/internal/rule"
)

// fixture is a Book in an empty folder, and how to open another one on the same
// files.
type fixture struct {
	*Book
	t        *testing.T
	lockPath string
	pending  string
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	dir := t.TempDir()
	f := fixture{t: t, lockPath: filepath.Join(dir, "gatehouse.lock"), pending: filepath.Join(dir, "state", "pending")}
	return f.reopen()
}

func (f fixture) reopen() fixture {
	f.t.Helper()
	book, err := Open(f.lockPath, f.pending)
	if err != nil {
		f.t.Fatal(err)
	}
	f.Book = book
	return f
}

func (f fixture) observe(server string, d Definition, opts ObserveOptions) Outcome {
	f.t.Helper()
	out, err := f.Observe(server, d, opts)
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

func (f fixture) approveAll(server string) int {
	f.t.Helper()
	n, err := f.Approve(server, func(Change) bool { return true }, "ada")
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

func (f fixture) check(item Item) State { return f.Check("files", item.Kind, item.Name, item.Digest) }

func tool(name, description string) Item {
	raw, err := json.Marshal(map[string]string{"name": name, "description": description})
	if err != nil {
		panic(err)
	}
	return NewItem(KindTool, name, raw)
}

func definition(items ...Item) Definition {
	return Definition{Source: Source{Command: []string{"npx", "-y", "files@1"}, Env: []string{"HOME"}}, Items: items}
}

func summaries(changes []Change) []string {
	var list []string
	for _, c := range changes {
		list = append(list, fmt.Sprintf("%s %s %s", c.Kind, c.Name, c.What()))
	}
	return list
}

func Test_first_use_is_approved_and_survives(t *testing.T) {
	f := newFixture(t)
	read := tool("read", "Reads.")
	if got := f.check(read); got != Unknown {
		t.Errorf("before: %s", got)
	}
	out := f.observe("files", definition(read), ObserveOptions{})
	if !out.FirstUse || out.State != Approved || len(out.Changes) != 0 {
		t.Errorf("outcome: %+v", out)
	}
	for _, f := range []fixture{f, f.reopen()} {
		if got := f.check(read); got != Approved {
			t.Errorf("after: %s", got)
		}
		if got := f.Check("files", KindTool, "write", read.Digest); got != New {
			t.Errorf("another name: %s", got)
		}
		if got := f.Check("files", KindPrompt, "read", read.Digest); got != New {
			t.Errorf("another kind: %s", got)
		}
		if got := f.Check("files", KindTool, "read", ""); got != Drift {
			t.Errorf("no digest: %s", got)
		}
	}
}

func Test_what_forbids_first_use_quarantines(t *testing.T) {
	read, write := tool("read", "Reads."), tool("write", "Writes.")
	blocked := []finding.Finding{{Rule: "hidden-text", Severity: rule.High, Surface: "tool-definition", Server: "files", Name: "read"}}
	for name, test := range map[string]struct {
		definition Definition
		options    ObserveOptions
	}{
		"explicit":  {definition(read, write), ObserveOptions{Explicit: true}},
		"finding":   {definition(read, write), ObserveOptions{Objections: blocked}},
		"duplicate": {definition(read, tool("read", "Sends."), write), ObserveOptions{}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			out := f.observe("files", test.definition, test.options)
			if out.FirstUse || out.State != Quarantined {
				t.Errorf("outcome: %+v", out)
			}
			f = f.reopen()
			if f.check(read) != Quarantined || f.check(write) != Quarantined || f.Server("files") != Quarantined {
				t.Error("not quarantined after a restart")
			}
			// A server cannot leave quarantine by saying something else.
			if out := f.observe("files", definition(write), ObserveOptions{}); out.State != Quarantined {
				t.Errorf("a clean definition later: %s", out.State)
			}
			f.approveAll("files")
			if f.check(write) != Approved {
				t.Error("not approved by a person")
			}
		})
	}
}

func Test_findings_stand_at_their_item(t *testing.T) {
	f := newFixture(t)
	about := finding.Finding{Rule: "hidden-text", Severity: rule.Critical, Surface: "tool-definition", Name: "read"}
	instructions := finding.Finding{Rule: "tool-poisoning", Severity: rule.High, Surface: "instructions"}
	other := finding.Finding{Rule: "tool-poisoning", Severity: rule.High, Surface: "tool-definition", Name: "gone"}
	d := definition(tool("read", "Reads."), tool("write", "Writes."), NewItem(KindInstructions, "", []byte(`"Be good."`)))
	f.observe("files", d, ObserveOptions{Objections: []finding.Finding{about, instructions, other}})
	f = f.reopen()
	got := map[string][]finding.Finding{"": f.ServerFindings("files")}
	for _, c := range f.Pending() {
		if c.Findings != nil {
			got[string(c.Kind)+" "+c.Name] = c.Findings
		}
	}
	want := map[string][]finding.Finding{"": {other}, "tool read": {about}, "instructions ": {instructions}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Every field of a tool is part of what is approved: pins that leave out some are
// how a change passes.
func Test_every_field_of_a_tool_drifts(t *testing.T) {
	base := `{"name":"read","title":"Read","description":"Reads.","inputSchema":{"type":"object","properties":{"path":{"type":"string","description":"A path."}}},
		"outputSchema":{"type":"object"},"annotations":{"readOnlyHint":true},"icons":[{"src":"a.png"}],"_meta":{"a":1},"execution":{"taskSupport":"optional"},"x-unknown":1}`
	for name, change := range map[string][2]string{
		"title":                {`"Read"`, `"Reed"`},
		"description":          {`"Reads."`, `"Reads. "`},
		"hidden character":     {`"Reads."`, "\"Reads.\u200b\""},
		"inputSchema":          {`"A path."`, `"A path; then send it."`},
		"outputSchema":         {`"outputSchema":{"type":"object"}`, `"outputSchema":{"type":"array"}`},
		"annotations":          {`"readOnlyHint":true`, `"readOnlyHint":false`},
		"icons":                {`"a.png"`, `"b.png"`},
		"_meta":                {`{"a":1}`, `{"a":1.0}`},
		"execution":            {`"optional"`, `"required"`},
		"unknown field":        {`"x-unknown":1`, `"x-unknown":2`},
		"unknown field gone":   {`,"x-unknown":1`, ``},
		"another unknown":      {`"x-unknown":1`, `"x-unknown":1,"y":null`},
		"name in other casing": {`"name":"read"`, `"name":"Read"`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			approved := NewItem(KindTool, "read", []byte(base))
			f.observe("files", definition(approved), ObserveOptions{})
			if !strings.Contains(base, change[0]) {
				t.Fatal("the case changes nothing")
			}
			changed := NewItem(KindTool, "read", []byte(strings.Replace(base, change[0], change[1], 1)))
			if got := f.check(changed); got != Drift {
				t.Errorf("before it was observed: %s", got)
			}
			out := f.observe("files", definition(changed), ObserveOptions{})
			if diff := cmp.Diff([]string{"tool read changed"}, summaries(out.Changes)); diff != "" {
				t.Error(diff)
			}
			if len(Diff(out.Changes[0].Old.Definition, out.Changes[0].New.Definition)) == 0 {
				t.Error("nothing to show")
			}
			if f.check(changed) != Drift || f.check(approved) != Approved || f.Server("files") != Approved {
				t.Error("state after the observation")
			}
			if n := f.approveAll("files"); n != 1 || f.check(changed) != Approved || f.check(approved) != Drift || len(f.Pending()) != 0 {
				t.Errorf("state after approving %d", n)
			}
		})
	}
}

func Test_member_order_is_no_drift(t *testing.T) {
	f := newFixture(t)
	f.observe("files", definition(NewItem(KindTool, "read", []byte(`{"name":"read","a":[1, 2]}`))), ObserveOptions{})
	out := f.observe("files", definition(NewItem(KindTool, "read", []byte(`{ "a":[1,2], "name":"r\u0065ad"}`))), ObserveOptions{})
	if len(out.Changes) != 0 {
		t.Error(summaries(out.Changes))
	}
}

func Test_source_drift_stops_the_server(t *testing.T) {
	base := Source{Command: []string{"npx", "files@1"}, URL: "http://127.0.0.1:1/", Env: []string{"A", "B"}}
	read := tool("read", "Reads.")
	for name, test := range map[string]struct {
		source Source
		want   State
	}{
		"version":   {Source{[]string{"npx", "files@2"}, base.URL, base.Env}, Drift},
		"arguments": {Source{[]string{"npx", "files@1", ""}, base.URL, base.Env}, Drift},
		"split":     {Source{[]string{"npx files@1"}, base.URL, base.Env}, Drift},
		"url":       {Source{base.Command, "http://127.0.0.1:2/", base.Env}, Drift},
		"env":       {Source{base.Command, base.URL, []string{"A", "C"}}, Drift},
		"env order": {Source{base.Command, base.URL, []string{"B", "A"}}, Approved},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.observe("files", Definition{base, []Item{read}}, ObserveOptions{})
			if got := f.Check("files", KindSource, "", test.source.Item().Digest); got != test.want {
				t.Errorf("asked before start: %s", got)
			}
			out := f.observe("files", Definition{test.source, []Item{read}}, ObserveOptions{})
			if out.State != test.want || f.check(read) != test.want {
				t.Errorf("state %s, item %s", out.State, f.check(read))
			}
			f.approveAll("files")
			if f.check(read) != Approved {
				t.Error("not approved")
			}
		})
	}
}

func Test_a_changed_source_does_not_pass_when_the_disk_fails(t *testing.T) {
	f := newFixture(t)
	read := tool("read", "Reads.")
	f.observe("files", definition(read), ObserveOptions{})
	if err := os.RemoveAll(f.pending); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Observe("files", Definition{Source{Command: []string{"evil"}}, []Item{read}}, ObserveOptions{}); err == nil {
		t.Error("no error")
	}
	if got := f.check(read); got != Drift {
		t.Error(got)
	}
}

func Test_a_lock_that_cannot_be_written_refuses(t *testing.T) {
	f := newFixture(t)
	if err := os.Mkdir(f.lockPath, 0o700); err != nil { // rename cannot replace a folder
		t.Fatal(err)
	}
	read := tool("read", "Reads.")
	if _, err := f.Observe("files", definition(read), ObserveOptions{}); err == nil {
		t.Error("no error")
	}
	if got := f.check(read); got != Unknown {
		t.Error(got)
	}
}

func Test_items_come_and_go(t *testing.T) {
	f := newFixture(t)
	read, write := tool("read", "Reads."), tool("write", "Writes.")
	instructions := NewItem(KindInstructions, "", []byte(`"Obey."`))
	f.observe("files", definition(read, write), ObserveOptions{})

	out := f.observe("files", definition(read, instructions), ObserveOptions{})
	if diff := cmp.Diff([]string{"instructions  added", "tool write removed"}, summaries(out.Changes)); diff != "" {
		t.Error(diff)
	}
	if f.check(instructions) != New || f.check(read) != Approved || f.check(write) != Approved {
		t.Error("states while something waits")
	}
	if out.Changes[1].Waits() || !out.Changes[0].Waits() {
		t.Error("only what was added waits")
	}
	// Back to the approved definition: nothing waits, and no file is left.
	f.observe("files", definition(read, write), ObserveOptions{})
	if files, _ := filepath.Glob(filepath.Join(f.pending, "*")); len(f.Pending()) != 0 || len(files) != 0 {
		t.Error(summaries(f.Pending()), files)
	}
	// Approving that an item vanished forgets it.
	f.observe("files", definition(read), ObserveOptions{})
	if n := f.approveAll("files"); n != 1 || f.check(write) != New {
		t.Error(n, f.check(write))
	}
}

func Test_redefinition_stops_both(t *testing.T) {
	f := newFixture(t)
	read, twin, write := tool("read", "Reads."), tool("read", "Sends."), tool("write", "Writes.")
	f.observe("files", definition(read, write), ObserveOptions{})
	out := f.observe("files", definition(read, write, twin), ObserveOptions{})
	if len(out.Objections) != 1 || out.Objections[0].Rule != RedefinitionRule || out.Objections[0].Name != "read" {
		t.Errorf("blocked: %+v", out.Objections)
	}
	for _, f := range []fixture{f, f.reopen()} {
		if f.check(read) != Drift || f.check(twin) != Drift || f.check(write) != Approved {
			t.Error(f.check(read), f.check(twin), f.check(write))
		}
		if err := f.Pend("files", twin); err != nil {
			t.Error(err)
		}
		if n := f.approveAll("files"); n != 0 || f.check(twin) != Drift {
			t.Error("a duplicate was approved")
		}
	}
	f.observe("files", definition(read, write), ObserveOptions{})
	if f.check(read) != Approved {
		t.Error("the twin is gone")
	}
}

func Test_pend(t *testing.T) {
	f := newFixture(t)
	read := tool("read", "Reads.")
	f.observe("files", definition(read), ObserveOptions{})
	found := finding.Finding{Rule: "tool-poisoning", Severity: rule.High}
	for i := range 3 {
		item := tool("read", fmt.Sprint("Reads ", i))
		for range 2 {
			if err := f.Pend("files", item, found); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Pend("files", read); err != nil {
		t.Fatal(err)
	}
	f = f.reopen()
	changes := f.Pending()
	if len(changes) != 1 || changes[0].Versions != 3 || changes[0].New.Digest != tool("read", "Reads 2").Digest || len(changes[0].Findings) != 1 {
		t.Fatalf("%+v", changes)
	}
	if err := f.Pend("other", read); err == nil {
		t.Error("a server that was never observed")
	}
}

// A gateway does not start a changed command, so that there is no definition to
// observe; the change must be seen and approved all the same.
func Test_pend_of_a_source(t *testing.T) {
	f := newFixture(t)
	read, base := tool("read", "Reads."), definition().Source.Item()
	other := Source{URL: "http://x/"}.Item()
	f.observe("files", definition(read), ObserveOptions{})
	for range 2 {
		if err := f.Pend("files", other); err != nil {
			t.Fatal(err)
		}
	}
	if got := summaries(f.Pending()); !cmp.Equal(got, []string{"source  changed"}) {
		t.Error(got)
	}
	if f.Server("files") != Drift || f.check(read) != Drift || f.check(other) != Drift {
		t.Error("the server may be used")
	}
	if f.check(base) != Approved {
		t.Error("the configuration cannot go back")
	}
	if err := f.Pend("files", base); err != nil || f.check(read) != Approved {
		t.Error(err, f.check(read))
	}
	if err := f.Pend("files", other); err != nil {
		t.Fatal(err)
	}
	if f.approveAll("files"); f.check(read) != Approved || f.check(other) != Approved || f.check(base) != Drift {
		t.Error("not approved")
	}
}

func Test_pend_costs_nothing_when_it_waits(t *testing.T) {
	f := newFixture(t)
	f.observe("files", definition(tool("read", "Reads.")), ObserveOptions{})
	item := tool("read", "Sends.")
	if err := f.Pend("files", item); err != nil {
		t.Fatal(err)
	}
	// Without its folder a write would be an error.
	if err := os.RemoveAll(f.pending); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { f.Pend("files", item) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := f.Pend("files", item); err != nil {
		t.Error(err)
	}
	if err := f.Pend("files", tool("read", "Other.")); err == nil {
		t.Error("another version was not written")
	}
}

func Test_a_server_that_never_repeats_itself_stops_being_written(t *testing.T) {
	f := newFixture(t)
	f.observe("files", definition(tool("read", "Reads.")), ObserveOptions{})
	for i := range maxVersions + 5 {
		item := tool("read", fmt.Sprint(i))
		if err := f.Pend("files", item); err != nil {
			t.Fatal(err)
		}
		if f.check(item) != Drift {
			t.Fatal("passed")
		}
	}
	if got := f.Pending()[0].Versions; got != maxVersions {
		t.Error(got)
	}
}

func Test_bounds(t *testing.T) {
	many := func(n int) []Item {
		items := make([]Item, n)
		for i := range items {
			items[i] = tool(fmt.Sprint("t", i), "")
		}
		return items
	}
	big := func(n int) Item { return NewItem(KindTool, fmt.Sprint(n), []byte(`"`+strings.Repeat("a", n-2)+`"`)) }
	var heavy []Item
	for i := range MaxServerBytes/MaxItemBytes + 1 {
		item := big(MaxItemBytes)
		item.Name = fmt.Sprint(i)
		heavy = append(heavy, item)
	}
	wrong := tool("read", "Reads.")
	wrong.Digest = tool("read", "Sends.").Digest
	for name, test := range map[string]struct {
		definition Definition
		want       string // in the error; "": accepted
	}{
		"most items":       {definition(many(MaxItems)...), ""},
		"too many items":   {definition(many(MaxItems + 1)...), "2001 items"},
		"largest item":     {definition(big(MaxItemBytes)), ""},
		"too large item":   {definition(big(MaxItemBytes + 1)), "262145 bytes"},
		"too much":         {definition(heavy...), "16777216 bytes together"},
		"long name":        {definition(tool(strings.Repeat("n", MaxNameBytes+1), "")), "name of a tool"},
		"unknown kind":     {definition(NewItem("thing", "x", []byte(`1`))), "unknown kind"},
		"second source":    {definition(Source{}.Item()), "a source among"},
		"wrong digest":     {definition(wrong), "digest"},
		"named":            {definition(NewItem(KindInstructions, "x", []byte(`""`))), "no name"},
		"value in env":     {Definition{Source: Source{Env: []string{"TOKEN=s3cret"}}}, "only names"},
		"password in URL":  {Definition{Source: Source{URL: "https://u:s3cret@host/"}}, "password"},
		"URL not readable": {Definition{Source: Source{URL: "http://[s3cret"}}, "parsed"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			_, err := f.Observe("files", test.definition, ObserveOptions{})
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if f.Server("files") != Unknown {
				t.Error("approved")
			}
		})
	}
	f := newFixture(t)
	if _, err := f.Observe("", definition(), ObserveOptions{}); err == nil {
		t.Error("a server without a name")
	}
	if _, err := f.Observe("files", definition(), ObserveOptions{Objections: make([]finding.Finding, maxFindings+1)}); err == nil {
		t.Error("too many findings")
	}
}

func Test_approve_takes_what_was_chosen(t *testing.T) {
	f := newFixture(t)
	read, write := tool("read", "Reads."), tool("write", "Writes.")
	f.observe("files", definition(read, write), ObserveOptions{Explicit: true})
	onlyRead := func(c Change) bool { return c.Name == "read" }
	if _, err := f.Approve("files", onlyRead, "ada"); err == nil || !strings.Contains(err.Error(), "source") {
		t.Errorf("an item without its source: %v", err)
	}
	if f.Server("files") != Quarantined {
		t.Error("half approved")
	}
	if n, err := f.Approve("files", func(c Change) bool { return onlyRead(c) || c.Kind == KindSource }, "ada"); n != 2 || err != nil {
		t.Error(n, err)
	}
	if f.check(read) != Approved || f.check(write) != New {
		t.Error(f.check(read), f.check(write))
	}
	if _, err := f.Approve("files", onlyRead, ""); err == nil {
		t.Error("approved by nobody")
	}
	if n, err := f.Approve("other", onlyRead, "ada"); n != 0 || err != nil {
		t.Error("nothing waits", n, err)
	}
}

func Test_another_process_approves(t *testing.T) {
	f := newFixture(t)
	gateway, person := f, f.reopen()
	read, sends := tool("read", "Reads."), tool("read", "Sends.")
	gateway.observe("files", definition(read), ObserveOptions{})
	gateway.observe("files", definition(sends), ObserveOptions{})
	if err := person.Reload(); err != nil {
		t.Fatal(err)
	}
	person.approveAll("files")
	if gateway.check(sends) != Drift {
		t.Error("approved before it reloads")
	}
	if err := gateway.Reload(); err != nil {
		t.Fatal(err)
	}
	if gateway.check(sends) != Approved || len(gateway.Pending()) != 0 {
		t.Error("not approved after it reloads")
	}
}

func Test_what_a_colleague_approved_waits_no_more(t *testing.T) {
	f := newFixture(t)
	f.observe("files", definition(tool("read", "Reads.")), ObserveOptions{})
	old, err := os.ReadFile(f.lockPath)
	if err != nil {
		t.Fatal(err)
	}
	f.observe("files", definition(tool("read", "Sends.")), ObserveOptions{})
	pending, _ := filepath.Glob(filepath.Join(f.pending, "*.json"))
	waiting, err := os.ReadFile(pending[0])
	if err != nil {
		t.Fatal(err)
	}
	f.approveAll("files")
	if err := os.WriteFile(pending[0], waiting, 0o600); err != nil { // as if the machine had stopped here
		t.Fatal(err)
	}
	if f = f.reopen(); len(f.Pending()) != 0 {
		t.Error(summaries(f.Pending()))
	}
	if err := os.WriteFile(f.lockPath, old, 0o644); err != nil {
		t.Fatal(err)
	}
	if f = f.reopen(); len(f.Pending()) != 1 {
		t.Error("the lock went back, so it waits again")
	}
}

func Test_a_bad_reload_keeps_the_old_answers(t *testing.T) {
	read := tool("read", "Reads.")
	for _, broken := range []string{"lock", "pending"} {
		f := newFixture(t)
		f.observe("files", definition(read), ObserveOptions{})
		f.observe("other", definition(read), ObserveOptions{Explicit: true})
		path := f.lockPath
		if broken == "pending" {
			files, _ := filepath.Glob(filepath.Join(f.pending, "*.json"))
			path = files[0]
		}
		if err := os.WriteFile(path, []byte("{\n<<<<<<< HEAD"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := f.Reload(); err == nil || !strings.Contains(err.Error(), path+":2:") {
			t.Errorf("%s: error %v", broken, err)
		}
		if f.check(read) != Approved || f.Server("other") != Quarantined {
			t.Errorf("%s: the old answers are gone", broken)
		}
		if _, err := f.Observe("third", definition(read), ObserveOptions{}); err == nil || f.Server("third") != Unknown {
			t.Errorf("%s: written over a file that cannot be read: %v", broken, err)
		}
		if _, err := Open(f.lockPath, f.pending); err == nil {
			t.Errorf("%s: opened", broken)
		}
	}
}

// Whatever changes an answer of Check or Server changes the generation, also in
// another Book on the same files.
func Test_generation_tells_changes(t *testing.T) {
	f := newFixture(t)
	last := f.Generation()
	changed := func(what string, want bool) {
		t.Helper()
		now := f.Generation()
		if (now != last) != want {
			t.Errorf("%s: generation %d after %d", what, now, last)
		}
		last = now
	}
	tool := func(text string) Item { return NewItem(KindTool, "a", []byte(`{"name":"a","description":"`+text+`"}`)) }
	f.observe("s", Definition{Source: Source{URL: "https://example.com/"}, Items: []Item{tool("one")}}, ObserveOptions{})
	changed("first use", true)
	f.Check("s", KindTool, "a", tool("one").Digest)
	changed("a question", false)
	if err := f.Pend("s", tool("two")); err != nil {
		t.Fatal(err)
	}
	changed("drift", true)
	if err := f.Pend("s", tool("two")); err != nil {
		t.Fatal(err)
	}
	changed("the same drift", false)
	f.approveAll("s")
	changed("approval", true)
	if err := f.Refresh(); err != nil {
		t.Fatal(err)
	}
	changed("nothing", false)
	other := f.reopen()
	if err := other.Pend("s", tool("three")); err != nil {
		t.Fatal(err)
	}
	other.approveAll("s")
	if err := f.Refresh(); err != nil {
		t.Fatal(err)
	}
	changed("approval by another process", true)
}

func Test_check_allocates_nothing(t *testing.T) {
	f := newFixture(t)
	read := tool("read", "Reads.")
	f.observe("files", definition(read), ObserveOptions{})
	states := [3]State{}
	n := testing.AllocsPerRun(100, func() {
		states[0] = f.Check("files", KindTool, "read", read.Digest)
		states[1] = f.Check("files", KindTool, "none", read.Digest)
		states[2] = f.Check("none", KindTool, "read", read.Digest)
	})
	if n != 0 || states != [3]State{Approved, New, Unknown} {
		t.Error(n, states)
	}
}

func Test_two_books_lose_no_approval(t *testing.T) {
	f := newFixture(t)
	race(t, func(worker string) error { return observeMany(f.lockPath, f.pending, worker) })
	wantServers(t, f)
}

// Test_two_processes_lose_no_approval starts this test binary twice; the children
// are told by the environment what to do.
func Test_two_processes_lose_no_approval(t *testing.T) {
	if worker := os.Getenv("APPROVAL_TEST_WORKER"); worker != "" {
		if err := observeMany(os.Getenv("APPROVAL_TEST_LOCK"), os.Getenv("APPROVAL_TEST_PENDING"), worker); err != nil {
			t.Fatal(err)
		}
		return
	}
	f := newFixture(t)
	race(t, func(worker string) error {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "APPROVAL_TEST_WORKER="+worker, "APPROVAL_TEST_LOCK="+f.lockPath, "APPROVAL_TEST_PENDING="+f.pending)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	wantServers(t, f)
}

const serversPerWorker = 15

func observeMany(lockPath, pending, worker string) error {
	book, err := Open(lockPath, pending)
	if err != nil {
		return err
	}
	for i := range serversPerWorker {
		if _, err := book.Observe(fmt.Sprint(worker, i), definition(tool("read", worker)), ObserveOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func race(t *testing.T, work func(worker string) error) {
	var group sync.WaitGroup
	for _, worker := range []string{"a", "b"} {
		group.Go(func() {
			if err := work(worker); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func wantServers(t *testing.T, f fixture) {
	t.Helper()
	f = f.reopen()
	for _, worker := range []string{"a", "b"} {
		for i := range serversPerWorker {
			if got := f.Server(fmt.Sprint(worker, i)); got != Approved {
				t.Errorf("%s%d: %s", worker, i, got)
			}
		}
	}
}

func Test_checks_and_changes_at_once(t *testing.T) {
	f := newFixture(t)
	read := tool("read", "Reads.")
	f.observe("files", definition(read), ObserveOptions{})
	done := make(chan struct{})
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if got := f.check(read); got != Approved {
						t.Error(got)
						return
					}
				}
			}
		})
	}
	for i := range 10 {
		f.observe("files", definition(read, tool("more", fmt.Sprint(i))), ObserveOptions{})
	}
	close(done)
	group.Wait()
}

func Test_files_are_private_and_public_as_said(t *testing.T) {
	f := newFixture(t)
	f.observe("files", definition(tool("read", "Reads.")), ObserveOptions{})
	f.observe("../../etc", definition(tool("read", "Reads.")), ObserveOptions{Explicit: true})
	pending, _ := filepath.Glob(filepath.Join(f.pending, "*"))
	if len(pending) != 1 {
		t.Fatal(pending)
	}
	for path, want := range map[string]os.FileMode{f.lockPath: 0o644, pending[0]: 0o600, f.pending: 0o700 | os.ModeDir} {
		info, err := os.Stat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if rest, _ := filepath.Glob(filepath.Join(filepath.Dir(f.lockPath), ".gatehouse-*")); len(rest) != 0 {
		t.Error("left behind: ", rest)
	}
}

func Test_locks_share_a_pending_folder(t *testing.T) {
	f := newFixture(t)
	read := tool("read", "Reads.")
	f.observe("files", definition(read), ObserveOptions{Explicit: true})
	f.lockPath = filepath.Join(filepath.Dir(f.lockPath), "other.lock")
	if other := f.reopen(); len(other.Pending()) != 0 || other.Server("files") != Unknown {
		t.Error("a server of another lock waits here")
	}
}

func Test_lock_through_a_link(t *testing.T) {
	f := newFixture(t)
	f.observe("files", definition(tool("read", "Reads.")), ObserveOptions{})
	link := filepath.Join(t.TempDir(), "gatehouse.lock")
	if err := os.Symlink(f.lockPath, link); err != nil {
		t.Fatal(err)
	}
	linked := f
	linked.lockPath = link
	linked = linked.reopen()
	linked.observe("more", definition(tool("read", "Reads.")), ObserveOptions{})
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced", err)
	}
	if f.reopen().Server("more") != Approved {
		t.Error("another file was written")
	}
}

func Test_source_item(t *testing.T) {
	got := Source{Command: []string{"a", "b"}, Env: []string{"Y", "X", "X"}}.Item()
	want := json.RawMessage(`{"command":["a","b"],"env":["X","Y"]}`)
	if diff := cmp.Diff(string(want), string(got.Definition)); diff != "" {
		t.Error(diff)
	}
}

func Test_only_bounded_regular_files_are_read(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if raw, err := readFile(path, 3); raw != nil || err != nil {
		t.Error("a missing file", raw, err)
	}
	for content, ok := range map[string]bool{"": true, "abc": true, "abcd": false} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if raw, err := readFile(path, 3); (err == nil) != ok || (raw != nil) != ok {
			t.Errorf("%q: %q, %v", content, raw, err)
		}
	}
	if _, err := readFile(filepath.Dir(path), 3); err == nil {
		t.Error("a folder")
	}
}

func Test_pend_leaves_duplicates_as_they_are(t *testing.T) {
	f := newFixture(t)
	f.observe("files", definition(tool("read", "Reads.")), ObserveOptions{})
	stale := f.reopen()
	f.observe("files", definition(tool("read", "Reads."), tool("read", "Sends.")), ObserveOptions{})
	for range 2 { // the first time the stale Book learns of the duplicates
		if err := stale.Pend("files", tool("read", "Third.")); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"tool read duplicate", "tool read duplicate"}
	if diff := cmp.Diff(want, summaries(f.reopen().Pending())); diff != "" {
		t.Error(diff)
	}
	if err := os.RemoveAll(f.pending); err != nil {
		t.Fatal(err)
	}
	if err := f.Pend("files", tool("read", "Fourth.")); err != nil {
		t.Error("a name that is refused anyway cost a read of the files:", err)
	}
}

func Test_pend_refuses_what_cannot_be_kept(t *testing.T) {
	f := newFixture(t)
	f.observe("files", definition(tool("read", "Reads.")), ObserveOptions{})
	wrong := tool("read", "Sends.")
	wrong.Digest = "sha256:0"
	for _, item := range []Item{wrong, tool("read", strings.Repeat("a", MaxItemBytes)), NewItem("thing", "x", []byte(`1`)), {}} {
		if err := f.Pend("files", item); err == nil {
			t.Errorf("%.20s", item.Name)
		}
	}
	if len(f.Pending()) != 0 {
		t.Error("kept")
	}
}

func Test_pending_bounds(t *testing.T) {
	w := &waiting{items: make([]waitingItem, 2*MaxItems)}
	if err := w.validate(); err != nil {
		t.Error(err)
	}
	w.items = append(w.items, waitingItem{})
	if _, err := encodePending("files", w); err == nil {
		t.Error("too many")
	}
	heavy := waitingItem{Item: Item{Definition: make([]byte, MaxServerBytes+1)}}
	if err := (&waiting{items: []waitingItem{heavy}}).validate(); err == nil {
		t.Error("too large")
	}
}

func Test_a_pending_file_belongs_to_one_server(t *testing.T) {
	f := newFixture(t)
	f.observe("files", definition(tool("read", "Reads.")), ObserveOptions{Explicit: true})
	if err := os.Rename(f.files.path("files"), f.files.path("other")); err != nil {
		t.Fatal(err)
	}
	if err := f.Reload(); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Error(err)
	}
}

func Test_malformed_pending(t *testing.T) {
	f := newFixture(t)
	f.observe("files", definition(tool("read", "Reads.")), ObserveOptions{Explicit: true, Objections: []finding.Finding{{Rule: "r", Severity: rule.High, Surface: "tool-definition", Name: "read"}}})
	f.approveAll("files")
	f.observe("files", definition(tool("read", "Sends."), tool("new", "")), ObserveOptions{Objections: []finding.Finding{{Rule: "r", Severity: rule.High, Surface: "tool-definition", Name: "read"}}})
	f.observe("files", definition(tool("new", "")), ObserveOptions{Objections: []finding.Finding{{Rule: "r", Severity: rule.High, Surface: "tool-definition", Name: "new"}}})
	raw, err := os.ReadFile(f.files.path("files"))
	if err != nil {
		t.Fatal(err)
	}
	good := string(raw)
	for name, test := range map[string]struct{ old, new, want string }{
		"version":       {`"version":1`, `"version":2`, `"version" must be 1`},
		"unknown field": {`"server":`, `"extra":1,"server":`, `unknown field "extra"`},
		"server":        {`"server":"files"`, `"server":1`, `"server" must be a string`},
		"items":         {`"items":[`, `"items":1,"findings":[`, `"items" must be an array`},
		"removed":       {`"removed":true`, `"removed":1`, `"removed" must be true or false`},
		"removed kind":  {`"removed":true`, `"removed":true,"duplicate":1`, `"duplicate" must be`},
		"since":         {`"since":"2`, `"since":"x2`, `"since" must be a time`},
		"versions":      {`"versions":1`, `"versions":0`, `"versions" must be a positive number`},
		"edited":        {`"description":""`, `"description":"x"`, `server "files", tool "new": the digest is not`},
		"findings":      {`"severity":"high"`, `"severity":"awful"`, `reading findings`},
		"finding field": {`"severity":"high"`, `"severity":"high","x":1`, `reading findings`},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, test.old) {
				t.Fatal("the case changes nothing: ", good)
			}
			_, _, err := parsePending("p.json", []byte(strings.Replace(good, test.old, test.new, 1)))
			if err == nil || !strings.HasPrefix(err.Error(), "p.json:1: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func Test_a_lock_in_the_state_folder_needs_no_preparation(t *testing.T) {
	state := filepath.Join(t.TempDir(), "a", "state")
	if _, err := Open(filepath.Join(state, "gatehouse.lock"), filepath.Join(state, "pending")); err != nil {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(state, "missing", "gatehouse.lock"), filepath.Join(state, "pending")); err == nil {
		t.Error("a folder that does not exist")
	}
}
