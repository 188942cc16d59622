//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package approval

import (
	"errors"
	"os"
)

// BUG(gatehouse): approvals need flock, so they refuse on systems without it.
func tryLock(*os.File) error { return errors.ErrUnsupported }
