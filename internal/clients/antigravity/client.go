// Package antigravity says where Antigravity keeps its servers.
package antigravity

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "antigravity",
	Name: "Antigravity",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.gemini/antigravity/mcp_config.json", Servers: client.MCPServers},
		{Scope: client.User, Path: "~/.gemini/config/mcp_config.json", Servers: client.MCPServers},
		{Scope: client.Plugin, Path: "~/.gemini/config/plugins/*/mcp_config.json", Servers: client.MCPServers},
		{Scope: client.Project, Path: "./.agents/mcp_config.json", Servers: client.MCPServers},
	},
}
