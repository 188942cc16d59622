// Package cursor says where Cursor keeps its servers.
package cursor

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "cursor",
	Name: "Cursor",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.cursor/mcp.json", Servers: client.MCPServers},
		{Scope: client.Project, Path: "./.cursor/mcp.json", Servers: client.MCPServers},
		{Scope: client.Plugin, Path: "~/.cursor/plugins/**/mcp.json", Servers: client.MCPServers},
		{Scope: client.Plugin, Path: "~/.cursor/plugins/**/.mcp.json", Servers: client.MCPServers},
	},
}
