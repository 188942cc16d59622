// Package toxiccombination finds clients whose servers together can read what strangers
// write, read what is private, and send something out.
package toxiccombination

import (
	_ "embed"
	"fmt"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "toxic-combination",
	Title:      "The servers of one client can carry private data out",
	Severity:   rule.Medium,
	References: []string{"CWE-441: Unintended Proxy or Intermediary", "OWASP MCP Top 10, MCP06: Intent Flow Subversion", "SAFE-T1701"},
	Doc:        doc,
	Run:        run,
}

// part is what makes up a combination, and who brings it.
type part struct {
	what ability
	by   []string // "the tool fetch of web"
}

func run(scene *check.Scene) (r check.Result) {
	unknown, told := map[string]bool{}, map[string]bool{}
	for _, set := range scene.Sets() {
		parts := []part{{what: untrusted}, {what: private}, {what: outward}}
		severity := rule.Unrated
		seen := map[string]bool{}
		for _, m := range set.Members {
			if seen[m.Server.ID] || m.Server.Kind == inventory.BuiltIn {
				continue
			}
			seen[m.Server.ID] = true
			found, asked := abilities(scene, m.Server)
			if !asked {
				unknown[m.Server.ID] = true
				if len(found) > 0 {
					severity = rule.Low
				}
			}
			for i := range parts {
				if how := found[parts[i].what]; how != "" {
					parts[i].by = append(parts[i].by, how)
				}
			}
		}
		// A project that adds nothing to what its client has is no finding of its own.
		if f, found := judge(set, parts, severity); found && !told[f.Evidence] {
			told[f.Evidence] = true
			r.Findings = append(r.Findings, f)
		}
	}
	if len(unknown) > 0 {
		r.Unchecked = append(r.Unchecked, check.Unchecked{Why: fmt.Sprintf("what the tools of %s can do is not known; scan --connect asks", count(len(unknown)))})
	}
	return r
}

func judge(set check.Set, parts []part, severity rule.Severity) (f check.Finding, found bool) {
	var said []string
	facts := []string{set.Client}
	for _, p := range parts {
		if len(p.by) == 0 {
			return f, false
		}
		said = append(said, fmt.Sprintf("%s (%s)", p.what, check.Few(p.by)))
		facts = append(facts, p.by...)
	}
	where := set.Client
	if set.Project != "" {
		where += " in " + set.Project
	}
	f = check.Finding{Clients: []string{set.Client}, File: set.Members[0].Entry.File}
	return f.Says(severity,
		fmt.Sprintf("in %s, one conversation can %s: a text that a stranger wrote can make the model send away what it reads", where, strings.Join(said, ", ")),
		"switch off what is not needed together, let the client ask before calls that send, or put the servers behind `gatehouse serve` with policies for what may leave",
		facts...), true
}

// abilities says what a server can do, and by what, and whether it was asked for its tools.
// If not, only its package speaks for it: that says what it is for, not what it has here.
func abilities(scene *check.Scene, s inventory.Server) (found map[ability]string, asked bool) {
	found = map[ability]string{}
	for _, class := range ofPackage(s.Package) {
		found[class] = s.Name
	}
	if scene.Facts.Definitions == nil {
		return found, false
	}
	tools, err := scene.Facts.Definitions(s.ID)
	if err != nil {
		return found, false
	}
	for _, t := range tools {
		for _, class := range ofTool(t) {
			if found[class] == "" {
				found[class] = fmt.Sprintf("%s: %s", s.Name, check.Shown(t.Name))
			}
		}
	}
	return found, true
}

func count(n int) string {
	if n == 1 {
		return "1 server"
	}
	return fmt.Sprintf("%d servers", n)
}
