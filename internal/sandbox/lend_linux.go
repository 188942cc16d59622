//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A gateway that runs as root runs its servers as somebody else, who could use
// nothing of what a profile grants to them: it belongs to others. So what is granted
// is lent: inside, it belongs to the server, and what the server makes there belongs
// to the owner outside (mount_setattr(2), "ID-mapped mounts"). Where the file system
// does not support that, the server has what its user has, and the probe says if that
// is not enough.

// lend replaces the mounts that belong to others by such, and returns them as files
// for the first process, whose first one there has the number next.
func (s *spec) lend(next int) []*os.File {
	var files []*os.File
	for i := range s.Mounts {
		m := &s.Mounts[i]
		var owner unix.Stat_t
		if !m.Asked || unix.Stat(m.Path, &owner) != nil || int(owner.Uid) == s.UID {
			continue
		}
		tree, err := lent(*m, pair{int(owner.Uid), s.UID}, pair{int(owner.Gid), s.GID})
		if err != nil {
			continue
		}
		m.Lent = next + len(files)
		files = append(files, os.NewFile(uintptr(tree), m.Path))
	}
	return files
}

// pair is an id outside and the one that it has inside.
type pair struct{ outside, inside int }

// lent is a mount of its own, not yet attached anywhere.
func lent(m mount, user, group pair) (int, error) {
	namespace, err := mapping(user, group)
	if err != nil {
		return 0, err
	}
	tree, err := openTree(m)
	if err != nil {
		return 0, err
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(namespace)}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		unix.Close(tree)
		return 0, fmt.Errorf("lending %s: %w", m.Path, err)
	}
	return tree, nil
}

var (
	mappingsMu sync.Mutex
	// mappings are user namespaces that no process is in, by what they map. There is
	// one for each owner of granted folders, which are few.
	mappings = map[[2]pair]int{}
)

// mapping is a user namespace that maps one user and one group.
func mapping(user, group pair) (int, error) {
	mappingsMu.Lock()
	defer mappingsMu.Unlock()
	key := [2]pair{user, group}
	if fd, made := mappings[key]; made {
		return fd, nil
	}
	// A process makes the namespace. It is stopped before its first instruction.
	pid, err := syscall.ForkExec("/proc/self/exe", []string{launchName}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{
		Ptrace:      true,
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: user.outside, HostID: user.inside, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: group.outside, HostID: group.inside, Size: 1}},
	}})
	if err != nil {
		return 0, fmt.Errorf("making a user namespace: %w", err)
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/user", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	_ = unix.Kill(pid, unix.SIGKILL)
	for {
		var status unix.WaitStatus
		if _, waited := unix.Wait4(pid, &status, unix.WALL, nil); waited != unix.EINTR && (waited != nil || status.Exited() || status.Signaled()) {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("opening a user namespace: %w", err)
	}
	mappings[key] = fd
	return fd, nil
}
