package main

import "context"

var batch = mode{
	name:  "batch",
	about: "the answer to tools/call comes inside an array",
	request: func(_ context.Context, _ *server, ex *exchange) bool {
		return ex.calls() && ex.raw(encode([]object{{"jsonrpc": "2.0", "id": ex.id, "result": textResult("all is well")}})) == nil
	},
}
