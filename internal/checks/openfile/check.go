// Package openfile finds files of clients that other people on this machine can change,
// or whose secrets they can read.
package openfile

import (
	_ "embed"
	"fmt"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/credential"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "open-file",
	Title:      "Others on this machine can use a client's file",
	Severity:   rule.High,
	References: []string{"CWE-732: Incorrect Permission Assignment for Critical Resource", "CWE-276: Incorrect Default Permissions"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	secrets := map[string]int{}
	for _, e := range scene.Entries() {
		secrets[e.File] += len(credential.Of(e))
	}
	unknown := 0
	for _, f := range scene.Files {
		if f.Mode == "" {
			unknown++
		}
		about := check.AboutFile(f)
		switch a := f.Access; {
		case a.Write != client.Nobody:
			r.Findings = append(r.Findings, about.Says(severity(a.Write), fmt.Sprintf("mode %s: %s can write a server into it, which your client then starts as you", f.Mode, who(a.Write)),
				"chmod go-w "+f.Path, "write", f.Path, string(a.Write)))
		case a.Replace != client.Nobody:
			r.Findings = append(r.Findings, about.Says(severity(a.Replace), fmt.Sprintf("%s can put another file in its place, because %s is open to them: your client starts what that one says", who(a.Replace), a.Folder),
				"chmod go-w "+a.Folder, "replace", f.Path, a.Folder, string(a.Replace)))
		}
		if n := secrets[f.Path]; f.Access.Read != client.Nobody && n > 0 {
			r.Findings = append(r.Findings, about.Says(rule.High, fmt.Sprintf("mode %s: %s can read the %s in it", f.Mode, who(f.Access.Read), count(n)),
				"chmod 600 "+f.Path+", and make new secrets if other people use this machine", "read", f.Path, string(f.Access.Read)))
		}
	}
	if unknown > 0 {
		r.Unchecked = append(r.Unchecked, check.Unchecked{Why: fmt.Sprintf("who else may use %d files cannot be told: they were not read, or are of Windows, which has no modes", unknown)})
	}
	return r
}

// severity: a group is chosen by somebody, everybody is not.
func severity(w client.Who) rule.Severity {
	if w == client.Everybody {
		return rule.Critical
	}
	return rule.High
}

func who(w client.Who) string {
	if w == client.Group {
		return "the group of the file"
	}
	return "everybody on this machine"
}

func count(n int) string {
	if n == 1 {
		return "secret"
	}
	return fmt.Sprintf("%d secrets", n)
}
