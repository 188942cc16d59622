// Package boltai says where BoltAI keeps its servers.
package boltai

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "boltai",
	Name: "BoltAI",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.boltai/mcp.json", Servers: client.MCPServers},
	},
}
