// Package tabnine says where Tabnine keeps its servers.
package tabnine

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "tabnine",
	Name: "Tabnine",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.tabnine/mcp_servers.json", Servers: client.MCPServers},
	},
}
