//go:build unix

package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// lock makes this process the only writer until the file is closed. The kernel
// gives the lock back when the process ends, however it ends.
func lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, fileMode)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder := holderOf(file)
		file.Close()
		return nil, fmt.Errorf("%w: %s is held by %s; stop it, or give this one another directory", ErrLocked, path, holder)
	}
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return file, nil
}

func holderOf(file *os.File) string {
	text := make([]byte, 20)
	n, err := file.ReadAt(text, 0)
	if err != nil && err != io.EOF {
		return "a process that cannot be named"
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return "a process that is starting"
	}
	return "process " + strconv.Itoa(pid)
}

// syncDir puts the names in a directory on disk.
func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
