//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

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
	x.spec.NoUnix = canHoldSockets(x.spec.Mounts) && landlockVersion() < unixScope && !slices.Contains(p.UnsafeMissing, Sockets)
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
	if err := got.problem(x.profile.UnsafeMissing); err != nil {
		return got.Report, fmt.Errorf("starting the container: %w", err)
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
	var r Report
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
		enforced := bound.asked + " for all processes together"
		if bound.name == Processes {
			bound.most += ownThreads
			enforced = number(bound.most) + ", with those of the first process"
		}
		mechanism, err := bounded(string(membership), string(mounts), bound.controller, bound.v1, bound.v2, bound.most)
		r.add(bound.name, bound.asked, enforced, mechanism, err)
	}
	return r.Controls
}

// bounded reports by which control group something is bounded, or why it is not.
func bounded(membership, mounts, controller, v1, v2 string, most float64) (mechanism string, err error) {
	folder, file, version := "", v1, 1
	for line := range strings.Lines(membership) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) != 3:
		case slices.Contains(strings.Split(parts[1], ","), controller):
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

// swapBounded makes sure that memory is not bounded by moving it elsewhere. A kernel
// that cannot swap has no such file, and neither has version 1.
func swapBounded(folder string) error {
	switch text, err := os.ReadFile(filepath.Join(folder, "memory.swap.max")); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case strings.TrimSpace(string(text)) != "0":
		return errors.New("the processes may swap")
	}
	return nil
}

// runContained is the first process of a container.
func runContained() int {
	return runFirst(reachGateway, func(s *spec, r *recorder) (func() map[string]uint64, error) {
		if len(s.Network) == 0 {
			_ = serveNames(r.refuseName) // where an engine lets an ordinary user have that port; it is for the record only
		}
		return nil, s.furnish()
	})
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

// lookUp finds the program in the folders that the server's PATH names.
func (s *spec) lookUp(program string) (string, error) {
	if strings.Contains(program, "/") {
		return program, nil
	}
	path, err := lookUp(program, "/", s.Env)
	if err != nil {
		return "", fmt.Errorf("%s: %w in the image", program, exec.ErrNotFound)
	}
	return path, nil
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
		case slices.Contains(notOfImage, path), granted:
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
	return slices.ContainsFunc(notOfImage, func(folder string) bool { return within(folder, path) })
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
		if len(fields) < 6 || !slices.Contains(strings.Split(fields[5], ","), "rw") {
			continue
		}
		expected := slices.Contains(private, unescape(fields[4]))
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
