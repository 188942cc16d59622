// Package installscripts finds packages that run commands when they are installed.
package installscripts

import (
	_ "embed"
	"fmt"

	"gatehouse/internal/check"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "install-scripts",
	Title:      "A package runs commands of its own when it is installed",
	Severity:   rule.Medium,
	References: []string{"CWE-829: Inclusion of Functionality from Untrusted Control Sphere", "OWASP MCP Top 10, MCP04: Software Supply Chain Attacks", "SAFE-T1003"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) check.Result {
	return scene.Packages(missing, judge)
}

func missing(p check.Package) string {
	if p.Scripts {
		return ""
	}
	return "what runs when their dependencies are installed is not noted here"
}

func judge(c check.Case) (f check.Finding, found bool) {
	if len(c.InstallScripts) == 0 {
		return f, false
	}
	first := c.InstallScripts[0]
	why := fmt.Sprintf("%s runs what it likes on this machine when it is installed (%s)", c.Named(), check.Shown(first))
	if n := len(c.InstallScripts) - 1; n > 0 {
		why += fmt.Sprintf("; there are %d more such commands", n)
	}
	f = c.Finding(why, "read what it does; npm leaves it out with ignore-scripts=true in .npmrc, pip and uv with --only-binary :all:", c.InstallScripts...)
	f.Severity = severity(c)
	return f, true
}

// severity: what runs at installation was looked at once if the version is fixed. Whatever
// is newest was looked at by nobody.
func severity(c check.Case) rule.Severity {
	if c.Source.Pinned() {
		return rule.Low
	}
	return rule.Medium
}
