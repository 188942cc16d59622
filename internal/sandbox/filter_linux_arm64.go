package sandbox

import "golang.org/x/sys/unix"

// statAt is what both architectures have under different names.
const statAt = unix.SYS_FSTATAT

// Everything that this architecture has, the other has too.

func conditionalHere() []condition { return nil }

func forbiddenHere() []call { return nil }

func allowedHere() []uintptr { return nil }

func observedHere() []uintptr { return nil }

func fileUsesHere(*notification, func(kind string, folder, at int), func(flags uint64) string) {
}
