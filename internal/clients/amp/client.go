// Package amp says where Amp keeps its servers.
package amp

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

var (
	servers  = [][]string{client.Keys("amp.mcpServers")}
	settings = [][]string{client.Keys("amp.dangerouslyAllowAll"), client.Keys("amp.commands.allowlist")}
)

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "amp",
	Name: "Amp",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, On: client.Unix, Path: "~/.config/amp/settings.json", Servers: servers, Settings: settings},
		{Scope: client.User, On: client.Unix, Path: "~/.config/amp/settings.jsonc", Servers: servers, Settings: settings},
		{Scope: client.User, On: client.Windows, Path: "$APP/amp/settings.json", Servers: servers, Settings: settings},
		{Scope: client.User, On: client.Windows, Path: "$APP/amp/settings.jsonc", Servers: servers, Settings: settings},
		{Scope: client.Project, Path: "./.amp/settings.json", Servers: servers, Settings: settings},
		{Scope: client.Project, Path: "./.amp/settings.jsonc", Servers: servers, Settings: settings},
		{Scope: client.Managed, On: client.MacOS, Path: "/Library/Application Support/ampcode/managed-settings.json", Servers: servers, Settings: settings},
		{Scope: client.Managed, On: client.Linux, Path: "/etc/ampcode/managed-settings.json", Servers: servers, Settings: settings},
	},
}
