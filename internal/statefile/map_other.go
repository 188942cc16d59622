//go:build !(linux || darwin || freebsd)

package statefile

import (
	"errors"
	"os"
)

// Map does nothing here: readers might not see what was stored.
func Map(*os.File, int) ([]byte, error) { return nil, errors.ErrUnsupported }

// Unmap ends what Map began.
func Unmap([]byte) error { return nil }

// Flush returns when what was stored is on disk.
func Flush([]byte) error { return errors.ErrUnsupported }
