// Package windsurf says where Windsurf keeps its servers.
package windsurf

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "windsurf",
	Name: "Windsurf",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.codeium/windsurf/mcp_config.json", Servers: client.MCPServers},
		{Scope: client.User, Path: "~/.codeium/mcp_config.json", Servers: client.MCPServers},
	},
}
