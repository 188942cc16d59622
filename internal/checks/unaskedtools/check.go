// Package unaskedtools finds settings by which a client asks nobody before it calls
// tools.
package unaskedtools

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/check"
	"gatehouse/internal/client"
	"gatehouse/internal/rule"
	"gatehouse/internal/rule/argument"
)

//go:embed doc.md
var doc string

// Check is the check that this folder describes.
var Check = check.Check{
	ID:         "unasked-tools",
	Title:      "Tools run without asking you",
	Severity:   rule.High,
	References: []string{"CWE-862: Missing Authorization", "OWASP MCP Top 10, MCP02: Privilege Escalation via Scope Creep", "OWASP Top 10 for Agentic Applications, ASI09: Human-Agent Trust Exploitation"},
	Doc:        doc,
	Run:        run,
}

const ask = "let the client ask, and allow single tools that only read"

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		severity, why, fact := ofEntry(e)
		if why != "" {
			r.Findings = append(r.Findings, check.About(s, e).Says(severity, why, ask, s.ID, fact))
		}
	}
	for _, f := range scene.Files {
		for _, set := range f.Settings {
			severity, why := ofSetting(f, set)
			if why == "" {
				continue
			}
			about := check.AboutFile(f)
			about.Line, about.Path = set.Line, []string{set.Key}
			fix := ask
			if set.Key == "sandbox_mode" {
				fix = "let the client run commands in its sandbox: workspace-write, or read-only"
			}
			r.Findings = append(r.Findings, about.Says(severity, why, fix, f.Path, set.Key, strings.Join(set.Value, ",")))
		}
	}
	return r
}

func ofEntry(e client.Entry) (severity rule.Severity, why, fact string) {
	if e.Trusted {
		return rule.High, "the client asks nothing about this server: a sentence in a page is enough to call any of its tools", "trusted"
	}
	var changing []string
	for _, tool := range e.Approved {
		if isAll(tool) {
			return rule.High, "every tool of this server runs unasked: a sentence in a page is enough to call one", tool
		}
		if changes(tool) {
			changing = append(changing, tool)
		}
	}
	if len(changing) == 0 {
		return rule.Unrated, "", ""
	}
	return rule.Medium, fmt.Sprintf("%s %s unasked, and by name %s something", check.Few(changing), plural(changing, "runs", "run"), plural(changing, "changes", "change")), strings.Join(changing, ",")
}

func plural(list []string, one, more string) string {
	if len(list) == 1 {
		return one
	}
	return more
}

func isAll(tool string) bool {
	return slices.Contains([]string{"*", "all", ".*", "@*"}, strings.TrimSpace(tool))
}

// verbs of tools that change something, or run something.
var verbs = strings.Fields(`create add write append delete remove drop update upsert edit modify replace rename move push merge commit send post publish reply comment execute exec run eval invoke shell command terminal
	deploy release rollback restart stop kill pay transfer charge refund buy order insert upload install uninstall approve reject close cancel assign invite grant revoke reset apply patch put fork`)

// changes reports whether a tool changes something, by its name. Names that say that
// they only read are believed.
func changes(tool string) bool {
	words := argument.Words(tool)
	if slices.ContainsFunc(words, func(w string) bool {
		return slices.Contains([]string{"get", "list", "read", "search", "find", "show", "describe", "fetch", "view", "query"}, w)
	}) {
		return false
	}
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(verbs, w) })
}

// always are settings that are wrong in one value.
var always = []struct {
	key, value string
	severity   rule.Severity
	why        string
}{
	{"amp.dangerouslyAllowAll", "true", rule.High, "runs every tool and every command unasked"},
	{"amp.commands.allowlist", "*", rule.High, "runs every command unasked"},
	{"chat.tools.autoApprove", "true", rule.High, "runs every tool unasked"},
	{"chat.tools.global.autoApprove", "true", rule.High, "runs every tool unasked"},
	{"permissions.defaultMode", "bypassPermissions", rule.High, "runs every tool and every command unasked"},
	{"permissions.defaultMode", "acceptEdits", rule.Low, "changes files unasked"},
	{"agent.always_allow_tool_actions", "true", rule.High, "runs every tool unasked"},
	{"assistant.always_allow_tool_actions", "true", rule.High, "runs every tool unasked"},
	{"GOOSE_MODE", "auto", rule.Medium, "runs every tool unasked"},
	{"permission", "allow", rule.High, "runs every tool and every command unasked"},
	{"permission.*", "allow", rule.High, "runs every tool and every command unasked"},
	{"permission.bash", "allow", rule.Medium, "runs every command unasked"},
	{"tools.allowed", "run_shell_command", rule.High, "runs every command unasked"},
	{"tools.allowed", "*", rule.High, "runs every tool unasked"},
	{"sandbox_mode", "danger-full-access", rule.High, "runs commands without its sandbox"},
}

func ofSetting(f client.File, set client.Set) (rule.Severity, string) {
	for _, a := range always {
		if set.Key == a.key && slices.Contains(set.Value, a.value) {
			return a.severity, fmt.Sprintf("%s is %s: the client %s", set.Key, a.value, a.why)
		}
	}
	switch set.Key {
	case "approval_policy":
		if slices.Contains(set.Value, "never") {
			if slices.ContainsFunc(f.Settings, func(s client.Set) bool {
				return s.Key == "sandbox_mode" && slices.Contains(s.Value, "danger-full-access")
			}) {
				return rule.High, "approval_policy is never, and there is no sandbox: the client runs everything unasked"
			}
			return rule.Medium, "approval_policy is never: the client asks nothing, and only its sandbox holds what it runs"
		}
	case "permissions.allow":
		return allowed(set, func(rule string) bool {
			return slices.Contains([]string{"*", "Bash", "Bash(*)", "Bash(*:*)", "mcp__*"}, rule)
		}, func(rule string) bool {
			server, tool, single := strings.Cut(strings.TrimPrefix(rule, "mcp__"), "__")
			return strings.HasPrefix(rule, "mcp__") && server != "" && (!single || tool == "*" || changes(tool))
		})
	case "allowedTools":
		return allowed(set, func(tool string) bool {
			return isAll(tool) || slices.Contains([]string{"execute_bash", "execute_cmd", "shell"}, tool)
		}, func(tool string) bool {
			server, tool, single := strings.Cut(strings.TrimPrefix(tool, "@"), "/")
			return server != "" && (single && (tool == "*" || changes(tool)) || !single && (strings.HasPrefix(set.Key, "@") || changes(server) || server == "fs_write" || server == "write"))
		})
	}
	return rule.Unrated, ""
}

// allowed judges a list of what runs unasked.
func allowed(set client.Set, everything, something func(string) bool) (rule.Severity, string) {
	var some []string
	for _, value := range set.Value {
		if everything(value) {
			return rule.High, fmt.Sprintf("%s holds %s: the client runs all of that unasked", set.Key, value)
		}
		if something(value) {
			some = append(some, value)
		}
	}
	if len(some) == 0 {
		return rule.Unrated, ""
	}
	return rule.Medium, fmt.Sprintf("%s holds %s: unasked, the client runs what may change something", set.Key, check.Few(some))
}
