// Command gen writes what follows from the folders of the checks: the list in all.go
// ("gen list") and the page docs/checks.md ("gen page"). It runs in the folder
// internal/checks, by go generate.
package main

import (
	"os"

	"gatehouse/internal/checks"
	"gatehouse/internal/rooms"
)

func main() {
	list := rooms.Kind{Package: "checks", Type: "check.Check", Comment: "All lists every check, in the order of their folders."}
	rooms.Main(map[string]func() error{"list": list.List, "page": page})
}

func page() error { return os.WriteFile("../../docs/checks.md", checks.Page(checks.All()), 0o644) }
