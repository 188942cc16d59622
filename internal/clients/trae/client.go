// Package trae says where Trae keeps its servers.
package trae

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "trae",
	Name: "Trae",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "$APP/Trae/User/mcp.json", Servers: client.MCPServers},
		{Scope: client.User, Path: "~/.trae/mcp.json", Servers: client.MCPServers},
	},
}
