package main

import (
	"context"
	"strings"
)

// verbatim shows what becomes of messages on their way.
var verbatim = mode{
	name:  "verbatim",
	about: "a plain server; -record has method and params of every message as they came; vendor/... is answered by -text as result",
	heard: func(s *server, e envelope) {
		if e.Method != "" {
			s.tell(e.Method + " " + string(e.Params))
		}
	},
	request: func(_ context.Context, s *server, ex *exchange) bool {
		return strings.HasPrefix(ex.method, "vendor/") && ex.rawf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, ex.id, s.opt.text) == nil
	},
}
