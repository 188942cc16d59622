//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"gatehouse/internal/profile"
)

// probe tries, in the place of the server and with nothing more than it has, what
// must be refused. It reports what it found, not what was ordered.
func (s *spec) probe() Report {
	var r Report
	files, root, places := "only listed files exist, and only listed ones can be changed", "mount namespace with a root of its own", "user, mount, process, network, IPC, host name and cgroup namespaces"
	if s.Contained != "" {
		files, root, places = "only the image and listed files exist, and only listed ones can be changed", "container with a read-only root", "mount, process, network, IPC, host name and cgroup namespaces"
	}
	r.add(Files, files, "so", s.by(root), s.probeFiles())
	r.add(Landlock, "a second lock on the same files; signals and sockets stay inside", "so", "Landlock, version "+strconv.Itoa(landlockVersion()), s.probeLandlock())
	if len(s.Network) == 0 {
		r.add(Network, "no network", "no interface but loopback", s.by("network namespace"), probeNetwork(unix.ENETUNREACH))
	} else {
		r.add(Network, "only "+strings.Join(s.Network, ", "), "no interface but loopback; everything is led to the gateway", s.by("network namespace")+", nftables", probeNetwork(unix.EPERM))
	}
	r.add(Namespaces, "nothing of the machine is seen but its clock", "so", s.by(places), s.probeNamespaces())
	r.add(SystemCalls, "no dangerous system calls", fmt.Sprintf("%d of them are let through; what is forbidden is on record", len(allowed())+len(s.filter().conditional())), "seccomp", probeSystemCalls(s.Contained != ""))
	r.add(Privileges, "none, and no new ones", fmt.Sprintf("user %d without any", s.UID), s.by("capabilities, no_new_privs"), s.probePrivileges())
	r.add(Inherited, "only the standard streams", "so", "close_range", probeInherited())
	s.probeSockets(&r)
	if s.Contained != "" {
		r.Controls = append(r.Controls, s.Outside...)
	} else {
		s.probeTogether(&r)
	}
	s.probeLimits(&r)
	return r
}

// by says who made a mechanism, if it was somebody else.
func (s *spec) by(mechanism string) string {
	if s.Contained != "" {
		mechanism += ", made by " + s.Contained
	}
	return mechanism
}

// add reports one control, with the problem that the probe found.
func (r *Report) add(name, asked, enforced, mechanism string, problem error) {
	c := Control{Name: name, Asked: asked, Enforced: enforced, Mechanism: mechanism}
	if problem != nil {
		c.Enforced, c.Problem = "nothing, or less", problem.Error()
	}
	r.Controls = append(r.Controls, c)
}

// notRefused is the problem that something worked.
func notRefused(what string) error { return fmt.Errorf("%s was not refused", what) }

func (s *spec) probeFiles() error {
	for _, path := range s.Hidden {
		// A folder on the way to something granted exists, and is empty beside it.
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
			return notRefused("seeing " + path)
		}
	}
	for _, folder := range []string{"/", "/etc", "/usr", "/dev", "/proc", "/sys", "/run", profile.SecretFolder} {
		if err := create(folder); err == nil {
			return notRefused("writing in " + folder)
		}
	}
	for _, m := range s.Mounts {
		if err := s.probeMount(m); err != nil {
			return err
		}
	}
	var root unix.Statfs_t
	if err := unix.Statfs("/", &root); err != nil || root.Flags&unix.ST_RDONLY == 0 {
		return errors.New("the root is not read-only")
	}
	if s.Contained == "" {
		return nil
	}
	mounts, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return fmt.Errorf("listing mounts: %w", err)
	}
	return s.onlyGrantedChange(string(mounts))
}

// create tries to make a file in a folder, and takes it away again.
func create(folder string) error {
	path := filepath.Join(folder, ".gatehouse-probe")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(path)
}

func (s *spec) probeMount(m mount) error {
	if m.Blank {
		if f, err := os.Open(m.Path); err == nil {
			f.Close()
			return notRefused("opening " + m.Path)
		}
		return nil
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(m.Path, &fs); err != nil {
		return fmt.Errorf("%s is not there: %w", m.Path, err)
	}
	switch own := s.Contained == ""; { // engines do not set the flags for programs and devices; their containers have neither privileges nor devices
	case !m.Write && fs.Flags&unix.ST_RDONLY == 0:
		return fmt.Errorf("%s can be written", m.Path)
	case own && fs.Flags&unix.ST_NOSUID == 0:
		return fmt.Errorf("programs in %s can change their user", m.Path)
	case own && !m.Device && fs.Flags&unix.ST_NODEV == 0:
		return fmt.Errorf("devices in %s can be used", m.Path)
	case !m.Asked:
		return nil
	}
	// What was granted must be of use, or the server fails in ways that nobody
	// understands.
	wanted, word := uint32(unix.R_OK), "read"
	if m.Write {
		wanted, word = wanted|unix.W_OK, "change"
	}
	if m.Folder {
		wanted |= unix.X_OK
	}
	if err := unix.Access(m.Path, wanted); err != nil {
		return fmt.Errorf("user %d, who the server is, may not %s %s on this machine; give it to this user, or set user in the profile", s.UID, word, m.Path)
	}
	return nil
}

// signalScope is the version of Landlock that keeps signals inside.
const signalScope = 6

func (s *spec) probeLandlock() error {
	unnamed := outsideFile
	if s.Contained != "" {
		unnamed = filepath.Join(ContainedFolder, ContainedName)
	}
	if _, err := os.ReadFile(unnamed); !errors.Is(err, os.ErrPermission) {
		return notRefused("reading a file that no rule names")
	}
	version := landlockVersion()
	if version < 3 {
		return fmt.Errorf("version %d cannot keep files from being cut off; Linux 6.2 can", version)
	}
	// Before that version the first process takes no signal that could end it all the
	// same, because the kernel protects the first process of a namespace.
	// The filter of system calls forbids the usual ways; this one is left to Landlock.
	queued := [128]byte{8: 0xff, 9: 0xff, 10: 0xff, 11: 0xff} // struct siginfo with the code SI_QUEUE
	if _, _, errno := unix.RawSyscall(unix.SYS_RT_SIGQUEUEINFO, firstProcess, 0, uintptr(unsafe.Pointer(&queued))); version >= signalScope && errno != unix.EPERM {
		return notRefused("sending a signal to the first process")
	}
	return nil
}

// probeNetwork sends packets to nowhere. Without a network there is no way for them;
// with one, the rules of the namespace refuse what is no connection.
func probeNetwork(want error) error {
	interfaces, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("listing interfaces: %w", err)
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback == 0 {
			return fmt.Errorf("there is an interface %s", i.Name)
		}
	}
	// 192.0.2.0/24 and 2001:db8::/32 are for documentation (RFC 5737, RFC 3849).
	for family, target := range map[int]unix.Sockaddr{
		unix.AF_INET:  &unix.SockaddrInet4{Port: 9, Addr: [4]byte{192, 0, 2, 1}},
		unix.AF_INET6: &unix.SockaddrInet6{Port: 9, Addr: [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1}},
	} {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			continue // a machine without this family
		}
		if err != nil {
			return fmt.Errorf("a socket for packets: %w", err)
		}
		err = unix.Sendto(fd, []byte("probe"), 0, target)
		unix.Close(fd)
		if !errors.Is(err, want) && !errors.Is(err, unix.ENETUNREACH) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("a packet to another machine was not refused (%v)", err)
		}
	}
	return nil
}

func (s *spec) probeNamespaces() error {
	for kind, host := range s.Host {
		own, err := os.Readlink("/proc/thread-self/ns/" + kind)
		if err != nil {
			return fmt.Errorf("reading which %s namespace this is: %w", kind, err)
		}
		if own == host {
			return fmt.Errorf("the %s namespace is the machine's", kind)
		}
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("listing processes: %w", err)
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() && !(s.Contained != "" && pid == firstProcess) {
			return fmt.Errorf("process %d is seen", pid)
		}
	}
	for _, path := range []string{"/proc/1/environ", "/proc/1/mem", "/proc/1/root", "/proc/1/fd/3"} {
		if f, err := os.Open(path); err == nil {
			f.Close()
			return notRefused("opening " + path)
		}
	}
	return nil
}

// noSuchCall is a number that no kernel gives to a system call soon.
const noSuchCall = 4000

// probeSystemCalls tries calls that are forbidden. In a container the filter of the
// engine answers first (seccomp(2): an error goes before a question), and not always
// with EPERM.
func probeSystemCalls(contained bool) error {
	empty := [16]byte{}
	at := uintptr(unsafe.Pointer(&empty[0]))
	for _, call := range []struct {
		name   string
		number uintptr
		args   [3]uintptr
		want   syscall.Errno
	}{
		{"tracing processes", unix.SYS_PTRACE, [3]uintptr{unix.PTRACE_TRACEME}, unix.EPERM},
		{"a new user namespace", unix.SYS_UNSHARE, [3]uintptr{unix.CLONE_NEWUSER}, unix.EPERM},
		{"reading keys of the kernel", unix.SYS_KEYCTL, [3]uintptr{0, ^uintptr(2), 0}, unix.EPERM},
		{"an io_uring", unix.SYS_IO_URING_SETUP, [3]uintptr{1, 0}, unix.EPERM},
		{"loading a program into the kernel", unix.SYS_BPF, [3]uintptr{99, at, 1}, unix.EPERM},
		{"handling page faults", unix.SYS_USERFAULTFD, [3]uintptr{0x40000000}, unix.EPERM},
		{"mounting", unix.SYS_MOUNT, [3]uintptr{at, at, at}, unix.EPERM},
		{"a raw socket", unix.SYS_SOCKET, [3]uintptr{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP}, unix.EPERM},
		{"a packet socket", unix.SYS_SOCKET, [3]uintptr{unix.AF_PACKET, unix.SOCK_DGRAM, 0}, unix.EPERM},
		{"an audit socket", unix.SYS_SOCKET, [3]uintptr{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT}, unix.EPERM},
		{"typing into a terminal", unix.SYS_IOCTL, [3]uintptr{0, unix.TIOCSTI, at}, unix.EPERM},
		{"a program that runs as its owner", unix.SYS_FCHMODAT, [3]uintptr{^uintptr(0), at, unix.S_ISUID}, unix.EPERM},
		{"a signal to the first process", unix.SYS_KILL, [3]uintptr{firstProcess, 0}, unix.EPERM},
		{"clone3", unix.SYS_CLONE3, [3]uintptr{at, 0}, unix.ENOSYS},
		{"an unknown system call", noSuchCall, [3]uintptr{}, unix.ENOSYS},
	} {
		result, _, errno := unix.RawSyscall(call.number, call.args[0], call.args[1], call.args[2])
		// The kernel says neither where it lets such a call through.
		byEngine := contained && call.want == unix.EPERM && (errno == unix.ENOSYS || errno == unix.EINVAL && call.number == unix.SYS_SOCKET)
		if errno != call.want && !byEngine {
			if errno == 0 && call.number == unix.SYS_SOCKET {
				unix.Close(int(result))
			}
			return notRefused(call.name)
		}
	}
	return nil
}

func (s *spec) probePrivileges() error {
	text, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return fmt.Errorf("reading what this process may do: %w", err)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		found[name] = strings.Join(strings.Fields(value), " ")
	}
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		if value := found[set]; strings.Trim(value, "0") != "" || value == "" {
			return fmt.Errorf("%s is %s", set, value)
		}
	}
	if found["NoNewPrivs"] != "1" {
		return errors.New("new privileges are possible")
	}
	if id := strconv.Itoa(s.UID); found["Uid"] != strings.Join([]string{id, id, id, id}, " ") {
		return fmt.Errorf("the user is %s", found["Uid"])
	}
	for _, id := range []int{0, 1} {
		if id == s.UID {
			continue
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(id), uintptr(id), uintptr(id)); errno == 0 {
			return notRefused("becoming user " + strconv.Itoa(id))
		}
	}
	return nil
}

func probeInherited() error {
	entries, err := os.ReadDir("/proc/thread-self/fd")
	if err != nil {
		return fmt.Errorf("listing open files: %w", err)
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd < ordersFD {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			return fmt.Errorf("descriptor %d stays open", fd)
		}
	}
	return nil
}

// unixScope is the version of Landlock that keeps socket files of the machine from
// being connected to.
const unixScope = 9

// canHoldSockets reports whether the profile shows a folder in which there could be a
// socket of another program. Nobody makes one among the programs of the machine.
func canHoldSockets(mounts []mount) bool {
	return slices.ContainsFunc(mounts, func(m mount) bool {
		return m.Folder && m.Asked && !m.Blank && !ofSystem(m.Path)
	})
}

func (s *spec) probeSockets(r *Report) {
	const asked = "no socket file of the machine is connected to"
	switch {
	case landlockVersion() >= unixScope:
		r.add(Sockets, asked, "so", "Landlock, version "+strconv.Itoa(landlockVersion()), nil)
	case s.NoUnix:
		var problem error
		if fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != unix.EPERM {
			unix.Close(fd)
			problem = notRefused("a unix socket")
		}
		if pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != unix.EPERM {
			unix.Close(pair[0])
			unix.Close(pair[1])
			problem = notRefused("a pair of sockets that can send elsewhere")
		}
		r.add(Sockets, asked, "no unix sockets at all, but connected pairs", "seccomp", problem)
	case canHoldSockets(s.Mounts):
		r.add(Sockets, asked, "", "", errors.New("sockets in granted folders can be connected to; this kernel's Landlock cannot forbid that, and the profile allows unix sockets"))
	default:
		r.add(Sockets, asked, "no folder is shown in which there could be one", "mount namespace with a root of its own", nil)
	}
}

// probeTogether compares the bounds of all processes together with what was asked.
func (s *spec) probeTogether(r *Report) {
	outside := map[string]Control{}
	for _, c := range s.Outside {
		outside[c.Name] = c
	}
	want := s.Limits.Asked
	if c, held := outside[Memory]; held {
		r.Controls = append(r.Controls, c)
	} else if s.Watch > 0 {
		r.add(Memory, profile.Size(s.Watch), fmt.Sprintf("%s for all processes together, looked at every %v; at most %s for one", profile.Size(s.Watch), watchEvery, profile.Size(s.Limits.Memory)),
			"the first process, and setrlimit", inForce(unix.RLIMIT_DATA, s.Limits.Memory))
	}
	if c, held := outside[CPU]; held {
		r.Controls = append(r.Controls, c)
	} else if want.CPU > 0 {
		r.add(CPU, fmt.Sprintf("%v processors", want.CPU), fmt.Sprintf("%d processors", s.Limits.CPUs), "sched_setaffinity", s.probeCPUs(want.CPU))
	}
	if want.Processes > 0 {
		mechanism := "setrlimit in a user namespace"
		if c, held := outside[Processes]; held {
			mechanism += ", " + c.Mechanism
		}
		r.add(Processes, strconv.Itoa(want.Processes), strconv.Itoa(want.Processes), mechanism, inForce(unix.RLIMIT_NPROC, want.Processes))
	}
}

// probeLimits compares what is in force for each process, and in memory as files, with
// what was asked.
func (s *spec) probeLimits(r *Report) {
	want := s.Limits.Asked
	if want.Descriptors > 0 {
		r.add(Descriptors, strconv.Itoa(want.Descriptors), strconv.Itoa(want.Descriptors)+" for each process", "setrlimit", inForce(unix.RLIMIT_NOFILE, want.Descriptors))
	}
	if want.FileSize > 0 {
		r.add(FileSize, profile.Size(want.FileSize), profile.Size(want.FileSize), "setrlimit", inForce(unix.RLIMIT_FSIZE, want.FileSize))
	}
	switch disk := profile.Size(want.Disk); {
	case want.Disk == 0:
	case s.Contained != "":
		r.add(Disk, disk, disk+" in "+strings.Join(s.Private, ", ")+" together", s.by("tmpfs with sizes"), s.probeContainedDisk())
	default:
		r.add(Disk, disk, disk+" in /tmp, /dev/shm and a temporary home together", "tmpfs with a size", probeDisk(want.Disk))
	}
	if want.Time > 0 {
		r.add(Time, want.Time.String(), want.Time.String(), "the first process", nil)
	}
}

func inForce(which, most int) error {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(which, &now); err != nil {
		return fmt.Errorf("reading a limit: %w", err)
	}
	if now.Max > uint64(most) || now.Cur > uint64(most) {
		return fmt.Errorf("the limit is %d, more than %d", now.Max, most)
	}
	if err := syscall.Setrlimit(which, &syscall.Rlimit{Cur: now.Cur, Max: now.Max + 1}); err == nil {
		return notRefused("raising a limit")
	}
	return nil
}

func (s *spec) probeCPUs(asked float64) error {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return fmt.Errorf("reading the processors: %w", err)
	}
	if count := set.Count(); float64(count) > asked {
		return fmt.Errorf("%d processors may be used where %v were asked for; fractions need a cgroup that the gateway may write", count, asked)
	}
	if err := unix.SchedSetaffinity(0, &set); err != unix.EPERM {
		return notRefused("choosing other processors")
	}
	return nil
}

func probeDisk(most int) error {
	for _, folder := range []string{"/tmp", "/dev/shm", temporaryHome} {
		var fs unix.Statfs_t
		if err := unix.Statfs(folder, &fs); err != nil {
			return fmt.Errorf("reading the size of %s: %w", folder, err)
		}
		if size := fs.Blocks * uint64(fs.Bsize); size == 0 || size > uint64(most)+uint64(os.Getpagesize()) {
			return fmt.Errorf("%s holds %d bytes, more than %d", folder, size, most)
		}
	}
	return nil
}
