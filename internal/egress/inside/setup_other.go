//go:build !linux

package inside

import (
	"errors"
	"net"
)

// Setup refuses: sandboxes need Linux.
func Setup(*net.UnixConn) error { return errors.New("the network of a sandbox needs Linux") }
