//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Descriptors of the launcher.
const (
	ordersFD  = 3
	answersFD = 4 // listenerFD follows
)

// runLaunch gives up everything that the server must not have, proves it, and
// becomes the server. What it gives up belongs to a thread; the others of this
// process end with the exec.
func runLaunch() int {
	runtime.LockOSThread()
	unix.CloseOnExec(ordersFD)
	unix.CloseOnExec(answersFD)
	unix.CloseOnExec(listenerFD)
	orders, answers := os.NewFile(ordersFD, "orders"), os.NewFile(answersFD, "answers")
	var s spec
	err := readFrame(orders, &s)
	orders.Close()
	if err != nil {
		return exitNotStarted
	}
	var told outcome
	if err := s.restrict(); err != nil {
		told.Error = err.Error()
	} else {
		told.Report = s.probe()
		if err := told.Report.Err(s.Allowed); err != nil {
			told.Error = err.Error()
		}
	}
	if err := writeFrame(answers, told); err != nil || told.Error != "" || s.Trial {
		return exitNotStarted
	}
	err = syscall.Exec(s.Program, s.Args, s.Env)
	told.Error = fmt.Sprintf("%s: %v", s.Program, err)
	_ = writeFrame(answers, told)
	return exitNotStarted
}

// restrict takes everything away, in the order in which each step still may.
func (s *spec) restrict() error {
	unix.Umask(0o022)
	if err := s.takePlace(); err != nil {
		return err
	}
	if err := unix.CloseRange(ordersFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("closing what was inherited: %w", err)
	}
	if err := s.lockFiles(); err != nil {
		return err
	}
	if s.Contained == "" { // an engine has taken them away already, which the probe makes sure of
		if err := s.dropPrivileges(); err != nil {
			return err
		}
	}
	if err := refuseNewPrivileges(); err != nil {
		return err
	}
	if err := s.Limits.apply(); err != nil {
		return err
	}
	listener, err := loadFilter(s.filter().loaded(told(s)))
	if err != nil {
		return err
	}
	if err := handOver(listener); err != nil {
		return fmt.Errorf("handing out the listener: %w", err)
	}
	return nil
}

// takePlace goes to where the server begins, and finds its program if that is in an
// image.
func (s *spec) takePlace() error {
	err := unix.Chdir(s.Dir)
	if s.Contained != "" {
		if err != nil {
			return fmt.Errorf("entering %s: %w", s.Dir, err)
		}
		s.Program, err = s.lookUp(s.Args[0])
		return err
	}
	if err != nil {
		if err := unix.Chdir(s.Home); err != nil && !s.Trial {
			return fmt.Errorf("entering %s: %w", s.Home, err)
		}
	}
	return nil
}

// filter is that of the server.
func (s *spec) filter() filter {
	return filter{UID: s.UID, GID: s.GID, Watched: s.Watch > 0 || s.Contained != "", NoUnix: s.NoUnix}
}

// lastCapability is beyond any that a kernel knows; dropping an unknown one says
// so and ends the loop.
const lastCapability = 63

// dropPrivileges makes this thread an ordinary user who can become nobody else.
func (s *spec) dropPrivileges() error {
	for c := range uintptr(lastCapability) {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err == unix.EINVAL {
			break
		} else if err != nil {
			return fmt.Errorf("dropping privileges: %w", err)
		}
	}
	// capabilities(7): root is a user like any other, and stays so.
	const bits = 1<<0 | 1<<1 | 1<<5 | 1<<6 | 1<<7 // NOROOT and its lock, KEEP_CAPS_LOCKED, NO_CAP_AMBIENT_RAISE and its lock
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, bits, 0, 0, 0); err != nil {
		return fmt.Errorf("locking privileges: %w", err)
	}
	if os.Getuid() != s.UID || os.Getgid() != s.GID {
		if err := syscall.Setgroups(nil); err != nil {
			return fmt.Errorf("leaving all groups: %w", err)
		}
		if err := syscall.Setresgid(s.GID, s.GID, s.GID); err != nil {
			return fmt.Errorf("becoming group %d: %w", s.GID, err)
		}
		if err := syscall.Setresuid(s.UID, s.UID, s.UID); err != nil {
			return fmt.Errorf("becoming user %d: %w", s.UID, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("dropping privileges: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("dropping privileges: %w", err)
	}
	return nil
}

func refuseNewPrivileges() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("refusing new privileges: %w", err)
	}
	return nil
}

// loadFilter puts a filter on this thread and what is started from it, and returns
// the descriptor that is told of calls.
func loadFilter(program []unix.SockFilter) (listener int, err error) {
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	defer runtime.KeepAlive(program)
	// A signal must not make the kernel tell of one call twice; kernels before 5.19 do not know how.
	for _, flags := range []uintptr{unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER} {
		fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
		if errno == 0 {
			return int(fd), nil
		}
		if err = errno; errno != unix.EINVAL {
			break
		}
	}
	return 0, fmt.Errorf("filtering system calls: %w", err)
}
