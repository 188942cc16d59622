package upstream

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// AdoptOrphans makes this program the parent of processes whose own parent died,
// so that a server cannot outlive the gateway by forking twice.
func AdoptOrphans() {
	becomeReaper.Do(func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })
}

// EndAdopted kills what is still below this program when all servers were ended:
// descendants that had left their server's group and session.
func EndAdopted() {
	left := below(os.Getpid(), false)
	for _, k := range left {
		if k.alive() {
			_ = syscall.Kill(k.pid, syscall.SIGKILL)
		}
	}
	reapOrphans(left)
}

// ReapAdopted collects the exit status of adopted processes that have ended, so
// that they do not pile up while the gateway runs.
func ReapAdopted() {
	for _, k := range below(os.Getpid(), false) {
		if s := stat(k.pid); s.state == "Z" && s.parent == os.Getpid() && !isOurs(k.pid) {
			_, _ = syscall.Wait4(k.pid, nil, syscall.WNOHANG, nil)
		}
	}
}

// descendants lists the processes below pid, and those that were started by a
// process of its group and have lost their parent to us.
func descendants(pid int) []kin { return below(pid, true) }

// below lists the processes below pid by their parents, with groups also those of
// its group and session. Our own group and session hold programs that are not ours.
func below(pid int, groups bool) []kin {
	children := map[int][]kin{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []kin
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		s := stat(id)
		k := kin{id, s.began}
		children[s.parent] = append(children[s.parent], k)
		if groups && id != pid && (s.group == pid || s.session == pid) {
			found = append(found, k)
		}
	}
	for next := []int{pid}; len(next) > 0; next = next[1:] {
		for _, child := range children[next[0]] {
			if !slices.Contains(found, child) {
				found = append(found, child)
			}
			next = append(next, child.pid)
		}
	}
	return found
}

// status is what the kernel says of a process.
type status struct {
	state                  string // "Z" has ended and waits for its parent
	parent, group, session int
	began                  string // clock ticks since the machine started
}

// stat reads the status of a process (proc(5)); it is zero if there is none.
func stat(pid int) status {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return status{}
	}
	// The command in parentheses may hold anything, parentheses too. What follows
	// it begins with the third field.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 {
		return status{}
	}
	var s status
	s.state = fields[0]
	s.parent, _ = strconv.Atoi(fields[1])
	s.group, _ = strconv.Atoi(fields[2])
	s.session, _ = strconv.Atoi(fields[3])
	s.began = fields[19]
	return s
}

func (k kin) alive() bool { return stat(k.pid).began == k.began }

// reapOrphans collects the exit status of killed descendants that became our
// children.
func reapOrphans(family []kin) {
	for _, k := range family {
		if s := stat(k.pid); s.parent == os.Getpid() && s.began == k.began {
			reap(k)
		}
	}
}

// reap waits for a killed process, but not for one that could not be killed.
func reap(k kin) {
	for range 100 {
		if pid, err := syscall.Wait4(k.pid, nil, syscall.WNOHANG, nil); pid != 0 || err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
