package main

import (
	"context"
	"os"
)

// dieStatus is what a test can look for in the gateway's report.
const dieStatus = 9

var die = mode{
	name:  "die",
	about: "the process ends in the middle of tools/call, nothing answered",
	request: func(_ context.Context, _ *server, ex *exchange) bool {
		if ex.calls() {
			os.Exit(dieStatus)
		}
		return false
	},
}
