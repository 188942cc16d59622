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

// filter says what a filter is made for.
type filter struct {
	UID, GID int  // who the server is, and stays
	Watched  bool // memory is watched and not bounded by the kernel: calls that take memory of no process are forbidden too
	NoUnix   bool // no unix socket may be made that could be led to one of the machine
}

// program decides about every system call, before the kernel begins it.
func (f filter) program() []unix.SockFilter { return f.build(nil) }

// loaded is program as the kernel gets it: of what it forbids, and of the calls named
// besides, the first process is told instead, and answers as program says.
func (f filter) loaded(told []uintptr) []unix.SockFilter {
	return f.build(func(number uint32, test []unix.SockFilter) []unix.SockFilter {
		observed := slices.Contains(told, uintptr(number))
		out := slices.Clone(test)
		for i := range out {
			if out[i] == result(forbid) || observed && out[i] == result(allow) {
				out[i] = result(notify)
			}
		}
		return out
	})
}

func (f filter) build(pass func(number uint32, test []unix.SockFilter) []unix.SockFilter) []unix.SockFilter {
	program := []unix.SockFilter{
		load(dataArch),
		jump(unix.BPF_JEQ, auditArch, 1, 0),
		result(kill), // a call of another architecture has other numbers
		load(dataNumber),
		jump(unix.BPF_JGE, x32, 0, 1),
		result(unknown),
	}
	add := func(number uint32, test []unix.SockFilter) {
		if pass != nil {
			test = pass(number, test)
		}
		program = append(program, jump(unix.BPF_JEQ, number, 0, uint8(len(test))))
		program = append(program, test...)
	}
	if f.Watched {
		add(unix.SYS_MEMFD_CREATE, []unix.SockFilter{result(forbid)})
		add(unix.SYS_SHMGET, []unix.SockFilter{result(forbid)})
	}
	for _, c := range f.conditional() {
		add(c.number, c.test)
	}
	for _, number := range allowed() {
		add(uint32(number), []unix.SockFilter{result(allow)})
	}
	for _, c := range forbidden() {
		add(uint32(c.number), []unix.SockFilter{result(forbid)})
	}
	return append(program, result(unknown))
}

// decide is what a program says of a call: what the kernel would do with it (bpf(4)
// for the instructions). What it does not understand ends in kill.
func decide(program []unix.SockFilter, n *notification) uint32 {
	word := func(offset uint32) uint32 {
		switch i := int(offset-dataArgs) / 8; {
		case offset == dataNumber:
			return uint32(n.number)
		case offset == dataArch:
			return n.arch
		case offset >= dataArgs && i < len(n.args):
			return uint32(n.args[i] >> (8 * ((offset - dataArgs) % 8)))
		}
		return 0
	}
	var a uint32
	for at := 0; at < len(program); at++ {
		i := program[at]
		holds := false
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = word(i.K)
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= i.K
			continue
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			holds = a == i.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			holds = a >= i.K
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			holds = a&i.K != 0
		default:
			return kill
		}
		if holds {
			at += int(i.Jt)
		} else {
			at += int(i.Jf)
		}
	}
	return kill
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
	name   string // of the call
	what   string // is forbidden of it
}

// without lets a call through if none of the bits of an argument is set.
func without(arg, bits uint32) []unix.SockFilter {
	return []unix.SockFilter{argument(arg), jump(unix.BPF_JSET, bits, 0, 1), result(forbid), result(allow)}
}

// oneOf lets a call through if each of the arguments from the first on has one of the
// values.
func oneOf(first, count uint32, values ...uint32) []unix.SockFilter {
	var test []unix.SockFilter
	for arg := range count {
		test = append(test, argument(first+arg))
		for i, v := range values {
			test = append(test, jump(unix.BPF_JEQ, v, uint8(len(values)-i), 0))
		}
		test = append(test, result(forbid))
	}
	return append(test, result(allow))
}

// noneOf lets a call through unless an argument has one of the values.
func noneOf(arg uint32, values ...uint32) []unix.SockFilter {
	test := []unix.SockFilter{argument(arg)}
	for _, v := range values {
		test = append(test, jump(unix.BPF_JEQ, v, 0, 1), result(forbid))
	}
	return append(test, result(allow))
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

// same is the argument of calls that change who a process is, for what stays as it is.
const same = 0xffffffff

// firstProcess is the number of the first process of a sandbox, inside.
const firstProcess = 1

// What is forbidden of some calls, as records say it.
const (
	asOwner   = "a file that runs as its owner"
	toFirst   = "a signal to the first process"
	otherUser = "another user"
)

// conditional are the calls whose arguments decide.
func (f filter) conditional() []condition {
	uid, gid := uint32(f.UID), uint32(f.GID)
	return append([]condition{
		{unix.SYS_CLONE, without(0, newNamespaces), "clone", "a namespace"},
		// The flags of clone3 lie in memory, where a filter cannot look. Without it,
		// libraries use clone.
		{unix.SYS_CLONE3, []unix.SockFilter{result(unknown)}, "clone3", ""},
		// The same is true of the mode in openat2.
		{unix.SYS_OPENAT2, []unix.SockFilter{result(unknown)}, "openat2", ""},
		{unix.SYS_SOCKET, f.socketTest(), "socket", ""},
		{unix.SYS_SOCKETPAIR, f.pairTest(), "socketpair", ""},
		// To type into the terminal of whoever started the gateway.
		{unix.SYS_IOCTL, noneOf(1, unix.TIOCSTI, unix.TIOCLINUX, unix.TIOCSETD), "ioctl", "typing into a terminal"},
		// Only the ordinary way to run, or the question which one it is.
		{unix.SYS_PERSONALITY, oneOf(0, 1, 0, 0xffffffff), "personality", "another way to run"},
		{unix.SYS_FCHMOD, without(1, setID), "fchmod", asOwner},
		{unix.SYS_FCHMODAT, without(2, setID), "fchmodat", asOwner},
		{unix.SYS_FCHMODAT2, without(2, setID), "fchmodat2", asOwner},
		{unix.SYS_OPENAT, without(3, setID), "openat", asOwner},
		{unix.SYS_MKNODAT, without(2, setID), "mknodat", asOwner},
		{unix.SYS_MEMFD_CREATE, without(1, memoryExec), "memfd_create", "memory as a program"},
		// The limits of others, the first process among them, are none of its business.
		{unix.SYS_PRLIMIT64, []unix.SockFilter{
			argument(0), jump(unix.BPF_JEQ, 0, 0, 1), result(allow),
			argument(2), jump(unix.BPF_JEQ, 0, 1, 0), result(forbid),
			upper(2), jump(unix.BPF_JEQ, 0, 1, 0), result(forbid), result(allow),
		}, "prlimit64", "limits of another process"},
		// Without privileges these change nothing; here they are forbidden so that the
		// attempt is seen.
		{unix.SYS_SETUID, oneOf(0, 1, uid), "setuid", otherUser},
		{unix.SYS_SETREUID, oneOf(0, 2, uid, same), "setreuid", otherUser},
		{unix.SYS_SETRESUID, oneOf(0, 3, uid, same), "setresuid", otherUser},
		{unix.SYS_SETGID, oneOf(0, 1, gid), "setgid", otherUser},
		{unix.SYS_SETREGID, oneOf(0, 2, gid, same), "setregid", otherUser},
		{unix.SYS_SETRESGID, oneOf(0, 3, gid, same), "setresgid", otherUser},
		{unix.SYS_KILL, noneOf(0, firstProcess), "kill", toFirst},
		{unix.SYS_TKILL, noneOf(0, firstProcess), "tkill", toFirst},
		{unix.SYS_TGKILL, noneOf(0, firstProcess), "tgkill", toFirst},
		{unix.SYS_PIDFD_OPEN, noneOf(0, firstProcess), "pidfd_open", "the first process"},
	}, conditionalHere()...)
}

// socketTest lets through sockets between processes, to the internet, and the one
// that lists network interfaces. Raw and packet sockets see and forge what belongs
// to others, and the other families are doors to rarely used code of the kernel.
func (f filter) socketTest() []unix.SockFilter {
	local := result(allow)
	if f.NoUnix {
		local = result(forbid)
	}
	return []unix.SockFilter{
		argument(0),
		jump(unix.BPF_JEQ, unix.AF_UNIX, 0, 1), local,
		jump(unix.BPF_JEQ, unix.AF_NETLINK, 0, 4), // else: the internet?
		argument(2), jump(unix.BPF_JEQ, unix.NETLINK_ROUTE, 0, 1), result(allow), result(forbid),
		jump(unix.BPF_JEQ, unix.AF_INET, 1, 0), jump(unix.BPF_JEQ, unix.AF_INET6, 0, 5),
		argument(1), mask(socketTypes), jump(unix.BPF_JEQ, unix.SOCK_RAW, 2, 0), jump(unix.BPF_JEQ, sockPacket, 1, 0), result(allow),
		result(forbid),
	}
}

// pairTest lets through sockets that are connected to each other. A pair of datagrams
// can be sent from to somebody else all the same; those of a stream cannot
// (unix(7), "EISCONN").
func (f filter) pairTest() []unix.SockFilter {
	test := []unix.SockFilter{argument(0), jump(unix.BPF_JEQ, unix.AF_UNIX, 1, 0), result(forbid)}
	if f.NoUnix {
		test = append(test, argument(1), mask(socketTypes), jump(unix.BPF_JEQ, unix.SOCK_STREAM, 2, 0), jump(unix.BPF_JEQ, unix.SOCK_SEQPACKET, 1, 0), result(forbid))
	}
	return append(test, result(allow))
}

// forbidden are calls that a server never needs, most of them for root only.
func forbidden() []call {
	return append([]call{
		{"mount", unix.SYS_MOUNT}, {"umount2", unix.SYS_UMOUNT2}, {"pivot_root", unix.SYS_PIVOT_ROOT}, {"chroot", unix.SYS_CHROOT}, {"move_mount", unix.SYS_MOVE_MOUNT}, {"open_tree", unix.SYS_OPEN_TREE},
		{"fsopen", unix.SYS_FSOPEN}, {"fsconfig", unix.SYS_FSCONFIG}, {"fsmount", unix.SYS_FSMOUNT}, {"fspick", unix.SYS_FSPICK}, {"mount_setattr", unix.SYS_MOUNT_SETATTR},
		{"setns", unix.SYS_SETNS}, {"unshare", unix.SYS_UNSHARE},
		{"ptrace", unix.SYS_PTRACE}, {"process_vm_readv", unix.SYS_PROCESS_VM_READV}, {"process_vm_writev", unix.SYS_PROCESS_VM_WRITEV}, {"process_madvise", unix.SYS_PROCESS_MADVISE}, {"pidfd_getfd", unix.SYS_PIDFD_GETFD}, {"kcmp", unix.SYS_KCMP},
		{"keyctl", unix.SYS_KEYCTL}, {"add_key", unix.SYS_ADD_KEY}, {"request_key", unix.SYS_REQUEST_KEY},
		{"bpf", unix.SYS_BPF}, {"perf_event_open", unix.SYS_PERF_EVENT_OPEN}, {"userfaultfd", unix.SYS_USERFAULTFD}, {"io_uring_setup", unix.SYS_IO_URING_SETUP}, {"io_uring_enter", unix.SYS_IO_URING_ENTER}, {"io_uring_register", unix.SYS_IO_URING_REGISTER},
		{"fanotify_init", unix.SYS_FANOTIFY_INIT}, {"fanotify_mark", unix.SYS_FANOTIFY_MARK}, {"name_to_handle_at", unix.SYS_NAME_TO_HANDLE_AT}, {"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT},
		{"init_module", unix.SYS_INIT_MODULE}, {"finit_module", unix.SYS_FINIT_MODULE}, {"delete_module", unix.SYS_DELETE_MODULE}, {"kexec_load", unix.SYS_KEXEC_LOAD}, {"kexec_file_load", unix.SYS_KEXEC_FILE_LOAD}, {"reboot", unix.SYS_REBOOT},
		{"swapon", unix.SYS_SWAPON}, {"swapoff", unix.SYS_SWAPOFF}, {"acct", unix.SYS_ACCT}, {"quotactl", unix.SYS_QUOTACTL}, {"quotactl_fd", unix.SYS_QUOTACTL_FD}, {"syslog", unix.SYS_SYSLOG},
		{"vhangup", unix.SYS_VHANGUP},
		{"settimeofday", unix.SYS_SETTIMEOFDAY}, {"clock_settime", unix.SYS_CLOCK_SETTIME}, {"clock_adjtime", unix.SYS_CLOCK_ADJTIME}, {"adjtimex", unix.SYS_ADJTIMEX}, {"sethostname", unix.SYS_SETHOSTNAME}, {"setdomainname", unix.SYS_SETDOMAINNAME},
		{"mbind", unix.SYS_MBIND}, {"set_mempolicy", unix.SYS_SET_MEMPOLICY}, {"migrate_pages", unix.SYS_MIGRATE_PAGES}, {"move_pages", unix.SYS_MOVE_PAGES}, {"sched_setaffinity", unix.SYS_SCHED_SETAFFINITY}, {"lookup_dcookie", unix.SYS_LOOKUP_DCOOKIE},
		{"nfsservctl", unix.SYS_NFSSERVCTL},
		{"mq_open", unix.SYS_MQ_OPEN}, {"mq_unlink", unix.SYS_MQ_UNLINK}, {"remap_file_pages", unix.SYS_REMAP_FILE_PAGES},
		{"setgroups", unix.SYS_SETGROUPS},
	}, forbiddenHere()...)
}

// call is a system call.
type call struct {
	name   string
	number uintptr
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
		unix.SYS_RESTART_SYSCALL, unix.SYS_PIDFD_SEND_SIGNAL,
		unix.SYS_SIGALTSTACK, unix.SYS_RT_SIGSUSPEND, unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGPENDING, unix.SYS_RT_SIGTIMEDWAIT, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_RT_SIGRETURN,
		unix.SYS_SETPRIORITY, unix.SYS_GETPRIORITY, unix.SYS_GETRESUID, unix.SYS_GETRESGID,
		unix.SYS_SETFSUID, unix.SYS_SETFSGID, unix.SYS_TIMES, unix.SYS_SETPGID, unix.SYS_GETPGID, unix.SYS_GETSID, unix.SYS_SETSID, unix.SYS_GETGROUPS,
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
