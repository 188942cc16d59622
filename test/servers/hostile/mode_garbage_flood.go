package main

import (
	"context"
	"strings"
)

var garbageFlood = mode{
	name:  "garbage-flood",
	about: "tools/call is answered by lines that are not JSON, without end",
	request: func(ctx context.Context, _ *server, ex *exchange) bool {
		if !ex.calls() {
			return false
		}
		repeat(ctx, ex.peer, []byte(strings.Repeat("lorem ipsum ", 20)))
		return true
	},
}
