package main

import "context"

var resultAndError = mode{
	name:  "result-and-error",
	about: "the answer to tools/call has a result and an error",
	request: func(_ context.Context, _ *server, ex *exchange) bool {
		return ex.calls() && ex.raw(encode(object{"jsonrpc": "2.0", "id": ex.id,
			"result": textResult("all is well"),
			"error":  object{"code": -32000, "message": "nothing is well"},
		})) == nil
	},
}
