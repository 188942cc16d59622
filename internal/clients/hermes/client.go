// Package hermes says where Hermes keeps its servers.
package hermes

import (
	_ "embed"

	"gatehouse/internal/client"
	"gatehouse/internal/config"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "hermes",
	Name: "Hermes",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.hermes/config.yaml", Format: config.YAML, Servers: [][]string{client.Keys("mcp_servers"), client.Keys("mcpServers")}},
	},
}
