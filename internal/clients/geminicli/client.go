// Package geminicli says where Gemini CLI keeps its servers.
package geminicli

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

var (
	settings = [][]string{client.Keys("tools", "allowed"), client.Keys("allowMCPServers"), client.Keys("mcp", "allowed"), client.Keys("security", "folderTrust", "enabled")}
)

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "gemini-cli",
	Name: "Gemini CLI",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.gemini/settings.json", Servers: client.MCPServers, SSE: true, Settings: settings},
		{Scope: client.Project, Path: "./.gemini/settings.json", Servers: client.MCPServers, SSE: true, Settings: settings},
		{Scope: client.Plugin, Path: "~/.gemini/extensions/*/gemini-extension.json", Servers: client.MCPServers, SSE: true},
	},
}
