//go:build unix

package statefile

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func Test_a_pipe_is_refused_and_not_waited_for(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, 5); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}
