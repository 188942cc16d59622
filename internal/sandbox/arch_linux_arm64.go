package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch   = unix.AUDIT_ARCH_AARCH64
	triplet     = "aarch64-linux-gnu"
	loaderFlags = 0x0a03 // ELF, libc6, AArch64
)
