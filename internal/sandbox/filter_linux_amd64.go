package sandbox

import (
	"golang.org/x/sys/unix"

	"gatehouse/internal/profile"
)

// statAt is what both architectures have under different names.
const statAt = unix.SYS_NEWFSTATAT

// conditionalHere are calls that only this architecture has, being older.
func conditionalHere() []condition {
	return []condition{
		{unix.SYS_CHMOD, without(1, setID), "chmod", asOwner},
		{unix.SYS_OPEN, without(2, setID), "open", asOwner},
		{unix.SYS_CREAT, without(1, setID), "creat", asOwner},
		{unix.SYS_MKNOD, without(1, setID), "mknod", asOwner},
	}
}

func forbiddenHere() []call {
	return []call{{"iopl", unix.SYS_IOPL}, {"ioperm", unix.SYS_IOPERM}, {"modify_ldt", unix.SYS_MODIFY_LDT}, {"uselib", unix.SYS_USELIB}, {"ustat", unix.SYS_USTAT}, {"sysfs", unix.SYS_SYSFS}, {"sysctl", unix.SYS__SYSCTL}}
}

func allowedHere() []uintptr {
	return []uintptr{
		unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_POLL, unix.SYS_ACCESS, unix.SYS_PIPE, unix.SYS_SELECT, unix.SYS_ALARM, unix.SYS_PAUSE, unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_GETDENTS,
		unix.SYS_RENAME, unix.SYS_MKDIR, unix.SYS_RMDIR, unix.SYS_LINK, unix.SYS_UNLINK, unix.SYS_SYMLINK, unix.SYS_READLINK, unix.SYS_CHOWN, unix.SYS_LCHOWN,
		unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT, unix.SYS_TIME, unix.SYS_INOTIFY_INIT, unix.SYS_SIGNALFD, unix.SYS_EVENTFD, unix.SYS_EPOLL_CREATE, unix.SYS_EPOLL_WAIT,
		unix.SYS_DUP2, unix.SYS_ARCH_PRCTL, unix.SYS_GETPGRP,
	}
}

func observedHere() []uintptr {
	return []uintptr{unix.SYS_OPEN, unix.SYS_CREAT, unix.SYS_UNLINK, unix.SYS_RENAME, unix.SYS_MKDIR, unix.SYS_RMDIR, unix.SYS_LINK, unix.SYS_SYMLINK}
}

func fileUsesHere(n *notification, file func(kind string, folder, at int), opened func(flags uint64) string) {
	const here = -1
	switch uintptr(n.number) {
	case unix.SYS_OPEN:
		file(opened(n.args[1]), here, 0)
	case unix.SYS_CREAT, unix.SYS_UNLINK, unix.SYS_MKDIR, unix.SYS_RMDIR:
		file(profile.UsedWrite, here, 0)
	case unix.SYS_SYMLINK:
		file(profile.UsedWrite, here, 1)
	case unix.SYS_RENAME, unix.SYS_LINK:
		file(profile.UsedWrite, here, 0)
		file(profile.UsedWrite, here, 1)
	}
}
