package integration

import (
	"syscall"
	"testing"
)

// smallDisk makes a folder a file system of its own with half a megabyte of
// room, until the test ends. Where that is not allowed the test is skipped.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("a small file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
}
