// Package explyt says where Explyt keeps its servers.
package explyt

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "explyt",
	Name: "Explyt",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.explyt/mcp_servers.json", Servers: client.MCPServers, Flat: true},
	},
}
