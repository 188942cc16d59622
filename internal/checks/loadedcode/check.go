// Package loadedcode finds variables by which code gets into a program that does not
// name it.
package loadedcode

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/credential"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "loaded-code",
	Title:      "A variable makes a server load other code",
	Severity:   rule.Medium,
	References: []string{"CWE-426: Untrusted Search Path", "CWE-427: Uncontrolled Search Path Element"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		for _, v := range inventory.Environment(e) {
			severity, why := judge(v.Name, string(v.Raw))
			if why == "" {
				continue
			}
			r.Findings = append(r.Findings, check.About(s, e).Says(severity, "the variable "+v.Name+" "+why, "leave it out, or install what it loads with the server", s.ID, v.Name))
		}
	}
	return r
}

var (
	preloads = regexp.MustCompile(`^(?:LD_PRELOAD|LD_AUDIT|DYLD_INSERT_LIBRARIES)$`)
	// ofNode are the options of Node.js that load a file before the program.
	ofNode = regexp.MustCompile(`(?:^|\s)(?:-r|--require|--import|--loader|--experimental-loader)(?:[\s=]|$)`)
	ofJava = regexp.MustCompile(`-(?:javaagent|agentpath|agentlib):`)
	// installed are folders that only an administrator fills.
	installed = regexp.MustCompile(`^(?:/usr/|/lib|/opt/|/System/|/nix/store/)`)
)

func judge(name, value string) (rule.Severity, string) {
	switch upper := strings.ToUpper(name); {
	case value == "" || credential.IsReference(value):
	case preloads.MatchString(upper) && installed.MatchString(value):
		return rule.Low, "puts a library of the system into every program that the server starts"
	case preloads.MatchString(upper):
		return rule.High, "puts a library into the server and into every program that it starts"
	case (upper == "NODE_OPTIONS" || upper == "NPM_CONFIG_NODE_OPTIONS" || upper == "BUN_OPTIONS") && ofNode.MatchString(value):
		return rule.Unrated, "loads a file into the server before its own code"
	case slices.Contains([]string{"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS"}, upper) && ofJava.MatchString(value):
		return rule.Unrated, "loads an agent into the server before its own code"
	case slices.Contains([]string{"PYTHONSTARTUP", "BASH_ENV", "PERL5OPT", "PERL5DB", "RUBYOPT", "NPM_CONFIG_SCRIPT_SHELL", "GIT_SSH_COMMAND", "GIT_EXTERNAL_DIFF", "GIT_PROXY_COMMAND", "PYTHONBREAKPOINT"}, upper):
		return rule.Unrated, "runs code that the server does not name"
	}
	return rule.Unrated, ""
}
