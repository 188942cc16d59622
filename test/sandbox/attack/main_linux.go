// Command attack tries one way out of a sandbox and says what came of it. It runs
// twice: outside, where the way must be open, and inside, where it must be closed.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attacks return nil when they worked.
var attacks = map[string]func() error{
	"read-secret":        func() error { return read(os.Getenv("SECRET")) },
	"list-outside":       listOutside,
	"write-outside":      func() error { return write(filepath.Join(os.Getenv("OUTSIDE"), "written")) },
	"symlink":            symlink,
	"hardlink":           hardlink,
	"dotdot":             func() error { return read(os.Getenv("GRANTED") + "/../home/.ssh/id_test") },
	"rename-out":         renameOut,
	"write-program":      writeProgram,
	"proc-root":          func() error { return read(parent("root") + os.Getenv("SECRET")) },
	"proc-cwd":           func() error { return readFolder(parent("cwd")) },
	"proc-environ":       func() error { return read(parent("environ")) },
	"proc-mem":           func() error { return open(parent("mem")) },
	"proc-fd":            func() error { return readFolder(parent("fd")) },
	"setuid-program":     setuidProgram,
	"setuid-bit":         func() error { return setuidBit(os.Getenv("GRANTED")) },
	"setuid-create":      func() error { return setuidCreate(os.Getenv("GRANTED")) },
	"setuid":             func() error { return become(unix.SYS_SETUID) },
	"setgroups":          func() error { return become(unix.SYS_SETGROUPS) },
	"ptrace":             ptrace,
	"mount":              mount,
	"bpf":                bpf,
	"vm-read":            vmRead,
	"signal-parent":      func() error { return unix.Kill(os.Getppid(), 0) },
	"namespace":          namespace,
	"keyring":            keyring,
	"abstract-socket":    func() error { return dial("unix", "@"+os.Getenv("ABSTRACT")) },
	"unix-socket":        func() error { return dial("unix", os.Getenv("SOCKET")) },
	"unix-datagram":      unixDatagram,
	"raw-socket":         func() error { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) },
	"packet-socket":      func() error { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0) },
	"direct-ip":          func() error { return dial("tcp", os.Getenv("LISTENER")) },
	"direct-ip-v6":       func() error { return dial("tcp", os.Getenv("LISTENER6")) },
	"mapped-v6":          func() error { return dial("tcp", mapped(os.Getenv("LISTENER"))) },
	"other-machine":      func() error { return dial("tcp", os.Getenv("ELSEWHERE")) },
	"connect":            func() error { return dial("tcp", os.Getenv("PLACE")) },
	"send":               func() error { return udp(os.Getenv("PLACE")) },
	"resolve":            resolve,
	"direct-udp":         func() error { return udp(os.Getenv("UDP")) },
	"run-unlisted":       runUnlisted,
	"run-from-memory":    runFromMemory,
	"fork-bomb":          forkBomb,
	"memory-bomb":        memoryBomb,
	"memory-bomb-shared": memoryBombShared,
	"memory-bomb-many":   memoryBombMany,
	"disk-fill":          diskFill,
	"large-file":         largeFile,
	"many-files":         manyFiles,
	"open-files":         openFiles,
	"inherited-file":     inheritedFile,
	"outlive":            outlive,
	"flood":              flood,
	"own-socket":         ownSocket,
}

func main() {
	switch name := os.Args[1]; name {
	case "whoami":
		fmt.Println(os.Geteuid())
	case "describe":
		describe()
	case "sleep":
		time.Sleep(20 * time.Second)
		fmt.Println("awake")
	case "eat": // a part of memory-bomb-many
		size, _ := strconv.Atoi(os.Args[2])
		fmt.Println(eat(size, unix.MAP_PRIVATE))
		time.Sleep(20 * time.Second)
	default:
		runtime.LockOSThread()
		for _, name := range os.Args[1:] {
			try(name)
		}
	}
}

func try(name string) {
	fmt.Println("trying", name)
	if err := attacks[name](); err != nil {
		fmt.Println("refused:", err)
		return
	}
	fmt.Println("worked")
}

// describe prints what a server finds that was given things.
func describe() {
	secret, _ := os.ReadFile("/run/secrets/token")
	fmt.Printf("secret: %s\n", secret)
	key, _ := os.ReadFile(os.Getenv("SECRET"))
	fmt.Printf("key: %s", key)
	fmt.Println("user:", os.Geteuid())
	for _, variable := range os.Environ() {
		fmt.Println(variable)
	}
}

func parent(name string) string { return fmt.Sprintf("/proc/%d/%s", os.Getppid(), name) }

func open(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

func read(path string) error {
	text, err := os.ReadFile(path)
	if err == nil && len(text) == 0 {
		return errors.New("it is empty")
	}
	return err
}

func readFolder(path string) error {
	entries, err := os.ReadDir(path)
	if err == nil && len(entries) == 0 {
		return errors.New("it is empty")
	}
	return err
}

func write(path string) error { return os.WriteFile(path, []byte("attack"), 0o644) }

func listOutside() error {
	_, err := os.Stat(os.Getenv("OUTSIDE") + "/there")
	return err
}

func symlink() error {
	link := filepath.Join(os.Getenv("GRANTED"), "link")
	os.Remove(link)
	if err := os.Symlink(os.Getenv("SECRET"), link); err != nil {
		return err
	}
	return read(link)
}

func hardlink() error {
	link := filepath.Join(os.Getenv("GRANTED"), "hard")
	os.Remove(link)
	if err := os.Link(os.Getenv("SECRET"), link); err != nil {
		return err
	}
	return read(link)
}

func renameOut() error {
	from := filepath.Join(os.Getenv("GRANTED"), "carried")
	if err := write(from); err != nil {
		return fmt.Errorf("a mistake of the test: %w", err)
	}
	return os.Rename(from, filepath.Join(os.Getenv("OUTSIDE"), "carried"))
}

func writeProgram() error {
	f, err := os.OpenFile(os.Getenv("OTHER"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func mount() error {
	if err := unix.Mount("attack", os.Getenv("OUTSIDE"), "tmpfs", 0, "size=4k"); err != nil {
		return err
	}
	return unix.Unmount(os.Getenv("OUTSIDE"), unix.MNT_DETACH)
}

func setuidProgram() error {
	out, err := exec.Command(os.Getenv("SETUID"), "whoami").CombinedOutput()
	if err != nil {
		return err
	}
	if user := strings.TrimSpace(string(out)); user != "0" {
		return fmt.Errorf("it runs as user %s", user)
	}
	return nil
}

func setuidBit(folder string) error {
	path := filepath.Join(folder, "bit")
	if err := write(path); err != nil {
		return fmt.Errorf("a mistake of the test: %w", err)
	}
	return unix.Chmod(path, 0o4755)
}

func setuidCreate(folder string) error {
	path := filepath.Join(folder, "created")
	os.Remove(path)
	fd, err := unix.Open(path, unix.O_CREAT|unix.O_WRONLY, 0o4755)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// become is root, by a system call, in this thread.
func become(call uintptr) error {
	groups := [1]uint32{0}
	args := [2]uintptr{0, 0}
	if call == unix.SYS_SETGROUPS {
		args = [2]uintptr{1, uintptr(unsafe.Pointer(&groups))}
	}
	_, _, errno := unix.RawSyscall(call, args[0], args[1], 0)
	return result(errno)
}

// bpf makes a map in the kernel.
func bpf() error {
	attr := [72]byte{0: 2, 4: 4, 8: 4, 12: 1} // BPF_MAP_TYPE_ARRAY, keys and values of 4 bytes, one entry
	fd, _, errno := unix.Syscall(unix.SYS_BPF, 0, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno == 0 {
		unix.Close(int(fd))
	}
	return result(errno)
}

func ptrace() error {
	const seize = 0x4206
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, seize, uintptr(os.Getppid()), 0, 0, 0, 0)
	return result(errno)
}

func vmRead() error {
	var word [8]byte
	local, remote := unix.Iovec{Base: &word[0], Len: 8}, unix.RemoteIovec{Base: 0x400000, Len: 8}
	_, err := unix.ProcessVMReadv(os.Getppid(), []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0)
	if errors.Is(err, unix.EFAULT) {
		return nil // it may look, and there is nothing
	}
	return err
}

func result(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// namespace becomes root in a namespace of its own and mounts something there.
func namespace() error {
	child := exec.Command("/proc/self/exe", "whoami")
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	return child.Run()
}

func keyring() error {
	_, err := unix.AddKey("user", "gatehouse-attack", []byte("secret"), unix.KEY_SPEC_PROCESS_KEYRING)
	return err
}

// patience is how long somebody may take to answer who does.
const patience = time.Second

func dial(network, address string) error {
	conn, err := net.DialTimeout(network, address, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	// Who accepts may be somebody on the way. Only the target says something.
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, err = conn.Read(make([]byte, 1))
	return err
}

// mapped is an IPv4 address as IPv6 writes it.
func mapped(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return net.JoinHostPort("::ffff:"+host, port)
}

// resolve asks for a name that carries something.
func resolve() error {
	resolver := net.Resolver{PreferGo: true}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := resolver.LookupHost(ctx, os.Getenv("PLACE"))
	return err
}

// unixDatagram sends to a socket file from a socket that has a peer already.
func unixDatagram() error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	return unix.Sendto(pair[0], []byte("attack"), 0, &unix.SockaddrUnix{Name: os.Getenv("DATAGRAMS")})
}

func udp(address string) error {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, err = conn.Read(make([]byte, 1))
	return err
}

func socket(family, kind, protocol int) error {
	fd, err := unix.Socket(family, kind, protocol)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func copySelf(path string, mode os.FileMode) error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	os.Remove(path)
	return os.WriteFile(path, self, mode)
}

func runUnlisted() error {
	path := filepath.Join(os.Getenv("GRANTED"), "program")
	if err := copySelf(path, 0o755); err != nil {
		return fmt.Errorf("a mistake of the test: %w", err)
	}
	return exec.Command(path, "whoami").Run()
}

func runFromMemory() error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	var last error
	for _, flags := range []int{0, 0x10} { // as the kernel likes; executable
		fd, err := unix.MemfdCreate("program", flags)
		if err != nil {
			last = err
			continue
		}
		f := os.NewFile(uintptr(fd), "program")
		if _, err := f.Write(self); err != nil {
			return err
		}
		if last = exec.Command(fmt.Sprintf("/proc/self/fd/%d", fd), "whoami").Run(); last == nil {
			return nil
		}
		_ = f.Chmod(0o755)
		if last = exec.Command(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), "whoami").Run(); last == nil {
			return nil
		}
	}
	return last
}

// hold keeps what was taken for as long as an attack would last. It does not use the
// runtime's clock, which may need an open file.
func hold() {
	left := unix.NsecToTimespec(int64(time.Second))
	for unix.Nanosleep(&left, &left) == unix.EINTR {
	}
}

// forkBomb starts more processes than the limit, and ends them.
func forkBomb() error {
	want, err := strconv.Atoi(os.Getenv("BOMB_PROCESSES"))
	if err != nil {
		return err
	}
	var children []*exec.Cmd
	defer func() {
		for _, c := range children {
			c.Process.Kill()
			c.Wait()
		}
	}()
	for range want {
		child := exec.Command("/proc/self/exe", "sleep")
		if err := child.Start(); err != nil {
			hold()
			return fmt.Errorf("after %d: %w", len(children), err)
		}
		children = append(children, child)
	}
	return nil
}

func bomb() int {
	size, _ := strconv.Atoi(os.Getenv("BOMB_BYTES"))
	return size
}

func memoryBomb() error { return eat(bomb(), unix.MAP_PRIVATE) }

// memoryBombShared hides its memory from limits of one process: a shared mapping.
func memoryBombShared() error { return eat(bomb(), unix.MAP_SHARED) }

// eat takes memory and keeps it for a second.
func eat(size, how int) error {
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, how|unix.MAP_ANON)
	if err != nil {
		return err
	}
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
	time.Sleep(time.Second)
	return nil
}

// memoryBombMany takes it in many processes, each of which stays within any limit of
// its own.
func memoryBombMany() error {
	const parts = 8
	var holding []io.Reader
	for range parts {
		child := exec.Command("/proc/self/exe", "eat", strconv.Itoa(bomb()/parts))
		out, err := child.StdoutPipe()
		if err != nil {
			return err
		}
		if err := child.Start(); err != nil {
			return err
		}
		defer func() {
			child.Process.Kill()
			child.Wait()
		}()
		holding = append(holding, out)
	}
	for _, out := range holding { // each says when it has had its part for a second
		if text, err := bufio.NewReader(out).ReadString('\n'); text != "<nil>\n" {
			return fmt.Errorf("one of them was ended, or refused: %q, %w", text, err)
		}
	}
	return nil
}

func diskFill() error {
	want, err := strconv.Atoi(os.Getenv("BOMB_BYTES"))
	if err != nil {
		return err
	}
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	for written := 0; written < want; {
		f, err := os.CreateTemp("/tmp", "fill")
		if err != nil {
			return err
		}
		defer os.Remove(f.Name())
		for range 8 {
			if _, err := f.Write(chunk); err != nil {
				f.Close()
				hold()
				return fmt.Errorf("after %d bytes: %w", written, err)
			}
			written += len(chunk)
		}
		f.Close()
	}
	return nil
}

func largeFile() error {
	path := filepath.Join(os.Getenv("GRANTED"), "large")
	defer os.Remove(path)
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("a mistake of the test: %w", err)
	}
	defer f.Close()
	// SIGXFSZ would end the program; Go ignores it and the write fails.
	_, err = f.WriteAt([]byte("x"), 64<<20)
	return err
}

func manyFiles() error {
	folder, err := os.MkdirTemp("/tmp", "many")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	most, err := strconv.Atoi(os.Getenv("MANY_FILES"))
	if err != nil {
		return fmt.Errorf("a mistake of the test: %w", err)
	}
	for i := range most {
		f, err := os.Create(filepath.Join(folder, strconv.Itoa(i)))
		if err != nil {
			hold()
			return fmt.Errorf("after %d files: %w", i, err)
		}
		f.Close()
	}
	return nil
}

func openFiles() error {
	for i := range 600 {
		if _, err := unix.Open("/dev/null", unix.O_RDONLY, 0); err != nil {
			hold()
			return fmt.Errorf("after %d: %w", i, err)
		}
	}
	return nil
}

// inheritedFile looks for the file that the starter of the gateway left open.
func inheritedFile() error {
	secret, err := os.Readlink("/proc/self/fd/" + os.Getenv("LEAKED"))
	if err != nil {
		return err
	}
	if !strings.HasSuffix(secret, "id_test") {
		return fmt.Errorf("it is %s", secret)
	}
	return nil
}

// outlive leaves a process behind in a session of its own.
func outlive() error {
	child := exec.Command("/proc/self/exe", "sleep")
	child.Stdout = os.Stdout
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return err
	}
	fmt.Println("left behind")
	time.Sleep(20 * time.Second)
	return nil
}

// flood tries something as often as it can.
func flood() (last error) {
	for range 5_000 {
		last = ptrace()
	}
	return last
}

// ownSocket connects two sockets of its own.
func ownSocket() error {
	path := filepath.Join(os.TempDir(), "own")
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			_, _ = conn.Write([]byte("x"))
		}
	}()
	return dial("unix", path)
}
