package egress

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"gatehouse/internal/egress/handover"
)

// Serve serves one sandbox until it ends, which is when the other end of conn is
// closed, or until ctx is done. It closes conn. Only a failure of the hand-over, or
// something unexpected from inside, is an error; in any case nothing is reached any
// more once Serve has returned.
func (b *Broker) Serve(ctx context.Context, conn *net.UnixConn) error {
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	sockets, err := handover.Receive(conn, b.forwards())
	if err != nil {
		return fmt.Errorf("setting up a sandbox's network: %w", err)
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer sockets.Close()
	defer cancel()
	b.v6.Store(len(sockets.UDP) > 1)
	for _, l := range sockets.TCP {
		serving.Go(func() { b.accept(ctx, l, original) })
	}
	for _, c := range sockets.UDP {
		serving.Go(func() { b.answerPackets(ctx, c) })
	}
	if err := handover.Ready(conn); err != nil {
		return fmt.Errorf("setting up a sandbox's network: %w", err)
	}
	if n, err := conn.Read(make([]byte, 1)); err == nil && n > 0 {
		return errors.New("the sandbox sent something after its sockets")
	}
	return nil
}

// original is what a connection was made to before nftables redirected it. The
// answer comes from the connection tracking of the socket's own namespace. What was
// made to the listener itself has no original, or itself.
func original(conn *net.TCPConn) (to netip.AddrPort, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, err
	}
	local, ok := conn.LocalAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, errors.New("not a TCP address")
	}
	v4 := local.IP.To4() != nil
	controlErr := raw.Control(func(fd uintptr) {
		if v4 {
			to, err = original4(int(fd))
		} else {
			to, err = original6(int(fd))
		}
	})
	return to, errors.Join(err, controlErr)
}

func original4(fd int) (netip.AddrPort, error) {
	var a unix.RawSockaddrInet4
	if err := getsockopt(fd, unix.SOL_IP, unix.SO_ORIGINAL_DST, unsafe.Pointer(&a), unsafe.Sizeof(a)); err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), networkOrder(a.Port)), nil
}

func original6(fd int) (netip.AddrPort, error) {
	var a unix.RawSockaddrInet6
	if err := getsockopt(fd, unix.SOL_IPV6, unix.SO_ORIGINAL_DST, unsafe.Pointer(&a), unsafe.Sizeof(a)); err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), networkOrder(a.Port)), nil
}

func getsockopt(fd, level, name int, value unsafe.Pointer, size uintptr) error {
	length := uint32(size)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(value), uintptr(unsafe.Pointer(&length)), 0)
	switch {
	case errno != 0:
		return os.NewSyscallError("getsockopt", errno)
	case uintptr(length) != size:
		return errors.New("getsockopt: an address of another size")
	}
	return nil
}

func networkOrder(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

// maxPeek is enough to tell a request of HTTP.
const maxPeek = 8

// clientSpeaks waits until either side sends something. It returns the first bytes
// of the client, which stay to be read, or nothing if the host speaks first.
func clientSpeaks(client, upstream *net.TCPConn) ([]byte, error) {
	deadline := time.Now().Add(idleTimeout)
	_ = client.SetReadDeadline(deadline)
	_ = upstream.SetReadDeadline(deadline)
	done := make(chan struct{})
	var hostFirst bool
	go func() {
		defer close(done)
		if _, err := peek(upstream); err == nil {
			hostFirst = true
			_ = client.SetReadDeadline(time.Unix(1, 0)) // wakes the other
		}
	}()
	first, err := peek(client)
	_ = upstream.SetReadDeadline(time.Unix(1, 0))
	<-done
	_ = client.SetReadDeadline(time.Time{})
	_ = upstream.SetReadDeadline(time.Time{})
	if err != nil && hostFirst {
		return nil, nil
	}
	return first, err
}

// peek waits for bytes and leaves them where they are. At the end of a stream there
// are none.
func peek(conn *net.TCPConn) ([]byte, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	buffer := make([]byte, maxPeek)
	n := 0
	var peekErr error
	err = raw.Read(func(fd uintptr) bool {
		n, _, peekErr = unix.Recvfrom(int(fd), buffer, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return !errors.Is(peekErr, unix.EAGAIN) && !errors.Is(peekErr, unix.EINTR)
	})
	if err := errors.Join(err, peekErr); err != nil {
		return nil, err
	}
	return buffer[:n], nil
}
