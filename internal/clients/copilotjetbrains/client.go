// Package copilotjetbrains says where Copilot for JetBrains keeps its servers.
package copilotjetbrains

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "copilot-jetbrains",
	Name: "Copilot for JetBrains",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, On: client.Unix, Path: "~/.config/github-copilot/intellij/mcp.json", Servers: client.Servers},
		{Scope: client.User, On: client.Windows, Path: "$LOCALAPP/github-copilot/intellij/mcp.json", Servers: client.Servers},
	},
}
