// Package excessrights finds credentials that their form, or the name of their user,
// shows to allow everything.
package excessrights

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
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
	ID:         "excess-rights",
	Title:      "A server has more rights than it needs",
	Severity:   rule.Medium,
	References: []string{"CWE-250: Execution with Unnecessary Privileges", "CWE-272: Least Privilege Violation", "OWASP MCP Top 10, MCP02: Privilege Escalation via Scope Creep"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	for s, e := range scene.Running() {
		for _, x := range excesses(e) {
			r.Findings = append(r.Findings, check.About(s, e).Says(x.severity, x.why, x.instead, s.ID, x.why))
		}
	}
	return r
}

type excess struct {
	severity     rule.Severity
	why, instead string
}

// tokens whose form says what they allow.
var tokens = []struct {
	prefix       string
	severity     rule.Severity
	why, instead string
}{
	{"ghp_", rule.Medium, "a classic GitHub token reaches every repository that its owner reaches", "use a fine-grained token (github_pat_) for the repositories that this server needs, with read permissions where that is enough"},
	{"sk_live_", rule.High, "a secret key of Stripe may do everything with real money", "use a restricted key (rk_live_) with read permissions, or one of a test environment"},
	{"sk-admin-", rule.High, "an admin key of OpenAI manages the whole organisation", "use a key of one project"},
	{"xoxp-", rule.Medium, "a user token of Slack acts as a person, with everything that this person may read", "use a bot token (xoxb-) with the scopes that this server needs"},
	{"sbp_", rule.Medium, "a personal token of Supabase reaches every project of its owner", "limit the server with --read-only and --project-ref, or use a key of one project"},
	{"sb_secret_", rule.Medium, "a secret key of Supabase passes by row level security", "use a publishable key and a user"},
	{"dp.pt.", rule.Medium, "a personal token of Doppler reads every secret of its owner", "use a service token (dp.st.) of one configuration"},
	{"dapi", rule.Low, "a personal token of Databricks may do what its owner may do", "use a service principal"},
	{"sntryu_", rule.Low, "a personal token of Sentry may do what its owner may do", "use an organisation token (sntrys_) with the scopes that this server needs"},
	{"pscale_oauth_", rule.Low, "a token of a PlanetScale user may do what the user may do", "use a service token"},
	{"HRKU-", rule.Medium, "an API key of Heroku manages the whole account", "use an authorization with a limited scope"},
	{"A3-", rule.High, "a secret key of 1Password is a part of what opens the whole account", "use a service account for one vault"},
}

func excesses(e client.Entry) (out []excess) {
	for _, c := range credential.Of(e) {
		for _, t := range tokens {
			// Without its form, a few letters at the beginning say nothing.
			if c.Known && strings.HasPrefix(c.Value(), t.prefix) {
				out = append(out, excess{t.severity, c.Where() + ": " + t.why, t.instead})
			}
		}
		if roleOf(c.Value()) == "service_role" {
			out = append(out, excess{rule.Medium, c.Where() + ": a service_role key of Supabase passes by row level security", "use a publishable key and a user"})
		}
	}
	for _, v := range inventory.Environment(e) {
		out = append(out, ofVariable(v)...)
	}
	for _, w := range inventory.Given(e) {
		out = append(out, ofAddress(w.Value, "an argument")...)
		if switchesWritesOn(w.Option) && w.Value != "false" {
			out = append(out, excess{rule.Low, w.Option + " lets the server change things", "leave it out where reading is enough"})
		}
	}
	return out
}

// roleOf is the claim "role" of a JSON Web Token.
func roleOf(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ Role string }
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		return ""
	}
	return claims.Role
}

// address is that of a database, with a user in it.
var address = regexp.MustCompile(`^(?i)(postgres|postgresql|mysql|mysql2|mariadb|mongodb|mongodb\+srv|mssql|sqlserver|redis|rediss|neo4j|bolt|clickhouse|oracle|cockroachdb|elasticsearch)(?:\+[a-z0-9]+)?://([^:/@\s]+)(?::.*)?@([^/:?@\s]+)`)

// administrators are users that may do everything in some database.
var administrators = strings.Fields("root postgres admin administrator sa sysadmin superuser rdsadmin masteruser dbadmin cloudsqladmin azure_superuser elastic sys system")

func isAdministrator(user string) bool {
	user, _, _ = strings.Cut(strings.ToLower(user), ".") // of a pooler: postgres.project
	return slices.Contains(administrators, user)
}

func ofAddress(value, where string) []excess {
	m := address.FindStringSubmatch(value)
	if m == nil || !isAdministrator(m[2]) {
		return nil
	}
	severity := rule.Medium
	if inventory.Loopback(m[3]) {
		severity = rule.Low
	}
	return []excess{{severity, fmt.Sprintf("%s: the server is the user %s of the database on %s, who may change and delete everything", where, m[2], m[3]), "make a user for this server that may read what it needs"}}
}

func ofVariable(v client.Value) []excess {
	where, value := "the variable "+v.Name, string(v.Raw)
	words := argument.Words(v.Name)
	has := func(list ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
	}
	switch {
	case len(words) == 0:
	case v.Name == "SNOWFLAKE_ROLE" && slices.Contains([]string{"ACCOUNTADMIN", "SECURITYADMIN", "ORGADMIN", "SYSADMIN"}, strings.ToUpper(value)):
		return []excess{{rule.Medium, where + ": the role " + strings.ToUpper(value) + " manages the whole account", "make a role that reads what this server needs"}}
	case v.Name == "AWS_PROFILE" && slices.ContainsFunc(argument.Words(value), func(w string) bool {
		return slices.Contains([]string{"root", "admin", "administrator", "poweruser"}, w)
	}):
		return []excess{{rule.Medium, where + ": by its name, the profile may do everything", "make a profile for this server with read permissions"}}
	case v.Name == "AWS_ACCESS_KEY_ID" && strings.HasPrefix(value, "AKIA"):
		return []excess{{rule.Low, where + ": a key that begins with AKIA lasts until somebody deletes it", "use a profile with short-lived credentials"}}
	case v.Name == "KUBECONFIG" && strings.HasSuffix(value, "admin.conf"):
		return []excess{{rule.Medium, where + ": the file of a cluster's administrator", "make an account for this server that may read what it needs"}}
	case v.Name == "PGUSER" || has("user", "username") && has("db", "database", "postgres", "mysql", "mariadb", "mssql", "mongo", "mongodb", "sql", "oracle", "es", "elasticsearch"):
		if isAdministrator(value) {
			return []excess{{rule.Low, where + ": the user " + value + " may change and delete everything", "make a user for this server that may read what it needs"}}
		}
	case switchesWritesOn(v.Name) && slices.Contains([]string{"true", "1", "yes", "on"}, strings.ToLower(value)):
		return []excess{{rule.Low, where + " lets the server change things", "leave it out where reading is enough"}}
	}
	return ofAddress(value, where)
}

// switchesWritesOn reports whether a name is that of a switch for what changes things.
func switchesWritesOn(name string) bool {
	words := argument.Words(strings.TrimLeft(name, "-"))
	has := func(list ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
	}
	return has("allow", "enable", "enabled") && has("write", "writes", "insert", "update", "delete", "ddl", "destructive", "dangerous", "dangerously")
}
