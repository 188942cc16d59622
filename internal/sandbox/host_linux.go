//go:build amd64 || arm64

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/egress/handover"
	"gatehouse/internal/profile"
)

// Sandbox is one server that is about to start, or runs. Its methods are called
// in the order Configure, Started, Ended.
type Sandbox struct {
	spec    spec
	profile profile.Profile
	groups  *groups // limits for all processes together; nil if there are none
	control *net.UnixConn
	child   []*os.File // the other ends, until the process has started

	refused func(Refusal)
	heard   chan struct{} // closed when the sandbox says nothing more; nil before the server began
	uses    []profile.Use // what a server that was observed has used, after heard

	network func(context.Context, *net.UnixConn) error
	broker  *net.UnixConn // nil without a network
	cancel  context.CancelFunc
	report  Report
}

// startPatience is how long the processes of a sandbox may take until the server
// begins. They need a few hundredths of a second; a machine under load needs more.
const startPatience = 20 * time.Second

// New plans the sandbox of a server. Nothing is started yet.
func New(p profile.Profile, c Command) (*Sandbox, error) {
	if err := check(p, c); err != nil {
		return nil, err
	}
	if p.InContainer() {
		return nil, fmt.Errorf("this is no sandbox of %s", p.Runtime)
	}
	s := &Sandbox{profile: p, network: c.Network, refused: c.Refused}
	s.spec = spec{Limits: limitsOf(p), Scratch: p.Limits.Disk, Life: p.Limits.Time, Allowed: p.UnsafeMissing, Hidden: hidden(p, c), RecordFiles: p.RecordFiles}
	for _, d := range p.Network {
		s.spec.Network = append(s.spec.Network, d.String())
	}
	var err error
	if s.spec.UID, s.spec.GID, err = userOf(p); err != nil {
		return nil, err
	}
	if s.spec.Host, err = namespaces(); err != nil {
		return nil, err
	}
	plan := newPlan()
	if err := plan.server(p, c); err != nil {
		return nil, err
	}
	if s.spec.Observe = c.Observe; c.Observe {
		if err := plan.everything(s.spec.Hidden); err != nil {
			return nil, err
		}
		s.spec.Hidden = nil // the blank places show by themselves
	}
	plan.into(&s.spec)
	s.spec.NoUnix = canHoldSockets(s.spec.Mounts) && landlockVersion() < unixScope && !slices.Contains(p.UnsafeMissing, Sockets)
	s.spec.Env = environment(c.Env, &s.spec)
	if len(p.SecretFiles) > 0 && covered(s.spec.Mounts, profile.SecretFolder) {
		return nil, fmt.Errorf("what is granted would cover %s, where the server looks for its secrets; name the folders below it", profile.SecretFolder)
	}
	for _, name := range p.SecretFiles {
		s.spec.Files = append(s.spec.Files, file{filepath.Join(profile.SecretFolder, name), []byte(c.Secrets[name]), true})
	}
	return s, nil
}

// userOf is who the server runs as. A gateway without privileges has only itself
// to give.
func userOf(p profile.Profile) (uid, gid int, err error) {
	uid, gid = os.Getuid(), os.Getgid()
	switch {
	case uid == 0 && p.User == 0:
		return profile.Nobody, profile.Nobody, nil
	case uid == 0:
		return p.User, p.User, nil
	case p.User != 0 && p.User != uid:
		return 0, 0, fmt.Errorf("only a gateway that runs as root can run a server as user %d", p.User)
	}
	return uid, gid, nil
}

// kinds are the namespaces that a server has for itself.
var kinds = []string{"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"}

// namespaces names those that this process is in.
func namespaces() (map[string]string, error) {
	names := map[string]string{}
	for _, kind := range kinds {
		name, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			return nil, fmt.Errorf("this kernel has no %s namespaces: %w", kind, err)
		}
		names[kind] = name
	}
	return names, nil
}

// hidden are places of the machine that the probe must not find.
func hidden(p profile.Profile, c Command) []string {
	paths := append([]string{"/etc/shadow", "/boot", "/sys/kernel", "/var/log"}, c.Hidden...)
	if home, err := os.UserHomeDir(); err == nil && home != "/" {
		paths = append(paths, filepath.Join(home, ".ssh"), filepath.Join(home, ".aws"))
	}
	var out []string
	for _, path := range paths {
		if !granted(p, path) {
			out = append(out, path)
		}
	}
	return out
}

// granted reports whether a path lies in what the profile shows.
func granted(p profile.Profile, path string) bool {
	for _, list := range [][]string{p.Read, p.Write, p.Execute, {p.Home}} {
		for _, grant := range list {
			if grant != "" && (within(grant, path) || within(path, grant)) {
				return true
			}
		}
	}
	return false
}

// within reports whether path is folder or lies below it.
func within(folder, path string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rel)
}

const (
	// The hidden commands under which our own program begins as a part of a sandbox.
	initName   = "gatehouse-sandbox-init"
	launchName = "gatehouse-sandbox-launch"
	// controlFD is the descriptor of the socket to the gateway, the first after the
	// standard ones; brokerFD that of the one to the network's other end, if there is
	// a network.
	controlFD = 3
	brokerFD  = 4
)

// initPrivileges is what the first process needs in its own user namespace. The
// server has none of them.
var initPrivileges = []uintptr{
	unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_ADMIN, unix.CAP_SYS_PTRACE, unix.CAP_SYS_RESOURCE, unix.CAP_KILL, unix.CAP_DAC_OVERRIDE, unix.CAP_CHOWN, unix.CAP_FOWNER,
}

// Configure turns a command into one that starts the sandbox. It keeps the
// standard streams.
func (s *Sandbox) Configure(cmd *exec.Cmd) error {
	var err error
	if s.control, err = s.connect(); err != nil {
		return err
	}
	if len(s.spec.Network) > 0 {
		var inside *os.File
		if s.broker, inside, err = handover.Pair(); err != nil {
			return err
		}
		s.child = append(s.child, inside)
	}
	if os.Getuid() == 0 {
		s.child = append(s.child, s.spec.lend(controlFD+len(s.child))...)
	}

	cmd.Path, cmd.Args, cmd.Err = "/proc/self/exe", []string{initName}, nil
	cmd.Dir, cmd.Env = "/", ownEnvironment
	cmd.ExtraFiles = s.child
	attr := cmd.SysProcAttr
	if attr == nil {
		attr = &syscall.SysProcAttr{}
		cmd.SysProcAttr = attr
	}
	attr.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
	if os.Getuid() == 0 {
		// The first process is another user than the server, which can then neither
		// signal it nor look into it.
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: s.spec.UID, HostID: s.spec.UID, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: s.spec.GID, HostID: s.spec.GID, Size: 1}}
		attr.GidMappingsEnableSetgroups = true
	} else {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: s.spec.UID, HostID: s.spec.UID, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: s.spec.GID, HostID: s.spec.GID, Size: 1}}
		attr.AmbientCaps = initPrivileges
	}
	return nil
}

// connect makes a socket of which the process that is started gets the other end.
func (s *Sandbox) connect() (*net.UnixConn, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	s.child = append(s.child, os.NewFile(uintptr(pair[1]), "sandbox"))
	ours := os.NewFile(uintptr(pair[0]), "sandbox")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	return conn.(*net.UnixConn), nil
}

func (s *Sandbox) closeChild() {
	for _, f := range s.child {
		f.Close()
	}
	s.child = nil
}

// Started sends the plan to the process that was started and waits until the
// server begins, or does not.
func (s *Sandbox) Started(pid int) error {
	s.closeChild()
	s.limitTogether(pid)
	if s.broker != nil {
		ctx, cancel := context.WithCancel(context.Background())
		s.cancel = cancel
		go func() { _ = s.network(ctx, s.broker) }() // it ends with the sandbox, and says itself what goes wrong
	}
	_ = s.control.SetDeadline(time.Now().Add(startPatience))
	if err := writeFrame(s.control, s.spec); err != nil {
		return fmt.Errorf("starting the sandbox: %w%s", err, namespaceHint())
	}
	var got outcome
	if err := readFrame(s.control, &got); err != nil {
		return fmt.Errorf("starting the sandbox: it ended before the server began: %w", err)
	}
	_ = s.control.SetDeadline(time.Time{})
	s.report = got.Report
	if err := got.problem(s.profile.UnsafeMissing); err != nil {
		return fmt.Errorf("starting the sandbox: %w%s", err, namespaceHint())
	}
	if !s.spec.Trial {
		s.heard = make(chan struct{})
		go s.hear()
	}
	return nil
}

// maxMessages bounds what is heard of one server. Each refusal that is told apart is
// said once for each power of ten.
const maxMessages = 16 * maxRefusals

// hear listens to the first process until it is gone.
func (s *Sandbox) hear() {
	defer close(s.heard)
	for range maxMessages {
		var m message
		if err := readFrame(s.control, &m); err != nil {
			return // it has ended
		}
		s.uses = append(s.uses, m.Uses...)
		for _, f := range m.Refused[:min(len(m.Refused), maxRefusals+1)] {
			if f.Outside != "" {
				if _, err := os.Lstat(f.Outside); err != nil {
					continue // it is nowhere, so nothing was refused
				}
			}
			s.tell(Refusal{f.Control, f.What, f.Times})
		}
	}
}

func (s *Sandbox) tell(f Refusal) {
	if s.refused != nil && f.Times > 0 {
		s.refused(f)
	}
}

// lastWord is how long the end of a sandbox waits for what was still on its way.
const lastWord = time.Second

// limitTogether puts the process under the limits that hold for all processes of
// the sandbox, before it starts any.
func (s *Sandbox) limitTogether(pid int) {
	l := s.profile.Limits
	s.groups = newGroups(l)
	held := s.groups.add(pid)
	s.spec.Outside = held.controls(l)
	if !held.memory {
		s.spec.Watch = l.Memory
	}
	if held.cpu {
		s.spec.Limits.CPUs = 0 // bounded already, and more finely
	}
}

// Ended lets go of what the sandbox held. It is called once when everything in it
// is gone, or when it was never started.
func (s *Sandbox) Ended() {
	s.closeChild()
	if s.heard != nil {
		_ = s.control.SetReadDeadline(time.Now().Add(lastWord))
		<-s.heard
		for _, f := range s.groups.refusals(s.profile.Limits) {
			s.tell(f)
		}
	}
	if s.control != nil {
		s.control.Close()
	}
	if s.cancel != nil {
		s.cancel()
	}
	if s.broker != nil {
		s.broker.Close()
	}
	s.groups.remove()
}

// Report is what was found when the server was started.
func (s *Sandbox) Report() Report { return s.report }

// Uses is what a server that was observed has used. It waits until the server has
// ended, and must be called before Ended.
func (s *Sandbox) Uses() ([]profile.Use, error) {
	if s.heard == nil {
		return nil, errors.New("the server did not begin")
	}
	<-s.heard
	return s.uses, nil
}

// Shown lists everything of the machine that the server sees.
func (s *Sandbox) Shown() []Shown {
	var out []Shown
	for _, m := range s.spec.Mounts {
		if !m.Device {
			out = append(out, Shown{m.Path, m.Write, m.Exec, m.Asked})
		}
	}
	return out
}

// namespaceHint says how to allow user namespaces where the machine forbids them.
func namespaceHint() string {
	for path, wrong := range map[string]string{
		"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
		"/proc/sys/kernel/unprivileged_userns_clone":             "0",
		"/proc/sys/user/max_user_namespaces":                     "0",
	} {
		if text, err := os.ReadFile(path); err == nil && len(text) > 0 && string(text[:len(text)-1]) == wrong {
			return "; this machine forbids user namespaces: " + path + " is " + wrong
		}
	}
	return ""
}

// Available starts a sandbox with nothing in it and reports what this machine
// enforces. The error says why there is no sandbox at all.
func Available() (Report, error) {
	p := profile.Profile{Limits: profile.DefaultLimits(), UnsafeMissing: Controls()}
	p.Limits.CPU = 1
	p.Limits.Time = time.Hour
	s := &Sandbox{profile: p}
	var err error
	s.spec = spec{Limits: limitsOf(p), Scratch: p.Limits.Disk, Life: p.Limits.Time, Allowed: Controls(), Hidden: hidden(p, Command{}), Trial: true}
	if s.spec.UID, s.spec.GID, err = userOf(p); err != nil {
		return Report{}, err
	}
	if s.spec.Host, err = namespaces(); err != nil {
		return Report{}, err
	}
	plan := newPlan()
	plan.machine()
	if err := plan.ourselves(); err != nil {
		return Report{}, err
	}
	plan.into(&s.spec)
	s.spec.NoUnix = landlockVersion() < unixScope // as where a folder is granted
	defer s.Ended()
	cmd := exec.Command("/proc/self/exe")
	if err := s.Configure(cmd); err != nil {
		return Report{}, err
	}
	if err := cmd.Start(); err != nil {
		return Report{}, fmt.Errorf("starting a process in namespaces of its own: %w%s", err, namespaceHint())
	}
	err = s.Started(cmd.Process.Pid)
	s.control.Close() // which ends it
	s.control = nil
	_ = cmd.Wait()
	return s.report, err
}

// environment is what the server finds. Where it is and who it is differ from
// outside; everything else is as it was given.
func environment(given []string, s *spec) []string {
	user := "server"
	own := map[string]string{
		"HOME": s.Home, "TMPDIR": "/tmp", "USER": user, "LOGNAME": user, "SHELL": "/bin/false",
		"PATH": searchPath(s.Mounts),
	}
	if s.Observe {
		delete(own, "PATH") // every program of the machine is there
	}
	var out []string
	for _, variable := range given {
		name, _, _ := strings.Cut(variable, "=")
		if _, replaced := own[name]; !replaced {
			out = append(out, variable)
		}
	}
	for name, value := range own {
		out = append(out, name+"="+value)
	}
	return out
}

// searchPath lists the folders of the programs that may be started.
func searchPath(mounts []mount) string {
	var folders []string
	for _, m := range mounts {
		folder := filepath.Dir(m.Path)
		if m.Folder {
			folder = m.Path
		}
		if m.Exec && !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	return strings.Join(folders, ":")
}
