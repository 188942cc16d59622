// Package qoder says where Qoder keeps its servers.
package qoder

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "qoder",
	Name: "Qoder",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.qoder/mcp.json", Servers: client.MCPServers},
		{Scope: client.User, On: client.Windows, Path: "$APP/Qoder/SharedClientCache/mcp.json", Servers: client.MCPServers},
	},
}
