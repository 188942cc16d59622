package conformance

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/test/program"
)

// The number of server scenarios that each revision requires. A run that finds
// fewer did not test what it seems to test.
const (
	requiredLegacy = 30 // 2025-11-25
	requiredModern = 37 // 2026-07-28
)

const (
	startTimeout = 20 * time.Second // for a server to answer its first request
	suiteTimeout = 3 * time.Minute  // for one run; five seconds are usual
)

func TestConformance_the_gateway_loses_nothing(t *testing.T) {
	tools := findTools(t)
	page := Page{Pairings: pairings(t, tools), Clients: clients(t, tools)}
	page.check(t)
}

// pairings runs the server suite of each revision directly, through the gateway, and
// through the gateway at a server of the other era.
func pairings(t *testing.T, tools tools) []Pairing {
	t.Helper()
	legacy, modern, front := freeAddress(t), freeAddress(t), freeAddress(t)
	start(t, tools.server, "-http", legacy, "-stateless=false")
	start(t, tools.server, "-http", modern, "-stateless=true")
	waitUntilUp(t, "http://"+legacy+"/")
	waitUntilUp(t, "http://"+modern+"/")
	start(t, buildGateway(t), "serve", "--config", writeConfig(t, front, legacy, modern))
	waitUntilUp(t, "http://"+front+"/healthz")

	var list []Pairing
	for _, run := range []struct {
		revision, direct, through, across string
		required                          int
	}{
		{"2025-11-25", "http://" + legacy + "/", "/mcp/legacy", "/mcp/modern", requiredLegacy},
		{"2026-07-28", "http://" + modern + "/", "/mcp/modern", "/mcp/legacy", requiredModern},
	} {
		t.Run(run.revision, func(t *testing.T) {
			pairing := Pairing{Revision: run.revision}
			pairing.Direct = tools.runSuite(t, run.direct, run.revision)
			pairing.Through = tools.runSuite(t, "http://"+front+run.through, run.revision)
			if n := pairing.Direct.Scored(); n != run.required {
				t.Errorf("the suite ran %d required scenarios, want %d", n, run.required)
			}
			for _, problem := range Compare(pairing.Direct, pairing.Through) {
				t.Error(problem)
			}
			pairing.Across = tools.runSuite(t, "http://"+front+run.across, run.revision)
			for _, problem := range CompareAcross(run.revision, pairing.Direct, pairing.Across) {
				t.Error(problem)
			}
			t.Logf("checks passed/failed of %s:\n%s", run.revision, Table(pairing.Direct, pairing.Through, pairing.Across))
			list = append(list, pairing)
		})
	}
	return list
}

var update = flag.Bool("update", false, "write docs/CONFORMANCE.md anew")

// check compares docs/CONFORMANCE.md with what was found.
func (p Page) check(t *testing.T) {
	t.Helper()
	if t.Failed() {
		return
	}
	path := filepath.Join("..", "..", "docs", "CONFORMANCE.md")
	want := p.Markdown()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("docs/CONFORMANCE.md says something else; `make conformance` writes it anew:\n%s", diff)
	}
}

// tools are the programs that `make tools` installs.
type tools struct{ server, node, suite string }

func findTools(t *testing.T) tools {
	t.Helper()
	return tools{
		server: program.Tool(t, "everything-server"),
		node:   program.Node(t),
		suite:  program.Package(t, "@modelcontextprotocol", "conformance", "dist", "index.js"),
	}
}

func (tl tools) runSuite(t *testing.T, url, revision string) Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
	defer cancel()
	suite := exec.CommandContext(ctx, tl.node, tl.suite, "server", "--url", url, "--requirements", revision)
	suite.Dir = t.TempDir()
	output, err := suite.CombinedOutput()
	var failed *exec.ExitError // some scenario did; which one is for Compare to say
	if err != nil && !errors.As(err, &failed) {
		t.Errorf("%s against %s: %v\n%s", revision, url, err, output)
	}
	return ParseReport(string(output))
}

func buildGateway(t *testing.T) string {
	t.Helper()
	path, err := program.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func writeConfig(t *testing.T, front, legacy, modern string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse.yaml")
	text := fmt.Sprintf("listen: %s\nservers:\n  legacy:\n    url: http://%s/\n    era: legacy\n  modern:\n    url: http://%s/\n    era: modern\n", front, legacy, modern)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs a program until the test ends; what it printed is shown if the test
// failed.
func start(t *testing.T, path string, args ...string) {
	t.Helper()
	var printed program.Output
	command := exec.Command(path, args...)
	if err := program.Start(command, &printed); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		program.End(command, startTimeout)
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(path), printed.String())
		}
	})
}

// freeAddress asks the system for a port that nobody uses.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// waitUntilUp asks until something answers, whatever it says.
func waitUntilUp(t *testing.T, url string) {
	t.Helper()
	deadline := time.After(startTimeout)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		response, err := http.Get(url)
		if err == nil {
			response.Body.Close()
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("nothing answers at %s: %v", url, err)
		}
	}
}
