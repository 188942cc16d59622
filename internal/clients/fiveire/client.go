// Package fiveire says where 5ire keeps its servers.
package fiveire

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "five-ire",
	Name: "5ire",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "$APP/5ire/mcp.json", Servers: [][]string{client.Keys("mcpServers"), client.Keys("servers")}},
	},
}
