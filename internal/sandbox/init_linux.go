//go:build amd64 || arm64

package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/egress/handover"
	"gatehouse/internal/profile"
)

// Inside runs the part of a sandbox that this process was started as, and does not
// return from it. In every other process it does nothing. The program calls it
// first of all, with what makes the network of sandboxes that have one.
func Inside(network Setup) {
	if len(os.Args) == 0 {
		return
	}
	switch filepath.Base(os.Args[0]) {
	case initName:
		os.Exit(runInit(network))
	case launchName:
		os.Exit(runLaunch())
	case ContainedName:
		os.Exit(runContained())
	}
}

// Exit statuses of the first process that no server gives it.
const (
	exitNotStarted = 125
	exitBySignal   = 128 // and the number of the signal
)

// runInit is the first process of a sandbox of the machine: it makes the world in which
// the server lives.
func runInit(network Setup) int {
	var broker *net.UnixConn
	code := runFirst(func() (*os.File, error) { return os.NewFile(controlFD, "gateway"), nil }, func(s *spec, r *recorder) (refused func() map[string]uint64, err error) {
		if refused, broker, err = s.setUpNetwork(network); err != nil {
			return nil, err
		}
		if err := enter(s); err != nil {
			return nil, err
		}
		return refused, s.answerNames(r)
	})
	runtime.KeepAlive(broker) // as long as it is open, the other end serves
	return code
}

// runFirst is the first process of a sandbox or of a container: it prepares what its
// server finds, starts it, and ends everything when the gateway or the server is gone.
// When it ends, the kernel kills every process in its namespace.
func runFirst(reach func() (*os.File, error), prepare func(*spec, *recorder) (refused func() map[string]uint64, err error)) int {
	// Nothing inside may look into this process, whatever user it runs as
	// (ptrace(2), "dumpable").
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return exitNotStarted
	}
	// Whatever the gateway itself had inherited goes no further.
	if err := unix.CloseRange(controlFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return exitNotStarted
	}
	gateway, err := reach()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gatehouse: the sandbox does not reach the gateway:", err)
		return exitNotStarted
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals) // all of them: none may end this process
	var s spec
	if err := readFrame(gateway, &s); err != nil {
		return exitNotStarted
	}
	r := s.recorder()
	// Our program takes some time to start, which it may as well do while the world is
	// made that it will find.
	server, err := startLauncher()
	var refused func() map[string]uint64
	if err == nil {
		refused, err = prepare(&s, r)
	}
	var told outcome
	var w *watcher
	if err == nil {
		w = s.watcher(r, refused)
		r.begin = w.begin
		told, err = server.run(&s, r)
	}
	if err != nil {
		told = outcome{Error: err.Error()}
	}
	if err := writeFrame(gateway, told); err != nil || told.Error != "" || s.Trial {
		return exitNotStarted
	}
	go func() { // the gateway says nothing more; what comes is the end of it
		_, _ = io.Copy(io.Discard, gateway)
		os.Exit(exitBySignal + int(syscall.SIGKILL))
	}()
	letGoOfStreams()
	go forward(signals, server.pid)
	s.bound(r, gateway)
	go w.run(func() { r.say(gateway, false) })
	s = spec{} // what is secret is the server's now
	debug.SetGCPercent(collectAt)
	debug.FreeOSMemory()
	code, last := reap(server.pid)
	if last != "" {
		r.note(last, "the server was ended by the kernel for it", "", 1)
	}
	w.look()
	r.lastWord(gateway, code)
	runtime.KeepAlive(gateway)
	return code
}

// setUpNetwork makes the network that the profile asks for, while this process may.
func (s *spec) setUpNetwork(network Setup) (refused func() map[string]uint64, broker *net.UnixConn, err error) {
	if len(s.Network) == 0 {
		return nil, nil, loopbackUp()
	}
	if network == nil {
		return nil, nil, errors.New("this program has no network for sandboxes")
	}
	if broker, err = handover.Inherit(os.NewFile(brokerFD, "broker")); err != nil {
		return nil, nil, fmt.Errorf("making the network: %w", err)
	}
	if refused, err = network(broker); err != nil {
		return nil, nil, fmt.Errorf("making the network: %w", err)
	}
	return refused, broker, nil
}

// answerNames answers queries for names where nobody else does.
func (s *spec) answerNames(r *recorder) error {
	switch {
	case s.Observe:
		r.uses = &observer{uses: map[profile.Use]int{}, names: map[netip.Addr]string{}}
		return serveNames(r.uses.answer)
	case len(s.Network) == 0 && !s.Trial:
		return serveNames(r.refuseName)
	}
	return nil
}

// ownEnvironment is that of our processes in a sandbox. They live for milliseconds or
// do next to nothing, so that collecting garbage while they start is a waste.
var ownEnvironment = []string{"GOMAXPROCS=2", "GOTRACEBACK=none", "GOGC=off"}

// collectAt keeps the memory of the first process small for as long as it lives.
const collectAt = 20

// letGoOfStreams leaves the streams to the server, so that the gateway sees when it
// closes them. Stderr stays, for a last word.
func letGoOfStreams() {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_ = unix.Dup3(null, 0, 0)
	_ = unix.Dup3(null, 1, 0)
}

// forward passes on what the gateway sends to end a server.
func forward(signals <-chan os.Signal, server int) {
	for s := range signals {
		switch s {
		case unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT:
			_ = unix.Kill(server, s.(syscall.Signal))
		}
	}
}

// reap waits for the server and buries whatever else dies. With a server that the
// kernel has ended for what it tried, it says which control that was.
func reap(server int) (code int, control string) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return exitNotStarted, ""
		case pid != server:
		case status.Signaled():
			return exitBySignal + int(status.Signal()), map[unix.Signal]string{unix.SIGSYS: SystemCalls, unix.SIGXFSZ: FileSize}[status.Signal()]
		case status.Exited():
			return status.ExitStatus(), ""
		}
	}
}

// watchEvery is how often the memory is looked at where the kernel does not bound
// it for all processes together; watchClosely, when more than half of it is used: many
// processes together fill memory fast.
const watchEvery, watchClosely = 100 * time.Millisecond, 10 * time.Millisecond

// bound ends the sandbox when its time is over or its memory is used up.
func (s *spec) bound(r *recorder, gateway *os.File) {
	giveUp := func(control, why string) {
		const code = exitBySignal + int(syscall.SIGKILL)
		fmt.Fprintf(os.Stderr, "gatehouse: the server is ended: %s\n", why)
		r.note(control, why, "", 1)
		r.lastWord(gateway, code)
		os.Exit(code)
	}
	if life := s.Life; life > 0 {
		time.AfterFunc(life, func() { giveUp(Time, fmt.Sprintf("its time of %v is over", life)) })
	}
	if most := s.Watch; most > 0 {
		go func() {
			for wait := watchEvery; ; {
				time.Sleep(wait)
				used := memoryInUse(most)
				if used > most {
					giveUp(Memory, fmt.Sprintf("it uses more than %d MiB of memory", most>>20))
				}
				if wait = watchEvery; used > most/2 {
					wait = watchClosely
				}
			}
		}()
	}
}

// memoryInUse adds up what the processes of the sandbox hold, in bytes, except this
// one: memory of their own and memory that they share (proc_pid_status(5), RssAnon
// and RssShmem). What several share counts for each, which is quick to read; what is
// exact takes as long as the memory is large, and is read if the sum is more than most
// (proc_pid_smaps_rollup(5), Pss_Anon and Pss_Shmem).
func memoryInUse(most int) int {
	sum, whole := memoryBy("status", "RssAnon", "RssShmem")
	if !whole {
		return math.MaxInt
	}
	if sum > most {
		if exact, whole := memoryBy("smaps_rollup", "Pss_Anon", "Pss_Shmem"); whole {
			return exact
		}
	}
	return sum
}

// memoryBy adds up lines of a file of each process. It is not whole if a process that
// lives cannot be looked at: whose memory is not known counts as too much.
func memoryBy(file string, names ...string) (sum int, whole bool) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, false
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err != nil || pid == os.Getpid() {
			continue
		}
		text, err := os.ReadFile("/proc/" + e.Name() + "/" + file)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended since
		}
		if err != nil {
			return 0, false
		}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			if slices.Contains(names, name) {
				size, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
				sum += size << 10
			}
		}
	}
	return sum, true
}

// launcher is our program once more, as the one that gives everything up, tries what
// must be refused, and becomes the server.
type launcher struct {
	pid             int
	listener        int // the socket over which the listener comes
	orders, answers *os.File
}

func startLauncher() (*launcher, error) {
	var orders, answers [2]int
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err := errors.Join(err, unix.Pipe2(orders[:], unix.O_CLOEXEC), unix.Pipe2(answers[:], unix.O_CLOEXEC)); err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{launchName}, &syscall.ProcAttr{
		Dir: "/", Env: ownEnvironment,
		Files: []uintptr{0, 1, 2, uintptr(orders[0]), uintptr(answers[1]), uintptr(sockets[1])},
		// A session of its own: no signal to a group reaches the first process, and
		// there is no terminal to type into.
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	for _, fd := range []int{orders[0], answers[1], sockets[1]} {
		unix.Close(fd)
	}
	if err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	return &launcher{pid, sockets[0], os.NewFile(uintptr(orders[1]), "orders"), os.NewFile(uintptr(answers[0]), "answers")}, nil
}

// run lets the launcher become the server, or say why it does not.
func (l *launcher) run(s *spec, r *recorder) (told outcome, err error) {
	go r.receive(l.listener)
	defer l.answers.Close()
	err = writeFrame(l.orders, s)
	l.orders.Close()
	var text []byte
	if err == nil {
		// The pipe is closed by the exec that makes the launcher the server.
		text, err = io.ReadAll(io.LimitReader(l.answers, 2*maxFrame))
	}
	in := bytes.NewReader(text)
	if err == nil {
		err = readFrame(in, &told)
	}
	if err == nil && in.Len() > 0 {
		err = readFrame(in, &told)
	}
	if err != nil {
		err = fmt.Errorf("starting the server: it ended before it was ready: %w", err)
	}
	return told, err
}
