package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// grandchildArgument turns the program into the child that it leaves behind.
const grandchildArgument = "be-a-grandchild"

var orphan = mode{
	name:  "orphan",
	about: "works, with a child in its process group that ignores SIGTERM and holds standard output; pid in -record",
	start: func(s *server) error { return leaveBehind(s, &syscall.SysProcAttr{}) },
}

var orphanEscape = mode{
	name:  "orphan-escape",
	about: "as orphan, but the child left the process group for a session of its own",
	start: func(s *server) error { return leaveBehind(s, &syscall.SysProcAttr{Setsid: true}) },
}

func leaveBehind(s *server, attributes *syscall.SysProcAttr) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(self, grandchildArgument)
	child.SysProcAttr = attributes
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		return fmt.Errorf("starting the child: %w", err)
	}
	return s.tell(strconv.Itoa(child.Process.Pid))
}

func beGrandchild() error {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	time.Sleep(linger)
	return nil
}

// tellPID records the process's own id.
func (s *server) tellPID() error { return s.tell(strconv.Itoa(os.Getpid())) }
