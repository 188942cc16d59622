//go:build amd64 || arm64

package gateway

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
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
