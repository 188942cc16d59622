package upstream

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

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
	left := descendants(os.Getpid())
	for _, pid := range left {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	reapOrphans(left)
}

// descendants lists the processes below pid, and those that were started by a
// process of its group and have lost their parent to us.
func descendants(pid int) []int {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		parent, group, session := stat(id)
		children[parent] = append(children[parent], id)
		if id != pid && (group == pid || session == pid) {
			found = append(found, id)
		}
	}
	for next := []int{pid}; len(next) > 0; next = next[1:] {
		for _, child := range children[next[0]] {
			if !slices.Contains(found, child) {
				found = append(found, child)
			}
			next = append(next, child)
		}
	}
	return found
}

// stat reads parent, process group and session of a process (proc(5)).
func stat(pid int) (parent, group, session int) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, 0
	}
	// The command in parentheses may hold anything, parentheses too.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 4 {
		return 0, 0, 0
	}
	parent, _ = strconv.Atoi(fields[1])
	group, _ = strconv.Atoi(fields[2])
	session, _ = strconv.Atoi(fields[3])
	return parent, group, session
}

// reapOrphans collects the exit status of killed descendants that became our
// children.
func reapOrphans(pids []int) {
	for _, pid := range pids {
		if parent, _, _ := stat(pid); parent == os.Getpid() {
			_, _ = syscall.Wait4(pid, nil, 0, nil)
		}
	}
}
