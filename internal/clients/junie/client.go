// Package junie says where Junie keeps its servers.
package junie

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "junie",
	Name: "Junie",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.junie/mcp/mcp.json", Servers: client.MCPServers},
		{Scope: client.Project, Path: "./.junie/mcp/mcp.json", Servers: client.MCPServers},
	},
}
