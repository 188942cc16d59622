// Package anyclient says where any client keeps its servers.
package anyclient

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "any-client",
	Name: "Any client",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.Project, Path: "./mcp.json", Servers: client.MCPServers, Flat: true},
		{Scope: client.Project, Path: "./mcp-config.json", Servers: client.MCPServers, Flat: true},
	},
}
