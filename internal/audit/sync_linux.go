package audit

import (
	"os"
	"syscall"
)

// syncData puts the content of a file on disk, without the times that a reader
// of the log does not need.
func syncData(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Control(func(fd uintptr) {
		for {
			if failure = syscall.Fdatasync(int(fd)); failure != syscall.EINTR {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return failure
}
