package main

import "context"

var badUTF8 = mode{
	name:  "bad-utf8",
	about: "the text in the result of tools/call is not valid UTF-8",
	request: func(_ context.Context, _ *server, ex *exchange) bool {
		return ex.calls() && ex.rawf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"%s"}]}}`,
			ex.id, "\xff\xfe\xc0\xaf") == nil
	},
}
