//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"gatehouse/internal/profile"
)

// What a sandbox refuses is on record. The kernel tells the first process of each
// system call that the filter forbids (seccomp_unotify(2)) and lets the server wait
// for the answer, which is always no: whether a call is forbidden is decided by its
// number and the values in its registers, which the server cannot change any more.
// Calls that are not forbidden do not come here, except those that start a program,
// and, if the profile asks for it, those that open and change files; they go on
// whatever is found, and the rest of the sandbox decides about them.

// recorder collects what was refused, and what a server uses if that is observed.
type recorder struct {
	decides []unix.SockFilter // the filter, which says what the answer is
	files   bool              // files that are opened and changed are looked at
	look    *onlooker
	uses    *observer // nil unless the server is observed
	begin   func()    // called when the server is about to begin

	saying sync.Mutex // one message at a time

	mu      sync.Mutex
	started bool // the launcher has become the server
	tallies map[refusal]*tally
	others  int // refusals that are not told apart any more
}

// recorder is one for the server of s.
func (s *spec) recorder() *recorder {
	shown := s.Mounts
	if s.Contained != "" { // the whole image is shown
		shown = append([]mount{{Path: "/", Folder: true, Exec: true}}, shown...)
	}
	return &recorder{decides: s.filter().program(), files: s.RecordFiles, look: &onlooker{shown}, tallies: map[refusal]*tally{}}
}

// refusal is one that is told apart.
type refusal struct {
	Control, What string
	// Outside is a path that must be there on the machine; what is nowhere was not
	// refused.
	Outside string `json:",omitempty"`
	Times   int
}

// tally is how often something was refused, and how often it had been when that was
// said last.
type tally struct{ times, said int }

// maxRefusals bounds what is told apart of one server. What comes after that is
// counted in one number.
const maxRefusals = 512

// maxWhat bounds the text of one refusal, which may hold what the server chose.
const maxWhat = 300

// note counts a refusal, or several at once.
func (r *recorder) note(control, what, outside string, times int) {
	if times <= 0 {
		return
	}
	f := refusal{Control: control, What: printable(what), Outside: outside}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.started {
		return // it was the probe
	}
	t, known := r.tallies[f]
	switch {
	case known:
		t.times += times
	case len(r.tallies) < maxRefusals:
		r.tallies[f] = &tally{times: times}
	default:
		r.others += times
	}
}

// printable is a text as it may stand in a log.
func printable(text string) string {
	clean := strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return '?'
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
	return strings.ToValidUTF8(clean[:min(len(clean), maxWhat)], "")
}

// due takes what is to be said now: what is new, and what has become ten times as
// much, so that a server that tries something a million times makes seven records of
// it. At the end everything that has changed is due.
func (r *recorder) due(end bool) []refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []refusal
	for f, t := range r.tallies {
		if t.said == 0 || t.times >= 10*t.said || end && t.times > t.said {
			t.said = t.times
			f.Times = t.times
			out = append(out, f)
		}
	}
	if end && r.others > 0 {
		out = append(out, refusal{Control: SystemCalls, What: "other attempts, which were too many to tell apart", Times: r.others})
		r.others = 0
	}
	slices.SortFunc(out, func(a, b refusal) int { return strings.Compare(a.Control+a.What, b.Control+b.What) })
	return out
}

// begins reports whether the server has not begun yet; with its first program it does.
func (r *recorder) begins(program bool) (before bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before = !r.started
	if before && program {
		r.begin()
		r.started = true
	}
	return before
}

// told are the calls of which the kernel tells although they are not forbidden.
func told(s *spec) []uintptr {
	if s.Observe || s.RecordFiles {
		return observed()
	}
	return []uintptr{unix.SYS_EXECVE, unix.SYS_EXECVEAT}
}

// notify makes the kernel tell of a call and wait for an answer.
const notify = unix.SECCOMP_RET_USER_NOTIF

// notification is struct seccomp_notif; answer is struct seccomp_notif_resp.
type notification struct {
	id         uint64
	pid, flags uint32
	number     int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type answer struct {
	id    uint64
	value int64
	err   int32
	flags uint32
}

const (
	receiveNotification = 0xc0502100 // SECCOMP_IOCTL_NOTIF_RECV
	sendAnswer          = 0xc0182101 // SECCOMP_IOCTL_NOTIF_SEND
	setFlags            = 0x40082104 // SECCOMP_IOCTL_NOTIF_SET_FLAGS
	goOn                = 1          // SECCOMP_USER_NOTIF_FLAG_CONTINUE
	wakeInTurn          = 1          // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
)

// receive takes the descriptor from the launcher, and answers until nobody is left.
// Whatever ends this leaves the server without the calls that are told: the kernel
// fails them with ENOSYS.
func (r *recorder) receive(socket int) {
	listener, err := takeListener(socket)
	unix.Close(socket)
	if err != nil {
		return
	}
	defer unix.Close(listener)
	// Where the kernel knows how, who asks and who answers take turns on one processor.
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), setFlags, wakeInTurn)
	for {
		var n notification
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), receiveNotification, uintptr(unsafe.Pointer(&n)))
		switch errno {
		case 0:
		case unix.EINTR:
			continue
		case unix.ENOENT: // the process was killed meanwhile, or none is left
			poll := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
			if _, err := unix.Poll(poll, 0); err == nil && poll[0].Revents&unix.POLLHUP != 0 {
				return
			}
			continue
		default:
			return
		}
		reply := answer{id: n.id, err: -int32(unix.EPERM)}
		if decide(r.decides, &n) == allow {
			r.seen(&n)
			reply = answer{id: n.id, flags: goOn}
		} else {
			r.note(controlOf(&n), describe(&n), "", 1)
		}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), sendAnswer, uintptr(unsafe.Pointer(&reply)))
	}
}

func takeListener(socket int) (int, error) {
	space := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), space, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(space[:n])
	if err != nil || len(messages) != 1 {
		return 0, errors.Join(err, errors.New("not one message"))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return 0, errors.Join(err, errors.New("not one descriptor"))
	}
	return fds[0], nil
}

// seen looks at a call that goes on.
func (r *recorder) seen(n *notification) {
	call := uintptr(n.number)
	starts := call == unix.SYS_EXECVE || call == unix.SYS_EXECVEAT
	if before := r.begins(call == unix.SYS_EXECVE); before {
		return
	}
	if r.uses != nil {
		r.uses.take(n)
		return
	}
	if starts || r.files {
		for _, u := range fileUses(n) {
			if refused, control, what, outside := r.look.refuses(int(n.pid), u); refused {
				r.note(control, what, outside, 1)
			}
		}
	}
}

// controlOf is the control that a forbidden call belongs to.
func controlOf(n *notification) string {
	switch uintptr(n.number) {
	case unix.SYS_SOCKET, unix.SYS_SOCKETPAIR:
		if n.args[0] == unix.AF_UNIX {
			return Sockets
		}
	case unix.SYS_SETUID, unix.SYS_SETREUID, unix.SYS_SETRESUID, unix.SYS_SETGID, unix.SYS_SETREGID, unix.SYS_SETRESGID, unix.SYS_SETGROUPS:
		return Privileges
	case unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_TGKILL, unix.SYS_PIDFD_OPEN:
		return Namespaces
	}
	return SystemCalls
}

// describe names a forbidden call, and what of it is forbidden.
func describe(n *notification) string {
	for _, c := range forbidden() {
		if uint32(c.number) == uint32(n.number) {
			return c.name
		}
	}
	for _, c := range (filter{}).conditional() {
		switch {
		case c.number != uint32(n.number):
		case c.what != "":
			return c.name + ": " + c.what
		case c.name == "socket" || c.name == "socketpair":
			return fmt.Sprintf("%s: family %s, type %s", c.name, nameOr(families, uint32(n.args[0])), nameOr(types, uint32(n.args[1])&socketTypes))
		default:
			return c.name
		}
	}
	return fmt.Sprintf("system call %d", n.number) // shared memory of nobody, where memory is watched
}

var (
	families = map[uint32]string{
		unix.AF_UNIX: "unix", unix.AF_INET: "inet", unix.AF_INET6: "inet6", unix.AF_NETLINK: "netlink", unix.AF_PACKET: "packet", unix.AF_ALG: "alg", unix.AF_VSOCK: "vsock",
	}
	types = map[uint32]string{
		unix.SOCK_STREAM: "stream", unix.SOCK_DGRAM: "datagram", unix.SOCK_RAW: "raw", unix.SOCK_SEQPACKET: "seqpacket", sockPacket: "packet",
	}
)

func nameOr(names map[uint32]string, number uint32) string {
	if name, known := names[number]; known {
		return name
	}
	return fmt.Sprint(number)
}

// message is what the first process says while the server runs.
type message struct {
	Refused []refusal     `json:",omitempty"`
	Uses    []profile.Use `json:",omitempty"` // once, at the end, of a server that is observed
}

// say tells the gateway what is due. If the gateway does not listen, nobody waits but
// this.
func (r *recorder) say(gateway *os.File, end bool) {
	r.saying.Lock()
	defer r.saying.Unlock()
	m := message{Refused: r.due(end)}
	if end && r.uses != nil {
		m.Uses = r.uses.all()
	}
	if len(m.Refused) > 0 || len(m.Uses) > 0 {
		_ = writeFrame(gateway, m) // a gateway that is gone ends this process
	}
}

// lastWord says everything that is left to say, or ends this process when nobody
// listens for too long: a gateway that hangs keeps no sandbox alive.
func (r *recorder) lastWord(gateway *os.File, code int) {
	late := time.AfterFunc(lastWord, func() { os.Exit(code) })
	defer late.Stop()
	r.say(gateway, true)
}

// refuseName answers a query for a name, where the sandbox has no network: there is no
// such name. It notes which was asked for, so that an attempt to carry something out in
// a name is on record with the name.
func (r *recorder) refuseName(query []byte) (reply []byte) {
	name, end := questionName(query)
	if end == 0 {
		return nil
	}
	r.note(Network, "the name "+name, "", 1)
	reply = slices.Clone(query[:end+4])
	copy(reply[2:], []byte{0x81, 0x83}) // an answer: there is no such name (RFC 1035, section 4.1.1)
	clear(reply[6:12])                  // and no records
	return reply
}
