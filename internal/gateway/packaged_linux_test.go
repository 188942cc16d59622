//go:build amd64 || arm64

package gateway

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"gatehouse/internal/config"
	"gatehouse/internal/egress"
	"gatehouse/internal/sandbox"
	"gatehouse/internal/upstream"
)

// A command that fetches what it starts is never run, whatever else is wrong.
func Test_what_launches_a_package_starts_only_from_what_is_installed(t *testing.T) {
	h := confinedHouse(t, "{}")
	s := h.g.live.Load().servers["stub"]
	if err := s.admitted(t.Context()); err != nil { // the first look reads what is changed here
		t.Fatal(err)
	}
	marker := t.TempDir() + "/npx"
	if err := os.WriteFile(marker, []byte("#!/bin/sh\ntouch $0.ran\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	profile := s.config.Sandbox
	for _, test := range []struct {
		command []string
		without bool
		want    string
	}{
		{[]string{marker, "-y", "made-up@1.0.0"}, false, "its package is not installed: npm:made-up@1.0.0; this installs it: gatehouse install --state"},
		{[]string{marker, "-y", "made-up@1.0.0"}, true, "it has no sandbox"},
		{[]string{"sh", "-c", marker + " made-up"}, false, "through sh"},
		{[]string{"uvx", "--from", "git+https://h.example/x", "x"}, false, "no registry keeps"},
	} {
		s.config.Command, s.config.Sandbox = test.command, profile
		if test.without {
			s.config.Sandbox = nil
		}
		conn, err := s.dial(false, upstream.Inbound(nil))
		if conn != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.command, err, test.want)
		}
		if log := h.details(); !strings.Contains(log, "it was not started") {
			t.Errorf("the log says\n%s", log)
		}
	}
	if _, err := os.Stat(marker + ".ran"); err == nil {
		t.Error("what fetches packages was run")
	}
}

func Test_who_is_not_let_reach_a_place_is_told_of_once(t *testing.T) {
	h := confinedHouse(t, "{}")
	s := h.g.live.Load().servers["stub"]
	if err := s.admitted(t.Context()); err != nil { // the first look reads what is changed here
		t.Fatal(err)
	}
	var said strings.Builder
	s.log = slog.New(slog.NewTextHandler(&said, nil))
	for range 3 {
		s.confined(sandbox.Refusal{Control: sandbox.Network, What: "the name api.example.com", Times: 1})
		if err := s.reached(egress.Event{Kind: egress.NameRefused, Name: "api.example.com", Reason: egress.NameNotAllowed}); err != nil {
			t.Fatal(err)
		}
	}
	s.confined(sandbox.Refusal{Control: sandbox.SystemCalls, What: "other", Times: 1})
	if err := s.reached(egress.Event{Kind: egress.Closed, Name: "other.example.com", Port: 443, Reason: egress.Idle}); err != nil {
		t.Fatal(err)
	}
	if got := said.String(); strings.Count(got, "api.example.com") != 1 || !strings.Contains(got, "servers.stub.sandbox.network") || strings.Contains(got, "other") {
		t.Errorf("it says %s", got)
	}
}

// Everything of the state that lies beside the packages is looked for by the probe.
func Test_no_server_sees_the_state(t *testing.T) {
	c := &config.Config{State: "/state", Lock: "/lock"}
	all := strings.Join(hiddenState(c), " ")
	for _, want := range []string{"/state ", "/lock", "/state/audit", "/state/oauth", "/state/keys", "/state/halts.json", "/state/packages/records"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is not among %s", want, all)
		}
	}
}
