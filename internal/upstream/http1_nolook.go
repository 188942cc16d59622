//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package upstream

const canLook = false

func (c *conn) silent() bool { return false }
