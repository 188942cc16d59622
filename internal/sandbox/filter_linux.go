//go:build amd64 || arm64

package sandbox

import (
	"slices"

	"golang.org/x/sys/unix"
)

// The filter of system calls (seccomp(2)) lets through what programs of users need.
// What it knows and forbids fails with EPERM, which programs understand; what it
// does not know, such as calls of kernels to come, fails with ENOSYS, for which
// programs are prepared.

// Offsets in struct seccomp_data. Both architectures are little-endian, so the
// lower half of an argument comes first.
const (
	dataNumber = 0
	dataArch   = 4
	dataArgs   = 16
)

const (
	allow   = unix.SECCOMP_RET_ALLOW
	forbid  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	unknown = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	kill    = unix.SECCOMP_RET_KILL_PROCESS
)

// x32 marks a second set of numbers for the same calls on amd64.
const x32 = 0x40000000

// systemCallFilter is the program that the kernel runs before every system call.
// Where the memory is watched and not bounded by the kernel, calls that take memory
// which belongs to no process are forbidden too. Where the server is observed, the
// first process is told of some of the others.
func systemCallFilter(watched, observe bool) []unix.SockFilter {
	pass := func(_ uint32, test []unix.SockFilter) []unix.SockFilter { return test }
	if observe {
		pass = observing
	}
	program := []unix.SockFilter{
		load(dataArch),
		jump(unix.BPF_JEQ, auditArch, 1, 0),
		result(kill), // a call of another architecture has other numbers
		load(dataNumber),
		jump(unix.BPF_JGE, x32, 0, 1),
		result(unknown),
	}
	if watched {
		for _, number := range []uintptr{unix.SYS_MEMFD_CREATE, unix.SYS_SHMGET} {
			program = append(program, jump(unix.BPF_JEQ, uint32(number), 0, 1), result(forbid))
		}
	}
	for _, c := range conditional() {
		program = append(program, jump(unix.BPF_JEQ, c.number, 0, uint8(len(c.test))))
		program = append(program, pass(c.number, c.test)...)
	}
	for _, number := range allowed() {
		program = append(program, jump(unix.BPF_JEQ, uint32(number), 0, 1))
		program = append(program, pass(uint32(number), []unix.SockFilter{result(allow)})...)
	}
	for _, number := range forbidden() {
		program = append(program, jump(unix.BPF_JEQ, uint32(number), 0, 1), result(forbid))
	}
	return append(program, result(unknown))
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

// argument loads the lower half of an argument.
func argument(i uint32) unix.SockFilter { return load(dataArgs + 8*i) }

// upper loads the upper half.
func upper(i uint32) unix.SockFilter { return load(dataArgs + 8*i + 4) }

func jump(test uint16, value uint32, ifTrue, ifFalse uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: value, Jt: ifTrue, Jf: ifFalse}
}

func mask(bits uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: bits}
}

func result(value uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value}
}

// condition is a call that is let through with some arguments only. The test ends
// with a result on every way through it.
type condition struct {
	number uint32
	test   []unix.SockFilter
}

// without lets a call through if none of the bits of an argument is set.
func without(number uint32, arg, bits uint32) condition {
	return condition{number, []unix.SockFilter{argument(arg), jump(unix.BPF_JSET, bits, 0, 1), result(forbid), result(allow)}}
}

// oneOf lets a call through if an argument has one of the values.
func oneOf(number uint32, arg uint32, values ...uint32) condition {
	test := []unix.SockFilter{argument(arg)}
	for _, v := range values {
		test = append(test, jump(unix.BPF_JEQ, v, 0, 1), result(allow))
	}
	return condition{number, append(test, result(forbid))}
}

// noneOf lets a call through unless an argument has one of the values.
func noneOf(number uint32, arg uint32, values ...uint32) condition {
	test := []unix.SockFilter{argument(arg)}
	for _, v := range values {
		test = append(test, jump(unix.BPF_JEQ, v, 0, 1), result(forbid))
	}
	return condition{number, append(test, result(allow))}
}

const (
	// newNamespaces are the flags of clone(2) that begin a namespace. In a user
	// namespace of its own a process has every privilege again, and with it the parts
	// of the kernel in which most holes are found.
	newNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
	// setID are the bits that make a program run as its owner. Left in a folder that
	// others share, it would let them become the server's user.
	setID       = unix.S_ISUID | unix.S_ISGID
	memoryExec  = 0x10 // MFD_EXEC
	socketTypes = 0xf  // the type of a socket, without its flags
	sockPacket  = 10   // SOCK_PACKET, an old way to raw frames
)

// conditional are the calls whose arguments decide.
func conditional() []condition {
	return append([]condition{
		without(unix.SYS_CLONE, 0, newNamespaces),
		// The flags of clone3 lie in memory, where a filter cannot look. Without it,
		// libraries use clone.
		{unix.SYS_CLONE3, []unix.SockFilter{result(unknown)}},
		// The same is true of the mode in openat2.
		{unix.SYS_OPENAT2, []unix.SockFilter{result(unknown)}},
		{unix.SYS_SOCKET, socketTest()},
		oneOf(unix.SYS_SOCKETPAIR, 0, unix.AF_UNIX),
		// To type into the terminal of whoever started the gateway.
		noneOf(unix.SYS_IOCTL, 1, unix.TIOCSTI, unix.TIOCLINUX, unix.TIOCSETD),
		// Only the ordinary way to run, or the question which one it is.
		oneOf(unix.SYS_PERSONALITY, 0, 0, 0xffffffff),
		without(unix.SYS_FCHMOD, 1, setID),
		without(unix.SYS_FCHMODAT, 2, setID),
		without(unix.SYS_FCHMODAT2, 2, setID),
		without(unix.SYS_OPENAT, 3, setID),
		without(unix.SYS_MKNODAT, 2, setID),
		without(unix.SYS_MEMFD_CREATE, 1, memoryExec),
		// The limits of others, the first process among them, are none of its business.
		{unix.SYS_PRLIMIT64, []unix.SockFilter{
			argument(0), jump(unix.BPF_JEQ, 0, 0, 1), result(allow),
			argument(2), jump(unix.BPF_JEQ, 0, 1, 0), result(forbid),
			upper(2), jump(unix.BPF_JEQ, 0, 1, 0), result(forbid), result(allow),
		}},
	}, conditionalHere()...)
}

// socketTest lets through sockets between processes, to the internet, and the one
// that lists network interfaces. Raw and packet sockets see and forge what belongs
// to others, and the other families are doors to rarely used code of the kernel.
func socketTest() []unix.SockFilter {
	return []unix.SockFilter{
		argument(0),
		jump(unix.BPF_JEQ, unix.AF_UNIX, 0, 1), result(allow),
		jump(unix.BPF_JEQ, unix.AF_NETLINK, 0, 4), // else: the internet?
		argument(2), jump(unix.BPF_JEQ, unix.NETLINK_ROUTE, 0, 1), result(allow), result(forbid),
		jump(unix.BPF_JEQ, unix.AF_INET, 1, 0), jump(unix.BPF_JEQ, unix.AF_INET6, 0, 5),
		argument(1), mask(socketTypes), jump(unix.BPF_JEQ, unix.SOCK_RAW, 2, 0), jump(unix.BPF_JEQ, sockPacket, 1, 0), result(allow),
		result(forbid),
	}
}

// forbidden are calls that a server never needs, most of them for root only.
func forbidden() []uintptr {
	return append([]uintptr{
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
		unix.SYS_SETNS, unix.SYS_UNSHARE,
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
		unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
		unix.SYS_FANOTIFY_INIT, unix.SYS_FANOTIFY_MARK, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT,
		unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT,
		unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SYSLOG, unix.SYS_VHANGUP,
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
		unix.SYS_MBIND, unix.SYS_SET_MEMPOLICY, unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES, unix.SYS_SCHED_SETAFFINITY, unix.SYS_LOOKUP_DCOOKIE, unix.SYS_NFSSERVCTL,
		unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK, unix.SYS_REMAP_FILE_PAGES,
	}, forbiddenHere()...)
}

// allowed are the calls of ordinary programs.
func allowed() []uintptr {
	list := append([]uintptr{
		unix.SYS_IO_SETUP, unix.SYS_IO_DESTROY, unix.SYS_IO_SUBMIT, unix.SYS_IO_CANCEL, unix.SYS_IO_GETEVENTS, unix.SYS_IO_PGETEVENTS,
		unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_GETXATTR, unix.SYS_LGETXATTR, unix.SYS_FGETXATTR, unix.SYS_LISTXATTR, unix.SYS_LLISTXATTR, unix.SYS_FLISTXATTR,
		unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR,
		unix.SYS_GETCWD, unix.SYS_EVENTFD2, unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2, unix.SYS_DUP, unix.SYS_DUP3, unix.SYS_FCNTL,
		unix.SYS_INOTIFY_INIT1, unix.SYS_INOTIFY_ADD_WATCH, unix.SYS_INOTIFY_RM_WATCH, unix.SYS_IOPRIO_GET, unix.SYS_IOPRIO_SET, unix.SYS_FLOCK,
		unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_SYMLINKAT, unix.SYS_LINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2,
		unix.SYS_STATFS, unix.SYS_FSTATFS, unix.SYS_TRUNCATE, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2, unix.SYS_CHDIR, unix.SYS_FCHDIR,
		unix.SYS_FCHOWNAT, unix.SYS_FCHOWN, unix.SYS_CLOSE, unix.SYS_CLOSE_RANGE, unix.SYS_PIPE2, unix.SYS_GETDENTS64,
		unix.SYS_LSEEK, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_PWRITE64, unix.SYS_PREADV, unix.SYS_PWRITEV, unix.SYS_PREADV2, unix.SYS_PWRITEV2,
		unix.SYS_SENDFILE, unix.SYS_PSELECT6, unix.SYS_PPOLL, unix.SYS_SIGNALFD4, unix.SYS_VMSPLICE, unix.SYS_SPLICE, unix.SYS_TEE, unix.SYS_READLINKAT, statAt, unix.SYS_FSTAT, unix.SYS_STATX,
		unix.SYS_SYNC, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNC_FILE_RANGE, unix.SYS_SYNCFS, unix.SYS_TIMERFD_CREATE, unix.SYS_TIMERFD_SETTIME, unix.SYS_TIMERFD_GETTIME, unix.SYS_UTIMENSAT,
		unix.SYS_CAPGET, unix.SYS_CAPSET, unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_WAITID, unix.SYS_WAIT4, unix.SYS_SET_TID_ADDRESS,
		unix.SYS_FUTEX, unix.SYS_FUTEX_WAITV, unix.SYS_FUTEX_WAKE, unix.SYS_FUTEX_WAIT, unix.SYS_FUTEX_REQUEUE, unix.SYS_SET_ROBUST_LIST, unix.SYS_GET_ROBUST_LIST,
		unix.SYS_NANOSLEEP, unix.SYS_GETITIMER, unix.SYS_SETITIMER, unix.SYS_TIMER_CREATE, unix.SYS_TIMER_GETTIME, unix.SYS_TIMER_GETOVERRUN, unix.SYS_TIMER_SETTIME, unix.SYS_TIMER_DELETE,
		unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_GETRES, unix.SYS_CLOCK_NANOSLEEP,
		unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SCHED_GETSCHEDULER, unix.SYS_SCHED_GETPARAM, unix.SYS_SCHED_GETAFFINITY, unix.SYS_SCHED_YIELD,
		unix.SYS_SCHED_GET_PRIORITY_MAX, unix.SYS_SCHED_GET_PRIORITY_MIN, unix.SYS_SCHED_RR_GET_INTERVAL, unix.SYS_SCHED_SETATTR, unix.SYS_SCHED_GETATTR,
		unix.SYS_RESTART_SYSCALL, unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_TGKILL, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_SEND_SIGNAL,
		unix.SYS_SIGALTSTACK, unix.SYS_RT_SIGSUSPEND, unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGPENDING, unix.SYS_RT_SIGTIMEDWAIT, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_RT_SIGRETURN,
		unix.SYS_SETPRIORITY, unix.SYS_GETPRIORITY, unix.SYS_SETREGID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETUID, unix.SYS_SETRESUID, unix.SYS_GETRESUID, unix.SYS_SETRESGID, unix.SYS_GETRESGID,
		unix.SYS_SETFSUID, unix.SYS_SETFSGID, unix.SYS_TIMES, unix.SYS_SETPGID, unix.SYS_GETPGID, unix.SYS_GETSID, unix.SYS_SETSID, unix.SYS_GETGROUPS, unix.SYS_SETGROUPS,
		unix.SYS_UNAME, unix.SYS_GETRLIMIT, unix.SYS_SETRLIMIT, unix.SYS_GETRUSAGE, unix.SYS_UMASK, unix.SYS_PRCTL, unix.SYS_GETCPU, unix.SYS_GETTIMEOFDAY,
		unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID, unix.SYS_GETTID, unix.SYS_SYSINFO,
		unix.SYS_MSGGET, unix.SYS_MSGCTL, unix.SYS_MSGRCV, unix.SYS_MSGSND, unix.SYS_SEMGET, unix.SYS_SEMCTL, unix.SYS_SEMTIMEDOP, unix.SYS_SEMOP, unix.SYS_SHMGET, unix.SYS_SHMCTL, unix.SYS_SHMAT, unix.SYS_SHMDT,
		unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_CONNECT, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME, unix.SYS_SENDTO, unix.SYS_RECVFROM,
		unix.SYS_SETSOCKOPT, unix.SYS_GETSOCKOPT, unix.SYS_SHUTDOWN, unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_SENDMMSG, unix.SYS_RECVMMSG,
		unix.SYS_READAHEAD, unix.SYS_BRK, unix.SYS_MUNMAP, unix.SYS_MREMAP, unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_MMAP, unix.SYS_FADVISE64, unix.SYS_MPROTECT, unix.SYS_MSYNC,
		unix.SYS_MLOCK, unix.SYS_MUNLOCK, unix.SYS_MLOCKALL, unix.SYS_MUNLOCKALL, unix.SYS_MLOCK2, unix.SYS_MINCORE, unix.SYS_MADVISE, unix.SYS_MEMBARRIER, unix.SYS_COPY_FILE_RANGE,
		unix.SYS_PKEY_MPROTECT, unix.SYS_PKEY_ALLOC, unix.SYS_PKEY_FREE, unix.SYS_RSEQ, unix.SYS_GETRANDOM, unix.SYS_SECCOMP, unix.SYS_GET_MEMPOLICY,
		unix.SYS_LANDLOCK_CREATE_RULESET, unix.SYS_LANDLOCK_ADD_RULE, unix.SYS_LANDLOCK_RESTRICT_SELF, unix.SYS_CACHESTAT, unix.SYS_MAP_SHADOW_STACK, unix.SYS_MSEAL,
	}, allowedHere()...)
	slices.Sort(list)
	return slices.Compact(list)
}
