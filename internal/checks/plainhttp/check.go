// Package plainhttp finds addresses of remote servers that begin with http.
package plainhttp

import (
	_ "embed"
	"slices"

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
	ID:         "plain-http",
	Title:      "A remote server is reached without TLS",
	Severity:   rule.Medium,
	References: []string{"CWE-319: Cleartext Transmission of Sensitive Information", "OWASP MCP Top 10, MCP07: Insufficient Authentication and Authorization"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		for _, a := range inventory.Addresses(e) {
			if a.Scheme != "http" && a.Scheme != "ws" || ownMachine(a.Hostname()) {
				continue
			}
			severity, why := judge(a, e)
			r.Findings = append(r.Findings, check.About(s, e).Says(severity, why, "use https, by a proxy in front of the server if need be", s.ID, a.Host))
		}
	}
	return r
}

// ownMachine reports whether an address does not leave this machine.
func ownMachine(host string) bool {
	return inventory.Loopback(host) || host == "host.docker.internal" || host == "0.0.0.0" || host == "::"
}

func judge(a inventory.Address, e client.Entry) (rule.Severity, string) {
	identified := len(credential.Of(e)) > 0 || slices.ContainsFunc(e.Headers, func(v client.Value) bool { return credential.NamesSecret(v.Name) && v.Kind != client.Empty })
	near := inventory.Near(a.Hostname())
	switch {
	case identified && !near:
		return rule.High, "the credential goes to " + a.Host + " in the clear: everybody on the way has it, and can put words into the answers"
	case identified:
		return rule.Medium, "the credential goes to " + a.Host + " in the clear: everybody in that network has it"
	case near:
		return rule.Low, "what goes to " + a.Host + " and back is in the clear: everybody in that network can read and change it"
	}
	return rule.Medium, "what goes to " + a.Host + " and back is in the clear: everybody on the way can read it, and put words before the model"
}
