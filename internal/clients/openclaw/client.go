// Package openclaw says where OpenClaw keeps its servers.
package openclaw

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "openclaw",
	Name: "OpenClaw",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.openclaw/openclaw.json", Servers: [][]string{client.Keys("mcp", "servers"), client.Keys("mcpServers")}},
	},
}
