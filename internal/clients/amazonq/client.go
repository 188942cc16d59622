// Package amazonq says where Amazon Q keeps its servers.
package amazonq

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

var (
	settings = [][]string{client.Keys("allowedTools")}
)

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "amazon-q",
	Name: "Amazon Q",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.aws/amazonq/mcp.json", Servers: client.MCPServers},
		{Scope: client.Plugin, Path: "~/.aws/amazonq/agents/*.json", Servers: client.MCPServers, Settings: settings},
		{Scope: client.Plugin, Path: "~/.aws/amazonq/cli-agents/*.json", Servers: client.MCPServers, Settings: settings},
		{Scope: client.Project, Path: "./.amazonq/mcp.json", Servers: client.MCPServers},
	},
}
