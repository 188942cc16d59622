// Package copilotcli says where Copilot CLI keeps its servers.
package copilotcli

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "copilot-cli",
	Name: "Copilot CLI",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.copilot/mcp-config.json", Servers: client.MCPServers},
		{Scope: client.User, Path: "$COPILOT_HOME/mcp-config.json", Servers: client.MCPServers},
		{Scope: client.User, Path: "$XDG_CONFIG_HOME/copilot/mcp-config.json", Servers: client.MCPServers},
		{Scope: client.Project, Path: "./.mcp.json", Servers: client.MCPServers, Flat: true},
		{Scope: client.Project, Path: "./.github/mcp.json", Servers: client.MCPServers},
	},
}
