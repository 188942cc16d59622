// Package cortex says where Snowflake Cortex keeps its servers.
package cortex

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "cortex",
	Name: "Snowflake Cortex",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.snowflake/cortex/mcp.json", Servers: client.MCPServers},
	},
}
