//go:build unix

package integration

import (
	"fmt"
	"os"
	"testing"

	"gatehouse/test/program"
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
	if gatehouse, err = program.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// What tests need is found, or they are skipped.
var (
	installed = program.Installed
	node      = program.Node
	tool      = program.Tool
)

// hostile is the command line of our own server that misbehaves.
func hostile(t *testing.T, args ...string) []string {
	t.Helper()
	return append([]string{tool(t, "hostile")}, args...)
}
