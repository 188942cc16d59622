// Command gatehouse stands between AI clients and MCP servers.
package main

import (
	"context"
	"os"

	"gatehouse/internal/cli"
	"gatehouse/internal/egress/inside"
	"gatehouse/internal/sandbox"
)

func main() {
	sandbox.Inside(inside.Setup) // a part of a sandbox is this program too, and nothing else of it
	os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
