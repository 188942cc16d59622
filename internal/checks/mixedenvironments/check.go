// Package mixedenvironments finds credentials of production where a name says
// development, and the other way round.
package mixedenvironments

import (
	_ "embed"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/credential"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
	"gatehouse/internal/rule/argument"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "mixed-environments",
	Title:      "Credentials of production and of development are mixed",
	Severity:   rule.Medium,
	References: []string{"CWE-1188: Initialization of a Resource with an Insecure Default", "OWASP MCP Top 10, MCP01: Token Mismanagement and Secret Exposure"},
	Doc:        doc,
	Run:        run,
}

// side is one of two environments that are kept apart.
type side int

const (
	neither side = iota
	production
	development
)

func (s side) String() string {
	return [...]string{"neither", "production", "development"}[s]
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		label, said := labelled(e)
		if label == neither {
			continue
		}
		for _, h := range holdings(e) {
			if h.side == neither || h.side == label {
				continue
			}
			why := fmt.Sprintf("%s says %s, and %s is of %s", said, label, h.what, h.side)
			r.Findings = append(r.Findings, check.About(s, e).Says(rule.Unrated, why,
				"give each environment a server and a credential of its own", s.ID, said, h.what))
		}
	}
	return r
}

// sideOf is the environment that a name speaks of. Words that mean many things, such as
// test and live, say nothing.
func sideOf(name string) side {
	for _, word := range argument.Words(name) {
		switch word {
		case "prod", "production", "prd":
			return production
		case "dev", "development", "staging", "sandbox":
			return development
		}
	}
	return neither
}

// labelled is the environment that an entry says it is for: its name, the name of its
// file, or a variable that is there for that.
func labelled(e client.Entry) (side, string) {
	if s := sideOf(e.Name); s != neither {
		return s, "its name"
	}
	for _, v := range e.Env {
		switch strings.ToUpper(v.Name) {
		case "NODE_ENV", "APP_ENV", "ENVIRONMENT", "RAILS_ENV", "DEPLOY_ENV", "STAGE", "ENV":
			if s := sideOf(string(v.Raw)); s != neither {
				return s, "the variable " + v.Name
			}
		}
	}
	if s := sideOf(path.Base(e.File)); s != neither {
		return s, "the name of its file"
	}
	return neither, ""
}

type holding struct {
	side side
	what string
}

var (
	live = []string{"sk_live_", "rk_live_", "access-production-", "rzp_live_", "duffel_live_", "shippo_live_"}
	test = []string{"sk_test_", "rk_test_", "access-sandbox-", "rzp_test_", "duffel_test_", "shippo_test_", "FLWSECK_TEST"}
	host = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://(?:[^/@\s]*@)?([^/:?\s]+)`)
)

// holdings are the credentials and the addresses of an entry whose form says which
// environment they are of.
func holdings(e client.Entry) (out []holding) {
	for _, c := range credential.Of(e) {
		out = append(out, holding{ofToken(c.Value()), "the " + c.Kind + " in " + c.Where()})
	}
	at := func(address, where string) {
		if m := host.FindStringSubmatch(strings.ToLower(address)); m != nil {
			out = append(out, holding{sideOf(m[1]), "the host in " + where})
		}
	}
	for _, v := range inventory.Environment(e) {
		at(string(v.Raw), "the variable "+v.Name)
		out = append(out, holding{ofToken(string(v.Raw)), "the token in the variable " + v.Name})
	}
	for _, w := range inventory.Given(e) {
		at(w.Value, "an argument")
	}
	at(e.URL, "its address")
	return once(out)
}

// once leaves out what stands in a variable both as a credential and as a token.
func once(all []holding) (out []holding) {
	seen := map[string]bool{}
	for _, h := range all {
		key := h.what[strings.LastIndex(h.what, " in "):] + h.side.String()
		if h.side != neither && !seen[key] {
			seen[key] = true
			out = append(out, h)
		}
	}
	return out
}

func ofToken(value string) side {
	has := func(prefix string) bool { return strings.HasPrefix(value, prefix) }
	switch {
	case slices.ContainsFunc(live, has):
		return production
	case slices.ContainsFunc(test, has):
		return development
	}
	return neither
}
