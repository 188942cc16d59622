//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"gatehouse/internal/profile"
)

// A container that an engine such as Docker has made is a sandbox as well, with other
// walls. Our program is its first process: it locks the server up once more by what
// needs no privileges, Landlock and the filter of system calls, and the same probe
// tries what must be refused.

const (
	// ContainedName is the name under which our program begins as the first process
	// of a container.
	ContainedName = "gatehouse-sandbox-contained"
	// ContainedFolder is where a container has our program and the socket to the
	// gateway, named ContainedSocket. The server cannot open either.
	ContainedFolder = "/run/gatehouse"
	ContainedSocket = "control"
)

// Container is what an engine was asked to make.
type Container struct {
	Engine  string   // name and version, for the report
	Mounts  []Shown  // files and folders of the machine, at the same paths
	Private []string // file systems in memory; what they hold together is the profile's Disk
	UID     int
	GID     int
}

// Contained is one server in a container that has started and waits.
type Contained struct {
	spec    spec
	profile profile.Profile
	ear     *Sandbox // hears what the first process says
}

// NewContained plans what the first process of a container does. Args and Env of the
// command are the server's own; its program is looked for inside.
func NewContained(p profile.Profile, c Command, in Container) (*Contained, error) {
	if err := check(p, c); err != nil {
		return nil, err
	}
	l := limitsOf(p)
	l.Processes, l.CPUs = 0, 0 // counted for the user on the whole machine, and bounded by the engine
	x := &Contained{profile: p, ear: &Sandbox{refused: c.Refused}, spec: spec{
		Contained: in.Engine, Args: c.Args, Env: c.Env, Dir: c.Dir, UID: in.UID, GID: in.GID, Private: in.Private,
		Limits: l, Life: p.Limits.Time, Allowed: p.UnsafeMissing, Hidden: c.Hidden, Home: p.Home,
	}}
	if x.spec.Home == "" {
		x.spec.Home = temporaryHome
	}
	for _, d := range p.Network {
		x.spec.Network = append(x.spec.Network, d.String())
	}
	for _, shown := range in.Mounts {
		info, err := os.Stat(shown.Path)
		if err != nil {
			return nil, err
		}
		x.spec.Mounts = append(x.spec.Mounts, mount{Path: shown.Path, Folder: info.IsDir(), Write: shown.Write, Asked: true})
	}
	for _, name := range p.SecretFiles {
		x.spec.Files = append(x.spec.Files, file{filepath.Join(profile.SecretFolder, name), []byte(c.Secrets[name]), true})
	}
	x.spec.NoUnix = canHoldSockets(x.spec.Mounts) && landlockVersion() < unixScope && !contains(p.UnsafeMissing, Sockets)
	host, err := namespaces()
	if err != nil {
		return nil, err
	}
	delete(host, "user") // most engines leave it to the machine, and the server has no privileges in it
	x.spec.Host = host
	return x, nil
}

// Begin tells the first process of a container, which is pid here, what to do, and
// waits until the server begins. The container ends when the connection is closed.
func (x *Contained) Begin(conn *net.UnixConn, pid int) (Report, error) {
	x.ear.control = conn
	x.spec.Outside = outside(pid, x.profile.Limits)
	_ = conn.SetDeadline(time.Now().Add(startPatience))
	if err := writeFrame(conn, x.spec); err != nil {
		return Report{}, fmt.Errorf("starting the container: %w", err)
	}
	var got outcome
	if err := readFrame(conn, &got); err != nil {
		return Report{}, fmt.Errorf("starting the container: it ended before the server began: %w", err)
	}
	_ = conn.SetDeadline(time.Time{})
	if err := got.Report.Err(x.profile.UnsafeMissing); err != nil {
		return got.Report, fmt.Errorf("starting the container: %w", err)
	}
	if got.Error != "" {
		return got.Report, fmt.Errorf("starting the container: %s", got.Error)
	}
	x.ear.heard = make(chan struct{})
	go x.ear.hear()
	return got.Report, nil
}

// Ended waits for the last word of the first process and closes the connection.
func (x *Contained) Ended() { x.ear.Ended() }

// ContainedThreads is what the first process of a container adds to the number of
// its processes.
const ContainedThreads = ownThreads

// outside reads what the kernel holds the processes of a container to.
func outside(pid int, l profile.Limits) []Control {
	membership, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	var out []Control
	for _, bound := range []struct {
		name, asked, controller, v1, v2 string
		most                            float64
	}{
		{Memory, profile.Size(l.Memory), "memory", "memory.limit_in_bytes", "memory.max", float64(l.Memory)},
		{CPU, fmt.Sprintf("%v processors", l.CPU), "cpu", "cpu.cfs_quota_us", "cpu.max", l.CPU},
		{Processes, strconv.Itoa(l.Processes), "pids", "pids.max", "pids.max", float64(l.Processes)},
	} {
		if bound.most == 0 {
			continue
		}
		c := Control{Name: bound.name, Asked: bound.asked, Enforced: bound.asked + " for all processes together"}
		if bound.name == Processes {
			bound.most += ownThreads
			c.Enforced = number(bound.most) + ", with those of the first process"
		}
		var err error
		if c.Mechanism, err = bounded(string(membership), string(mounts), bound.controller, bound.v1, bound.v2, bound.most); err != nil {
			c.Enforced, c.Problem = "nothing, or less", err.Error()
		}
		out = append(out, c)
	}
	return out
}

// bounded reports by which control group something is bounded, or why it is not.
func bounded(membership, mounts, controller, v1, v2 string, most float64) (mechanism string, err error) {
	folder, file, version := "", v1, 1
	for line := range strings.Lines(membership) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) != 3:
		case contains(strings.Split(parts[1], ","), controller):
			folder, file, version = groupFolder(mounts, []string{controller}, parts[2]), v1, 1
		case parts[1] == "" && folder == "":
			folder, file, version = groupFolder(mounts, nil, parts[2]), v2, 2
		}
	}
	mechanism = fmt.Sprintf("cgroup v%d", version)
	if folder == "" {
		return mechanism, errors.New("no cgroup of the container is seen")
	}
	value, err := groupValue(folder, file, controller)
	if err != nil {
		return mechanism, fmt.Errorf("reading the container's cgroup: %w", err)
	}
	if value > most*(1+1e-6) {
		return mechanism, fmt.Errorf("its cgroup allows %s, more than %s", number(value), number(most))
	}
	if controller == "memory" {
		err = swapBounded(folder)
	}
	return mechanism, err
}

func number(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

// unbounded is more memory than any machine has; version 1 writes the largest number
// of pages for none.
const unbounded = 1 << 60

// groupValue reads a bound: bytes, processors' worth of time, or a number.
func groupValue(folder, file, controller string) (float64, error) {
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) == 0 || fields[0] == "max" || fields[0] == "-1" {
		return 0, errors.New("it has no bound for " + controller)
	}
	value, err := strconv.ParseFloat(fields[0], 64)
	if controller == "memory" && value >= unbounded {
		err = errors.New("it has no bound for memory")
	}
	if err != nil || controller != "cpu" {
		return value, err
	}
	period := strconv.Itoa(cpuPeriod)
	if len(fields) == 2 {
		period = fields[1]
	} else if text, err := os.ReadFile(filepath.Join(folder, "cpu.cfs_period_us")); err == nil {
		period = strings.TrimSpace(string(text))
	}
	length, err := strconv.ParseFloat(period, 64)
	if err != nil || length <= 0 {
		return 0, errors.New("its period is not a number")
	}
	return value / length, nil
}

// swapBounded makes sure that memory is not bounded by moving it elsewhere.
func swapBounded(folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, "memory.swap.max"))
	if err == nil && strings.TrimSpace(string(text)) != "0" {
		return errors.New("the container may swap")
	}
	return nil
}

// runContained is the first process of a container. It waits for the gateway, starts
// the server, and ends, and with it everything in the container, when either is gone.
func runContained() int {
	// Nothing inside may look into this process, though it is the same user.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return exitNotStarted
	}
	if err := unix.CloseRange(controlFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return exitNotStarted
	}
	gateway, err := reachGateway()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gatehouse: the container does not reach the gateway:", err)
		return exitNotStarted
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals) // all of them: none may end this process
	var s spec
	if err := readFrame(gateway, &s); err != nil {
		return exitNotStarted
	}
	r := &recorder{decides: s.filter().program(), look: &onlooker{append([]mount{{Path: "/", Folder: true, Exec: true}}, s.Mounts...)}, tallies: map[refusal]*tally{}}
	server, err := startLauncher()
	if err == nil {
		err = s.furnish()
	}
	if err != nil {
		_ = writeFrame(gateway, outcome{Error: "starting the server: " + err.Error()})
		return exitNotStarted
	}
	if len(s.Network) == 0 {
		_ = r.refuseNames() // where an engine lets an ordinary user have that port; it is for the record only
	}
	w := s.watcher(r, nil)
	if most := s.Limits.Asked.Processes; most > 0 {
		w.processes = most + ownThreads
	}
	r.begin = w.begin
	told, err := server.run(&s, r)
	if err != nil {
		_ = writeFrame(gateway, outcome{Error: "starting the server: " + err.Error()})
		return exitNotStarted
	}
	if err := writeFrame(gateway, told); err != nil || told.Error != "" {
		return exitNotStarted
	}
	go func() { // the gateway says nothing more; what comes is the end of it
		_, _ = io.Copy(io.Discard, gateway)
		os.Exit(exitBySignal + int(syscall.SIGKILL))
	}()
	letGoOfStreams()
	go forward(signals, server.pid)
	s.bound(w, func() { r.say(gateway, true) })
	go w.run(func() { r.say(gateway, false) })
	s = spec{} // what is secret is the server's now
	debug.SetGCPercent(collectAt)
	debug.FreeOSMemory()
	code, last := reap(server.pid)
	if last != "" {
		r.note(last, "the server was ended by the kernel for it", "", 1)
	}
	w.look()
	r.say(gateway, true)
	runtime.KeepAlive(gateway)
	return code
}

// reachGateway connects to the gateway through the socket that the container was given.
func reachGateway() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: filepath.Join(ContainedFolder, ContainedSocket)}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "gateway"), nil
}

// furnish puts into the file systems in memory what the server finds there.
func (s *spec) furnish() error {
	if s.Home == temporaryHome {
		if err := os.MkdirAll(s.Home, 0o700); err != nil {
			return fmt.Errorf("making a home: %w", err)
		}
	}
	for _, f := range s.Files {
		if err := os.WriteFile(f.Path, f.Data, 0o400); err != nil {
			return fmt.Errorf("handing over a secret: %w", err)
		}
	}
	return nil
}

// restrictContained takes away what the engine left. The privileges are gone
// already, which the probe makes sure of.
func (s *spec) restrictContained() error {
	unix.Umask(0o022)
	if err := unix.Chdir(s.Dir); err != nil {
		return fmt.Errorf("entering %s: %w", s.Dir, err)
	}
	var err error
	if s.Program, err = s.lookUp(s.Args[0]); err != nil {
		return err
	}
	if err := unix.CloseRange(ordersFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("closing what was inherited: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("refusing new privileges: %w", err)
	}
	if err := s.lockFiles(); err != nil {
		return err
	}
	if err := s.Limits.apply(); err != nil {
		return err
	}
	listener, err := loadFilter(s.filter().loaded(told(s)))
	if err != nil {
		return err
	}
	if err := handOver(listener); err != nil {
		return fmt.Errorf("handing out the listener: %w", err)
	}
	return nil
}

// lookUp finds the program in the folders that the server's PATH names.
func (s *spec) lookUp(program string) (string, error) {
	if strings.Contains(program, "/") {
		return program, nil
	}
	for _, variable := range s.Env {
		name, value, _ := cut(variable)
		if name != "PATH" {
			continue
		}
		for _, folder := range filepath.SplitList(value) {
			if path := filepath.Join(folder, program); folder != "" && executable(path) {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%s: %w in the image", program, exec.ErrNotFound)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil
}

// containedRules are about what the server may open in a container: what the image
// brings may be read and started, what is granted may be used as it was granted and
// not be started, and the rest may not be opened, whatever the mounts of the engine say.
func (s *spec) containedRules() []landlockRule {
	rules := []landlockRule{{"/", unix.LANDLOCK_ACCESS_FS_READ_DIR, false}, {"/proc", readFolder, false}, {profile.SecretFolder, readFolder, true}}
	for _, device := range []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"} {
		rules = append(rules, landlockRule{device, writeFile, true})
	}
	for _, place := range s.Private {
		rules = append(rules, landlockRule{place, writeFolder, false})
	}
	for _, m := range s.Mounts {
		rules = append(rules, landlockRule{m.Path, m.rights(), false})
	}
	return append(rules, s.imageRules("/")...)
}

// notOfImage are folders with rules of their own, or none.
var notOfImage = []string{"/proc", "/sys", "/dev", "/run", "/tmp"}

// imageRules are about everything in a folder of the image. A rule holds for all
// that lies below, so that a folder with something granted in it is taken apart.
func (s *spec) imageRules(folder string) []landlockRule {
	entries, _ := os.ReadDir(folder) // of a folder that cannot be listed nothing is allowed
	var rules []landlockRule
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		switch granted, leads := s.place(path); {
		case contains(notOfImage, path), granted:
		case leads:
			rules = append(rules, s.imageRules(path)...)
		default:
			// A link is what it leads to: another place of the image, or one with rules
			// of its own, which gets no more by it.
			target, err := filepath.EvalSymlinks(path)
			if granted, leads := s.place(target); err != nil || granted || leads || elsewhere(target) {
				continue
			}
			info, err := os.Stat(target)
			if err != nil {
				continue
			}
			rights := uint64(readFile | execute)
			if info.IsDir() {
				rights = readFolder | execute
			}
			rules = append(rules, landlockRule{target, rights, true})
		}
	}
	return rules
}

// place says whether a path is one that the server was given, or leads to one.
func (s *spec) place(path string) (granted, leads bool) {
	given := append([]string{}, s.Private...)
	for _, m := range s.Mounts {
		given = append(given, m.Path)
	}
	for _, g := range given {
		granted = granted || within(g, path)
		leads = leads || within(path, g)
	}
	return granted, leads && !granted
}

func elsewhere(path string) bool {
	for _, folder := range notOfImage {
		if within(folder, path) {
			return true
		}
	}
	return false
}

// probeContained tries, in the place of the server, what must be refused.
func (s *spec) probeContained() Report {
	var r Report
	by := func(mechanism string) string { return mechanism + ", made by " + s.Contained }
	add := func(name, asked, enforced, mechanism string, problem error) {
		c := Control{Name: name, Asked: asked, Enforced: enforced, Mechanism: mechanism}
		if problem != nil {
			c.Enforced, c.Problem = "nothing, or less", problem.Error()
		}
		r.Controls = append(r.Controls, c)
	}
	add(Files, "only the image and listed files exist, and only listed ones can be changed", "so", by("container with a read-only root"), s.probeContainedFiles())
	add(Landlock, "a second lock on the same files; signals and sockets stay inside", "so", "Landlock, version "+strconv.Itoa(landlockVersion()), probeContainedLandlock())
	if len(s.Network) == 0 {
		add(Network, "no network", "no interface but loopback", by("network namespace"), probeNetwork(unix.ENETUNREACH))
	} else {
		add(Network, "only "+strings.Join(s.Network, ", "), "no interface but loopback; everything is led to the gateway", by("network namespace")+"; nftables", probeNetwork(unix.EPERM))
	}
	add(Namespaces, "nothing of the machine is seen but its clock", "so", by("mount, process, network, IPC, host name and cgroup namespaces"), s.probeContainedNamespaces())
	add(SystemCalls, "no dangerous system calls", fmt.Sprintf("%d of them are let through; what is forbidden is on record", len(allowed())+len(s.filter().conditional())), "seccomp", probeSystemCalls(true))
	add(Privileges, "none, and no new ones", fmt.Sprintf("user %d without any", s.UID), by("capabilities, no_new_privs"), s.probePrivileges())
	add(Inherited, "only the standard streams", "so", "close_range", probeInherited())
	s.probeSockets(add)
	r.Controls = append(r.Controls, s.Outside...)
	want := s.Limits.Asked
	if want.Descriptors > 0 {
		add(Descriptors, strconv.Itoa(want.Descriptors), strconv.Itoa(want.Descriptors)+" for each process", "setrlimit", inForce(unix.RLIMIT_NOFILE, want.Descriptors))
	}
	if want.FileSize > 0 {
		add(FileSize, profile.Size(want.FileSize), profile.Size(want.FileSize), "setrlimit", inForce(unix.RLIMIT_FSIZE, want.FileSize))
	}
	if want.Disk > 0 {
		add(Disk, profile.Size(want.Disk), profile.Size(want.Disk)+" in "+strings.Join(s.Private, ", ")+" together", by("tmpfs with sizes"), s.probeContainedDisk())
	}
	if want.Time > 0 {
		add(Time, want.Time.String(), want.Time.String(), "the first process", nil)
	}
	return r
}

func (s *spec) probeContainedFiles() error {
	for _, path := range s.Hidden {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
			return notRefused("seeing " + path)
		}
	}
	for _, folder := range []string{"/", "/etc", "/usr", "/dev", "/proc", "/sys", "/run", profile.SecretFolder} {
		if err := create(folder); err == nil {
			return notRefused("writing in " + folder)
		}
	}
	var root unix.Statfs_t
	if err := unix.Statfs("/", &root); err != nil || root.Flags&unix.ST_RDONLY == 0 {
		return errors.New("the root is not read-only")
	}
	for _, m := range s.Mounts {
		if err := s.probeContainedMount(m); err != nil {
			return err
		}
	}
	mounts, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return fmt.Errorf("listing mounts: %w", err)
	}
	return s.onlyGrantedChange(string(mounts))
}

func (s *spec) probeContainedMount(m mount) error {
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
	if m.Write {
		return nil
	}
	if m.Folder {
		if err := create(m.Path); err == nil {
			return notRefused("writing in " + m.Path)
		}
		return nil
	}
	if f, err := os.OpenFile(m.Path, os.O_WRONLY, 0); err == nil {
		f.Close()
		return notRefused("writing " + m.Path)
	}
	return nil
}

// onlyGrantedChange finds mounts that can be written and that nobody asked for, such
// as one below a folder that is read-only (proc_pid_mountinfo(5)).
func (s *spec) onlyGrantedChange(mounts string) error {
	private := append([]string{profile.SecretFolder}, s.Private...) // and nothing below them
	may := []string{"/proc", "/sys", "/dev"}
	for _, m := range s.Mounts {
		if m.Write {
			may = append(may, m.Path)
		}
	}
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		if len(fields) < 6 || !contains(strings.Split(fields[5], ","), "rw") {
			continue
		}
		expected := contains(private, unescape(fields[4]))
		for _, folder := range may {
			expected = expected || within(folder, unescape(fields[4]))
		}
		if !expected {
			return fmt.Errorf("%s can be written", fields[4])
		}
	}
	return nil
}

// unescape undoes what the kernel does to blanks in the names of mounts.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

func probeContainedLandlock() error {
	if _, err := os.ReadFile(filepath.Join(ContainedFolder, ContainedName)); !errors.Is(err, os.ErrPermission) {
		return notRefused("reading a file that no rule names")
	}
	version := landlockVersion()
	if version < 3 {
		return fmt.Errorf("version %d cannot keep files from being cut off; Linux 6.2 can", version)
	}
	// The filter of system calls forbids the usual ways; this one is left to Landlock.
	queued := [128]byte{8: 0xff, 9: 0xff, 10: 0xff, 11: 0xff} // struct siginfo with the code SI_QUEUE
	if _, _, errno := unix.RawSyscall(unix.SYS_RT_SIGQUEUEINFO, firstProcess, 0, uintptr(unsafe.Pointer(&queued))); version >= signalScope && errno != unix.EPERM {
		return notRefused("sending a signal to the first process")
	}
	return nil
}

func (s *spec) probeContainedNamespaces() error {
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
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() && pid != 1 {
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

// probeContainedDisk adds up what the file systems in memory hold. Each rounds its
// size up to a page.
func (s *spec) probeContainedDisk() error {
	sum := uint64(0)
	for _, folder := range s.Private {
		var fs unix.Statfs_t
		if err := unix.Statfs(folder, &fs); err != nil {
			return fmt.Errorf("reading the size of %s: %w", folder, err)
		}
		const tmpfsMagic = 0x01021994
		size := fs.Blocks * uint64(fs.Bsize)
		if fs.Type != tmpfsMagic || size == 0 {
			return fmt.Errorf("%s is not in memory, or not bounded", folder)
		}
		sum += size
	}
	if most := uint64(s.Limits.Asked.Disk) + uint64(len(s.Private)*os.Getpagesize()); sum > most {
		return fmt.Errorf("they hold %d bytes, more than %d", sum, s.Limits.Asked.Disk)
	}
	return nil
}
