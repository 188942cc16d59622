// Package warp says where Warp keeps its servers.
package warp

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "warp",
	Name: "Warp",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.warp/.mcp.json", Servers: client.MCPServers, Flat: true},
		{Scope: client.Project, Path: "./.warp/.mcp.json", Servers: client.MCPServers, Flat: true},
	},
}
