package approval

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// lockWait bounds the wait for another process that holds the lock's folder. It
// holds it for one read and one write.
const lockWait = 10 * time.Second

// lockRetry is the time between two attempts.
const lockRetry = 5 * time.Millisecond

var errHeld = errors.New("held by another process")

// exclusive keeps other processes, and other Books of this one, from changing the
// files until release is called. It locks the folder, because the files in it are
// replaced when they are written and a file beside them would be one more thing to
// explain in a repository.
func exclusive(dir string) (release func(), err error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	deadline := time.After(lockWait)
	retry := time.NewTicker(lockRetry)
	defer retry.Stop()
	for {
		err := tryLock(folder)
		if err == nil {
			return func() { folder.Close() }, nil // closing unlocks
		}
		if !errors.Is(err, errHeld) {
			folder.Close()
			return nil, fmt.Errorf("locking %s: %w", dir, err)
		}
		select {
		case <-deadline:
			folder.Close()
			return nil, fmt.Errorf("locking %s: another process has held it for %s", dir, lockWait)
		case <-retry.C:
		}
	}
}

// readFile reads a regular file of at most limit bytes; nil if there is none.
func readFile(path string, limit int) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	if raw == nil {
		raw = []byte{}
	}
	return raw, nil
}

// writeFile replaces the file at path: a reader, and a machine that loses power,
// has the old content or the new one and never a part.
func writeFile(path string, content []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".gatehouse-*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// resolve is the path of the file itself, so that a link is not replaced by a file
// and every process names the file the same.
func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real, nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(abs)), nil
}
