// Package openhands says where OpenHands keeps its servers.
package openhands

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "openhands",
	Name: "OpenHands",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.openhands/mcp.json", Servers: client.MCPServers},
	},
}
