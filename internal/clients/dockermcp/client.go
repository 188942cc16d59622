// Package dockermcp says where Docker MCP Toolkit keeps its servers.
package dockermcp

import (
	_ "embed"

	"gatehouse/internal/client"
	"gatehouse/internal/config"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "docker-mcp",
	Name: "Docker MCP Toolkit",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.docker/mcp/registry.yaml", Format: config.YAML, Servers: [][]string{client.Keys("registry")}},
	},
}
