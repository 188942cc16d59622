//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// outsideFile lies in the root but in no rule of Landlock. The probe must not be
// able to read it.
const outsideFile = "/.outside"

// rootBytes and rootFiles bound the root itself, which holds empty folders, links
// and a few small files.
const (
	rootBytes = "16m"
	rootFiles = "32k"
)

// A file costs memory of the kernel beside its bytes. There may be as many as there
// are pages in the bound for the bytes, within these bounds.
const minScratchFiles, maxScratchFiles = 1 << 10, 1 << 16

// enter makes the world of the server around this process.
func enter(s *spec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("leaving the mounts of the machine: %w", err)
	}
	sources, err := openSources(s.Mounts)
	if err != nil {
		return err
	}
	root, err := makeRoot(s)
	if err != nil {
		return err
	}
	for i, m := range s.Mounts {
		if err := place(root, m, sources[i]); err != nil {
			return fmt.Errorf("showing %s: %w", m.Path, err)
		}
		if !m.Blank {
			unix.Close(sources[i])
		}
	}
	if err := makeProc(root); err != nil {
		return err
	}
	if err := unix.Chdir(root); err != nil {
		return err
	}
	// pivot_root(2): "the following trick ... makes it unnecessary to have a
	// directory for the old root".
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("changing the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	if err := setAttr(unix.AT_FDCWD, "/", 0, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV); err != nil {
		return fmt.Errorf("making the root read-only: %w", err)
	}
	if err := unix.Sethostname([]byte("sandbox")); err != nil {
		return fmt.Errorf("naming the host: %w", err)
	}
	return nil
}

// openSources takes hold of everything that is to be seen inside, before anything
// is mounted over it. A link on the way is refused: it was followed when the sandbox
// was planned, and one that appeared since leads somewhere else.
func openSources(mounts []mount) ([]int, error) {
	fds := make([]int, len(mounts))
	for i, m := range mounts {
		if m.Lent > 0 || m.Blank {
			fds[i] = m.Lent
			continue
		}
		tree, err := openTree(m)
		if err != nil {
			return nil, err
		}
		fds[i] = tree
	}
	return fds, nil
}

// openTree is a mount of something of the machine, with what is mounted in it,
// restricted and not yet attached anywhere.
func openTree(m mount) (int, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, m.Path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return 0, fmt.Errorf("opening %s: %w", m.Path, err)
	}
	defer unix.Close(fd)
	tree, err := unix.OpenTree(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("taking hold of %s: %w", m.Path, err)
	}
	attr := uint64(unix.MOUNT_ATTR_NOSUID)
	if !m.Device {
		attr |= unix.MOUNT_ATTR_NODEV
	}
	if !m.Write {
		attr |= unix.MOUNT_ATTR_RDONLY
	}
	if err := setAttr(tree, "", unix.AT_RECURSIVE, attr); err != nil {
		unix.Close(tree)
		return 0, fmt.Errorf("restricting %s: %w", m.Path, err)
	}
	return tree, nil
}

func setAttr(dir int, path string, flags uint, attr uint64) error {
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	return unix.MountSetattr(dir, path, flags, &unix.MountAttr{Attr_set: attr})
}

// makeRoot makes the root with everything that is not the machine's.
func makeRoot(s *spec) (string, error) {
	base := "/tmp" // hidden by the mount only for us, and gone with the old root
	if _, err := os.Stat(base); err != nil {
		base = "/usr"
	}
	if err := unix.Mount("sandbox", base, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size="+rootBytes+",nr_inodes="+rootFiles); err != nil {
		return "", fmt.Errorf("mounting the root: %w", err)
	}
	unix.Umask(0)
	if err := scratch(base, s); err != nil {
		return "", err
	}
	for _, folder := range append([]string{"/dev", "/proc", "/etc"}, s.Folders...) {
		if err := os.MkdirAll(filepath.Join(base, folder), 0o755); err != nil {
			return "", err
		}
	}
	for _, l := range append(s.Links, link{"/dev/fd", "/proc/self/fd"}, link{"/dev/stdin", "/proc/self/fd/0"}, link{"/dev/stdout", "/proc/self/fd/1"}, link{"/dev/stderr", "/proc/self/fd/2"}) {
		at := filepath.Join(base, l.Path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return "", err
		}
		if err := os.Symlink(l.Target, at); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	for _, f := range append(s.Files, file{Path: outsideFile, Data: []byte("the probe must not read this\n")}) {
		if err := write(base, f, s); err != nil {
			return "", fmt.Errorf("writing %s: %w", f.Path, err)
		}
	}
	return base, nil
}

func write(base string, f file, s *spec) error {
	at, mode := filepath.Join(base, f.Path), os.FileMode(0o644)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	if f.Secret {
		mode = 0o400
	}
	if err := os.WriteFile(at, f.Data, mode); err != nil || !f.Secret {
		return err
	}
	return os.Chown(at, s.UID, s.GID)
}

// scratch mounts what the server may fill: one file system, so that one bound holds
// for all of it.
func scratch(base string, s *spec) error {
	hidden := filepath.Join(base, ".scratch")
	if err := os.Mkdir(hidden, 0o700); err != nil {
		return err
	}
	files := maxScratchFiles
	if s.Scratch > 0 {
		files = min(max(s.Scratch/os.Getpagesize(), minScratchFiles), maxScratchFiles)
	}
	options := fmt.Sprintf("mode=700,nr_inodes=%d", files)
	if s.Scratch > 0 {
		options += fmt.Sprintf(",size=%d", s.Scratch)
	}
	if err := unix.Mount("scratch", hidden, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mounting /tmp: %w", err)
	}
	for name, target := range map[string]string{"tmp": "/tmp", "shm": "/dev/shm"} {
		from, to := filepath.Join(hidden, name), filepath.Join(base, target)
		const everybody = os.FileMode(0o777) | os.ModeSticky
		if err := errors.Join(os.Mkdir(from, everybody), os.Chmod(from, everybody), os.MkdirAll(to, 0o755)); err != nil {
			return err
		}
		if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", target, err)
		}
	}
	home := filepath.Join(base, temporaryHome)
	if err := errors.Join(os.Mkdir(home, 0o700), os.Chown(home, s.UID, s.GID)); err != nil {
		return err
	}
	if err := unix.Unmount(hidden, unix.MNT_DETACH); err != nil {
		return err
	}
	return os.Remove(hidden)
}

// place mounts one thing at its path below the root. What lies within another mount
// is there already; everything else gets an empty place first.
func place(root string, m mount, tree int) error {
	if !m.Inner {
		if err := makePlace(root, m); err != nil {
			return err
		}
	}
	if m.Blank {
		return unix.Mount("nothing", filepath.Join(root, m.Path), "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "mode=0,size=4k")
	}
	base, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(base)
	at, err := unix.Openat2(base, strings.TrimPrefix(m.Path, "/"), &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS})
	if err != nil {
		return err
	}
	defer unix.Close(at)
	return unix.MoveMount(tree, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

func makePlace(root string, m mount) error {
	at := filepath.Join(root, m.Path)
	if m.Folder {
		return os.MkdirAll(at, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(at, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// masked are files of /proc that tell about the machine or command it, whoever
// asks.
var masked = []string{
	"kcore", "keys", "key-users", "kallsyms", "kmsg", "sysrq-trigger", "timer_list", "latency_stats", "sched_debug", "config.gz", "vmallocinfo", "pagetypeinfo", "slabinfo",
	"iomem", "ioports", "modules", "mtrr", "kpagecount", "kpageflags", "kpagecgroup", "interrupts", "softirqs", "swaps", "diskstats", "partitions",
}

// makeProc mounts the processes of this sandbox, each visible to itself only, and
// nothing of it writable.
func makeProc(root string) error {
	at := filepath.Join(root, "proc")
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("proc", at, "proc", flags, "hidepid=invisible"); err != nil {
		if err := unix.Mount("proc", at, "proc", flags, "hidepid=2"); err != nil { // Linux 5.7 and older
			return fmt.Errorf("mounting /proc: %w", err)
		}
	}
	// memfd_create(2) makes files that are programs and lie nowhere; a server may
	// only start what its profile names. Kernels before 6.3 have no such switch.
	_ = os.WriteFile(filepath.Join(at, "sys/vm/memfd_noexec"), []byte("1"), 0)
	null := filepath.Join(root, "dev/null")
	for _, name := range masked {
		target := filepath.Join(at, name)
		if _, err := os.Lstat(target); err != nil {
			continue
		}
		if err := unix.Mount(null, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("covering /proc/%s: %w", name, err)
		}
	}
	if err := setAttr(unix.AT_FDCWD, at, unix.AT_RECURSIVE, unix.MOUNT_ATTR_RDONLY); err != nil {
		return fmt.Errorf("making /proc read-only: %w", err)
	}
	return nil
}

// loopbackUp lets the processes of the sandbox reach each other. It is the only
// interface that they have.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("starting the loopback interface: %w", err)
	}
	return nil
}
