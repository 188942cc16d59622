//go:build linux || darwin || freebsd

package statefile

import (
	"os"

	"golang.org/x/sys/unix"
)

// Map makes the first size bytes of a file memory. On these systems reads and maps
// of a file share one memory of it: what was stored is seen by every reader at
// once, and is the kernel's to keep when the process dies, as after a write.
func Map(file *os.File, size int) ([]byte, error) {
	return unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// Unmap ends what Map began.
func Unmap(memory []byte) error { return unix.Munmap(memory) }

// Flush returns when what was stored is on disk.
func Flush(memory []byte) error { return unix.Msync(memory, unix.MS_SYNC) }
