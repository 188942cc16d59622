//go:build linux || darwin || freebsd

package audit

import (
	"os"

	"golang.org/x/sys/unix"
)

// share maps a file into memory. On these systems reads and maps of a file share
// one memory of it: what was stored is seen by every reader at once, and is the
// kernel's to keep when the process dies, as after a write.
func share(f *os.File, size int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func unshare(memory []byte) error { return unix.Munmap(memory) }

// flush puts what was stored on its way to the disk; a sync of the file waits for
// it.
func flush(memory []byte) error { return unix.Msync(memory, unix.MS_SYNC) }
