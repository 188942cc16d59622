//go:build unix

package matrix

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/test/program"
)

// object is a JSON object. A configuration is one too: JSON is YAML.
type object = map[string]any

const (
	// patience is how long the test waits for what should come at once; the machine
	// may be busy with other things.
	patience = 2 * time.Minute
	// shutdown is how long the gateway may take to end all servers.
	shutdown = 10 * time.Second
)

// gateway is the built program in front of all servers.
type gateway struct {
	url   string // without a path
	audit string // folder
	trace string // where servers note what was cancelled
}

func serve(t *testing.T, list []server, trace string) *gateway {
	t.Helper()
	dir := t.TempDir()
	built, err := program.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	configured := object{}
	for _, s := range list {
		if s.id != "" {
			configured[s.id] = s.configuration()
		}
	}
	raw, err := json.Marshal(object{
		"listen": "127.0.0.1:0", "servers": configured, "limits": object{"start_timeout": patience.String(), "timeout": patience.String()},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "gatehouse.yaml")
	write(t, config, string(raw))
	g := &gateway{audit: filepath.Join(dir, ".gatehouse", "audit"), trace: trace}

	printed := &program.Output{}
	command := exec.Command(built, "serve", "--config", config)
	if err := program.Start(command, printed); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if took := program.End(command, 2*shutdown); took > shutdown {
			t.Errorf("the gateway took %v to end, want at most %v", took, shutdown)
		}
		if t.Failed() {
			t.Logf("the gateway printed:\n%s", printed)
		}
		for line := range strings.Lines(printed.String()) {
			if strings.Contains(line, "internal error") {
				t.Errorf("the gateway met an internal error: %s", line)
			}
		}
	})
	if g.url, err = printed.AwaitURL(patience); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the gateway to admit all servers", func() bool { return len(g.admitted()) == len(configured) })
	return g
}

// admitted are the servers that the gateway has admitted so far, by id.
func (g *gateway) admitted() map[string]bool {
	found := map[string]bool{}
	audit.Read(g.audit, audit.Filter{Kinds: []audit.Kind{audit.Admitted}}, func(r *audit.Record) error { // what cannot be read is not there
		found[r.Server] = true
		return nil
	})
	return found
}

// calls are the records of the kind about calls that a client made with a step.
func (g *gateway) calls(kind audit.Kind, c client, s server, called step) []*audit.Record {
	tool := called.Tool // as the server knows it
	if _, rest, found := strings.Cut(tool, "__"); found {
		tool = rest
	}
	var found []*audit.Record
	audit.Read(g.audit, audit.Filter{}, func(r *audit.Record) error { // what cannot be read is not found
		if r.Kind == kind && r.Method == "tools/call" && r.Mount == s.mount() && r.Target == tool && strings.HasPrefix(r.Client, c.name()) {
			found = append(found, r)
		}
		return nil
	})
	return found
}

// sawCancelled waits until the gateway has ended the call as cancelled, and the
// server has noted it if it is one that does.
func (g *gateway) sawCancelled(c client, s server, called step) error {
	ended := await(func() bool {
		for _, r := range g.calls(audit.Ended, c, s, called) {
			if r.Reason == "cancelled" {
				return true
			}
		}
		return false
	})
	if !ended {
		var reasons []string
		for _, r := range g.calls(audit.Ended, c, s, called) {
			reasons = append(reasons, r.Reason+" "+r.Detail)
		}
		return fmt.Errorf("the gateway has no record of a cancelled call, only %q", reasons)
	}
	noted := called.token == "" || await(func() bool {
		raw, _ := os.ReadFile(g.trace)
		return strings.Contains(string(raw), "cancelled "+token(c, s)+"\n")
	})
	if !noted {
		return fmt.Errorf("the server did not notice")
	}
	return nil
}

// token names the call of a client that a server is to note when it is cancelled.
func token(c client, s server) string { return c.id + s.mount() }

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	if !await(yes) {
		t.Fatalf("waited %v for this: %s", patience, what)
	}
}

func await(yes func() bool) bool {
	deadline := time.After(patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !yes() {
		select {
		case <-again.C:
		case <-deadline:
			return false
		}
	}
	return true
}
