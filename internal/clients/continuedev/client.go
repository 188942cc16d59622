// Package continuedev says where Continue keeps its servers.
package continuedev

import (
	_ "embed"

	"gatehouse/internal/client"
	"gatehouse/internal/config"
)

//go:embed doc.md
var doc string

var (
	servers = [][]string{client.Keys("mcpServers")}
)

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "continue-dev",
	Name: "Continue",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.continue/config.yaml", Format: config.YAML, Servers: servers},
		{Scope: client.User, Path: "~/.continue/config.json", Servers: [][]string{client.Keys("mcpServers"), client.Keys("experimental", "modelContextProtocolServers")}},
		{Scope: client.User, Path: "~/.continue/mcpServers/*.yaml", Format: config.YAML, Servers: servers},
		{Scope: client.User, Path: "~/.continue/mcpServers/*.json", Servers: client.MCPServers},
		{Scope: client.Project, Path: "./.continue/mcpServers/*.yaml", Format: config.YAML, Servers: servers},
		{Scope: client.Project, Path: "./.continue/mcpServers/*.json", Servers: client.MCPServers},
	},
}
