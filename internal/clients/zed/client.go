// Package zed says where Zed keeps its servers.
package zed

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

var (
	servers  = [][]string{client.Keys("context_servers")}
	settings = [][]string{client.Keys("agent", "always_allow_tool_actions"), client.Keys("assistant", "always_allow_tool_actions")}
)

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "zed",
	Name: "Zed",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, On: client.Unix, Path: "~/.config/zed/settings.json", Servers: servers, Settings: settings},
		{Scope: client.User, On: client.Windows, Path: "$APP/Zed/settings.json", Servers: servers, Settings: settings},
		{Scope: client.Project, Path: "./.zed/settings.json", Servers: servers},
	},
}
