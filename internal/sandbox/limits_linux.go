//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"math"
	"syscall"

	"golang.org/x/sys/unix"

	"gatehouse/internal/profile"
)

// memoryFactor is how much more memory than all processes together one process may
// ask for: programs reserve more than they use. It bounds what can happen between
// two looks of the first process.
const memoryFactor = 2

func limitsOf(p profile.Profile) limits {
	l := p.Limits
	return limits{
		Memory: memoryFactor * l.Memory, Processes: l.Processes, Descriptors: l.Descriptors, FileSize: l.FileSize, CPUs: int(math.Ceil(l.CPU)),
		Asked: asked{Processes: l.Processes, Descriptors: l.Descriptors, Disk: l.Disk, FileSize: l.FileSize, CPU: l.CPU, Time: l.Time},
	}
}

// resource is one limit of setrlimit(2).
type resource struct {
	name  string
	which int
	value int // 0: not bounded
}

func (l limits) resources() []resource {
	return []resource{
		{"memory", unix.RLIMIT_DATA, l.Memory},
		{"processes", unix.RLIMIT_NPROC, l.Processes},
		{"descriptors", unix.RLIMIT_NOFILE, l.Descriptors},
		{"file size", unix.RLIMIT_FSIZE, l.FileSize},
	}
}

// apply sets the limits of this process and its descendants.
func (l limits) apply() error {
	// A dump of memory could hold secrets, and would be written outside. core(5): a
	// limit of 0 does not hold for programs that take dumps; one of 1 does.
	if err := syscall.Setrlimit(unix.RLIMIT_CORE, &syscall.Rlimit{Cur: 1, Max: 1}); err != nil {
		return fmt.Errorf("forbidding core dumps: %w", err)
	}
	for _, r := range l.resources() {
		if r.value == 0 {
			continue
		}
		var now syscall.Rlimit
		if err := syscall.Getrlimit(r.which, &now); err != nil {
			return fmt.Errorf("limiting %s: %w", r.name, err)
		}
		value := min(uint64(r.value), now.Max)
		if err := syscall.Setrlimit(r.which, &syscall.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("limiting %s: %w", r.name, err)
		}
	}
	if l.CPUs == 0 {
		return nil
	}
	var all, few unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return fmt.Errorf("limiting processors: %w", err)
	}
	for cpu := 0; few.Count() < min(l.CPUs, all.Count()); cpu++ {
		if all.IsSet(cpu) {
			few.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &few); err != nil {
		return fmt.Errorf("limiting processors: %w", err)
	}
	return nil
}
