//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package upstream

import (
	"errors"
	"syscall"
)

// canLook says that this system can tell whether a connection is silent.
const canLook = true

// silent reports whether the connection is open and nothing waits to be read on
// it. What cannot be told is no.
func (c *conn) silent() bool {
	if c.raw == nil {
		return false
	}
	silent := false
	err := c.raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK) // never waits: Go's sockets do not block
		silent = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && silent
}
