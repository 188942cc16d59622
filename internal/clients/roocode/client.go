// Package roocode says where Roo Code keeps its servers.
package roocode

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "roo-code",
	Name: "Roo Code",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "$APP/*/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json", Servers: client.MCPServers},
		{Scope: client.User, Path: "~/.vscode-server/data/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json", Servers: client.MCPServers},
		{Scope: client.Project, Path: "./.roo/mcp.json", Servers: client.MCPServers},
	},
}
