// Package claudedesktop says where Claude Desktop keeps its servers.
package claudedesktop

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "claude-desktop",
	Name: "Claude Desktop",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "$APP/Claude/claude_desktop_config.json", Servers: client.MCPServers},
	},
}
