//go:build unix

package client

import (
	"path/filepath"
	"syscall"
	"testing"
)

// fifo makes a pipe that nobody writes to.
func fifo(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
