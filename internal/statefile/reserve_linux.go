package statefile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reserve is ErrUnsupported where the file system cannot do that.
func reserve(file *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(file.Fd()), 0, 0, size)
		if err != unix.EINTR {
			if err == unix.EOPNOTSUPP || err == unix.ENOSYS {
				return errors.ErrUnsupported
			}
			return err
		}
	}
}
