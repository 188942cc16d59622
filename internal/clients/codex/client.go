// Package codex says where Codex keeps its servers.
package codex

import (
	_ "embed"

	"gatehouse/internal/client"
	"gatehouse/internal/config"
)

//go:embed doc.md
var doc string

var (
	servers  = [][]string{client.Keys("mcp_servers"), client.Keys("profiles", "*", "mcp_servers")}
	settings = [][]string{client.Keys("approval_policy"), client.Keys("sandbox_mode"), client.Keys("projects", "*", "trust_level")}
)

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "codex",
	Name: "Codex",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.codex/*.toml", Format: config.TOML, Servers: servers, Settings: settings},
		{Scope: client.User, Path: "$CODEX_HOME/*.toml", Format: config.TOML, Servers: servers, Settings: settings},
		{Scope: client.Project, Path: "./.codex/config.toml", Format: config.TOML, Servers: servers, Settings: settings},
		{Scope: client.Managed, On: client.Unix, Path: "/etc/codex/config.toml", Format: config.TOML, Servers: servers, Settings: settings},
		{Scope: client.Managed, On: client.Windows, Path: "$PROGRAMDATA/OpenAI/Codex/config.toml", Format: config.TOML, Servers: servers, Settings: settings},
		{Scope: client.Plugin, Path: "~/.codex/plugins/**/.mcp.json", Servers: client.MCPServers, Flat: true},
		{Scope: client.Plugin, Path: "$CODEX_HOME/plugins/**/.mcp.json", Servers: client.MCPServers, Flat: true},
	},
}
