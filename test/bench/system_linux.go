package main

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// endWithParent makes the kernel end the process when this one is killed.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }

// usedByOthers is the processor time that the whole machine has spent so far on
// anything but this program and the processes it has waited for; zero if it cannot
// be told.
func usedByOthers() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(text, []byte{'\n'})
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux
	var busy time.Duration
	for i, field := range bytes.Fields(line) { // cpu user nice system idle iowait irq softirq …
		if n, err := strconv.ParseInt(string(field), 10, 64); err == nil && i <= 7 && i != 4 && i != 5 {
			busy += time.Duration(n) * tick
		}
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) != nil {
			return 0
		}
		busy -= time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return busy
}
