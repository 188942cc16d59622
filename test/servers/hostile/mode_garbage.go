package main

import "context"

var garbage = mode{
	name:  "garbage",
	about: "tools/call is answered by text that is not JSON",
	request: func(_ context.Context, _ *server, ex *exchange) bool {
		return ex.calls() && ex.raw([]byte("Segmentation fault (core dumped)")) == nil
	},
}
