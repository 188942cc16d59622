// Package lmstudio says where LM Studio keeps its servers.
package lmstudio

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "lm-studio",
	Name: "LM Studio",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.lmstudio/mcp.json", Servers: client.MCPServers},
		{Scope: client.User, Path: "~/.cache/lm-studio/mcp.json", Servers: client.MCPServers},
	},
}
