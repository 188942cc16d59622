//go:build !unix

package cli

import "os"

// haltSignals halt everything; this system has none that is free.
var haltSignals []os.Signal
