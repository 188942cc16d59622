//go:build unix

package demo

import (
	"os/exec"
	"syscall"
)

// ownGroup lets a program be ended together with what it started: npx starts the
// server as a child of its own.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// endGroup ends a program and whoever is left of its group. The group's id is not
// given to anybody else while it has a member.
func endGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// askToEnd asks a program to end in order.
func askToEnd(cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGTERM) }
