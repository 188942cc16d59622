// Package openbind finds servers that are told to listen on every address of the
// machine.
package openbind

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
	"gatehouse/internal/rule/argument"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "open-bind",
	Title:      "A server listens on every network",
	Severity:   rule.Medium,
	References: []string{"CWE-1327: Binding to an Unrestricted IP Address", "OWASP MCP Top 10, MCP07: Insufficient Authentication and Authorization"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		for _, f := range judge(e) {
			r.Findings = append(r.Findings, check.About(s, e).Says(f.severity, f.what+": everybody in the network can call its tools", "listen on 127.0.0.1 only", s.ID, f.what))
		}
	}
	return r
}

type found struct {
	severity rule.Severity
	what     string
}

func judge(e client.Entry) (out []found) {
	source := inventory.Of(e)
	if source.Kind == inventory.OCI {
		return published(inventory.Launching(e))
	}
	for _, a := range inventory.Addresses(e) {
		if a.Hostname() == "0.0.0.0" || a.Hostname() == "::" {
			out = append(out, found{rule.Low, "its address is " + a.Host + ", that of a server which listens on every network"})
		}
	}
	for _, w := range inventory.Given(e) {
		switch {
		case namesListening(w.Option) && isEvery(w.Value):
			out = append(out, found{rule.High, w.Option + " makes it listen on every network"})
		case every.MatchString(w.Value):
			out = append(out, found{rule.High, "an address among its arguments makes it listen on every network"})
		}
	}
	for _, v := range inventory.Environment(e) {
		if namesListening(v.Name) && isEvery(string(v.Raw)) {
			out = append(out, found{rule.Unrated, "the variable " + v.Name + " makes it listen on every network, if it listens at all"})
		}
	}
	return out
}

// published are ports of a container that others than this machine reach. What it
// listens on inside says nothing.
func published(words []inventory.Word) (out []found) {
	host := slices.ContainsFunc(words, func(w inventory.Word) bool {
		return (w.Option == "--network" || w.Option == "--net") && w.Value == "host"
	})
	for _, w := range words {
		switch w.Option {
		case "-p", "--publish":
			if !strings.HasPrefix(w.Value, "127.") && !strings.HasPrefix(w.Value, "localhost:") && !strings.HasPrefix(w.Value, "[::1]:") && w.Value != "" {
				out = append(out, found{rule.Unrated, w.Option + " " + w.Value + " publishes its port on every network"})
			}
		case "-P", "--publish-all":
			out = append(out, found{rule.Unrated, w.Option + " publishes all of its ports on every network"})
		case "-e", "--env":
			name, value, _ := strings.Cut(w.Value, "=")
			if host && namesListening(name) && isEvery(value) {
				out = append(out, found{rule.Unrated, "the variable " + name + " makes it listen on every network"})
			}
		}
	}
	return out
}

// every is an address on every network, with its port.
var every = regexp.MustCompile(`^(?:(?:http|tcp|ws)://)?(?:0\.0\.0\.0|\[::\]):\d+(?:/.*)?$`)

func isEvery(value string) bool {
	return slices.Contains([]string{"0.0.0.0", "::", "[::]", "*"}, value) || every.MatchString(value)
}

func namesListening(name string) bool {
	return slices.ContainsFunc(argument.Words(strings.TrimLeft(name, "-")), func(w string) bool {
		return slices.Contains([]string{"host", "hostname", "bind", "listen", "address", "addr", "interface", "b", "ip"}, w)
	})
}
