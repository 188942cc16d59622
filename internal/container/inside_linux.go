//go:build amd64 || arm64

package container

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/egress/handover"
	"gatehouse/internal/egress/inside"
	"gatehouse/internal/profile"
	"gatehouse/internal/sandbox"
)

// canEnter says that our program can be the first process of a container here.
const canEnter = true

// canServe says why the network of a container could not be made here.
func canServe() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: network: only a gateway that runs as root can make the network of a container; the native runtime can without", sandbox.ErrNotEnforced)
	}
	return nil
}

// gate is the way to the first process of a container.
type gate struct {
	folder   string
	listener *net.UnixListener
	server   *sandbox.Contained
	network  func(context.Context, *net.UnixConn) error // nil without a network

	conn           *net.UnixConn
	broker, inside *net.UnixConn // both ends of the network's control
	cancel         context.CancelFunc
}

// Bounds of what the first process needs itself.
const (
	ownDescriptors = 256
	// podmanProcesses is what Podman bounds itself to, and so the most that it can
	// give. The control group bounds the server.
	podmanProcesses = 32768
	// acceptEvery is how often it is looked whether the container is still starting.
	acceptEvery = 100 * time.Millisecond
)

// enter makes our program the first process of the container that o describes.
func (b *Box) enter(o *options, about about, img image) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding our own program: %w", err)
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		return fmt.Errorf("finding our own program: %w", err)
	}
	g := &gate{network: b.command.Network}
	b.gate = g
	if len(b.profile.Network) == 0 {
		g.network = nil
	}
	if err := g.listen(); err != nil {
		return err
	}
	var mounts []sandbox.Shown
	for _, granted := range o.grants {
		mounts = append(mounts, sandbox.Shown{Path: granted.path, Write: granted.write})
	}
	var private []string
	for _, p := range o.private {
		private = append(private, p.path)
	}
	home := b.profile.Home
	if home == "" {
		home = temporary + "/home"
	}
	server := b.command
	server.Args, server.Dir, server.Env = o.args, o.dir, environment(append([]string{}, img.Config.Env...), b.command.Env, home)
	g.server, err = sandbox.NewContained(b.profile, server, sandbox.Container{
		Engine: o.engine + " " + about.version, Mounts: mounts, Private: private, UID: o.uid, GID: o.gid,
	})
	if err != nil {
		return err
	}
	o.ours = []grant{
		{path: path.Join(sandbox.ContainedFolder, sandbox.ContainedName), source: program},
		{path: path.Join(sandbox.ContainedFolder, sandbox.ContainedSocket), source: filepath.Join(g.folder, sandbox.ContainedSocket)},
	}
	o.entrypoint, o.args, o.dir = o.ours[0].path, nil, "/"
	o.settings = []string{"GOMAXPROCS=2", "GOTRACEBACK=none", "GOGC=off"}
	o.extra = sandbox.ContainedThreads
	// The first process sets the server's own limits.
	for i := range o.ulimits {
		if u := &o.ulimits[i]; u.name == "nofile" {
			u.value = max(u.value, ownDescriptors)
		}
	}
	return nil
}

// settable names limits that the profile does not, as high as Podman can set them:
// its own defaults are higher than that where it lacks CAP_SYS_RESOURCE.
func (o *options) settable() {
	if o.engine != profile.Podman {
		return
	}
	o.ulimits = append(o.ulimits, most("nproc", unix.RLIMIT_NPROC, podmanProcesses))
	if o.limits.Descriptors == 0 {
		o.ulimits = append(o.ulimits, most("nofile", unix.RLIMIT_NOFILE, 1<<20))
	}
}

// most is the highest limit that we may set ourselves, and at most highest.
func most(name string, which, highest int) ulimit {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(which, &now); err == nil && now.Max < uint64(highest) {
		highest = int(now.Max)
	}
	return ulimit{name, highest}
}

// listen makes the socket that the container is given. Nobody else can enter its
// folder.
func (g *gate) listen() error {
	folder, err := os.MkdirTemp("", "gatehouse-container-")
	if err != nil {
		return fmt.Errorf("making a folder for the container: %w", err)
	}
	g.folder = folder
	socket := filepath.Join(folder, sandbox.ContainedSocket)
	if g.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"}); err != nil {
		return fmt.Errorf("making a socket for the container: %w", err)
	}
	if err := os.Chmod(socket, 0o666); err != nil { // for the user inside
		return fmt.Errorf("making a socket for the container: %w", err)
	}
	return nil
}

// begin starts the server in a container whose engine's command is process starter.
func (g *gate) begin(starter int) (sandbox.Report, error) {
	pid, err := g.accept(starter)
	if err != nil {
		return sandbox.Report{}, err
	}
	if g.network != nil {
		if err := g.serve(pid); err != nil {
			return sandbox.Report{}, fmt.Errorf("making the network of the container: %w", err)
		}
	}
	return g.server.Begin(g.conn, pid)
}

// accept waits for the first process of the container, and is told by the kernel
// which one of this machine it is.
func (g *gate) accept(starter int) (pid int, err error) {
	defer g.listener.Close() // nobody else may come
	for end := time.Now().Add(patience); ; {
		_ = g.listener.SetDeadline(time.Now().Add(acceptEvery))
		if g.conn, err = g.listener.AcceptUnix(); err == nil {
			break
		}
		switch {
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		case ended(starter):
			return 0, errors.New("the container ended before it reached the gateway")
		case time.Now().After(end):
			return 0, errors.New("the container does not reach the gateway; its engine must be on this machine")
		}
	}
	raw, err := g.conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, controlErr); err != nil {
		return 0, fmt.Errorf("who is in the container: %w", err)
	}
	if !first(int(peer.Pid)) {
		return 0, errors.New("who came to the gateway is not the first process of a container on this machine")
	}
	return int(peer.Pid), nil
}

// ended reports whether a child has ended, and leaves its status to whoever waits
// for it.
func ended(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err != nil || info.Signo != 0
}

// first reports whether a process is the first one in a namespace below ours
// (proc_pid_status(5), NSpid).
func first(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if ids, found := strings.CutPrefix(line, "NSpid:"); found {
			list := strings.Fields(ids)
			return len(list) > 1 && list[len(list)-1] == "1"
		}
	}
	return false
}

// serve makes the network of the container, in which everything leads to the
// gateway, before anything in it runs.
func (g *gate) serve(pid int) error {
	broker, file, err := handover.Pair()
	if err != nil {
		return err
	}
	g.broker = broker
	if g.inside, err = handover.Inherit(file); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	go func() { _ = g.network(ctx, broker) }() // it ends with the container, and says itself what goes wrong
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		done <- setUp(pid, g.inside)
	}()
	return <-done
}

// setUp sets up the network in the namespace of a process.
func setUp(pid int, broker *net.UnixConn) error {
	namespace, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		return err
	}
	defer namespace.Close()
	theirs, err := namespace.Stat()
	if err != nil {
		return err
	}
	ours, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	if os.SameFile(theirs, ours) {
		return errors.New("the container has the machine's network")
	}
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the container's network: %w", err)
	}
	_, err = inside.Setup(broker)
	return err
}

// shut lets go of everything, upon which the container ends.
func (g *gate) shut() {
	if g == nil {
		return
	}
	if g.server != nil {
		g.server.Ended()
	}
	if g.cancel != nil {
		g.cancel()
	}
	for _, conn := range []*net.UnixConn{g.conn, g.broker, g.inside} {
		if conn != nil {
			conn.Close()
		}
	}
	if g.listener != nil {
		g.listener.Close()
	}
	if g.folder != "" {
		_ = os.RemoveAll(g.folder)
	}
}
