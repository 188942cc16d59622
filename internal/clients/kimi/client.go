// Package kimi says where Kimi CLI keeps its servers.
package kimi

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "kimi",
	Name: "Kimi CLI",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.kimi/mcp.json", Servers: client.MCPServers},
	},
}
