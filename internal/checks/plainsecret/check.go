// Package plainsecret finds secrets that stand in clients' files as they are: in
// variables, headers and arguments.
package plainsecret

import (
	_ "embed"
	"fmt"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/credential"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "plain-secret",
	Title:      "A secret stands in the file as it is",
	Severity:   rule.Medium,
	References: []string{"CWE-312: Cleartext Storage of Sensitive Information", "OWASP MCP Top 10, MCP01: Token Mismanagement and Secret Exposure"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Entries() {
		for _, c := range credential.Of(e) {
			if c.Place == credential.Address {
				continue // secret-in-address
			}
			severity, why := judge(e, c)
			f := check.About(s, e).Says(severity, why, fix(c), s.ID, string(c.Place), c.Name, c.Kind)
			f.Protect = c.Place != credential.Argument
			r.Findings = append(r.Findings, f)
		}
	}
	return r
}

func judge(e client.Entry, c credential.Credential) (rule.Severity, string) {
	holds := fmt.Sprintf("%s holds a %s as it is", c.Where(), c.Kind)
	switch {
	case e.Scope == client.Project && c.Known && !strings.Contains(c.Kind, " test "):
		return rule.High, holds + ", in a file of a project: whoever gets the project gets it"
	case e.Scope == client.Project:
		return rule.Medium, holds + ", in a file of a project: whoever gets the project gets it"
	case c.Place == credential.Argument:
		return rule.Medium, holds + ": every program on this machine sees it in the list of processes"
	}
	return rule.Medium, holds + ": every program that runs as you, and every backup, can read it"
}

func fix(c credential.Credential) string {
	if c.Place == credential.Argument {
		return "give it in a variable, whose value is a reference such as ${env:NAME}, and make a new one: this one was open"
	}
	return "put a reference such as ${env:NAME} in its place, which `gatehouse protect` does with the keyring, and make a new one if others had the file"
}
