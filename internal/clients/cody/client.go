// Package cody says where Cody keeps its servers.
package cody

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "cody",
	Name: "Cody",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.cody/mcp.json", Servers: client.MCPServers},
	},
}
