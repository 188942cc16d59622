// Package cline says where Cline keeps its servers.
package cline

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "cline",
	Name: "Cline",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "$APP/*/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json", Servers: client.MCPServers},
		{Scope: client.User, Path: "~/.vscode-server/data/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json", Servers: client.MCPServers},
	},
}
