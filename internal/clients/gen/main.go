// Command gen writes what follows from the folders of the clients: the list in all.go
// ("gen list") and the page docs/clients.md ("gen page"). It runs in the folder
// internal/clients, by go generate.
package main

import (
	"os"

	"gatehouse/internal/clients"
	"gatehouse/internal/rooms"
)

func main() {
	list := rooms.Kind{Package: "clients", Type: "client.Client", Comment: "All lists every client, in the order of their folders."}
	rooms.Main(map[string]func() error{"list": list.List, "page": page})
}

func page() error { return os.WriteFile("../../docs/clients.md", clients.Page(clients.All()), 0o644) }
