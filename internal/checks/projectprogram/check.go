// Package projectprogram finds servers whose program is part of whatever folder is
// open.
package projectprogram

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/config"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "project-program",
	Title:      "A project brings the program of a server",
	Severity:   rule.Medium,
	References: []string{"CWE-829: Inclusion of Functionality from Untrusted Control Sphere", "CWE-426: Untrusted Search Path", "OWASP MCP Top 10, MCP04: Software Supply Chain Attacks"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		source := inventory.Of(e)
		if source.Kind != inventory.Script && source.Kind != inventory.Binary {
			continue
		}
		path, relative := ofFolder(source, e)
		path = config.RedactValue("", path)
		if !relative {
			continue
		}
		why := fmt.Sprintf("it starts %s of the project: who changes the project runs programs on the machine of everybody who opens it", path)
		fix := "read the program and its changes before you let a client start it, and run it in the sandbox"
		if e.Scope != client.Project {
			why = fmt.Sprintf("it starts %s of whatever folder is open: every project that has a file of this name runs programs as you", path)
			fix = "write the whole path"
		}
		r.Findings = append(r.Findings, check.About(s, e).Says(rule.Unrated, why, fix, s.ID, path))
	}
	return r
}

// ofFolder reports whether a program is looked for in the folder that is open.
func ofFolder(source inventory.Source, e client.Entry) (string, bool) {
	if strings.HasPrefix(source.Package, "-m ") || strings.Contains(source.Package, "://") {
		return "", false // a module, which is looked for in several places; download-and-run
	}
	if source.Kind == inventory.Binary && !strings.ContainsAny(source.Package, `/\\`) {
		return "", false // looked for in PATH
	}
	words := inventory.Launching(e)
	if source.Launcher == "dotnet" && source.Package == "run" {
		words = inventory.Given(e)
	}
	for _, w := range words {
		if slices.Contains([]string{"--directory", "--project", "--cwd", "--prefix", "-C", "-cp", "-classpath", "--class-path"}, w.Option) {
			return w.Value, isRelative(w.Value)
		}
	}
	if e.Dir != "" && !isRelative(e.Dir) {
		return "", false
	}
	return source.Package, source.Package != "" && isRelative(source.Package)
}

var (
	absolute = regexp.MustCompile(`^(?:[/~\\]|[A-Za-z]:|%[A-Za-z]|\$)`)
	opened   = regexp.MustCompile(`(?i)^\$\{(?:workspace\w*|workspacefolder:[^}]*|project\w*|cwd)\}`)
)

func isRelative(path string) bool {
	return opened.MatchString(path) || !absolute.MatchString(path)
}
