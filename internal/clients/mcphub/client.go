// Package mcphub says where mcphub.nvim keeps its servers.
package mcphub

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "mcphub",
	Name: "mcphub.nvim",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.config/mcphub/servers.json", Servers: [][]string{client.Keys("mcpServers"), client.Keys("servers")}},
	},
}
