//go:build unix

package integration

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/test/program"
)

// object is a JSON object. A configuration is one too: JSON is YAML.
type object = map[string]any

// gateway is a running `gatehouse serve`.
type gateway struct {
	t        *testing.T
	config   string // path
	audit    string // folder
	url      string // without a path
	command  *exec.Cmd
	began    time.Time
	printed  *program.Output
	stopping sync.Once
	answered atomic.Int64 // requests to which the gateway gave an answer
	unended  int          // exchanges whose end may be missing in the log
}

// shutdown is how long the gateway may take to end.
const shutdown = 5 * time.Second

// serve starts a gateway with these servers; more are further keys of the
// configuration. When the test ends, the gateway is ended and what must hold after
// every test is checked.
func serve(t *testing.T, servers object, more ...object) *gateway {
	t.Helper()
	return serveIn(t, t.TempDir(), servers, more...)
}

func serveIn(t *testing.T, dir string, servers object, more ...object) *gateway {
	t.Helper()
	g := &gateway{t: t, config: filepath.Join(dir, "gatehouse.yaml"), printed: &program.Output{}}
	whole := g.write(servers, more...)
	g.audit = filepath.Join(dir, ".gatehouse", "audit")
	if state, ok := whole["state"].(string); ok {
		g.audit = filepath.Join(state, "audit")
	}
	g.launch()
	return g
}

// launch starts the program on the configuration and waits until it listens.
func (g *gateway) launch(args ...string) {
	t := g.t
	t.Helper()
	g.began = time.Now()
	g.command = exec.Command(gatehouse, append([]string{"serve", "--config", g.config}, args...)...)
	if err := program.Start(g.command, g.printed); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.stop)
	eventually(t, "the gateway to say its address", func() bool {
		g.url = g.printed.URL()
		return g.url != "" || !alive(g.command.Process.Pid)
	})
	if g.url == "" {
		t.Fatalf("the gateway did not start:\n%s", g.printed)
	}
}

// write puts a configuration into the gateway's file, as a whole.
func (g *gateway) write(servers object, more ...object) object {
	g.t.Helper()
	whole := object{"listen": "127.0.0.1:0", "servers": servers}
	for _, keys := range more {
		maps.Copy(whole, keys)
	}
	raw, err := json.MarshalIndent(whole, "", "  ")
	if err != nil {
		g.t.Fatal(err)
	}
	g.replace(string(raw))
	return whole
}

func (g *gateway) replace(text string) {
	g.t.Helper()
	if err := os.WriteFile(g.config+".new", []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(g.config+".new", g.config); err != nil {
		g.t.Fatal(err)
	}
}

// stop ends the gateway and checks what must hold after every test: it ends in
// time, no process of it is left, and its log is whole and complete.
func (g *gateway) stop() {
	g.stopping.Do(func() {
		g.t.Helper()
		children := descendants(g.command.Process.Pid)
		end(g.t, g.command, shutdown)
		for _, pid := range children {
			if alive(pid) {
				g.t.Errorf("process %d is left of the gateway", pid)
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		g.checkLog()
		if g.t.Failed() {
			g.t.Logf("the gateway printed:\n%s", g.printed)
		}
		if strings.Contains(g.printed.String(), "internal error") || strings.Contains(g.printed.String(), "goroutine ") {
			g.t.Errorf("the gateway met an internal error:\n%s", g.printed)
		}
	})
}

// checkLog verifies the chain and that every exchange has its records: each one
// that was decided ended, and there are as many as the clients had answers.
func (g *gateway) checkLog() {
	t := g.t
	t.Helper()
	report, err := audit.Verify(g.audit)
	if err != nil || report.Tampered() {
		t.Errorf("the log does not verify: %v %+v", err, report)
	}
	open, ended := map[string]bool{}, 0
	err = audit.Read(g.audit, audit.Filter{}, func(r *audit.Record) error {
		switch r.Kind {
		case audit.Decided:
			open[r.Exchange] = true
		case audit.Ended:
			delete(open, r.Exchange)
			if r.Direction == audit.ClientToServer && !strings.HasPrefix(r.Method, "notifications/") {
				ended++
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("reading the log: %v", err)
	}
	if len(open) > g.unended {
		t.Errorf("exchanges that were decided and never ended: %v", open)
	}
	if answered := int(g.answered.Load()); ended < answered {
		t.Errorf("the log has the end of %d exchanges; clients had %d answers", ended, answered)
	}
}

// records are those of the log so far that the filter selects.
func (g *gateway) records(f audit.Filter) []*audit.Record {
	g.t.Helper()
	var list []*audit.Record
	err := audit.Read(g.audit, f, func(r *audit.Record) error {
		list = append(list, r)
		return nil
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return list
}

// logText is every byte of the log.
func (g *gateway) logText() string {
	g.t.Helper()
	var text strings.Builder
	names, _ := filepath.Glob(filepath.Join(g.audit, "*"))
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			g.t.Fatal(err)
		}
		text.Write(raw)
	}
	return text.String()
}

// lock is the text of gatehouse.lock.
func (g *gateway) lock() string {
	g.t.Helper()
	raw, err := os.ReadFile(g.lockPath())
	if err != nil && !os.IsNotExist(err) {
		g.t.Fatal(err)
	}
	return string(raw)
}

func (g *gateway) lockPath() string { return filepath.Join(filepath.Dir(g.config), "gatehouse.lock") }

// approve runs the real command.
func (g *gateway) approve(args ...string) (output string, code int) {
	g.t.Helper()
	return command(g.t, append([]string{"approve", "--config", g.config}, args...)...)
}
