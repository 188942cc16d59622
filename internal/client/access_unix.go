//go:build unix

package client

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// access says what others may do with a file that is there. Whoever reads or writes it
// through a link passes the folders above its target, so these say who may; either end
// can be replaced.
func access(found Found) (Access, error) {
	path, err := filepath.Abs(found.Path)
	if err != nil {
		return Access{}, err
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Access{}, err
	}
	a, err := upwards(target, found.Root)
	if err != nil || target == path {
		return a, err
	}
	link, err := upwards(path, found.Root)
	if link.Replace.over(a.Replace) {
		a.Replace, a.Folder = link.Replace, link.Folder
	}
	return a, err
}

// upwards goes from a file to the root. Who may not pass a folder reaches nothing below
// it.
func upwards(path, root string) (Access, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Access{}, err
	}
	a := Access{Read: others(info, 4), Write: others(info, 2)}
	for path != root && path != filepath.Dir(path) {
		path = filepath.Dir(path)
		if info, err = os.Stat(path); err != nil {
			return Access{}, err
		}
		pass := others(info, 1)
		a.Read, a.Write, a.Replace = a.Read.and(pass), a.Write.and(pass), a.Replace.and(pass)
		// In a sticky folder, such as /tmp, everybody moves only what is theirs.
		if may := others(info, 2).and(pass); may.over(a.Replace) && info.Mode()&fs.ModeSticky == 0 {
			a.Replace, a.Folder = may, path
		}
	}
	if a.Replace == Nobody {
		a.Folder = ""
	}
	return a, nil
}

// others says who else than the owner has a permission: 4 to read, 2 to write, 1 to run
// or pass. A group that has the number of its owner is theirs alone, as most Linux
// systems make one for each person.
func others(info fs.FileInfo, bit fs.FileMode) Who {
	mode := info.Mode().Perm()
	if mode&bit != 0 {
		return Everybody
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if mode&(bit<<3) != 0 && ok && owner.Gid != owner.Uid {
		return Group
	}
	return Nobody
}
