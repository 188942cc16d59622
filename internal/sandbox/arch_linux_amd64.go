package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch   = unix.AUDIT_ARCH_X86_64
	triplet     = "x86_64-linux-gnu"
	loaderFlags = 0x0303 // ELF, libc6, x86-64
)
