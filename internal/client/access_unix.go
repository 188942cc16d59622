//go:build unix

package client

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// access says what others may do with a file that is there. It follows a link, and looks
// at the folders above both ends.
func access(found Found) Access {
	path, err := filepath.Abs(found.Path)
	if err != nil {
		return Access{}
	}
	a := upwards(path, found.Root)
	if target, err := filepath.EvalSymlinks(path); err == nil && target != path {
		b := upwards(target, found.Root)
		a.Read, a.Write = a.Read && b.Read, a.Write && b.Write
		if a.Folder == "" {
			a.Folder = b.Folder
		}
	}
	return a
}

// upwards goes from a file to the root. Who may not pass a folder reaches nothing below
// it.
func upwards(path, root string) Access {
	info, err := os.Stat(path)
	if err != nil {
		return Access{}
	}
	a := Access{Read: others(info, 4), Write: others(info, 2)}
	for path != root && path != filepath.Dir(path) {
		path = filepath.Dir(path)
		info, err := os.Stat(path)
		if err != nil {
			return Access{}
		}
		if !others(info, 1) {
			return Access{}
		}
		// In a sticky folder, such as /tmp, everybody moves only what is theirs.
		if a.Folder == "" && others(info, 2) && info.Mode()&fs.ModeSticky == 0 {
			a.Folder = path
		}
	}
	return a
}

// others reports whether somebody else than the owner has a permission: 4 to read, 2 to
// write, 1 to run or pass. A group that has the number of its owner is theirs alone, as
// most Linux systems make one for each person.
func others(info fs.FileInfo, bit fs.FileMode) bool {
	mode := info.Mode().Perm()
	if mode&bit != 0 {
		return true
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	return mode&(bit<<3) != 0 && ok && owner.Gid != owner.Uid
}
