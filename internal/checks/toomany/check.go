// Package toomany finds clients with so many servers or tools that models choose badly
// among them.
package toomany

import (
	_ "embed"
	"fmt"

	"gatehouse/internal/check"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "too-many",
	Title:      "A client has more servers or tools than it can use well",
	Severity:   rule.Low,
	References: []string{"OWASP MCP Top 10, MCP10: Context Injection and Over-Sharing"},
	Doc:        doc,
	Run:        run,
}

const (
	// maxTools is where Cursor warns that more tools may make its agent worse. VS Code
	// takes up to 128 in one request.
	maxTools = 40
	hardest  = 128
	// maxServers: published servers have ten tools in the middle, so that more than this
	// many come near what VS Code takes at most.
	maxServers = 12
)

func run(scene *check.Scene) (r check.Result) {
	tools, known := counted(scene)
	asked := scene.Facts.Definitions != nil
	for _, set := range scene.Sets() {
		servers := map[string]bool{}
		total, complete := 0, true
		for _, m := range set.Members {
			if !servers[m.Server.ID] {
				servers[m.Server.ID] = true
				total += tools[m.Server.ID]
				complete = complete && known[m.Server.ID]
			}
		}
		if why := judge(set, len(servers), total); why != "" {
			f := check.Finding{Clients: []string{set.Client}, File: set.Members[0].Entry.File}
			r.Findings = append(r.Findings, f.Says(rule.Unrated, why, "switch off what you do not use every day, or give each kind of work a project of its own", set.Client, set.Project, fmt.Sprint(len(servers)), fmt.Sprint(total)))
		} else if !complete && asked {
			r.Unchecked = append(r.Unchecked, check.Unchecked{Why: "how many tools " + set.Client + " has: not every server said which it has"})
		}
	}
	if !asked && len(scene.Servers) > 0 {
		r.Unchecked = append(r.Unchecked, check.Unchecked{Why: "how many tools the clients have: no server was asked"})
	}
	return r
}

// counted are the tools of each server that said which it has.
func counted(scene *check.Scene) (tools map[string]int, known map[string]bool) {
	tools, known = map[string]int{}, map[string]bool{}
	if scene.Facts.Definitions == nil {
		return tools, known
	}
	for _, s := range scene.Servers {
		if all, err := scene.Facts.Definitions(s.ID); err == nil {
			tools[s.ID], known[s.ID] = len(all), true
		}
	}
	return tools, known
}

func judge(set check.Set, servers, tools int) string {
	where := set.Client
	if set.Project != "" {
		where += " in " + set.Project
	}
	switch {
	case tools > hardest:
		return fmt.Sprintf("%s has %d tools: more than some clients send at all, and models choose badly among so many", where, tools)
	case tools > maxTools:
		return fmt.Sprintf("%s has %d tools: above %d, models choose badly, and all of them stand in every request", where, tools, maxTools)
	case servers > maxServers:
		return fmt.Sprintf("%s has %d servers: all of their tools stand in every request, and each may be the one that is turned", where, servers)
	}
	return ""
}
