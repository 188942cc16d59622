// Package sharedsecret finds secrets that more than one server holds.
package sharedsecret

import (
	_ "embed"
	"fmt"
	"net/url"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/credential"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "shared-secret",
	Title:      "Several servers hold the same secret",
	Severity:   rule.Medium,
	References: []string{"CWE-522: Insufficiently Protected Credentials", "OWASP MCP Top 10, MCP02: Privilege Escalation via Scope Creep"},
	Doc:        doc,
	Run:        run,
}

// holder is a server that holds a secret, and how.
type holder struct {
	server     inventory.Server
	entry      client.Entry
	credential credential.Credential
}

func run(scene *check.Scene) (r check.Result) {
	holders := map[string][]holder{}
	seen := map[[2]string]bool{} // a secret and a program that holds it
	var order []string
	for s, e := range scene.Entries() {
		for _, c := range credential.Of(e) {
			key := [2]string{c.Value(), program(s, e)}
			if seen[key] {
				continue
			}
			seen[key] = true
			if len(holders[c.Value()]) == 0 {
				order = append(order, c.Value())
			}
			holders[c.Value()] = append(holders[c.Value()], holder{s, e, c})
		}
	}
	for _, secret := range order {
		if all := holders[secret]; len(all) > 1 {
			r.Findings = append(r.Findings, finding(all))
		}
	}
	return r
}

// program tells servers apart. One that is set up twice with other arguments is one.
func program(s inventory.Server, e client.Entry) string {
	if u, err := url.Parse(e.URL); err == nil && u.Host != "" {
		return "url " + u.Host
	}
	return string(s.Kind) + " " + s.Package
}

func finding(all []holder) check.Finding {
	var names, facts []string
	for _, h := range all {
		names, facts = append(names, h.entry.Name), append(facts, h.server.ID, h.credential.Name)
	}
	first := all[0]
	why := fmt.Sprintf("%s hold the same %s: each can do all that it allows, and none can be cut off alone", check.Few(names), first.credential.Kind)
	return check.About(first.server, first.entry).Says(rule.Unrated, why, "make one for each server, with the rights that this server needs", facts...)
}
