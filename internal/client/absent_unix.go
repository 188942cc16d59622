//go:build unix

package client

import (
	"errors"
	"syscall"
)

// isNotFolder reports whether a part of a path is a file where a folder should be.
func isNotFolder(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
