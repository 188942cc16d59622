//go:build !linux

package inside

import (
	"errors"
	"net"
)

// Setup refuses: sandboxes need Linux.
func Setup(*net.UnixConn) (func() map[string]uint64, error) {
	return nil, errors.New("the network of a sandbox needs Linux")
}
