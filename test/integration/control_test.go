//go:build unix

package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/audit"
)

// run runs a command of the program on the gateway's configuration.
func (g *gateway) run(args ...string) (output string) {
	g.t.Helper()
	output, code := command(g.t, append(args, "--config", g.config)...)
	if code != 0 {
		g.t.Fatalf("%v ends with %d:\n%s", args, code, output)
	}
	return output
}

// kinds are the details of the records of some kinds.
func (g *gateway) kinds(kinds ...audit.Kind) (details []string) {
	g.t.Helper()
	for _, r := range g.records(audit.Filter{Kinds: kinds}) {
		details = append(details, r.Detail)
	}
	return details
}

// The command stops a running gateway: what is in flight ends, the processes end, a
// restart changes nothing, and it is in the log.
func TestHalt_by_command(t *testing.T) {
	t.Parallel()
	needProc(t)
	dir, record := t.TempDir(), filepath.Join(t.TempDir(), "record")
	servers := object{
		"slow": object{"command": hostile(t, "-mode", "hang", "-record", record)},
		"good": object{"command": hostile(t)},
	}
	g := serveIn(t, dir, servers)
	waiting, c, m := g.legacy("slow"), g.legacy("good"), g.modern("")
	c.echo("")
	m.echo("good__")
	ended := make(chan reply, 1)
	go func() { ended <- waiting.call("echo", object{"text": "hello"}) }()
	eventually(t, "the call to be at the server", func() bool { return slices.Contains(lines(t, record), "waiting") })

	g.run("halt", "server", "slow", "--reason", "incident 42")
	if r := <-ended; r.reason() != "halted" || !strings.Contains(r.raw, "incident 42") {
		t.Errorf("the call in flight was answered %s", r.raw)
	}
	c.echo("")
	g.run("halt", "all", "--reason", "incident 43")
	eventually(t, "all processes to be ended", func() bool { return len(descendants(g.command.Process.Pid)) == 0 })
	for _, each := range []*client{c, m} {
		prefix := map[bool]string{true: "good__"}[each == m]
		if r := each.call(prefix+"echo", object{"text": "x"}); r.reason() != "halted" || !strings.Contains(r.raw, "incident 43") {
			t.Errorf("answered %s", r.raw)
		}
	}
	g.stop()

	g = serveIn(t, dir, servers)
	if r := g.modern("good").call("echo", object{"text": "x"}); r.reason() != "halted" {
		t.Errorf("after a restart: %s", r.raw)
	}
	if n := len(descendants(g.command.Process.Pid)); n != 0 {
		t.Errorf("%d processes of halted servers run", n)
	}
	g.run("resume", "all")
	eventually(t, "the other server to work again", func() bool { return g.modern("good").call("echo", object{"text": "x"}).text() == "x" })
	if r := g.modern("slow").call("echo", object{"text": "x"}); r.reason() != "halted" {
		t.Errorf("what is still halted: %s", r.raw)
	}
	want := []string{"server slow: incident 42", "everything: incident 43", "everything"}
	if got := g.kinds(audit.Halted, audit.Resumed); !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

// Whoever is halted has no process any more; others keep theirs.
func TestHalt_ends_the_processes_of_a_principal(t *testing.T) {
	t.Parallel()
	needProc(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.cedar"), []byte(`permit (principal, action, resource);`), 0o600); err != nil {
		t.Fatal(err)
	}
	g := serveIn(t, dir, object{"good": object{"command": hostile(t)}}, object{"identity": object{"keys": object{}}, "policy": object{"files": []string{"p.cedar"}}})
	as := func(name string) *client {
		c := g.modern("good")
		output, code := command(t, "key", "create", name, "--json", "--config", g.config)
		var k struct{ Secret string }
		if err := json.Unmarshal([]byte(output), &k); err != nil || code != 0 {
			t.Fatalf("%v: %s", err, output)
		}
		c.header.Set("Authorization", "Bearer "+k.Secret)
		eventually(t, "the key to be taken over", func() bool { return c.call("echo", object{"text": "x"}).text() == "x" })
		return c
	}
	first, second := as("first"), as("second")
	before := len(descendants(g.command.Process.Pid))
	g.run("halt", "principal", "key:first", "--reason", "incident 42")
	eventually(t, "one process to be ended", func() bool { return len(descendants(g.command.Process.Pid)) == before-1 })
	second.echo("")
	if r := first.call("echo", object{"text": "x"}); r.reason() != "halted" {
		t.Errorf("answered %s", r.raw)
	}
	if n := len(descendants(g.command.Process.Pid)); n != before-1 {
		t.Errorf("%d processes run, want %d", n, before-1)
	}
}

func TestHalt_by_signal(t *testing.T) {
	t.Parallel()
	g := serve(t, object{"good": object{"command": hostile(t)}})
	m := g.modern("good")
	m.echo("")
	g.command.Process.Signal(syscall.SIGUSR1)
	eventually(t, "everything to be halted", func() bool { return m.call("echo", object{"text": "x"}).reason() == "halted" })
	eventually(t, "it to be recorded", func() bool {
		return slices.Equal(g.kinds(audit.Halted), []string{"everything: a signal was sent to Gatehouse"})
	})
	if list := g.run("halt", "list"); !strings.Contains(list, "everything") {
		t.Errorf("the list is %s", list)
	}
	g.run("resume", "all")
	eventually(t, "everything to go on", func() bool { return m.call("echo", object{"text": "x"}).text() == "x" })
}

// Clients learn from the header when to come again, and a restart forgets nothing.
func TestQuota_on_the_wire(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	servers, quotas := object{"good": object{"command": hostile(t)}}, object{"quotas": object{"each": object{"by": []string{"user"}, "rate": "2/h"}}}
	g := serveIn(t, dir, servers, quotas)
	for _, c := range []*client{g.legacy("good"), g.modern("")} {
		prefix := map[bool]string{true: "good__"}[c.era == modernVersion]
		c.echo(prefix)
	}
	refused := func() {
		t.Helper()
		for _, c := range []*client{g.legacy("good"), g.modern("good")} {
			r := c.call("echo", object{"text": "x"})
			seconds := r.header.Get("Retry-After")
			if r.reason() != "quota-exceeded" || seconds == "" || !strings.Contains(r.raw, `"retryAfterSeconds":`+seconds) || r.result()["isError"] != true {
				t.Errorf("answered %v %s", r.header, r.raw)
			}
		}
	}
	refused()
	if list := g.run("quota", "list"); !strings.Contains(list, "each") {
		t.Errorf("what is used is %s", list)
	}
	if output, code := command(t, "serve", "--config", g.config, "--listen", "127.0.0.1:0"); code == 0 || !strings.Contains(output, "another") {
		t.Errorf("a second gateway on the state ends with %d: %s", code, output)
	}
	g.stop()
	g = serveIn(t, dir, servers, quotas)
	refused()
}

// Policies are read again when a file of theirs changes, comes or goes; what is broken
// leaves those from before in force, and both are in the log.
func TestReload_policies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	policies := filepath.Join(dir, "policies")
	if err := os.Mkdir(policies, 0o700); err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) {
		t.Helper()
		file := filepath.Join(policies, name)
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	const all, none = `permit (principal, action, resource);`, `forbid (principal, action == Action::"tools/call", resource);`
	put("a.cedar", all)
	g := serveIn(t, dir, object{"good": object{"command": hostile(t)}}, object{"policy": object{"files": []string{"policies/*.cedar"}}})
	m := g.modern("good")
	m.echo("")
	calls := func(want bool) {
		t.Helper()
		eventually(t, "the policies to be taken over", func() bool { return (m.call("echo", object{"text": "x"}).text() == "x") == want })
	}
	reloads := func(kind audit.Kind) int { return len(g.kinds(kind)) }

	put("b.cedar", none) // a new file
	calls(false)
	if err := os.Remove(filepath.Join(policies, "b.cedar")); err != nil {
		t.Fatal(err)
	}
	calls(true)
	put("a.cedar", none)
	calls(false)
	put("a.cedar", all)
	calls(true)

	before := reloads(audit.Reload)
	put("c.cedar", `forbid (principal, action, resource`) // broken
	put("a.cedar", none)                                  // good by itself: whole or not at all
	eventually(t, "the broken policy to be refused", func() bool { return reloads(audit.ReloadRefused) > 0 })
	calls(true)
	if n := reloads(audit.Reload); n != before {
		t.Errorf("%d reloads, want %d", n, before)
	}
	if got := g.kinds(audit.ReloadRefused); !strings.Contains(got[0], "c.cedar") {
		t.Errorf("recorded %q", got)
	}
	eventually(t, "it to be said", func() bool { return strings.Contains(g.printed.String(), "c.cedar") })
	if err := os.Remove(filepath.Join(policies, "c.cedar")); err != nil {
		t.Fatal(err)
	}
	calls(false)
	if digests := g.kinds(audit.Reload); !strings.HasPrefix(digests[0], "policies ") || digests[0] == digests[1] {
		t.Errorf("recorded %q, want the digest of the policies", digests)
	}
}

// Keys that are made, rotated and revoked count while the gateway runs, and are in the
// log without the key.
func TestReload_keys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.cedar"), []byte(`permit (principal in Team::"data", action, resource);`), 0o600); err != nil {
		t.Fatal(err)
	}
	g := serveIn(t, dir, object{"good": object{"command": hostile(t)}}, object{"identity": object{"keys": object{}}, "policy": object{"files": []string{"p.cedar"}}})
	made := func(args ...string) (secret string) {
		t.Helper()
		var k struct{ Secret string }
		output := g.run(append([]string{"key", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(output), &k); err != nil || k.Secret == "" {
			t.Fatalf("%v: %s", err, output)
		}
		return k.Secret
	}
	as := func(secret string) *client {
		c := g.modern("good")
		c.header.Set("Authorization", "Bearer "+secret)
		return c
	}
	works := func(c *client, want bool) {
		t.Helper()
		eventually(t, "the key to be taken over", func() bool { return (c.call("echo", object{"text": "x"}).text() == "x") == want })
	}
	first := made("create", "report", "--team", "data")
	works(as(first), true)
	other := made("create", "other")
	second := made("rotate", "report", "--overlap", "0")
	works(as(second), true)
	works(as(first), false)
	g.run("key", "revoke", "report")
	works(as(second), false)
	works(as(other), false)

	got := g.records(audit.Filter{Kinds: []audit.Kind{audit.KeyCreated, audit.KeyRotated, audit.KeyRevoked}})
	if len(got) != 4 {
		t.Fatalf("recorded %d changes of keys", len(got))
	}
	for n, want := range []struct {
		kind           audit.Kind
		target, detail string
	}{
		{audit.KeyCreated, "key:report", first[:11] + ", teams data, good until "},
		{audit.KeyCreated, "key:other", other[:11] + ", good until "},
		{audit.KeyRotated, "key:report", second[:11] + ", teams data, good until "},
		{audit.KeyRevoked, "key:report", "keys that ended: 2"},
	} {
		if r := got[n]; r.Kind != want.kind || r.Target != want.target || !strings.HasPrefix(r.Detail, want.detail) || !strings.HasPrefix(r.Principal, "local:") {
			t.Errorf("record %d is %+v, want %+v", n, r, want)
		}
	}
	g.neverKept(first[12:], second[12:], other[12:])
}
