package main

import "context"

var neverInitialize = mode{
	name:  "never-initialize",
	about: "reads everything and answers nothing, not even initialize or server/discover",
	request: func(ctx context.Context, _ *server, _ *exchange) bool {
		<-ctx.Done()
		return true
	},
}
