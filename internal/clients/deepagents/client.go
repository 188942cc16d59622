// Package deepagents says where LangChain deepagents keeps its servers.
package deepagents

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "deepagents",
	Name: "LangChain deepagents",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.deepagents/.mcp.json", Servers: client.MCPServers, Flat: true},
		{Scope: client.Project, Path: "./.deepagents/.mcp.json", Servers: client.MCPServers, Flat: true},
		{Scope: client.Project, Path: "./.mcp.json", Servers: client.MCPServers, Flat: true},
	},
}
