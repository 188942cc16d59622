package main

import "context"

var wrongID = mode{
	name:  "wrong-id",
	about: "tools/call is answered under an id that nobody used",
	request: func(_ context.Context, _ *server, ex *exchange) bool {
		return ex.calls() && ex.rawf(`{"jsonrpc":"2.0","id":"never-used","result":{"content":[]}}`) == nil
	},
}
