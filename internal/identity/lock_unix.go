//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package identity

import (
	"os"
	"syscall"
)

// lock keeps other processes out until unlock is called. It locks the folder,
// because the file in it is replaced when it is written.
func lock(dir string) (unlock func(), err error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		folder.Close()
		return nil, err
	}
	return func() { folder.Close() }, nil // closing unlocks
}
