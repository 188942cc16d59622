// Package mistralvibe says where Mistral Vibe keeps its servers.
package mistralvibe

import (
	_ "embed"

	"gatehouse/internal/client"
	"gatehouse/internal/config"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "mistral-vibe",
	Name: "Mistral Vibe",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.vibe/config.toml", Format: config.TOML, Servers: [][]string{client.Keys("mcp_servers")}},
	},
}
