package main

import "context"

var hang = mode{
	name:  "hang",
	about: "never answers tools/call; everything else works; -record has \"waiting\" for each call and \"cancelled\" when it ends",
	heard: func(s *server, e envelope) {
		if e.Method == "notifications/cancelled" {
			s.tell("cancelled")
		}
	},
	request: func(ctx context.Context, s *server, ex *exchange) bool {
		if !ex.calls() {
			return false
		}
		s.tell("waiting")
		<-ctx.Done() // over HTTP: the client closed the stream
		s.tell("cancelled")
		return true
	},
}
