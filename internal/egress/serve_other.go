//go:build !linux

package egress

import (
	"context"
	"errors"
	"net"
)

var errLinuxOnly = errors.New("a sandbox's network needs Linux")

// Serve refuses: there are no network namespaces here.
func (b *Broker) Serve(context.Context, *net.UnixConn) error { return errLinuxOnly }

func clientSpeaks(*net.TCPConn, *net.TCPConn) ([]byte, error) { return nil, errLinuxOnly }
