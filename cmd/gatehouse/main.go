// Command gatehouse stands between AI clients and MCP servers.
package main

import (
	"context"
	"os"

	"gatehouse/internal/cli"
	_ "gatehouse/internal/sandbox/begin" // a part of a sandbox is this program too, and nothing else of it
)

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
