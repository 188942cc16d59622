package main

import "time"

var slowStart = mode{
	name:  "slow-start",
	about: "reads nothing for -delay, then behaves",
	start: func(s *server) error {
		time.Sleep(s.opt.delay)
		return nil
	},
}
