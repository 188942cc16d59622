// Package elevated finds servers that are started with the rights of an administrator.
package elevated

import (
	_ "embed"
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
	ID:         "elevated",
	Title:      "A server runs as an administrator",
	Severity:   rule.High,
	References: []string{"CWE-250: Execution with Unnecessary Privileges", "OWASP MCP Top 10, MCP02: Privilege Escalation via Scope Creep"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		by := elevator(e)
		if by == "" {
			continue
		}
		why := by + " starts it with the rights of an administrator: what it is made to do, it does to the whole machine"
		r.Findings = append(r.Findings, check.About(s, e).Says(rule.Unrated, why, "start it as yourself, and give it the one thing that it needs", s.ID, by))
	}
	return r
}

var (
	elevators = []string{"sudo", "doas", "pkexec", "gsudo", "su", "run0", "kdesu", "gksudo"}
	// inLine finds one in a line for a shell.
	inLine = regexp.MustCompile(`(?:^|[;&|(]\s*|\bexec\s+)(sudo|doas|pkexec|gsudo|run0)\s`)
)

// elevator is the word that makes an administrator of a command. Who names another user
// has fewer rights, not more.
func elevator(e client.Entry) string {
	if len(e.Words) == 0 {
		return ""
	}
	source := inventory.Of(e)
	names := source.Wrappers
	switch source.Kind {
	case inventory.Binary:
		names = append(names, inventory.Program(source.Package))
	case inventory.Shell:
		if m := inLine.FindStringSubmatch(source.Package); m != nil {
			names = append(names, m[1])
		}
		for _, w := range e.Words {
			if m := inLine.FindStringSubmatch(w); m != nil {
				names = append(names, m[1])
			}
		}
	}
	for _, name := range names {
		if slices.Contains(elevators, name) && !otherUser(strings.Fields(strings.Join(e.Words, " ")), name) {
			return name
		}
	}
	return ""
}

// otherUser reports whether the options behind an elevator name a user that is no
// administrator.
func otherUser(words []string, elevator string) bool {
	at := slices.IndexFunc(words, func(w string) bool { return inventory.Program(w) == elevator })
	for i := at + 1; at >= 0 && i < len(words) && strings.HasPrefix(words[i], "-"); i++ {
		user, found := strings.CutPrefix(words[i], "--user=")
		if (words[i] == "-u" || words[i] == "--user") && i+1 < len(words) {
			user, found = words[i+1], true
		}
		if found {
			return user != "root" && user != "0" && user != "#0"
		}
	}
	return false
}
