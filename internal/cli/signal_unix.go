//go:build unix

package cli

import (
	"os"
	"syscall"
)

// haltSignals halt everything.
var haltSignals = []os.Signal{syscall.SIGUSR1}
