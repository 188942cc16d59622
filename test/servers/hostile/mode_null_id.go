package main

import "context"

var nullID = mode{
	name:  "null-id",
	about: "tools/call is answered under the id null",
	request: func(_ context.Context, _ *server, ex *exchange) bool {
		return ex.calls() && ex.rawf(`{"jsonrpc":"2.0","id":null,"result":{"content":[]}}`) == nil
	},
}
