// Package secretinaddress finds secrets in the addresses of remote servers.
package secretinaddress

import (
	_ "embed"
	"fmt"

	"gatehouse/internal/check"
	"gatehouse/internal/credential"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "secret-in-address",
	Title:      "A secret stands in the address of a server",
	Severity:   rule.Medium,
	References: []string{"CWE-598: Use of GET Request Method With Sensitive Query Strings", "OWASP MCP Top 10, MCP01: Token Mismanagement and Secret Exposure"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Entries() {
		for _, c := range credential.Of(e) {
			if c.Place != credential.Address {
				continue
			}
			why := fmt.Sprintf("the address holds a %s: addresses are written to the logs of the server, of proxies and of the client", c.Kind)
			r.Findings = append(r.Findings, check.About(s, e).Says(rule.Unrated, why,
				"send it in a header, whose value is a reference such as ${env:NAME}, if the server takes that; make a new one", s.ID, c.Name, c.Kind))
		}
	}
	return r
}
