package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	var err error
	if built, err = os.MkdirTemp("", "built"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(built)
	os.Exit(code)
}

// built is where the programs lie that all tests share.
var built string

// gatehouse is the gateway, as a user builds it.
var gatehouse = sync.OnceValues(func() (string, error) { return program.Build(built) })

func buildGatehouse(t *testing.T) string {
	t.Helper()
	path, err := gatehouse()
	must(t, err)
	return path
}

// compiled are the attacks, which root has compiled for the ordinary user.
var compiled = sync.OnceValues(func() (string, error) {
	if ready := os.Getenv("ATTACK"); ready != "" {
		return ready, nil
	}
	return compile("attack")
})

// compile builds one of the programs that stand below this folder.
func compile(name string) (string, error) {
	path := filepath.Join(built, name)
	cmd := exec.Command("go", "build", "-o", path, "./"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// nobody is who the tests run as a second time when root runs them.
const nobody = 65534

// Bounds of the attacked sandboxes, and what the attacks try instead.
const (
	boundProcesses = 64
	bombProcesses  = 150
	boundBytes     = 96 << 20
	bombBytes      = 112 << 20 // below what one process may reserve, so that the bound for all of them is tried
	manyFiles      = 3_000
	boundFew       = 8 << 20 // of /tmp, which then holds fewer files than that
)

// targets numbers them.
var targets atomic.Int64

// target is what the attacks are aimed at.
type target struct {
	folder  string // world-readable
	env     []string
	profile profile.Profile
	program string // the compiled attacks
	network func(context.Context, *net.UnixConn) error
	refused []sandbox.Refusal // what was recorded of the last start
	mayMiss []string          // controls that the report may miss
}

func newTarget(t *testing.T) *target {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := func(elements ...string) string { return filepath.Join(append([]string{folder}, elements...)...) }
	for _, dir := range []string{"home/.ssh", "outside", "granted", "bin", "shared"} {
		must(t, os.MkdirAll(path(dir), 0o755))
	}
	// Whoever the server is, only the sandbox may keep it from these.
	for _, dir := range []string{"outside", "granted", "shared"} {
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
	other := copyProgram(t, attack, path("bin/other"), 0o777)
	abstract := fmt.Sprintf("gatehouse-test-%d-%d", os.Getpid(), targets.Add(1))
	listen(t, "unix", "@"+abstract)
	listen(t, "unix", "@"+abstract+strings.Repeat("\x00", 107-len(abstract))) // as node writes it
	listen(t, "unix", path("shared/s"))
	datagrams, err := net.ListenPacket("unixgram", path("shared/d"))
	must(t, err)
	t.Cleanup(func() { datagrams.Close() })
	for _, name := range []string{"shared/s", "shared/d"} {
		must(t, os.Chmod(path(name), 0o777))
	}
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
		"ELSEWHERE=" + listen(t, "tcp", net.JoinHostPort(ownAddress(t), "0")), "SOCKET=" + path("shared/s"), "DATAGRAMS=" + path("shared/d"),
		"UNLISTED=" + unlisted, "LISTED=" + attack, "OTHER=" + other, "SETUID=" + setuid, fmt.Sprint("LEAKED=", leaked), fmt.Sprint("BOMB_PROCESSES=", bombProcesses), fmt.Sprint("BOMB_BYTES=", bombBytes), fmt.Sprint("MANY_FILES=", manyFiles),
	}
	x.profile = profile.Profile{
		Write: []string{path("granted"), path("shared")}, Execute: []string{attack, setuid, other}, RecordFiles: true,
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

// build puts the attacks into a folder.
func build(t *testing.T, folder string) string {
	t.Helper()
	ready, err := compiled()
	must(t, err)
	return copyProgram(t, ready, filepath.Join(folder, "attack"), 0o755)
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

// ownAddress is one of this machine that others can reach, if it has one.
func ownAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range addresses {
		if ip, is := a.(*net.IPNet); is && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	return "127.0.0.1"
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
	x.refused = nil
	box, err := sandbox.New(p, sandbox.Command{Args: args, Dir: x.folder, Env: x.env, Network: x.network, Refused: func(f sandbox.Refusal) { x.refused = append(x.refused, f) }})
	must(t, err)
	t.Cleanup(box.Ended)
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
	if missing := box.Report().Missing(); !slices.Equal(missing, x.mayMiss) {
		t.Errorf("not enforced: %v", missing)
	}
	_ = cmd.Wait()
	box.Ended() // after which everything is recorded
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

// attack is one way out of a sandbox.
type attack struct {
	name string
	in   string // the languages in which it can be made without native code: g, p, n
	// control and what are of the record that the attack must leave. Without both
	// the kernel refuses in a way of which nothing can be known, or nothing is refused
	// at all, because what the attack looks for is not there.
	control, what string
	onlyRoot      bool // an ordinary user cannot do it anywhere
	alone         bool // what is tried after it in the same process may be disturbed by it
	wordless      bool // the sandbox may be gone at its end, without a last word
	few           bool // it is tried where /tmp holds little
}

// attacks are all of them; docs/sandbox.md says the same in words.
var attacks = []attack{
	{name: "read-secret", in: "gpn", control: sandbox.Files, what: "read */home/.ssh/id_test"},
	{name: "list-outside", in: "gpn"}, // whether a file exists is asked too often to be looked at
	{name: "write-outside", in: "gpn", control: sandbox.Files, what: "write in */outside"},
	{name: "write-program", in: "gpn", control: sandbox.Files, what: "write in */bin"},
	{name: "symlink", in: "gpn", control: sandbox.Files, what: "read */home/.ssh/id_test"},
	{name: "hardlink", in: "gpn", control: sandbox.Files, what: "write in */home/.ssh"},
	{name: "dotdot", in: "gpn", control: sandbox.Files, what: "read */home/.ssh/id_test"},
	{name: "rename-out", in: "gpn", control: sandbox.Files, what: "write in */outside"},
	{name: "proc-root", in: "gpn", control: sandbox.Namespaces, what: "/proc/1/root*"},
	{name: "proc-cwd", in: "gpn", control: sandbox.Namespaces, what: "/proc/1/cwd"},
	{name: "proc-environ", in: "gpn", control: sandbox.Namespaces, what: "/proc/1/environ"},
	{name: "proc-mem", in: "gpn", control: sandbox.Namespaces, what: "/proc/1/mem"},
	{name: "proc-fd", in: "gpn", control: sandbox.Namespaces, what: "/proc/1/fd"},
	{name: "setuid-program", in: "gpn"}, // it runs, and the bit has no effect
	{name: "setuid-bit", in: "gpn", control: sandbox.SystemCalls, what: "*a file that runs as its owner"},
	{name: "setuid-create", in: "gpn", control: sandbox.SystemCalls, what: "*a file that runs as its owner"},
	{name: "setuid", in: "gpn", control: sandbox.Privileges, what: "set*uid: another user", onlyRoot: true},
	{name: "setgroups", in: "gpn", control: sandbox.Privileges, what: "setgroups", onlyRoot: true},
	{name: "ptrace", in: "gp", control: sandbox.SystemCalls, what: "ptrace", alone: true},
	{name: "vm-read", in: "gp", control: sandbox.SystemCalls, what: "process_vm_readv"},
	{name: "mount", in: "gp", control: sandbox.SystemCalls, what: "mount", onlyRoot: true},
	{name: "bpf", in: "gp", control: sandbox.SystemCalls, what: "bpf", onlyRoot: true},
	{name: "namespace", in: "g", control: sandbox.SystemCalls, what: "clone: a namespace"},
	{name: "namespace", in: "p", control: sandbox.SystemCalls, what: "unshare"},
	{name: "keyring", in: "gp", control: sandbox.SystemCalls, what: "add_key"},
	{name: "signal-parent", in: "gpn", control: sandbox.Namespaces, what: "kill: a signal to the first process"},
	{name: "abstract-socket", in: "gpn", control: sandbox.Sockets, what: "socket: family unix, type stream"},
	{name: "unix-socket", in: "gpn", control: sandbox.Sockets, what: "socket: family unix, type stream"},
	{name: "unix-datagram", in: "gp", control: sandbox.Sockets, what: "socketpair: family unix, type datagram"},
	{name: "raw-socket", in: "gp", control: sandbox.SystemCalls, what: "socket: family inet, type raw", onlyRoot: true},
	{name: "packet-socket", in: "gp", control: sandbox.SystemCalls, what: "socket: family packet, type raw", onlyRoot: true},
	{name: "direct-ip", in: "gpn", control: sandbox.Network, what: "a local port*"},
	{name: "direct-ip-v6", in: "gpn", control: sandbox.Network, what: "a local port*"},
	{name: "mapped-v6", in: "gpn", control: sandbox.Network, what: "a local port*"},
	{name: "other-machine", in: "gpn", control: sandbox.Network},
	{name: "direct-udp", in: "gpn", control: sandbox.Network, what: "a local port*"},
	{name: "run-unlisted", in: "gpn", control: sandbox.Files, what: "execute *"},
	{name: "run-from-memory", in: "gp", what: "*mem*program*", alone: true}, // at once where memory is watched, otherwise when it is started
	{name: "fork-bomb", in: "gpn", control: sandbox.Processes, what: fmt.Sprintf("*%d processes and threads*", boundProcesses), alone: true, wordless: true},
	{name: "memory-bomb", in: "gpn", control: sandbox.Memory, alone: true, wordless: true},
	{name: "memory-bomb-shared", in: "gp", control: sandbox.Memory, alone: true, wordless: true},
	{name: "memory-bomb-many", in: "gpn", control: sandbox.Memory, alone: true, wordless: true},
	{name: "disk-fill", in: "gpn", control: sandbox.Disk, alone: true},
	{name: "many-files", in: "gpn", control: sandbox.Disk, alone: true, few: true},
	{name: "large-file", in: "gpn"}, // known only of programs that the kernel ends for it; these ask for the error
	{name: "open-files", in: "gpn", control: sandbox.Descriptors, alone: true},
	{name: "inherited-file", in: "gpn"}, // there is none
}

// language is what an attack is written in.
type language struct {
	name   string
	letter string
	memory int // what the interpreter needs besides
	args   func(t *testing.T, x *target) []string
}

var languages = []language{
	{"compiled", "g", 0, func(_ *testing.T, x *target) []string { return []string{x.program} }},
	{"python", "p", 0, func(t *testing.T, x *target) []string {
		return []string{interpreter(t, "python3"), filepath.Join(x.folder, "bin/attack.py")}
	}},
	{"node", "n", 64 << 20, func(t *testing.T, x *target) []string {
		return []string{interpreter(t, "node"), filepath.Join(x.folder, "bin/attack.mjs")}
	}},
}

func Test_escapes(t *testing.T) {
	t.Parallel()
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			x := newTarget(t)
			x.env = x.without(fmt.Sprint("BOMB_BYTES=", bombBytes+l.memory))
			x.profile.Limits.Memory += l.memory
			var own []attack
			for _, a := range attacks {
				if strings.Contains(a.in, l.letter) {
					own = append(own, a)
				}
			}
			x.attacked(t, own, l.args(t, x))
		})
	}
}

// together divides attacks into those that one start of a program can make: they do
// not disturb each other, and no two of them leave the same record.
func together(all []attack) (rounds [][]attack) {
	for _, a := range all {
		i := slices.IndexFunc(rounds, func(round []attack) bool {
			return !a.alone && !slices.ContainsFunc(round, func(b attack) bool {
				return b.alone || a.control+a.what != "" && a.control == b.control && a.what == b.what
			})
		})
		if i < 0 {
			i, rounds = len(rounds), append(rounds, nil)
		}
		rounds[i] = append(rounds[i], a)
	}
	return rounds
}

// attacked makes attacks outside, where they have to work, and inside, where they must
// not, and where they must leave a record.
func (x *target) attacked(t *testing.T, all []attack, command []string) {
	for _, round := range together(all) {
		p := x.profile
		if round[0].few {
			p.Limits.Disk = boundFew
		}
		outside := x.outside(t, append(slices.Clone(command), namesOf(round, possible)...)...)
		x.clean(t)
		inside := x.inside(t, p, append(slices.Clone(command), namesOf(round, attack.any)...)...)
		for _, a := range round {
			t.Run(a.name, func(t *testing.T) {
				if possible(a) {
					a.worked(t, outside)
				}
				a.repelled(t, inside)
				x.recorded(t, a)
			})
		}
		x.untouched(t)
	}
}

// named are the compiled attacks of these names.
func named(names ...string) (found []attack) {
	for _, a := range attacks {
		if strings.Contains(a.in, "g") && slices.Contains(names, a.name) {
			found = append(found, a)
		}
	}
	return found
}

// possible reports whether who runs the tests can make an attack at all.
func possible(a attack) bool { return os.Getuid() == 0 || !a.onlyRoot }

func (attack) any() bool { return true }

// namesOf are those of some of the attacks.
func namesOf(round []attack, which func(attack) bool) (names []string) {
	for _, a := range round {
		if which(a) {
			names = append(names, a.name)
		}
	}
	return names
}

// said is what came of one attack, of those that a program made.
func (a attack) said(out string) (own string, begun bool) {
	_, rest, begun := strings.Cut("\n"+out, "\ntrying "+a.name+"\n")
	own, _, _ = strings.Cut("\n"+rest, "\ntrying ")
	return own + "\n", begun
}

// worked makes sure that an attack did what it is for.
func (a attack) worked(t *testing.T, out string) {
	t.Helper()
	if own, _ := a.said(out); !strings.Contains(own, "\nworked\n") {
		t.Errorf("without a sandbox the attack does not work either, so it proves nothing:\n%s", out)
	}
}

// repelled makes sure that an attack was made and did not work.
func (a attack) repelled(t *testing.T, out string) {
	t.Helper()
	switch own, begun := a.said(out); {
	case !begun, strings.Contains(own, "a mistake of the test"):
		t.Errorf("the attack did not begin:\n%s", out)
	case strings.Contains(own, "\nworked\n"):
		t.Errorf("the attack worked:\n%s", out)
	case !strings.Contains(own, "\nrefused: ") && !a.wordless:
		t.Errorf("the attack was not refused:\n%s", out)
	default:
		t.Log(strings.TrimSpace(own))
	}
}

// recorded makes sure that an attack is on record.
func (x *target) recorded(t *testing.T, a attack) {
	t.Helper()
	if a.control+a.what != "" && !slices.ContainsFunc(x.refused, func(f sandbox.Refusal) bool {
		return (a.control == "" || f.Control == a.control) && like(a.what, f.What) && f.Times > 0
	}) {
		t.Errorf("the attack left no record of %s %q; there are %+v", a.control, a.what, x.refused)
	}
}

// untouched makes sure that nothing was changed that was not granted.
func (x *target) untouched(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(x.folder, "outside"))
	if err != nil || len(left) != 1 {
		t.Errorf("outside holds %v (%v)", left, err)
	}
}

// like compares a text with a pattern in which * stands for anything.
func like(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	parts := strings.Split(pattern, "*")
	for i, part := range parts {
		at := strings.Index(text, part)
		if at < 0 || i == 0 && at > 0 || i == len(parts)-1 && part != "" && !strings.HasSuffix(text, part) {
			return false
		}
		text = text[at+len(part):]
		if i == len(parts)-1 && part != "" {
			text = ""
		}
	}
	return text == "" || strings.HasSuffix(pattern, "*")
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

// without is the environment with other values of some variables.
func (x *target) without(values ...string) []string {
	return append(slices.Clone(values), slices.DeleteFunc(slices.Clone(x.env), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.ContainsFunc(values, func(v string) bool { return strings.HasPrefix(v, name+"=") })
	})...)
}

// events are what a broker recorded.
type events struct {
	mu   sync.Mutex
	list []egress.Event
}

func (e *events) log(event egress.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, event)
	return nil
}

func (e *events) have(kind egress.Kind, reason egress.Reason) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.list, func(event egress.Event) bool { return event.Kind == kind && event.Reason == reason })
}

// answers are those of a resolver that somebody else controls.
type answers map[string][]netip.Addr

func (a answers) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if found := a[strings.TrimSuffix(host, ".")]; found != nil {
		return found, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// A server that may reach one place reaches it, and no other, whatever the other is
// called. Each attack works, or at least goes out, where a rule allows it.
func Test_escapes_with_a_network(t *testing.T) {
	t.Parallel()
	x := newTarget(t)
	listener := netip.MustParseAddrPort(listen(t, "tcp", "127.0.0.1:0"))
	port := listener.Port()
	at := func(host string) string { return "PLACE=" + net.JoinHostPort(host, fmt.Sprint(port)) }
	resolver := answers{"rebound.example": {listener.Addr()}, "allowed.example": {netip.MustParseAddr("192.0.2.9")}}
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	rule := func(host string) egress.Rule {
		return egress.Rule{Host: host, Ports: []uint16{port}, Protocol: egress.TCP}
	}
	own := rule("127.0.0.1")
	open := rule("rebound.example")
	open.UnsafePrefixes = loopback
	const refused, noName = egress.Refused, egress.NameRefused
	for _, test := range []struct {
		name, attack, place string
		kind                egress.Kind
		reason              egress.Reason
		what                string       // of a record of the sandbox instead
		allow               *egress.Rule // with which the attack works; nil if it never does
		goes                *egress.Rule // with which it is at least let out
	}{
		{name: "a port of this machine", attack: "connect", place: at("127.0.0.1"), what: "a local port*", allow: &own},
		{name: "a name that leads into the machine", attack: "connect", place: at("rebound.example"), kind: refused, reason: egress.NotPublic, allow: &open},
		{name: "another name", attack: "connect", place: at("evil.example"), kind: noName, reason: egress.NameNotAllowed, goes: new(rule("evil.example"))},
		{name: "a secret in a name", attack: "resolve", place: "PLACE=c2VjcmV0.evil.example", kind: noName, reason: egress.NameNotAllowed, allow: new(rule("*.evil.example"))},
		{name: "an address", attack: "connect", place: at("192.0.2.9"), kind: refused, reason: egress.AddressNotAllowed, goes: new(rule("192.0.2.9"))},
		{name: "metadata", attack: "connect", place: at("169.254.169.254"), kind: refused, reason: egress.AddressNotAllowed, goes: new(rule("169.254.169.254"))},
		{name: "metadata, IPv6", attack: "connect", place: at("fd00:ec2::254"), kind: refused, reason: egress.AddressNotAllowed, goes: new(rule("fd00:ec2::254"))},
		{name: "NAT64", attack: "connect", place: at("64:ff9b::7f00:1"), kind: refused, reason: egress.AddressNotAllowed}, // no rule can name it
		{name: "6to4", attack: "connect", place: at("2002:7f00:1::1"), kind: refused, reason: egress.AddressNotAllowed},
		{name: "v4-mapped", attack: "connect", place: at("::ffff:192.0.2.9"), kind: refused, reason: egress.AddressNotAllowed, goes: new(rule("192.0.2.9"))},
		{name: "QUIC", attack: "send", place: "PLACE=192.0.2.9:443", what: "QUIC"},
		{name: "a datagram", attack: "send", place: at("192.0.2.9"), what: "UDP"},
		{name: "a query to another server, which is no query", attack: "send", place: "PLACE=192.0.2.9:53", kind: noName, reason: egress.BadQuery},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, l := range languages {
				t.Run(l.name, func(t *testing.T) {
					t.Parallel()
					args := append(l.args(t, x), test.attack)
					through := func(r *egress.Rule) (string, *events, []sandbox.Refusal) {
						seen := &events{}
						rules := []egress.Rule{rule("allowed.example")}
						if r != nil {
							rules = append(rules, *r)
						} else {
							rules = append(rules, rule("rebound.example")) // what leads elsewhere is allowed by name
						}
						broker, err := egress.NewBroker(rules, seen.log, egress.Options{Resolver: resolver})
						must(t, err)
						p, y := x.profile, *x
						p.Limits.Memory += l.memory
						p.Network = []profile.Destination{{Host: "allowed.example", Ports: []int{int(port)}}} // the rules are the broker's
						y.network, y.env = broker.Serve, x.without(test.place)
						return y.inside(t, p, args...), seen, y.refused
					}
					out, seen, recorded := through(nil)
					if !strings.Contains(out, "\nrefused: ") || strings.Contains(out, "\nworked\n") {
						t.Errorf("the attack was not refused:\n%s", out)
					}
					switch {
					case test.what == "" && !seen.have(test.kind, test.reason):
						t.Errorf("there is no record %s %s; there are %+v", test.kind, test.reason, seen.list)
					case test.what != "" && !slices.ContainsFunc(recorded, func(f sandbox.Refusal) bool { return f.Control == sandbox.Network && like(test.what, f.What) }):
						t.Errorf("there is no record of %q; there are %+v", test.what, recorded)
					}
					if test.allow != nil {
						if out, _, _ := through(test.allow); !strings.Contains(out, "\nworked\n") {
							t.Errorf("it does not work where a rule allows it, so it proves nothing:\n%s", out)
						}
					}
					if test.goes != nil {
						if out, seen, _ := through(test.goes); !seen.have(egress.Opened, "") && !seen.have(refused, egress.Unreachable) {
							t.Errorf("it does not go out where a rule allows it, so it proves nothing:\n%s\n%+v", out, seen.list)
						}
					}
				})
			}
		})
	}
}

// With a network the rest of the sandbox holds as it does without.
func Test_escapes_beside_a_network(t *testing.T) {
	x := newTarget(t)
	broker, err := egress.NewBroker([]egress.Rule{{Host: "allowed.example", Ports: []uint16{443}}}, (&events{}).log, egress.Options{})
	must(t, err)
	x.network = broker.Serve
	x.profile.Network = []profile.Destination{{Host: "allowed.example", Ports: []int{443}}}
	x.attacked(t, named("direct-ip", "direct-ip-v6", "direct-udp", "abstract-socket", "unix-socket", "raw-socket", "packet-socket", "signal-parent", "proc-fd", "proc-mem"), []string{x.program})
}

// Without a network, a name that is asked for is on record, and does not exist.
func Test_names_are_on_record_without_a_network(t *testing.T) {
	x := newTarget(t)
	x.env = x.without("PLACE=c2VjcmV0.evil.example")
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			p := x.profile
			p.Limits.Memory += l.memory
			a := attack{name: "resolve", control: sandbox.Network, what: "the name c2vjcmv0.evil.example"}
			a.repelled(t, x.inside(t, p, append(l.args(t, x), a.name)...))
			x.recorded(t, a)
		})
	}
}

// What is refused ends in the audit log of a real gateway, and people can read it
// there.
func Test_refusals_are_in_the_log(t *testing.T) {
	gatehouse := buildGatehouse(t)
	x := newTarget(t)
	state := t.TempDir()
	cmd := exec.Command(gatehouse, "run", "--state", state, "--id", "bad", "--sandbox", "nothing", "--", x.program, "ptrace")
	cmd.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}` + "\n")
	said, _ := cmd.CombinedOutput() // it is no MCP server, and the gateway says so
	logs, err := filepath.Glob(filepath.Join(state, "audit", "*"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("%v, %v\n%s", logs, err, said)
	}
	out, err := exec.Command(gatehouse, "log", "query", "--dir", logs[0], "--kind", "sandbox-refused", "--server", "bad").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "ptrace") {
		t.Errorf("the log says %s (%v)", out, err)
	}
}

// A flood of attempts is as many records as it has digits, and all are counted.
func Test_a_flood_of_attempts_is_few_records(t *testing.T) {
	x := newTarget(t)
	out := x.inside(t, x.profile, x.program, "flood")
	var total int
	for _, f := range x.refused {
		if f.What == "ptrace" {
			total = f.Times
		}
	}
	if len(x.refused) > 6 || total != 5_000 || !strings.Contains(out, "\nrefused: ") {
		t.Errorf("%d attempts in %d records: %+v\n%s", total, len(x.refused), x.refused, out)
	}
}

// What a profile asks for and this machine cannot hold keeps the server from starting,
// unless the profile names it.
func Test_a_limit_holds_or_the_server_does_not_start(t *testing.T) {
	x := newTarget(t)
	start := func(allowed ...string) (sandbox.Report, string, error) {
		p := x.profile
		p.Limits.CPU, p.UnsafeMissing = 0.5, allowed // a fraction can only be held by a control group
		box, err := sandbox.New(p, sandbox.Command{Args: []string{x.program, "whoami"}, Dir: x.folder, Env: x.env})
		must(t, err)
		defer box.Ended()
		var out bytes.Buffer
		cmd := exec.Command("/proc/self/exe")
		cmd.Stdout = &out
		must(t, box.Configure(cmd))
		must(t, cmd.Start())
		err = box.Started(cmd.Process.Pid)
		_ = cmd.Wait()
		return box.Report(), out.String(), err
	}
	report, out, err := start()
	i := slices.IndexFunc(report.Controls, func(c sandbox.Control) bool { return c.Name == sandbox.CPU })
	if i < 0 {
		t.Fatalf("the report says nothing of processors: %+v", report)
	}
	if held := strings.HasPrefix(report.Controls[i].Mechanism, "cgroup"); held != (err == nil) || held != (out != "") || !held && !errors.Is(err, sandbox.ErrNotEnforced) {
		t.Errorf("%+v, %v, output %q", report.Controls[i], err, out)
	}
	if report, out, err = start(sandbox.CPU); err != nil || out == "" || (report.Controls[i].Problem == "") != strings.HasPrefix(report.Controls[i].Mechanism, "cgroup") {
		t.Errorf("where that is allowed: %+v, %v, output %q", report.Controls[i], err, out)
	}
}

// Unix sockets can be had all the same, by a name that says that this is unsafe.
func Test_unix_sockets(t *testing.T) {
	x := newTarget(t)
	box, err := sandbox.New(x.profile, sandbox.Command{Args: []string{x.program, "unix-socket"}, Dir: x.folder, Env: x.env})
	must(t, err)
	box.Ended()
	p := x.profile
	p.UnsafeMissing = []string{sandbox.Sockets}
	x.mayMiss = []string{sandbox.Sockets}
	if out := x.inside(t, p, x.program, "unix-socket"); !strings.Contains(out, "\nworked\n") {
		t.Errorf("%s", out)
	}
	// What is not granted cannot hold a socket, and then they are there.
	p = x.profile
	p.Write, p.UnsafeMissing, x.mayMiss = nil, nil, nil
	if out := x.inside(t, p, x.program, "own-socket"); !strings.Contains(out, "\nworked\n") {
		t.Errorf("%s", out)
	}
}

// Test_escapes_of_an_ordinary_user runs everything again as a user without any
// privileges.
func Test_escapes_of_an_ordinary_user(t *testing.T) {
	if os.Getuid() != 0 {
		return // that is what the other tests are then
	}
	t.Parallel()
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
	cmd := exec.Command(tests, "-test.v", "-test.run", "^Test_(escapes|escapes_with_a_network|escapes_beside_a_network|names_are_.*|a_flood_.*|a_limit_.*|unix_sockets|everything_ends_.*)$")
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
			patience := 2 * time.Second
			if !want {
				patience = 200 * time.Millisecond // whatever is not ended at once is not ended
			}
			must(t, read.SetReadDeadline(time.Now().Add(patience)))
			_, err = read.Read(text)
			if ended := err != nil && !os.IsTimeout(err); ended != want {
				t.Errorf("all processes ended: %v (%v), want %v", ended, err, want)
			}
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		})
	}
}
