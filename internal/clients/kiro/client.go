// Package kiro says where Kiro keeps its servers.
package kiro

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

var (
	servers  = [][]string{client.Keys("mcpServers"), client.Keys("powers", "mcpServers")}
	settings = [][]string{client.Keys("allowedTools")}
)

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "kiro",
	Name: "Kiro",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.kiro/settings/mcp.json", Servers: servers},
		{Scope: client.Plugin, Path: "~/.kiro/agents/*.json", Servers: client.MCPServers, Settings: settings},
		{Scope: client.Plugin, Path: "~/.kiro/powers/installed/*/mcp.json", Servers: client.MCPServers},
		{Scope: client.Project, Path: "./.kiro/settings/mcp.json", Servers: servers},
		{Scope: client.Project, Path: "./.kiro/agents/*.json", Servers: client.MCPServers, Settings: settings},
	},
}
