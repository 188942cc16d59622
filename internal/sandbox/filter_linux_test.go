//go:build amd64 || arm64

package sandbox

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// kernel runs a filter as the kernel would (bpf(4) for the instructions), and stops at
// what decide might overlook.
func kernel(t *testing.T, program []unix.SockFilter, arch, number uint32, args ...uint64) uint32 {
	t.Helper()
	word := func(offset uint32) uint32 {
		switch {
		case offset == dataNumber:
			return number
		case offset == dataArch:
			return arch
		case offset >= dataArgs && (offset-dataArgs)/8 < 6:
			i := int(offset-dataArgs) / 8
			if i >= len(args) {
				return 0
			}
			return uint32(args[i] >> (8 * ((offset - dataArgs) % 8)))
		}
		t.Fatalf("a load from %d", offset)
		return 0
	}
	var a uint32
	for at := 0; at < len(program); at++ {
		switch i := program[at]; i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = word(i.K)
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= i.K
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		default:
			holds := false
			switch i.Code &^ (unix.BPF_JMP | unix.BPF_K) {
			case unix.BPF_JEQ:
				holds = a == i.K
			case unix.BPF_JGE:
				holds = a >= i.K
			case unix.BPF_JSET:
				holds = a&i.K != 0
			default:
				t.Fatalf("an unknown instruction %#x", i.Code)
			}
			if holds {
				at += int(i.Jt)
			} else {
				at += int(i.Jf)
			}
		}
	}
	t.Fatal("the program ends without a result")
	return 0
}

func Test_the_filter_decides(t *testing.T) {
	const minusOne = ^uint64(0)
	for _, test := range []struct {
		name   string
		number uintptr
		args   []uint64
		want   uint32
	}{
		{"read", unix.SYS_READ, nil, allow},
		{"mount", unix.SYS_MOUNT, nil, forbid},
		{"ptrace", unix.SYS_PTRACE, nil, forbid},
		{"setns", unix.SYS_SETNS, nil, forbid},
		{"a call of a kernel to come", 900, nil, unknown},
		{"clone3", unix.SYS_CLONE3, nil, unknown},
		{"openat2", unix.SYS_OPENAT2, nil, unknown},
		{"x32", x32 | 1, nil, unknown},
		{"a thread", unix.SYS_CLONE, []uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND}, allow},
		{"a user namespace", unix.SYS_CLONE, []uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, forbid},
		{"a network namespace", unix.SYS_CLONE, []uint64{unix.CLONE_NEWNET}, forbid},
		{"a unix socket", unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, allow},
		{"a TCP socket", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC}, allow},
		{"a UDP socket", unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_DGRAM | unix.SOCK_NONBLOCK}, allow},
		{"a raw socket", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_RAW | unix.SOCK_CLOEXEC}, forbid},
		{"a raw socket of v6", unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_RAW}, forbid},
		{"an old packet socket", unix.SYS_SOCKET, []uint64{unix.AF_INET, sockPacket}, forbid},
		{"a packet socket", unix.SYS_SOCKET, []uint64{unix.AF_PACKET, unix.SOCK_RAW}, forbid},
		{"a virtual machine's socket", unix.SYS_SOCKET, []uint64{unix.AF_VSOCK, unix.SOCK_STREAM}, forbid},
		{"the kernel's ciphers", unix.SYS_SOCKET, []uint64{unix.AF_ALG, unix.SOCK_SEQPACKET}, forbid},
		{"the list of interfaces", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, allow},
		{"audit", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT}, forbid},
		{"netfilter", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER}, forbid},
		{"a pair", unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX}, allow},
		{"a pair of another family", unix.SYS_SOCKETPAIR, []uint64{unix.AF_TIPC}, forbid},
		{"the size of a terminal", unix.SYS_IOCTL, []uint64{0, unix.TIOCGWINSZ}, allow},
		{"typing", unix.SYS_IOCTL, []uint64{0, unix.TIOCSTI}, forbid},
		{"typing, with a bit that the kernel ignores", unix.SYS_IOCTL, []uint64{0, 1<<32 | unix.TIOCSTI}, forbid},
		{"a mode", unix.SYS_FCHMODAT, []uint64{0, 0, 0o755}, allow},
		{"a mode that sets the user", unix.SYS_FCHMODAT, []uint64{0, 0, 0o4755}, forbid},
		{"a mode that sets the group", unix.SYS_FCHMOD, []uint64{0, 0o2755}, forbid},
		{"a file that sets the user", unix.SYS_OPENAT, []uint64{0, 0, unix.O_CREAT, 0o4755}, forbid},
		{"a file", unix.SYS_OPENAT, []uint64{0, 0, unix.O_CREAT, 0o644}, allow},
		{"a node that sets the user", unix.SYS_MKNODAT, []uint64{0, 0, unix.S_IFREG | 0o4755}, forbid},
		{"memory as a file", unix.SYS_MEMFD_CREATE, []uint64{0, unix.MFD_CLOEXEC}, allow},
		{"memory as a program", unix.SYS_MEMFD_CREATE, []uint64{0, memoryExec}, forbid},
		{"own limits", unix.SYS_PRLIMIT64, []uint64{0, 7, 0x7fff0000}, allow},
		{"reading the limits of others", unix.SYS_PRLIMIT64, []uint64{1, 7, 0}, allow},
		{"the limits of others", unix.SYS_PRLIMIT64, []uint64{1, 7, 0x7fff0000}, forbid},
		{"the limits of others, high in memory", unix.SYS_PRLIMIT64, []uint64{1, 7, 0x7f << 32}, forbid},
		{"which personality", unix.SYS_PERSONALITY, []uint64{minusOne}, allow},
		{"who it is", unix.SYS_SETUID, []uint64{1000}, allow},
		{"root", unix.SYS_SETUID, []uint64{0}, forbid},
		{"all three as they are", unix.SYS_SETRESUID, []uint64{same, 1000, minusOne}, allow},
		{"the third another user", unix.SYS_SETRESUID, []uint64{same, 1000, 0}, forbid},
		{"the first another user", unix.SYS_SETREUID, []uint64{0, 1000}, forbid},
		{"another group", unix.SYS_SETGID, []uint64{0}, forbid},
		{"other groups", unix.SYS_SETGROUPS, []uint64{0}, forbid},
		{"a signal to itself", unix.SYS_KILL, []uint64{7, 9}, allow},
		{"a signal to all of its own", unix.SYS_KILL, []uint64{minusOne, 9}, allow},
		{"a signal to the first process", unix.SYS_KILL, []uint64{1, 9}, forbid},
		{"a signal to a thread of the first process", unix.SYS_TGKILL, []uint64{1, 2, 9}, forbid},
		{"no random addresses", unix.SYS_PERSONALITY, []uint64{0x0040000}, forbid},
	} {
		for _, watched := range []bool{false, true} {
			got := kernel(t, filter{UID: 1000, GID: 1000, Watched: watched}.program(), auditArch, uint32(test.number), test.args...)
			want := test.want
			if watched && test.number == unix.SYS_MEMFD_CREATE {
				want = forbid // memory of nobody, which nobody counts
			}
			if got != want {
				t.Errorf("%s (watched: %v): %#x, want %#x", test.name, watched, got, want)
			}
		}
	}
	if got := kernel(t, filter{}.program(), unix.AUDIT_ARCH_I386, unix.SYS_READ); got != kill {
		t.Errorf("a call of another architecture: %#x", got)
	}
}

func Test_each_system_call_is_in_one_list(t *testing.T) {
	seen := map[uintptr]string{}
	add := func(number uintptr, list string) {
		if other, twice := seen[number]; twice {
			t.Errorf("system call %d is in %s and in %s", number, other, list)
		}
		seen[number] = list
	}
	for _, c := range (filter{}).conditional() {
		add(uintptr(c.number), "conditional")
		if len(c.test) > 255 {
			t.Errorf("the test of %d is too long for a jump", c.number)
		}
	}
	for _, n := range allowed() {
		add(n, "allowed")
	}
	for _, c := range forbidden() {
		add(c.number, "forbidden")
	}
	if n := len(filter{Watched: true, NoUnix: true}.loaded(observed())); n > 4096 { // BPF_MAXINSNS
		t.Errorf("%d instructions", n)
	}
}

// Without unix sockets there are only pairs that cannot be led elsewhere.
func Test_the_filter_without_unix_sockets(t *testing.T) {
	program := filter{NoUnix: true}.program()
	for _, test := range []struct {
		name   string
		number uintptr
		args   []uint64
		want   uint32
	}{
		{"a unix socket", unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, forbid},
		{"a TCP socket", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM}, allow},
		{"a pair of streams", unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC}, allow},
		{"a pair of packets in order", unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET}, allow},
		{"a pair of datagrams", unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_DGRAM | unix.SOCK_NONBLOCK}, forbid},
		{"a raw pair, which is one of datagrams", unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_RAW}, forbid},
	} {
		if got := kernel(t, program, auditArch, uint32(test.number), test.args...); got != test.want {
			t.Errorf("%s: %#x, want %#x", test.name, got, test.want)
		}
	}
}

// What the kernel gets differs from what was decided only in that the first process is
// told, and then answers as it was decided.
func Test_the_first_process_is_told_of_what_is_forbidden_and_of_nothing_else(t *testing.T) {
	f := filter{UID: 1000, GID: 1000}
	program, plain, all := f.program(), f.loaded(nil), f.loaded(observed())
	for number := range uint32(1 << 9) {
		for _, args := range [][]uint64{nil, {1, 1, 1, 1}, {^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}, {unix.AF_INET, unix.SOCK_RAW}} {
			want := kernel(t, program, auditArch, number, args...)
			told := want
			if want == forbid {
				told = notify
			}
			if got := kernel(t, plain, auditArch, number, args...); got != told {
				t.Errorf("system call %d %v: %#x, want %#x", number, args, got, told)
			}
			if slices.Contains(observed(), uintptr(number)) {
				told = notify
			}
			if got := kernel(t, all, auditArch, number, args...); got != told {
				t.Errorf("observed, system call %d %v: %#x, want %#x", number, args, got, told)
			}
		}
	}
}

// The answer of the filter does not depend on bits that the kernel does not look at.
func FuzzFilter(f *testing.F) {
	f.Add(uint32(unix.SYS_SOCKET), uint64(unix.AF_INET), uint64(unix.SOCK_RAW), uint64(1))
	program := filter{UID: 1000, GID: 1000}.program()
	f.Fuzz(func(t *testing.T, number uint32, a, b, c uint64) {
		const high = uint64(0xdead) << 32
		got := kernel(t, program, auditArch, number, a, b, c)
		if got != allow && got != forbid && got != unknown {
			t.Fatalf("%#x", got)
		}
		if inProduction := decide(program, &notification{number: int32(number), arch: auditArch, args: [6]uint64{a, b, c}}); inProduction != got {
			t.Errorf("system call %d: the first process answers %#x, the kernel %#x", number, inProduction, got)
		}
		if number == unix.SYS_PRLIMIT64 {
			return // the third argument is an address
		}
		if again := kernel(t, program, auditArch, number, a^high, b^high, c^high); again != got {
			t.Errorf("system call %d: %#x, and with other upper halves %#x", number, got, again)
		}
	})
}
