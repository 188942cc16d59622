package main

import "context"

var trailing = mode{
	name:  "trailing",
	about: "the answer to tools/call is followed by a second JSON value on the same line",
	request: func(_ context.Context, s *server, ex *exchange) bool {
		answer := func(text string) []byte {
			return encode(object{"jsonrpc": "2.0", "id": ex.id, "result": textResult(text)})
		}
		return ex.calls() && ex.rawf("%s %s", answer("all is well"), answer(s.opt.text)) == nil
	},
}
