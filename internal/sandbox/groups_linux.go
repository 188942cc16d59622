//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/profile"
)

// groups are the control groups (cgroups(7)) of one sandbox, one for each
// controller in version 1, one in all in version 2. They bound what its processes
// use together.
type groups struct {
	folders []string
	held    held
}

// held says which bounds the groups hold.
type held struct {
	memory, cpu, processes bool
	version                int
}

// ownThreads is what the first process adds to the number of processes.
const ownThreads = 24

// cpuPeriod is the time over which the use of processors is counted, in
// microseconds; the kernel's own.
const cpuPeriod = 100_000

var groupNumber atomic.Int64

// newGroups makes the groups that can be made here. Where none can, the limits are
// held in other ways, or the report says that they are not.
func newGroups(l profile.Limits) *groups {
	g := &groups{}
	membership, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return g
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return g
	}
	name := fmt.Sprintf("%s%d-%d", groupPrefix, os.Getpid(), groupNumber.Add(1))
	places := groupPlaces(string(membership), string(mounts))
	sweepGroups.Do(func() { sweep(places) })
	for _, place := range places {
		g.make(place, name, l)
	}
	return g
}

// groupPrefix begins the names of our groups; the id of the gateway's process and a
// number follow.
const groupPrefix = "gatehouse-"

var sweepGroups sync.Once

// sweep removes the groups of gateways that were killed. One with processes in it
// cannot be removed.
func sweep(places []groupPlace) {
	for _, place := range places {
		left, _ := filepath.Glob(filepath.Join(place.folder, groupPrefix+"*")) // the pattern is well-formed
		for _, folder := range left {
			owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(folder), groupPrefix), "-")
			if _, err := os.Stat("/proc/" + owner); os.IsNotExist(err) {
				_ = os.Remove(folder)
			}
		}
	}
}

// groupPlace is a folder in which groups for controllers may be made.
type groupPlace struct {
	folder      string
	version     int
	controllers []string // of version 1
}

// groupPlaces finds them in what /proc says of this process and its mounts. In
// version 2 a group with processes in it has no groups with limits below it ("no
// internal processes"), so that ours stands beside the gateway's own.
func groupPlaces(membership, mounts string) []groupPlace {
	var places []groupPlace
	for line := range strings.Lines(membership) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		controllers := strings.Split(parts[1], ",")
		version := 1
		if parts[1] == "" {
			version, controllers = 2, nil
		}
		folder := groupFolder(mounts, controllers, parts[2])
		if folder == "" {
			continue
		}
		if version == 2 && parts[2] != "/" {
			places = append(places, groupPlace{filepath.Dir(folder), 2, nil})
		}
		places = append(places, groupPlace{folder, version, controllers})
	}
	return places
}

// groupFolder is where a group is seen (proc_pid_mountinfo(5)).
func groupFolder(mounts string, controllers []string, path string) string {
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		dash := 0
		for i, f := range fields {
			if f == "-" {
				dash = i
			}
		}
		if dash < 6 || len(fields) < dash+4 {
			continue
		}
		root, point, kind, options := fields[3], fields[4], fields[dash+1], strings.Split(fields[dash+3], ",")
		if kind == "cgroup" && len(controllers) > 0 && slices.Contains(options, controllers[0]) || kind == "cgroup2" && len(controllers) == 0 {
			if strings.Contains(path, "/..") {
				return "" // it lies outside what is seen from here
			}
			rel, err := filepath.Rel(root, path)
			if err != nil || !filepath.IsLocal(rel) {
				return ""
			}
			return filepath.Join(point, rel)
		}
	}
	return ""
}

// make makes the group of one place and sets what of the limits it can hold.
func (g *groups) make(place groupPlace, name string, l profile.Limits) {
	wanted := settings(place, l)
	if len(wanted) == 0 || g.held.version == 2 && place.version == 2 && len(g.folders) > 0 {
		return
	}
	folder := filepath.Join(place.folder, name)
	if place.version == 2 && !handsDown(place.folder) {
		return
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		return
	}
	g.folders = append(g.folders, folder)
	g.held.version = place.version
	g.held.hold(folder, wanted)
}

// hold sets what a group is wanted to hold, and notes what it does.
func (h *held) hold(folder string, wanted []setting) {
	for _, s := range wanted {
		if !set(folder, s) {
			continue
		}
		switch s.bounds {
		case Memory:
			h.memory = swapBounded(folder) == nil
		case CPU:
			h.cpu = true
		case Processes:
			h.processes = true
		}
	}
}

// needed are the controllers that our groups use.
var needed = []string{"cpu", "memory", "pids"}

// ownGroup is where the gateway itself goes in a group that was delegated to it.
const ownGroup = groupPrefix + "self"

var handingDown sync.Mutex

// handsDown reports whether a group of version 2 hands controllers down to the groups
// in it. One that does not is made to, if the gateway is the only process in it, as in
// a service or scope of systemd with Delegate=yes: then it goes into a group of its
// own below, because a group that hands controllers down has no processes.
func handsDown(folder string) bool {
	handingDown.Lock()
	defer handingDown.Unlock()
	const control = "cgroup.subtree_control"
	if handed, err := os.ReadFile(filepath.Join(folder, control)); err != nil {
		return false
	} else if len(strings.Fields(string(handed))) > 0 {
		return true
	}
	processes, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
	if err != nil || strings.TrimSpace(string(processes)) != strconv.Itoa(os.Getpid()) {
		return false
	}
	there, err := os.ReadFile(filepath.Join(folder, "cgroup.controllers"))
	if err != nil {
		return false
	}
	var wanted []string
	for _, c := range strings.Fields(string(there)) {
		if slices.Contains(needed, c) {
			wanted = append(wanted, "+"+c)
		}
	}
	own := filepath.Join(folder, ownGroup)
	if err := os.Mkdir(own, 0o755); len(wanted) == 0 || err != nil && !os.IsExist(err) {
		return false
	}
	if err := os.WriteFile(filepath.Join(own, "cgroup.procs"), processes, 0o644); err != nil {
		return false
	}
	return os.WriteFile(filepath.Join(folder, control), []byte(strings.Join(wanted, " ")), 0o644) == nil
}

// setting is one file of a group.
type setting struct{ bounds, file, value string }

func settings(place groupPlace, l profile.Limits) []setting {
	has := func(controller string) bool {
		return place.version == 2 || slices.Contains(place.controllers, controller)
	}
	var out []setting
	if l.Memory > 0 && has("memory") {
		if place.version == 2 {
			out = append(out, setting{"", "memory.swap.max", "0"}, setting{"", "memory.oom.group", "1"}, setting{Memory, "memory.max", strconv.Itoa(l.Memory)})
		} else {
			out = append(out, setting{"", "memory.swappiness", "0"}, setting{Memory, "memory.limit_in_bytes", strconv.Itoa(l.Memory)})
		}
	}
	if l.Processes > 0 && has("pids") {
		out = append(out, setting{Processes, "pids.max", strconv.Itoa(l.Processes + ownThreads)})
	}
	if l.CPU > 0 && has("cpu") {
		quota := strconv.Itoa(int(l.CPU * cpuPeriod))
		if place.version == 2 {
			out = append(out, setting{CPU, "cpu.max", fmt.Sprintf("%s %d", quota, cpuPeriod)})
		} else {
			out = append(out, setting{"", "cpu.cfs_period_us", strconv.Itoa(cpuPeriod)}, setting{CPU, "cpu.cfs_quota_us", quota})
		}
	}
	return out
}

// set writes a setting and reads it again: the kernel rounds, and says nothing.
func set(folder string, s setting) bool {
	path := filepath.Join(folder, s.file)
	if err := os.WriteFile(path, []byte(s.value), 0o644); err != nil {
		return false
	}
	if s.bounds == "" {
		return true
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	got, wanted := strings.Fields(string(text)), strings.Fields(s.value)
	if len(got) == 0 {
		return false
	}
	have, err := strconv.Atoi(got[0])
	want, _ := strconv.Atoi(wanted[0])
	return err == nil && have <= want // memory is rounded down to pages
}

// add puts a process into the groups. What it cannot be put into holds nothing.
func (g *groups) add(pid int) held {
	for _, folder := range g.folders {
		if err := os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			g.held = held{}
			return g.held
		}
	}
	return g.held
}

// remove removes the groups. The kernel needs a moment after the last process.
func (g *groups) remove() {
	if g == nil {
		return
	}
	for _, folder := range g.folders {
		for range 50 {
			if err := os.Remove(folder); err == nil || os.IsNotExist(err) {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
	g.folders = nil
}

// refusals are what the kernel says of the limits that were reached. It is read before
// the groups are removed.
func (g *groups) refusals(l profile.Limits) []Refusal {
	if g == nil {
		return nil
	}
	var out []Refusal
	for _, folder := range g.folders {
		for _, c := range []struct{ control, file, counter, what string }{
			{Memory, "memory.events", "oom_kill", "more memory than " + profile.Size(l.Memory)},
			{Memory, "memory.oom_control", "oom_kill", "more memory than " + profile.Size(l.Memory)},
			{Processes, "pids.events", "max", fmt.Sprintf("more than %d processes and threads", l.Processes)},
			{CPU, "cpu.stat", "nr_throttled", fmt.Sprintf("more than %v processors' worth of time", l.CPU)},
		} {
			if n := counterOf(filepath.Join(folder, c.file), c.counter); n > 0 {
				out = append(out, Refusal{c.control, c.what, n})
			}
		}
	}
	return out
}

// counterOf reads one line of a file of lines with a name and a number.
func counterOf(file, name string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0 // the group has no such controller
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, name+" "); found {
			n, _ := strconv.Atoi(strings.TrimSpace(rest))
			return n
		}
	}
	return 0
}

// controls reports what is held from outside. What is not is left to the rest of
// the sandbox.
func (h held) controls(l profile.Limits) []Control {
	var out []Control
	mechanism := fmt.Sprintf("cgroup v%d", h.version)
	if h.memory {
		out = append(out, Control{Memory, profile.Size(l.Memory), profile.Size(l.Memory) + " for all processes together", mechanism, ""})
	}
	if h.cpu {
		out = append(out, Control{CPU, fmt.Sprintf("%v processors", l.CPU), fmt.Sprintf("%v processors' worth of time", l.CPU), mechanism, ""})
	}
	if h.processes {
		out = append(out, Control{Processes, strconv.Itoa(l.Processes), "", mechanism, ""})
	}
	return out
}
