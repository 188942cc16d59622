// Package goose says where Goose keeps its servers.
package goose

import (
	_ "embed"

	"gatehouse/internal/client"
	"gatehouse/internal/config"
)

//go:embed doc.md
var doc string

var (
	servers  = [][]string{client.Keys("extensions")}
	settings = [][]string{client.Keys("GOOSE_MODE")}
)

// Client is the client that this folder describes.
var Client = client.Client{
	ID:   "goose",
	Name: "Goose",
	Doc:  doc,
	Places: []client.Place{
		{Scope: client.User, On: client.Unix, Path: "~/.config/goose/config.yaml", Format: config.YAML, Servers: servers, Settings: settings},
		{Scope: client.User, On: client.Windows, Path: "$APP/Block/goose/config/config.yaml", Format: config.YAML, Servers: servers, Settings: settings},
	},
}
