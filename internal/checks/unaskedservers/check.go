// Package unaskedservers finds settings by which a client starts the servers of a
// project without asking.
package unaskedservers

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "unasked-servers",
	Title:      "Servers of projects start without asking you",
	Severity:   rule.High,
	References: []string{"CWE-829: Inclusion of Functionality from Untrusted Control Sphere", "OWASP MCP Top 10, MCP09: Shadow MCP Servers"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for _, f := range scene.Files {
		for _, set := range f.Settings {
			severity, why := judge(f, set, cmp.Or(f.Home, scene.Home))
			if why == "" {
				continue
			}
			about := check.AboutFile(f)
			about.Line, about.Path = set.Line, []string{set.Key}
			r.Findings = append(r.Findings, about.Says(severity, why, "take it out, and answer for each project", f.Path, set.Key, strings.Join(set.Value, ",")))
		}
	}
	return r
}

func judge(f client.File, set client.Set, home string) (rule.Severity, string) {
	is := func(value string) bool { return slices.Contains(set.Value, value) }
	switch set.Key {
	case "enableAllProjectMcpServers":
		if is("true") && f.Scope == client.Project {
			return rule.High, "the project says that its own servers need no question"
		}
		if is("true") {
			return rule.High, "every project that you open starts the servers that it brings, unasked"
		}
	case "enabledMcpjsonServers":
		if f.Scope == client.Project && !strings.HasSuffix(f.Path, ".local.json") {
			return rule.Medium, "the project names servers of its own that need no question"
		}
	case "chat.mcp.discovery.enabled":
		if is("true") {
			return rule.Low, "the client takes over the servers of other clients"
		}
	case "security.folderTrust.enabled":
		if is("false") {
			return rule.Low, "the client does not ask whether a folder is trusted before it uses its settings"
		}
	}
	if project, found := strings.CutPrefix(set.Key, "projects."); found && is("trusted") {
		if project, found := strings.CutSuffix(project, ".trust_level"); found {
			if place := inventory.Place(project, home); place == "/" || place == "~" {
				return rule.Medium, fmt.Sprintf("%s is trusted, and with it every project below it", project)
			}
		}
	}
	return rule.Unrated, ""
}
