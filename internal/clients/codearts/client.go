// Package codearts says where Huawei CodeArts keeps its servers.
package codearts

import (
	_ "embed"

	"gatehouse/internal/client"
)

//go:embed doc.md
var doc string

var (
	servers = [][]string{client.Keys("mcp")}
)

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "codearts",
	Name: "Huawei CodeArts",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, Path: "~/.codeartsdoer/codearts_cli.json", Servers: servers},
		{Scope: client.User, Path: "~/.codeartsdoer/codearts_cli.jsonc", Servers: servers},
		{Scope: client.Project, Path: "./.codeartsdoer/codearts_cli.json", Servers: servers},
		{Scope: client.Project, Path: "./.codeartsdoer/codearts_cli.jsonc", Servers: servers},
	},
}
