// Package jetbrainsai says where JetBrains AI Assistant keeps its servers.
package jetbrainsai

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "jetbrains-ai",
	Name: "JetBrains AI Assistant",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "$APP/JetBrains/*/mcp.json", Servers: client.MCPServers},
		{Scope: client.Project, Path: "./.idea/mcp.json", Servers: client.MCPServers},
	},
}
