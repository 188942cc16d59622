//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Landlock (landlock(7)) restricts the thread of the launcher, which becomes the
// server, to the mounts once more: what holds the first lock open, a mistake in the
// mounts, finds the second.

// Rights on files and folders.
const (
	readFile    = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readFolder  = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	writeFile   = readFile | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	writeFolder = readFolder | writeFile | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER
	execute = unix.LANDLOCK_ACCESS_FS_EXECUTE
)

// handledSince are the rights that each version of Landlock has brought. What is
// handled is refused where no rule allows it. What an older kernel lacks shows in the
// report, because the probe tries it.
var handledSince = []struct {
	version int
	rights  uint64
}{
	{1, 1<<13 - 1}, {2, unix.LANDLOCK_ACCESS_FS_REFER}, {3, unix.LANDLOCK_ACCESS_FS_TRUNCATE}, {5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV}, {unixScope, unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX},
}

func landlockVersion() int {
	const versionFlag = 1 // LANDLOCK_CREATE_RULESET_VERSION
	v, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, versionFlag)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// lockFiles restricts this thread, and what is started from it, to what is shown, and
// its signals and abstract sockets to processes that are restricted like it.
func (s *spec) lockFiles() error {
	version := landlockVersion()
	if version == 0 {
		return nil // the report says so
	}
	// The kernel takes no ruleset with fields that it does not know, unless they are zero.
	attr := struct{ files, network, scoped uint64 }{}
	for _, h := range handledSince {
		if version >= h.version {
			attr.files |= h.rights
		}
	}
	if version >= signalScope {
		attr.scoped = unix.LANDLOCK_SCOPE_SIGNAL | unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	set, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return fmt.Errorf("restricting files by Landlock: %w", errno)
	}
	defer unix.Close(int(set))
	for _, r := range s.landlockRules() {
		if err := allowBeneath(int(set), r.path, r.rights&attr.files); err != nil && !(r.optional && errors.Is(err, os.ErrNotExist)) {
			return fmt.Errorf("restricting files by Landlock: %s: %w", r.path, err)
		}
	}
	// A thread may restrict itself if it cannot gain privileges.
	if err := refuseNewPrivileges(); err != nil {
		return err
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); errno != 0 {
		return fmt.Errorf("restricting files by Landlock: %w", errno)
	}
	return nil
}

// landlockRule is what is allowed at a path and beneath it.
type landlockRule struct {
	path     string
	rights   uint64
	optional bool // the path need not be there
}

func (s *spec) landlockRules() []landlockRule {
	if s.Contained != "" {
		return s.containedRules()
	}
	rules := []landlockRule{
		{"/proc", readFolder, false}, {"/etc", readFolder, false}, {"/tmp", writeFolder, false}, {"/dev/shm", writeFolder, false},
		{"/run", readFolder, true}, {"/dev", unix.LANDLOCK_ACCESS_FS_READ_DIR, false},
	}
	for _, m := range s.Mounts {
		rules = append(rules, landlockRule{m.Path, m.rights(), false})
	}
	return rules
}

// rights are what the server may do with what is mounted.
func (m mount) rights() uint64 {
	rights := uint64(readFile)
	switch {
	case m.Folder && m.Write:
		rights = writeFolder
	case m.Folder:
		rights = readFolder
	case m.Write:
		rights = writeFile
	}
	if m.Exec {
		rights |= execute
	}
	return rights
}

func allowBeneath(set int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// struct landlock_path_beneath_attr is packed; the descriptor follows the rights.
	attr := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	if _, _, errno := unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
