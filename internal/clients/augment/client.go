// Package augment says where Augment keeps its servers.
package augment

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "augment",
	Name: "Augment",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.augment/settings.json", Servers: client.MCPServers},
	},
}
