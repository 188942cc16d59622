// Package vscode says where VS Code keeps its servers.
package vscode

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

var (
	servers  = [][]string{client.Keys("customizations", "vscode", "mcp", "servers")}
	servers2 = [][]string{client.Keys("mcp", "servers"), client.Keys("mcp.servers")}
	settings = [][]string{client.Keys("chat.tools.autoApprove"), client.Keys("chat.tools.global.autoApprove"), client.Keys("chat.mcp.autostart"), client.Keys("chat.mcp.discovery.enabled")}
)

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "vscode",
	Name: "VS Code",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "$APP/Code/User/mcp.json", Servers: client.Servers},
		{Scope: client.User, Path: "$APP/Code/User/profiles/*/mcp.json", Servers: client.Servers},
		{Scope: client.User, Path: "$APP/Code/User/settings.json", Servers: servers2, Settings: settings},
		{Scope: client.User, Path: "$APP/Code - Insiders/User/mcp.json", Servers: client.Servers},
		{Scope: client.User, Path: "$APP/Code - Insiders/User/profiles/*/mcp.json", Servers: client.Servers},
		{Scope: client.User, Path: "$APP/Code - Insiders/User/settings.json", Servers: servers2, Settings: settings},
		{Scope: client.User, Path: "~/.vscode-server/data/User/mcp.json", Servers: client.Servers},
		{Scope: client.User, Path: "~/.vscode-server/data/User/profiles/*/mcp.json", Servers: client.Servers},
		{Scope: client.User, Path: "~/.vscode-server/data/User/settings.json", Servers: servers2, Settings: settings},
		{Scope: client.Project, Path: "./.vscode/mcp.json", Servers: client.Servers},
		{Scope: client.Project, Path: "./.vscode/settings.json", Servers: servers2, Settings: settings},
		{Scope: client.Project, Path: "./*.code-workspace", Servers: [][]string{client.Keys("settings", "mcp", "servers"), client.Keys("settings", "mcp.servers")}},
		{Scope: client.Project, Path: "./.devcontainer/devcontainer.json", Servers: servers},
		{Scope: client.Project, Path: "./.devcontainer/*/devcontainer.json", Servers: servers},
		{Scope: client.Project, Path: "./.devcontainer.json", Servers: servers},
	},
}
