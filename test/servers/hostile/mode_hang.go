package main

import "context"

var hang = mode{
	name:  "hang",
	about: "never answers tools/call; everything else works",
	request: func(ctx context.Context, _ *server, ex *exchange) bool {
		if !ex.calls() {
			return false
		}
		<-ctx.Done()
		return true
	},
}
