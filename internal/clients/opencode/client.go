// Package opencode says where OpenCode keeps its servers.
package opencode

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

var (
	servers  = [][]string{client.Keys("mcp")}
	settings = [][]string{client.Keys("permission"), client.Keys("permission", "*")}
)

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "opencode",
	Name: "OpenCode",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.config/opencode/opencode.json", Servers: servers, Settings: settings},
		{Scope: client.User, Path: "~/.config/opencode/opencode.jsonc", Servers: servers, Settings: settings},
		{Scope: client.User, Path: "~/.opencode/opencode.json", Servers: servers, Settings: settings},
		{Scope: client.User, Path: "~/.opencode/opencode.jsonc", Servers: servers, Settings: settings},
		{Scope: client.User, Path: "$OPENCODE_CONFIG_DIR/opencode.json", Servers: servers, Settings: settings},
		{Scope: client.User, Path: "$OPENCODE_CONFIG_DIR/opencode.jsonc", Servers: servers, Settings: settings},
		{Scope: client.Project, Path: "./opencode.json", Servers: servers, Settings: settings},
		{Scope: client.Project, Path: "./opencode.jsonc", Servers: servers, Settings: settings},
		{Scope: client.Project, Path: "./.opencode/opencode.json", Servers: servers, Settings: settings},
		{Scope: client.Project, Path: "./.opencode/opencode.jsonc", Servers: servers, Settings: settings},
		{Scope: client.Managed, On: client.MacOS, Path: "/Library/Application Support/opencode/opencode.json", Servers: servers, Settings: settings},
		{Scope: client.Managed, On: client.MacOS, Path: "/Library/Application Support/opencode/opencode.jsonc", Servers: servers, Settings: settings},
		{Scope: client.Managed, On: client.Linux, Path: "/etc/opencode/opencode.json", Servers: servers, Settings: settings},
		{Scope: client.Managed, On: client.Linux, Path: "/etc/opencode/opencode.jsonc", Servers: servers, Settings: settings},
		{Scope: client.Managed, On: client.Windows, Path: "$PROGRAMDATA/opencode/opencode.json", Servers: servers, Settings: settings},
		{Scope: client.Managed, On: client.Windows, Path: "$PROGRAMDATA/opencode/opencode.jsonc", Servers: servers, Settings: settings},
		{Scope: client.User, Path: "$OPENCODE_CONFIG", Servers: servers, Settings: settings},
	},
}
