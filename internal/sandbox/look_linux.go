//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/profile"
)

// onlooker knows what is seen inside, and so which uses of files are refused.
type onlooker struct{ mounts []mount }

// refuses reports whether a use of a file is refused, as far as that can be told from
// its path. For what is not there inside, outside is the path that must be there on
// the machine; only the gateway can see whether it is.
func (l *onlooker) refuses(pid int, u profile.Use) (refused bool, control, what, outside string) {
	path := ofProcess(pid, u.Path)
	if within(fmt.Sprintf("/proc/%d", firstProcess), path) {
		return true, Namespaces, path, ""
	}
	path, there := follow(path)
	for _, own := range []string{"/proc", "/sys"} { // what is looked for there says nothing of the server
		if within(own, path) {
			return false, "", "", ""
		}
	}
	m := l.shows(path)
	switch u.Kind {
	case profile.UsedExecute:
		if m != nil && m.Exec {
			return false, "", "", ""
		}
		what, outside = "execute "+path, path
		there = there || strings.HasPrefix(path, "/memfd:") // where links of /proc lead for memory as a file
	case profile.UsedRead:
		// What is not there in a place that is shown is not there on the machine either,
		// and system libraries look for files of their own.
		if there || m != nil || ofSystem(path) {
			return false, "", "", ""
		}
		return true, Files, "read " + path, path
	default:
		if m != nil && m.Write {
			return false, "", "", ""
		}
		// Programs invent names of files; folders are fewer.
		folder := filepath.Dir(path)
		_, err := os.Lstat(folder)
		if m == nil && err == nil && (within("/tmp", path) || within("/dev/shm", path)) {
			return false, "", "", "" // its own
		}
		what, outside, there = "write in "+folder, folder, err == nil
	}
	if there {
		outside = ""
	}
	return true, Files, what, outside
}

// systemFolders hold programs and libraries, which everybody may read and which hold
// no secrets.
var systemFolders = []string{"/usr", "/lib", "/lib64", "/bin", "/sbin"}

func ofSystem(path string) bool {
	return slices.ContainsFunc(systemFolders, func(folder string) bool { return within(folder, path) })
}

// shows is the mount in which a path is seen; nil if it is in none.
func (l *onlooker) shows(path string) *mount {
	if m := innermost(l.mounts, path); m != nil && !m.Blank {
		return m
	}
	return nil
}

// innermost is the mount that a path lies in; nil if it lies in none.
func innermost(mounts []mount, path string) *mount {
	var best *mount
	for i, m := range mounts {
		if within(m.Path, path) && (best == nil || len(m.Path) > len(best.Path)) {
			best = &mounts[i]
		}
	}
	return best
}

// ofProcess is a path in /proc as another process sees it.
func ofProcess(pid int, path string) string {
	for _, self := range []string{"/proc/self", "/proc/thread-self"} {
		if rest, found := strings.CutPrefix(path, self); found && (rest == "" || rest[0] == '/') {
			return fmt.Sprintf("/proc/%d%s", pid, rest)
		}
	}
	return path
}

// follow says where a path ends, through all links, and whether something is there.
func follow(path string) (real string, there bool) {
	done, rest, err := walk(path, func(string, string) {})
	return filepath.Join(append([]string{done}, rest...)...), !errors.Is(err, fs.ErrNotExist)
}

// lookEvery is how often the first process looks whether a limit is reached. What
// lasts shorter than that is refused all the same and not seen.
const lookEvery = 500 * time.Millisecond

// watcher looks at what no call tells of: limits that are reached, and packets that
// had nowhere to go.
type watcher struct {
	record      *recorder
	processes   int // how many there may be
	descriptors int
	first       bool // the first process counts among them

	mu      sync.Mutex
	packets []packetCount  // refused packets, by kind
	reached map[string]int // by control, how many looks in a row it was reached
}

// packetCount counts packets of a kind that were refused.
type packetCount struct {
	what  string
	count func() uint64
	seen  uint64
}

func (s *spec) watcher(r *recorder, refused func() map[string]uint64) *watcher {
	w := &watcher{record: r, processes: s.Limits.Processes, descriptors: s.Limits.Descriptors, first: os.Getuid() == s.UID, reached: map[string]int{}}
	if s.Contained != "" && s.Limits.Asked.Processes > 0 {
		w.processes = s.Limits.Asked.Processes + ownThreads // as the engine counts them
	}
	w.packets = []packetCount{
		{what: "an address on the network", count: func() uint64 { return counter("Ip:", "OutNoRoutes") + counter6("Ip6OutNoRoutes") }},
		{what: "a local port that nobody listens on", count: func() uint64 {
			return counter("Tcp:", "AttemptFails") + counter("Udp:", "NoPorts") + counter6("Udp6NoPorts")
		}},
	}
	if refused != nil {
		for what := range refused() {
			w.packets = append(w.packets, packetCount{what: what, count: func() uint64 { return refused()[what] }})
		}
	}
	return w
}

// begin takes what there is for nothing: the probe has sent packets too.
func (w *watcher) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.packets {
		w.packets[i].seen = w.packets[i].count()
	}
}

// run looks until the process ends, and says what there is to say.
func (w *watcher) run(say func()) {
	for range time.Tick(lookEvery) {
		w.look()
		say()
	}
}

func (w *watcher) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	processes, descriptors := inUse(w.first)
	// Some end again at once when they cannot go on, so that nearly all count.
	w.reach(Processes, fmt.Sprintf("nearly all of the %d processes and threads that it may have", w.processes), w.processes > 0 && processes >= w.processes*9/10)
	w.reach(Descriptors, fmt.Sprintf("nearly all of the %d open files that one process may have", w.descriptors), w.descriptors > 0 && descriptors >= w.descriptors*9/10)
	var scratch unix.Statfs_t
	if err := unix.Statfs("/tmp", &scratch); err == nil {
		w.reach(Disk, "all bytes, or files, that /tmp may hold", scratch.Bavail == 0 || scratch.Files > 0 && scratch.Ffree == 0)
	}
	for i := range w.packets {
		p := &w.packets[i]
		if now := p.count(); now > p.seen {
			w.record.note(Network, p.what, "", int(now-p.seen))
			p.seen = now
		}
	}
}

// reach notes that a limit is reached, once for as long as it lasts.
func (w *watcher) reach(control, what string, is bool) {
	if !is {
		w.reached[control] = 0
		return
	}
	if w.reached[control]++; w.reached[control] == 1 {
		w.record.note(control, what, "", 1)
	}
}

// inUse counts the processes and threads of the sandbox, and the open files of the
// process that has most of them (proc_pid_fd(5): the size of the folder is their
// number, since Linux 6.2).
func inUse(first bool) (threads, descriptors int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, 0
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == firstProcess && !first {
			continue
		}
		var is unix.Stat_t
		if unix.Stat("/proc/"+e.Name()+"/task", &is) == nil {
			threads += int(is.Nlink) - 2
		}
		if pid != firstProcess && unix.Stat("/proc/"+e.Name()+"/fd", &is) == nil {
			descriptors = max(descriptors, int(is.Size))
		}
	}
	return threads, descriptors
}

// counter is one of this namespace (proc_pid_net(5), snmp): a line of names and one of
// numbers, which begin with the same word.
func counter(line, name string) uint64 {
	text, err := os.ReadFile("/proc/self/net/snmp")
	if err != nil {
		return 0
	}
	var names []string
	for l := range strings.Lines(string(text)) {
		fields := strings.Fields(l)
		switch {
		case len(fields) == 0 || fields[0] != line:
		case names == nil:
			names = fields
		default:
			if i := slices.Index(names, name); i > 0 && i < len(fields) {
				n, _ := strconv.ParseUint(fields[i], 10, 64)
				return n
			}
		}
	}
	return 0
}

// counter6 is one for IPv6, where each has a line.
func counter6(name string) uint64 {
	text, err := os.ReadFile("/proc/self/net/snmp6")
	if err != nil {
		return 0
	}
	for l := range strings.Lines(string(text)) {
		if fields := strings.Fields(l); len(fields) == 2 && fields[0] == name {
			n, _ := strconv.ParseUint(fields[1], 10, 64)
			return n
		}
	}
	return 0
}
