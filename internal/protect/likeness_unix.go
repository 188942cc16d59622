//go:build unix

package protect

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// likeness gives a file the mode and the owner of another one. Only root may give a file
// away; for everybody else the owner is right already.
func likeness(file *os.File, info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := file.Chown(int(stat.Uid), int(stat.Gid)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return file.Chmod(info.Mode().Perm())
}

func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
