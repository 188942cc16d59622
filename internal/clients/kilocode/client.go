// Package kilocode says where Kilo Code keeps its servers.
package kilocode

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "kilo-code",
	Name: "Kilo Code",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "$APP/*/User/globalStorage/kilocode.kilo-code/settings/mcp_settings.json", Servers: client.MCPServers},
		{Scope: client.User, Path: "~/.vscode-server/data/User/globalStorage/kilocode.kilo-code/settings/mcp_settings.json", Servers: client.MCPServers},
	},
}
