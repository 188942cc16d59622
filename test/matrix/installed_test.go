//go:build unix

package matrix

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"gatehouse/test/program"
)

// What the matrix needs is found, or it is skipped.
var (
	installed = program.Installed
	node      = program.Node
	tool      = program.Tool
)

// bin is the path of a program of a package from npm.
func bin(t *testing.T, name string) string {
	t.Helper()
	return program.Package(t, ".bin", name)
}

func python(t *testing.T) string {
	t.Helper()
	return installed(t, "..", ".tools", "python", "bin", "python")
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
