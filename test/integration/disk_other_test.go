//go:build unix && !linux

package integration

import "testing"

func smallDisk(t *testing.T, _ string) {
	t.Helper()
	t.Skip("a small file system is mounted on Linux only")
}
