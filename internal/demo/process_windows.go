package demo

import (
	"os/exec"
	"strconv"
)

// ownGroup does nothing: Windows knows processes by their parents.
func ownGroup(*exec.Cmd) {}

// endGroup ends a program together with what it started.
func endGroup(cmd *exec.Cmd) error {
	_ = exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(cmd.Process.Pid)).Run()
	return cmd.Process.Kill()
}

// askToEnd ends a program by force: there is no signal that asks.
func askToEnd(cmd *exec.Cmd) error { return endGroup(cmd) }
