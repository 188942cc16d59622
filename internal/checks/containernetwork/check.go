// Package containernetwork finds containers of servers that need no network and have
// one.
package containernetwork

import (
	_ "embed"
	"fmt"
	"path"
	"slices"

	"gatehouse/internal/check"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "container-network",
	Title:      "A container that works on this machine only may use the network",
	Severity:   rule.Low,
	References: []string{"CWE-923: Improper Restriction of Communication Channel to Intended Endpoints", "OWASP MCP Top 10, MCP10: Context Injection and Over-Sharing"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		source := inventory.Of(e)
		name := path.Base(source.Package)
		if source.Kind != inventory.OCI || !slices.Contains(local, name) || without(inventory.Launching(e)) {
			continue
		}
		why := fmt.Sprintf("%s works on what it is given and needs no network: with one, what it reads can leave", source.Package)
		r.Findings = append(r.Findings, check.About(s, e).Says(rule.Unrated, why, "add --network none before the image", s.ID))
	}
	return r
}

// local are images of servers that reach nothing: those of the reference servers.
var local = []string{"filesystem", "memory", "time", "sequentialthinking", "sequential-thinking", "everything", "git", "sqlite", "server-filesystem", "server-memory", "server-sequential-thinking", "mcp-server-time", "mcp-server-git", "mcp-server-sqlite"}

func without(words []inventory.Word) bool {
	return slices.ContainsFunc(words, func(w inventory.Word) bool {
		return (w.Option == "--network" || w.Option == "--net") && w.Value == "none"
	})
}
