//go:build amd64 || arm64

package gateway

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/egress"
	"gatehouse/internal/sandbox"
)

// confinedHouse is a gateway in front of the stub in a sandbox.
func confinedHouse(t *testing.T, section string) *house {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "gatehouse.yaml")
	text := fmt.Sprintf("servers:\n  stub:\n    command: [%q]\n    env: {%s: \"1\"}\n    era: legacy\n    sandbox: %s\n", os.Args[0], serveVariable, section)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	trail, err := audit.Open(filepath.Join(dir, "audit"), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trail.Close() })
	book, err := approval.Open(c.Lock, filepath.Join(dir, "pending"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Options{Config: c, Book: book, Audit: trail, Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return &house{t: t, g: g, trail: trail, dir: dir}
}

// details are those of the records about the server's processes.
func (h *house) details() string {
	var all strings.Builder
	for _, r := range h.records(audit.ServerStarted, audit.ServerEnded) {
		fmt.Fprintln(&all, r.Kind, r.Detail)
	}
	return all.String()
}

func Test_a_server_with_a_sandbox_runs_in_it_and_the_log_says_so(t *testing.T) {
	h := confinedHouse(t, "{preset: offline-files}")
	h.passed(h.call(h.open(`{}`), "hello"))
	if log := h.details(); !strings.Contains(log, "in a sandbox; enforced: files, landlock, network, namespaces") {
		t.Errorf("the log does not say what is enforced:\n%s", log)
	}
}

func Test_a_server_whose_sandbox_is_not_whole_does_not_start(t *testing.T) {
	h := confinedHouse(t, "{read: [/nowhere]}")
	h.refused(h.call(nil, "hello"), "upstream-unavailable")
	if log := h.details(); strings.Contains(log, string(audit.ServerStarted)) || !strings.Contains(log, "it was not started") {
		t.Errorf("the log says\n%s", log)
	}
}

// The names in the configuration are those of the sandbox.
func Test_every_control_can_be_named_in_a_configuration(t *testing.T) {
	confinedHouse(t, "{unsafe_missing: ["+strings.Join(sandbox.Controls(), ", ")+"]}")
}

func Test_what_a_sandbox_refuses_is_recorded(t *testing.T) {
	h := confinedHouse(t, "{record_files: true}")
	s := h.g.live.Load().servers["stub"]
	s.confined(sandbox.Refusal{Control: sandbox.SystemCalls, What: "ptrace", Times: 1})
	s.confined(sandbox.Refusal{Control: sandbox.Files, What: "read /home/ann/.ssh/id_test", Times: 10})
	var got []string
	for _, r := range h.records(audit.SandboxRefused) {
		got = append(got, r.Server+" "+r.Rule+": "+r.Detail)
	}
	if diff := cmp.Diff([]string{"stub system_calls: ptrace", "stub files: read /home/ann/.ssh/id_test, 10 times"}, got); diff != "" {
		t.Error(diff)
	}
}

// A rule that the broker refuses is found before the server starts.
func Test_a_server_with_a_network_is_served_by_a_broker(t *testing.T) {
	h := confinedHouse(t, `{network: ["api.example.com:443", "127.0.0.1:8443", "*:80"], unsafe_addresses: [10.1.0.0/16]}`)
	h.passed(h.call(h.open(`{}`), "hello"))
	if log := h.details(); !strings.Contains(log, "in a sandbox; enforced: files, landlock, network") {
		t.Errorf("the log says\n%s", log)
	}
}

func Test_what_a_server_reaches_for_is_recorded(t *testing.T) {
	h := confinedHouse(t, "{network: ['api.example.com:443']}")
	s := h.g.live.Load().servers["stub"]
	for _, e := range []egress.Event{
		{Kind: egress.Opened, Name: "api.example.com", Port: 443, Address: netip.MustParseAddrPort("192.0.2.7:443")},
		{Kind: egress.Closed, Name: "api.example.com", Port: 443, Up: 10, Down: 20},
		{Kind: egress.NameRefused, Name: "evil.example", Reason: egress.NameNotAllowed},
	} {
		if err := s.reached(e); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, r := range h.records(audit.Reached) {
		got = append(got, r.Server+": "+r.Detail)
	}
	want := []string{
		"stub: opened api.example.com:443, at 192.0.2.7", "stub: closed api.example.com:443, 10 bytes sent, 20 received", "stub: name-refused evil.example: name-not-allowed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	h.close()
	if err := s.reached(egress.Event{Kind: egress.Opened, Name: "api.example.com", Port: 443}); err == nil {
		t.Error("a connection that cannot be recorded is opened")
	}
}
