package main

import "context"

var flood = mode{
	name:  "flood",
	about: "tools/call is answered by log notifications without end",
	request: func(ctx context.Context, _ *server, ex *exchange) bool {
		if !ex.calls() {
			return false
		}
		notification := encode(object{"jsonrpc": "2.0", "method": "notifications/message",
			"params": object{"level": "info", "data": "still working"}})
		repeat(ctx, ex.peer, notification)
		return true
	},
}

// repeat sends a message until nobody takes it any more.
func repeat(ctx context.Context, p peer, message []byte) {
	for ctx.Err() == nil {
		if p.message(message) != nil {
			return
		}
	}
}
