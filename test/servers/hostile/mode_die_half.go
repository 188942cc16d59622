package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

var dieHalf = mode{
	name:  "die-half",
	about: "the process ends after half an answer to tools/call",
	request: func(_ context.Context, _ *server, ex *exchange) bool {
		if !ex.calls() {
			return false
		}
		ex.peer.last(func(w io.Writer) error {
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"te`, ex.id)
			flush(w)
			os.Exit(dieStatus)
			return nil
		})
		return true
	},
}
