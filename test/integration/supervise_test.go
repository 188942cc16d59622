//go:build unix

package integration

import (
	"syscall"
	"testing"
)

func TestSupervise_an_idle_process_is_stopped_and_comes_back(t *testing.T) {
	t.Parallel()
	needProc(t)
	g := serve(t, object{"files": object{"command": hostile(t), "idle_stop": "500ms"}})
	c, m := g.legacy("files"), g.modern("files")
	for range 2 {
		c.echo("")
		m.echo("")
		eventually(t, "the processes to be stopped", func() bool { return len(descendants(g.command.Process.Pid)) == 0 })
	}
}

// SIGSTOP is the perfect hang: nothing is read, nothing is answered, nothing ends.
func TestSupervise_a_process_that_hangs_is_ended(t *testing.T) {
	t.Parallel()
	needProc(t)
	g := serve(t, object{"files": object{"command": hostile(t), "timeout": "500ms"}})
	c := g.legacy("files")
	c.echo("")
	for _, pid := range descendants(g.command.Process.Pid) {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	if r := c.call("echo", object{"text": "hello"}); r.reason() != "upstream-timeout" {
		t.Errorf("answered %s, want the reason upstream-timeout", r.raw)
	}
	eventually(t, "the session to work again", func() bool {
		return c.call("echo", object{"text": "hello"}).text() == "hello"
	})
}

func TestSupervise_processes_are_bounded(t *testing.T) {
	t.Parallel()
	g := serve(t, object{"files": object{"command": hostile(t)}}, object{"limits": object{"processes": 2}})
	// One is kept for requests without a session.
	first, second := g.legacy("files"), g.client("files", legacyVersion)
	first.echo("")
	hello := object{"protocolVersion": legacyVersion, "capabilities": object{}, "clientInfo": object{"name": "t", "version": "1"}}
	if r := second.request("initialize", hello); r.reason() != "overloaded" {
		t.Errorf("answered %s, want the reason overloaded", r.raw)
	}
	first.echo("")
}
