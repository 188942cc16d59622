package main

import (
	"context"
	"fmt"
	"os"
)

var chatter = mode{
	name:  "chatter",
	about: "stdio: works, with a line that is not JSON on standard output at start and before each answer",
	start: func(s *server) error {
		if s.opt.address == "" {
			fmt.Println("Server version 1.0 is starting ...")
		}
		return nil
	},
	request: func(_ context.Context, s *server, ex *exchange) bool {
		if s.opt.address != "" {
			fmt.Fprintln(os.Stderr, "hostile: over HTTP there is no place for chatter")
			return false
		}
		ex.peer.message([]byte("[debug] got " + ex.method))
		return false
	},
}
