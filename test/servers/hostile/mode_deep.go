package main

import (
	"context"
	"strings"
)

// depth is far more than a stack of recursive calls should be asked to hold.
const depth = 100_000

var deep = mode{
	name:  "deep",
	about: "structuredContent of the result of tools/call is nested 100,000 deep",
	request: func(_ context.Context, _ *server, ex *exchange) bool {
		return ex.calls() && ex.rawf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[],"structuredContent":%s%s}}`,
			ex.id, strings.Repeat("[", depth), strings.Repeat("]", depth)) == nil
	},
}
