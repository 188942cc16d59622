//go:build !unix

package upstream

import "time"

func processorTime() time.Duration { return 0 }
