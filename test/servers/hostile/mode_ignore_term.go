package main

import (
	"os/signal"
	"syscall"
	"time"
)

// linger bounds the life of a process that does not want to end, so that a
// failed test leaves nothing behind for long.
const linger = 5 * time.Minute

var ignoreTerm = mode{
	name:  "ignore-term",
	about: "works, but stays when its input ends and when it gets SIGTERM (5 minutes at most)",
	start: func(s *server) error {
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		s.linger = linger
		return s.tellPID()
	},
}
