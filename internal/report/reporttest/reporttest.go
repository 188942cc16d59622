// Package reporttest makes reports for the tests of what writes them: one of a machine
// as people have it, and one in which every text is hostile.
package reporttest

import (
	"time"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/config"
	"gatehouse/internal/inventory"
	"gatehouse/internal/report"
	"gatehouse/internal/rule"
)

// Now is when the reports are made.
var Now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// Checks are three that never ran: their findings are in the reports.
func Checks() []check.Check {
	doc := func(title string) string {
		return "# " + title + "\n\nWhat it is about.\n\n## How to fix it\n\nMend it.\n\n## What it cannot see\n\nOther things.\n"
	}
	return []check.Check{
		{ID: "broad-root", Title: "A server may touch a whole home folder", Severity: rule.High, References: []string{"CWE-732"}, Doc: doc("A server may touch a whole home folder")},
		{ID: "plain-secret", Title: "A secret stands in a file as it is", Severity: rule.Critical, References: []string{"CWE-312"}, Doc: doc("A secret stands in a file as it is")},
		{ID: "old", Title: "A package is not kept up any more", Severity: rule.Low, References: []string{"CWE-1104"}, Doc: doc("A package is not kept up any more")},
		{ID: "open-file", Title: "A client's file can be read by others", Severity: rule.Medium, References: []string{"CWE-276"}, Doc: doc("A client's file can be read by others")},
	}
}

// Entry is a server as a client's file names it.
func Entry(clientID, file, name string, line int, words ...string) client.Entry {
	return client.Entry{
		Clients: []string{clientID}, Scope: client.User, File: file, Path: []string{"mcpServers", name}, Line: line, Name: name,
		Transport: client.Stdio, Words: words, Shown: words,
	}
}

// Remote is a server that a client reaches.
func Remote(clientID, file, name string, line int, url string) client.Entry {
	e := Entry(clientID, file, name, line)
	e.Transport, e.URL, e.ShownURL = client.HTTP, url, url
	return e
}

// Input is what Report is made of, for tests that change something first.
func Input() report.Input {
	const cursor, claude, vscode = "/home/ada/.cursor/mcp.json", "/home/ada/.claude.json", "/home/ada/shop/.vscode/mcp.json"
	files := []client.File{
		{Path: claude, Clients: []string{"claude-code"}, Scope: client.User, State: client.Parsed, Entries: []client.Entry{
			Entry("claude-code", claude, "files", 12, "npx", "-y", "@scope/server-files@1.2.3", "/home/ada"),
			Entry("claude-code", claude, "git", 20, "uvx", "mcp-server-git==2025.7.1"),
		}},
		{Path: cursor, Clients: []string{"cursor"}, Scope: client.User, State: client.Partial, Problems: []string{`line 9: the server "x" is left out: it has neither a command nor a URL`}, Entries: []client.Entry{
			Entry("cursor", cursor, "files", 3, "npx", "-y", "@scope/server-files@1.2.3", "/home/ada"),
			Remote("cursor", cursor, "tracker", 4, "https://tracker.example.com/mcp"),
		}},
		{Path: vscode, Clients: []string{"vscode"}, Scope: client.Project, State: client.Parsed, Entries: []client.Entry{
			Entry("vscode", vscode, "image", 5, "docker", "run", "-i", "--network", "none", "-v", "/srv/data:/data", "ghcr.io/example/image:v3"),
		}},
		{Path: "/home/ada/.codex/config.toml", Clients: []string{"codex"}, Scope: client.User, State: client.Skipped, Problems: []string{"is not a regular file"}},
	}
	files[1].Entries[1].Headers = []client.Value{{Name: "Authorization", Kind: client.Literal, Secret: true}}
	var entries []client.Entry
	for _, f := range files {
		entries = append(entries, f.Entries...)
	}
	scene := &check.Scene{Now: Now, Home: "/home/ada", Files: files, Servers: inventory.Servers(entries)}
	return report.Input{
		Version: "1.0.0", System: "linux", Scope: report.Machine, Looked: 141, Scene: scene, Checks: Checks(),
		Result: judged(scene),
	}
}

// judged is what the checks would say.
func judged(scene *check.Scene) (r check.Result) {
	for _, s := range scene.Servers {
		for _, e := range s.Entries {
			f := check.About(s, e)
			switch s.Name {
			case "files":
				f.Check, f.Severity, f.Evidence, f.Protect = "broad-root", rule.High, check.Bind("/home/ada"), true
				f.Why, f.Fix = "/home/ada is given to it: keys, profiles of browsers and everything else in it", "give it the folder that it needs"
			case "tracker":
				f.Check, f.Severity, f.Evidence = "plain-secret", rule.Critical, check.Bind("Authorization", "0011223344")
				f.Why, f.Fix = "the header Authorization holds a secret that everybody who reads the file has", "put a reference in its place, such as ${env:TOKEN}"
			case "git":
				f.Check, f.Severity, f.Evidence, f.Refers = "old", rule.Low, check.Bind("old"), []string{"GHSA-0000"}
				f.Why, f.Fix = "its last version is of 2025", "look for another one"
			default:
				r.Unchecked = append(r.Unchecked, check.Unchecked{Check: "old", Server: s.ID, Name: s.Name, Why: "nobody asked its registry; `--online` asks it"})
				continue
			}
			r.Findings = append(r.Findings, f)
		}
	}
	r.Findings = append(r.Findings, check.Finding{
		Check: "open-file", Severity: rule.Medium, Clients: []string{"vscode"}, File: "/home/ada/shop/.vscode/mcp.json",
		Why: "everybody on this machine can read it", Fix: "chmod 600 it", Evidence: check.Bind("rw-r--r--"),
	})
	return r
}

// Report is of a machine as people have it: findings of four severities, one of them
// suppressed and one that was, a file that was not read and a check that was not made.
func Report() *report.Report {
	r := report.New(Input())
	var accepted []config.CheckSuppression
	for _, f := range r.Findings {
		s := config.CheckSuppression{Line: 2, Check: f.Check, Server: f.Server, Evidence: f.Evidence, Reason: "known since the move", Author: "ada@example.com", Expires: Now.AddDate(0, 1, 0)}
		switch f.Check {
		case "open-file":
			s.File = f.Name
		case "broad-root":
			s.Expires = Now.AddDate(0, 0, -1)
		default:
			continue
		}
		accepted = append(accepted, s)
	}
	accepted = append(accepted, config.CheckSuppression{Line: 30, Check: "old", Server: "0123456789abcdef", Evidence: check.Bind("x"), Reason: "r", Author: "a", Expires: Now.AddDate(0, 1, 0)})
	r.Suppress("/home/ada/.gatehouse-suppressions.yaml", accepted, Now)
	return r
}

// Evil is what stands for a text in a hostile report: markup, orders to a terminal,
// characters that turn the direction of writing, and lines.
const Evil = "</title></script></style><script>alert(1)</script><img src=x onerror=alert(1)>\"' onload=alert(1) {{.}} `\x1b[31m\x1b]0;x\x07\r\n::error::x\u202e\u200b javascript:alert(1) %s"

// Hostile is a report in which every text that comes from a file is Evil.
func Hostile() *report.Report {
	file := "/home/ada/" + Evil
	entries := []client.Entry{
		Entry("cursor", file, Evil, 1, "npx", Evil, "/"+Evil), Remote("cursor", file, Evil+"2", 2, "https://h.example/"+Evil),
	}
	entries[0].Env = []client.Value{{Name: Evil + "TOKEN", Kind: client.Literal, Secret: true}}
	in := report.Input{
		Version: "1.0.0", System: "linux", Scope: report.Machine, Checks: Checks(), Problems: []string{Evil},
		Scene: &check.Scene{Now: Now, Home: "/home/ada", Servers: inventory.Servers(entries), Files: []client.File{
			{Path: file, Clients: []string{"cursor"}, Scope: client.User, State: client.Failed, Problems: []string{Evil}, Entries: entries},
		}},
	}
	for _, s := range in.Scene.Servers {
		f := check.About(s, s.Entries[0])
		f.Check, f.Severity, f.Why, f.Fix, f.Evidence, f.Refers = "broad-root", rule.Critical, Evil, Evil, check.Bind(s.ID), []string{Evil}
		in.Result.Findings = append(in.Result.Findings, f)
		in.Result.Unchecked = append(in.Result.Unchecked, check.Unchecked{Check: "old", Server: s.ID, Name: s.Name, Why: Evil})
	}
	r := report.New(in)
	f := r.Findings[0]
	r.Suppress("/"+Evil, []config.CheckSuppression{
		{Check: f.Check, Server: f.Server, Evidence: f.Evidence, Reason: Evil, Author: Evil, Expires: Now.AddDate(0, 1, 0)},
	}, Now)
	r.Compare(nil)
	return r
}
