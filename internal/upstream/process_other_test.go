//go:build !linux

package upstream

import "os"

// What becomes of grandchildren is tested where the system tells it: on Linux.

func grandchild() {}

func spawn([]string) any { return nil }

func notifyTerm() <-chan os.Signal { return nil }
