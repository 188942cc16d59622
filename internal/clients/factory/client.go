// Package factory says where Factory keeps its servers.
package factory

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "factory",
	Name: "Factory",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.factory/mcp.json", Servers: client.MCPServers},
	},
}
