package sandbox_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/egress"
	"gatehouse/internal/egress/inside"
	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
	"gatehouse/test/program"
)

func TestMain(m *testing.M) {
	sandbox.Inside(inside.Setup)
	if os.Getenv("ACT_AS_GATEWAY") != "" {
		actAsGateway()
	}
	os.Exit(m.Run())
}

// nobody is who the tests run as a second time when root runs them.
const nobody = 65534

// Bounds of the attacked sandboxes, and what the attacks try instead.
const (
	boundProcesses = 64
	bombProcesses  = 150
	boundBytes     = 96 << 20
	bombBytes      = 160 << 20 // below what one process may reserve, so that the bound for all of them is tried
)

// target is what the attacks are aimed at.
type target struct {
	folder  string // world-readable
	env     []string
	profile profile.Profile
	program string // the compiled attacks
	network func(context.Context, *net.UnixConn) error
}

func newTarget(t *testing.T) *target {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := func(elements ...string) string { return filepath.Join(append([]string{folder}, elements...)...) }
	for _, dir := range []string{"home/.ssh", "outside", "granted", "bin"} {
		must(t, os.MkdirAll(path(dir), 0o755))
	}
	// Whoever the server is, only the sandbox may keep it from these.
	for _, dir := range []string{"outside", "granted"} {
		must(t, os.Chmod(path(dir), 0o777))
	}
	secret := path("home/.ssh/id_test")
	must(t, os.WriteFile(secret, []byte("the key\n"), 0o666))
	must(t, os.Chmod(secret, 0o666)) // so that fs.protected_hardlinks does not help
	must(t, os.WriteFile(path("outside/there"), nil, 0o644))
	attack := build(t, path("bin"))
	for _, name := range []string{"attack.py", "attack.mjs"} {
		text, err := os.ReadFile(name)
		must(t, err)
		must(t, os.WriteFile(path("bin", name), text, 0o644))
	}
	x := &target{folder: folder, program: attack}
	unlisted := copyProgram(t, attack, path("bin/unlisted"), 0o755)
	abstract := fmt.Sprintf("gatehouse-test-%d", os.Getpid())
	listen(t, "unix", "@"+abstract)
	leaked, err := unix.Open(secret, unix.O_RDONLY, 0) // without O_CLOEXEC
	must(t, err)
	t.Cleanup(func() { unix.Close(leaked) })
	setuid := os.Getenv("SETUID")
	if os.Getuid() == 0 {
		setuid = copyProgram(t, attack, path("bin/setuid"), 0o755|os.ModeSetuid)
	}
	x.env = []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "SECRET=" + secret, "OUTSIDE=" + path("outside"), "GRANTED=" + path("granted"),
		"ABSTRACT=" + abstract, "LISTENER=" + listen(t, "tcp", "127.0.0.1:0"), "LISTENER6=" + listen(t, "tcp", "[::1]:0"), "UDP=" + echo(t),
		"UNLISTED=" + unlisted, "LISTED=" + attack, "SETUID=" + setuid, fmt.Sprint("LEAKED=", leaked), fmt.Sprint("BOMB_PROCESSES=", bombProcesses), fmt.Sprint("BOMB_BYTES=", bombBytes),
	}
	x.profile = profile.Profile{
		Write: []string{path("granted")}, Execute: []string{attack, setuid},
		Limits: profile.Limits{Memory: boundBytes, Processes: boundProcesses, Descriptors: 256, Disk: 64 << 20, FileSize: 32 << 20},
	}
	return x
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// build compiles the attacks, or takes what root compiled before.
func build(t *testing.T, folder string) string {
	t.Helper()
	path := filepath.Join(folder, "attack")
	if ready := os.Getenv("ATTACK"); ready != "" {
		return copyProgram(t, ready, path, 0o755)
	}
	cmd := exec.Command("go", "build", "-o", path, "./attack")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the attacks: %v\n%s", err, out)
	}
	return path
}

func copyProgram(t *testing.T, from, to string, mode os.FileMode) string {
	t.Helper()
	text, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, text, 0o755))
	must(t, os.Chmod(to, mode))
	return to
}

// listen greets everybody on an address of this machine.
func listen(t *testing.T, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("x"))
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// echo answers datagrams.
func echo(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 16)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(buffer[:n], from)
		}
	}()
	return conn.LocalAddr().String()
}

// outside runs a command as a server without a sandbox is run.
func (x *target) outside(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = x.env, x.folder, &out, &out
	must(t, cmd.Start())
	limit := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	_ = cmd.Wait()
	return out.String()
}

// inside runs a command in a sandbox that enforces everything.
func (x *target) inside(t *testing.T, p profile.Profile, args ...string) string {
	t.Helper()
	box, err := sandbox.New(p, sandbox.Command{Args: args, Dir: x.folder, Env: x.env, Network: x.network})
	must(t, err)
	defer box.Ended()
	var out bytes.Buffer
	cmd := exec.Command("/proc/self/exe")
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, box.Configure(cmd))
	must(t, cmd.Start())
	limit := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	if err := box.Started(cmd.Process.Pid); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatal(err)
	}
	if missing := box.Report().Missing(); len(missing) > 0 {
		t.Errorf("not enforced: %v", missing)
	}
	_ = cmd.Wait()
	return out.String()
}

// interpreter is a program of this machine that everybody may run.
func interpreter(t *testing.T, name string) string {
	t.Helper()
	for _, folder := range []string{"/usr/bin", "/usr/local/bin", "/bin"} {
		if path := filepath.Join(folder, name); exec.Command(path, "--version").Run() == nil {
			return path
		}
	}
	program.Missing(t, "%s is not installed", name)
	return ""
}

// onlyRoot are attacks that an ordinary user cannot make anywhere.
var onlyRoot = []string{"raw-socket", "packet-socket"}

// ends are attacks at whose end the sandbox may be gone, without a last word.
var ends = []string{"memory-bomb", "memory-bomb-shared", "fork-bomb"}

func Test_escapes(t *testing.T) {
	x := newTarget(t)
	everywhere := []string{"read-secret", "write-outside", "symlink", "hardlink", "proc-root", "proc-environ", "setuid-bit", "signal-parent", "direct-ip", "run-unlisted", "fork-bomb", "memory-bomb", "disk-fill"}
	for _, language := range []struct {
		name    string
		command func(t *testing.T) []string
		attacks []string
		memory  int // what the interpreter needs besides
	}{
		{"go", func(*testing.T) []string { return []string{x.program} }, slices.Concat(everywhere, []string{
			"abstract-socket", "list-outside", "dotdot", "rename-out", "proc-cwd", "proc-mem", "proc-fd", "setuid-program", "setuid-create", "ptrace", "vm-read", "namespace", "keyring", "raw-socket", "packet-socket",
			"direct-ip-v6", "direct-udp", "run-from-memory", "memory-bomb-shared", "large-file", "many-files", "open-files", "inherited-file",
		}), 0},
		{"python", func(t *testing.T) []string {
			return []string{interpreter(t, "python3"), filepath.Join(x.folder, "bin/attack.py")}
		}, slices.Concat(everywhere, []string{"abstract-socket", "ptrace", "namespace", "keyring", "raw-socket"}), 0},
		{"node", func(t *testing.T) []string {
			return []string{interpreter(t, "node"), filepath.Join(x.folder, "bin/attack.mjs")}
		}, everywhere, 64 << 20},
	} {
		t.Run(language.name, func(t *testing.T) {
			command := language.command(t)
			p := x.profile
			p.Limits.Memory += language.memory
			for _, attack := range language.attacks {
				t.Run(attack, func(t *testing.T) { x.attack(t, p, attack, append(slices.Clone(command), attack)) })
			}
		})
	}
}

// attack runs one attack outside, where it has to work, and inside, where it must
// not.
func (x *target) attack(t *testing.T, p profile.Profile, name string, args []string) {
	if os.Getuid() == 0 || !slices.Contains(onlyRoot, name) {
		if out := x.outside(t, args...); !strings.Contains(out, "\nworked\n") {
			t.Fatalf("without a sandbox the attack does not work either, so it proves nothing:\n%s", out)
		}
	}
	x.clean(t)
	out := x.inside(t, p, args...)
	switch {
	case !strings.HasPrefix(out, "trying "+name+"\n"), strings.Contains(out, "a mistake of the test"):
		t.Errorf("the attack did not begin:\n%s", out)
	case strings.Contains(out, "\nworked\n"):
		t.Errorf("the attack worked:\n%s", out)
	case !strings.Contains(out, "\nrefused: ") && !slices.Contains(ends, name):
		t.Errorf("the attack was not refused:\n%s", out)
	default:
		t.Log(strings.TrimSpace(strings.TrimPrefix(out, "trying "+name+"\n")))
	}
	left, err := os.ReadDir(filepath.Join(x.folder, "outside"))
	if err != nil || len(left) != 1 {
		t.Errorf("outside holds %v (%v)", left, err)
	}
}

// clean takes away what an attack made outside.
func (x *target) clean(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"granted/*", "outside/*"} {
		made, err := filepath.Glob(filepath.Join(x.folder, pattern))
		must(t, err)
		for _, path := range made {
			if filepath.Base(path) != "there" {
				must(t, os.Remove(path))
			}
		}
	}
}

// A server that may reach one place reaches it, and no other.
func Test_escapes_with_a_network(t *testing.T) {
	x := newTarget(t)
	allowed := netip.MustParseAddrPort(listen(t, "tcp", "127.0.0.1:0"))
	var mu sync.Mutex
	var events []egress.Event
	broker, err := egress.NewBroker([]egress.Rule{{Host: "127.0.0.1", Ports: []uint16{allowed.Port()}, Protocol: egress.TCP}}, func(e egress.Event) error {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
		return nil
	}, egress.Options{})
	must(t, err)
	x.network = broker.Serve
	p := x.profile
	p.Network = []profile.Destination{{Host: "127.0.0.1", Ports: []int{int(allowed.Port())}}}
	elsewhere := x.env
	x.env = append([]string{"LISTENER=" + allowed.String()}, x.env...) // the first one counts
	if out := x.inside(t, p, x.program, "direct-ip"); !strings.Contains(out, "\nworked\n") {
		t.Errorf("what is allowed is not reached:\n%s", out)
	}
	mu.Lock()
	if len(events) == 0 || events[0].Kind != egress.Opened || events[0].Port != allowed.Port() {
		t.Errorf("the record is %+v", events)
	}
	mu.Unlock()
	x.env = elsewhere
	for _, attack := range []string{"direct-ip", "direct-ip-v6", "direct-udp", "abstract-socket", "raw-socket", "packet-socket", "signal-parent", "proc-fd", "proc-mem"} {
		t.Run(attack, func(t *testing.T) { x.attack(t, p, attack, []string{x.program, attack}) })
	}
}

// Test_escapes_of_an_ordinary_user runs everything again as a user without any
// privileges.
func Test_escapes_of_an_ordinary_user(t *testing.T) {
	if os.Getuid() != 0 {
		return // that is what the other tests are then
	}
	folder, err := os.MkdirTemp("", "ordinary") // t.TempDir lies in a folder that others cannot enter
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	must(t, os.Chmod(folder, 0o777))
	self, err := os.Executable()
	must(t, err)
	attack := build(t, folder)
	tests := copyProgram(t, self, filepath.Join(folder, "tests"), 0o755)
	for _, name := range []string{"attack.py", "attack.mjs"} {
		text, err := os.ReadFile(name)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(folder, name), text, 0o644))
	}
	setuid := copyProgram(t, attack, filepath.Join(folder, "setuid"), 0o755|os.ModeSetuid)
	cmd := exec.Command(tests, "-test.v", "-test.run", "^(Test_escapes|Test_escapes_with_a_network|Test_everything_ends_.*)$")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "ATTACK="+attack, "SETUID="+setuid, "TMPDIR="+folder, "HOME="+folder)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("--- SKIP")) || !bytes.Contains(out, []byte("--- PASS: Test_escapes")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// actAsGateway starts a server that leaves a process behind, says so, and waits to
// be killed.
func actAsGateway() {
	args := []string{os.Getenv("ATTACK"), "outlive"}
	cmd := exec.Command(args[0], args[1:]...)
	var box *sandbox.Sandbox
	if os.Getenv("ACT_AS_GATEWAY") == "confined" {
		p := profile.Profile{Limits: profile.DefaultLimits()}
		var err error
		if box, err = sandbox.New(p, sandbox.Command{Args: args, Dir: "/"}); err == nil {
			err = box.Configure(cmd)
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	cmd.Stdout = os.Stdout
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if box != nil {
		if err := box.Started(cmd.Process.Pid); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	_ = cmd.Wait()
	os.Exit(0)
}

func Test_everything_ends_when_the_gateway_is_killed(t *testing.T) {
	folder := t.TempDir()
	attack := build(t, folder)
	for how, want := range map[string]bool{"free": false, "confined": true} {
		t.Run(how, func(t *testing.T) {
			self, err := os.Executable()
			must(t, err)
			read, write, err := os.Pipe()
			must(t, err)
			defer read.Close()
			cmd := exec.Command(self)
			cmd.Env = []string{"ACT_AS_GATEWAY=" + how, "ATTACK=" + attack}
			cmd.Stdout = write
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			must(t, cmd.Start())
			write.Close()
			text := make([]byte, 1024)
			n := 0
			must(t, read.SetReadDeadline(time.Now().Add(20*time.Second)))
			for !bytes.Contains(text[:n], []byte("left behind\n")) {
				more, err := read.Read(text[n:])
				if n += more; err != nil {
					t.Fatalf("%v after %q", err, text[:n])
				}
			}
			must(t, cmd.Process.Kill()) // the gateway alone
			_ = cmd.Wait()
			// Every process of the server holds the other end.
			must(t, read.SetReadDeadline(time.Now().Add(2*time.Second)))
			_, err = read.Read(text)
			if ended := err != nil && !os.IsTimeout(err); ended != want {
				t.Errorf("all processes ended: %v (%v), want %v", ended, err, want)
			}
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		})
	}
}
