// Package shellline finds commands that are lines for a shell or code in an argument,
// so that nobody can say which program they are.
package shellline

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "shell-line",
	Title:      "What a server runs cannot be told",
	Severity:   rule.Medium,
	References: []string{"CWE-78: Improper Neutralization of Special Elements used in an OS Command", "OWASP MCP Top 10, MCP05: Command Injection and Execution"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		if len(e.Words) == 0 {
			continue
		}
		severity, why, fix := judge(e)
		if why == "" {
			continue
		}
		r.Findings = append(r.Findings, check.About(s, e).Says(severity, why, fix, s.ID, why))
	}
	return r
}

var (
	encoded = regexp.MustCompile(`(?i)base64\s+(?:-d|-D|--decode)|FromBase64String|\batob\(|b64decode|xxd\s+-r`)
	// encodedCommand is PowerShell's -EncodedCommand, in the ways in which it may be shortened.
	encodedCommand = regexp.MustCompile(`(?i)^-(?:e|ec|en|enc|enco|encod|encode|encoded|encodedcommand)$`)
)

func judge(e client.Entry) (rule.Severity, string, string) {
	source := inventory.Of(e)
	whole := strings.Join(e.Words, " ")
	shell := slices.ContainsFunc(e.Words, func(w string) bool { return slices.Contains([]string{"powershell", "pwsh"}, inventory.Program(w)) })
	switch {
	case encoded.MatchString(whole) || shell && slices.ContainsFunc(e.Words, encodedCommand.MatchString):
		return rule.High, "the command is encoded: it was written so that nobody reads it", "find out what it does before you start it again, and write down the program itself"
	case source.Kind == inventory.Shell:
		return rule.Unrated, "the command is a line for a shell: which program runs, in which version, cannot be told", "name the program and its arguments, or put the line into a script that is reviewed"
	case inline(source.Launcher, inventory.Launching(e)):
		return rule.Unrated, fmt.Sprintf("the code that %s runs stands in an argument, and is no package that anybody could look up", source.Launcher), "put it into a file that is reviewed"
	}
	return rule.Unrated, "", ""
}

// inline reports whether an interpreter is given code in place of a file.
func inline(launcher string, words []inventory.Word) bool {
	switches := map[string][]string{
		"node": {"-e", "--eval", "-p", "--print", "-pe"}, "bun": {"-e", "--eval"}, "ruby": {"-e"}, "perl": {"-e", "-E"}, "php": {"-r"},
		"python": {"-c"}, "python3": {"-c"}, "py": {"-c"}, "tsx": {"-e", "--eval"}, "ts-node": {"-e", "--eval"},
	}
	return slices.ContainsFunc(words, func(w inventory.Word) bool { return slices.Contains(switches[launcher], w.Option) })
}
