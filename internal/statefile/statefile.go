// Package statefile keeps files of the state folder that one process writes and
// others read: replaced as a whole, locked, read within bounds, and, where the
// system can do that, shared with the kernel as memory.
package statefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrLocked says that another process holds the file.
var ErrLocked = errors.New("another process uses it")

// mode lets nobody but the owner read what is kept.
const mode = 0o600

const (
	// lockWait bounds the wait for a process that holds a lock for one read and one
	// write.
	lockWait = 5 * time.Second
	// lockRetry is the time between two attempts.
	lockRetry = 5 * time.Millisecond
)

// Lock makes this process the only one that holds path, a file that it makes and
// that has no other use, until unlock is called or the process ends. The error is
// ErrLocked if another one holds it.
func Lock(path string) (unlock func(), err error) {
	file, err := lock(path)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { file.Close() }, nil // closing unlocks
}

// LockWait is Lock for processes that hold it briefly: it waits for its turn.
func LockWait(path string) (unlock func(), err error) {
	deadline := time.After(lockWait)
	retry := time.NewTicker(lockRetry)
	defer retry.Stop()
	for {
		unlock, err = Lock(path)
		if !errors.Is(err, ErrLocked) {
			return unlock, err
		}
		select {
		case <-deadline:
			return nil, err
		case <-retry.C:
		}
	}
}

// Read is the content of a regular file of at most limit bytes. The error is
// fs.ErrNotExist if there is none.
func Read(path string, limit int64) ([]byte, error) {
	// Opening a pipe would wait for a writer. What was opened is looked at, not what lay
	// there a moment before.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	raw, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return raw, nil
}

// Replace puts content in the place of the file at path: a reader, and a machine
// that loses power, has the old content or the new one and never a part.
func Replace(path string, content []byte) error {
	return ReplaceWith(path, func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
}

// ReplaceWith is Replace for content that fill writes.
func ReplaceWith(path string, fill func(*os.File) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".gatehouse-*.tmp")
	if err != nil {
		return err
	}
	if err = errors.Join(fill(file), chmod(file), file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		os.Remove(file.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}

func chmod(file *os.File) error {
	if err := file.Chmod(mode); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// Grow makes the file size bytes long, with room on the disk for all of them: a
// write to memory that has none kills the process.
func Grow(file *os.File, size int64) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := reserve(file, size); err == nil || !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	zeros := make([]byte, 64<<10)
	for at := info.Size(); at < size; {
		n, err := file.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at)
		if err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}

// Stamp tells versions of a file that is replaced apart.
type Stamp struct {
	info fs.FileInfo // nil: there is none
}

// StampOf looks at the file at path.
func StampOf(path string) (Stamp, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Stamp{}, nil
	}
	return Stamp{info}, err
}

// Same reports whether nothing shows that the file was replaced or written.
func (s Stamp) Same(other Stamp) bool {
	if s.info == nil || other.info == nil {
		return s.info == nil && other.info == nil
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() && s.info.ModTime().Equal(other.info.ModTime()) && s.info.Mode() == other.info.Mode()
}
