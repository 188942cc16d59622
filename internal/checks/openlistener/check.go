// Package openlistener finds servers on this machine that ask nobody who they are.
package openlistener

import (
	_ "embed"
	"fmt"
	"net/netip"
	"net/url"

	"gatehouse/internal/check"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "open-listener",
	Title:      "A server answers whoever asks",
	Severity:   rule.Medium,
	References: []string{"CWE-306: Missing Authentication for Critical Function", "OWASP MCP Top 10, MCP07: Insufficient Authentication and Authorization", "SAFE-T1005"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	if scene.Facts.Listening == nil {
		return check.Result{Unchecked: []check.Unchecked{{Why: "the ports of this machine were not asked; scan --listening asks"}}}
	}
	found, err := scene.Facts.Listening()
	if err != nil {
		r.Unchecked = append(r.Unchecked, check.Unchecked{Why: err.Error()})
	}
	for _, l := range found {
		if !l.Open {
			continue
		}
		f := check.Finding{Name: l.Name, Evidence: check.Bind(l.Address, l.Name)}
		who := "a server of MCP"
		if l.Name != "" {
			who = fmt.Sprintf("a server of MCP that calls itself %q", check.Shown(l.Name))
		}
		if l.Process != "" {
			who += ", the process " + l.Process + ","
		}
		f.Why = fmt.Sprintf("%s answers on %s without credentials: every program and every user of this machine can use it", who, l.Address)
		f.Fix = "start it over stdio instead, or behind `gatehouse serve`, which asks who it is"
		if f.Severity = rule.Low; l.Public {
			f.Severity = rule.High
			f.Why = fmt.Sprintf("%s answers on %s without credentials: every machine that reaches this one can use it", who, l.Address)
			f.Fix = "bind it to 127.0.0.1, and put `gatehouse serve` before it"
		}
		if !configured(scene, l) {
			f.Why += "; no client that was found is set up to use it"
		}
		r.Findings = append(r.Findings, f)
	}
	return r
}

// configured reports whether a client has a server at the port.
func configured(scene *check.Scene, l check.Listener) bool {
	at, err := netip.ParseAddrPort(l.Address)
	if err != nil {
		return false
	}
	port := fmt.Sprint(at.Port())
	for _, s := range scene.Servers {
		for _, e := range s.Entries {
			if u, err := url.Parse(e.URL); e.URL != "" && err == nil && u.Port() == port {
				return true
			}
		}
	}
	return false
}
