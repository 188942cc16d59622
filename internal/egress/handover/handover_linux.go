package handover

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Pair makes the two ends of a hand-over: one for the broker, one to be inherited by
// the first process of a sandbox, which turns it into a connection by Inherit.
func Pair() (broker *net.UnixConn, inside *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making a pair of sockets: %w", err)
	}
	inside = os.NewFile(uintptr(fds[1]), "egress")
	if broker, err = Inherit(os.NewFile(uintptr(fds[0]), "egress")); err != nil {
		inside.Close()
		return nil, nil, err
	}
	return broker, inside, nil
}

// Inherit turns an end of a Pair into a connection and closes the file.
func Inherit(file *os.File) (*net.UnixConn, error) {
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("taking over a socket: %w", err)
	}
	if unixConn, ok := conn.(*net.UnixConn); ok {
		return unixConn, nil
	}
	conn.Close()
	return nil, errors.New("taking over a socket: not a unix socket")
}

// Sockets of one network namespace. IPv6 has none where the kernel has no IPv6.
type Sockets struct {
	TCP []*net.TCPListener
	UDP []*net.UDPConn
}

// Close closes all of them.
func (s *Sockets) Close() error {
	var errs []error
	for _, l := range s.TCP {
		errs = append(errs, l.Close())
	}
	for _, c := range s.UDP {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Receive is the broker's side up to the sockets; Ready is the rest of it.
func Receive(conn *net.UnixConn, forwards []netip.AddrPort) (*Sockets, error) {
	packet, err := encodeForwards(forwards)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte(packet)); err != nil {
		return nil, fmt.Errorf("greeting the sandbox: %w", err)
	}
	fds, err := receive(conn)
	if err != nil {
		return nil, fmt.Errorf("receiving the sandbox's sockets: %w", err)
	}
	return adopt(fds)
}

// Ready tells the inside that its sockets are served from now on.
func Ready(conn *net.UnixConn) error {
	if _, err := conn.Write([]byte(ready)); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

const maxSockets = 4

func receive(conn *net.UnixConn) ([]int, error) {
	packet := make([]byte, maxPacket)
	control := make([]byte, unix.CmsgSpace(maxSockets*4))
	n, controlLen, flags, _, err := conn.ReadMsgUnix(packet, control)
	if err != nil {
		return nil, err
	}
	fds, err := rights(control[:controlLen])
	if err == nil && (flags&(unix.MSG_CTRUNC|unix.MSG_TRUNC) != 0 || string(packet[:n]) != gift || len(fds)%2 != 0 || len(fds) == 0) {
		err = errUnexpected
	}
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	return fds, nil
}

func rights(control []byte) (fds []int, err error) {
	messages, err := unix.ParseSocketControlMessage(control)
	for i := range messages {
		list, parseErr := unix.ParseUnixRights(&messages[i])
		err = errors.Join(err, parseErr)
		fds = append(fds, list...)
	}
	return fds, err
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// adopt takes TCP and UDP in turn and makes sure that each is what it should be.
func adopt(fds []int) (*Sockets, error) {
	s := &Sockets{}
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "sandbox")
		err := s.add(file, i%2 == 0)
		file.Close()
		if err != nil {
			s.Close()
			closeAll(fds[i+1:])
			return nil, err
		}
	}
	return s, nil
}

func (s *Sockets) add(file *os.File, stream bool) error {
	if !stream {
		conn, err := net.FilePacketConn(file)
		if err != nil {
			return fmt.Errorf("a socket for names: %w", err)
		}
		if udp, ok := conn.(*net.UDPConn); ok {
			s.UDP = append(s.UDP, udp)
			return nil
		}
		conn.Close()
		return fmt.Errorf("a socket for names: %w", errUnexpected)
	}
	l, err := net.FileListener(file)
	if err != nil {
		return fmt.Errorf("a socket for connections: %w", err)
	}
	if tcp, ok := l.(*net.TCPListener); ok {
		s.TCP = append(s.TCP, tcp)
		return nil
	}
	l.Close()
	return fmt.Errorf("a socket for connections: %w", errUnexpected)
}

// Await is the inside's first step: it returns the addresses on loopback that lead
// out of the sandbox.
func Await(conn *net.UnixConn) ([]netip.AddrPort, error) {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	packet := make([]byte, maxPacket)
	n, err := conn.Read(packet)
	if err != nil {
		return nil, fmt.Errorf("waiting for the broker: %w", err)
	}
	return decodeForwards(string(packet[:n]))
}

// Give hands the sockets over and returns when the broker serves them.
func Give(conn *net.UnixConn, s *Sockets) error {
	var fds []int
	for i := range s.TCP {
		for _, holder := range []interface{ File() (*os.File, error) }{s.TCP[i], s.UDP[i]} {
			file, err := holder.File()
			if err != nil {
				return err
			}
			defer file.Close()
			fds = append(fds, int(file.Fd()))
		}
	}
	if _, _, err := conn.WriteMsgUnix([]byte(gift), unix.UnixRights(fds...), nil); err != nil {
		return fmt.Errorf("handing the sockets over: %w", err)
	}
	packet := make([]byte, len(ready)+1)
	n, err := conn.Read(packet)
	if err != nil {
		return fmt.Errorf("waiting for the broker: %w", err)
	}
	if string(packet[:n]) != ready {
		return fmt.Errorf("waiting for the broker: %w", errUnexpected)
	}
	return conn.SetDeadline(time.Time{})
}
