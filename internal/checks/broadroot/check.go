// Package broadroot finds folders that are too broad for any server, or hold secrets,
// among those that a server is given.
package broadroot

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

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
	ID:         "broad-root",
	Title:      "A server is given more folders than it needs",
	Severity:   rule.High,
	References: []string{"CWE-552: Files or Directories Accessible to External Parties", "CWE-732: Incorrect Permission Assignment for Critical Resource", "OWASP MCP Top 10, MCP02: Privilege Escalation via Scope Creep"},
	Doc:        doc,
	Run:        run,
}

func run(scene *check.Scene) (r check.Result) {
	home := scene.Homes()
	for s, e := range scene.Running() {
		for _, g := range given(e) {
			place := inventory.Place(g.path, home(e.File))
			if place == "/" && g.route {
				continue
			}
			severity, what := judge(place)
			if severity == rule.Unrated {
				continue
			}
			why := fmt.Sprintf("%s gives it %s, %s", g.where, g.path, what)
			r.Findings = append(r.Findings, check.About(s, e).Says(severity, why, "give it the folder of one project", s.ID, g.where, place))
		}
	}
	return r
}

// folder is one that a server is given, and by what.
type folder struct {
	path, where string
	// route says that it may be the path of an address: a server that is told to answer
	// at / is not given the machine.
	route bool
}

func given(e client.Entry) (out []folder) {
	source := inventory.Of(e)
	for _, m := range source.Mounts {
		where := "a mount"
		if m.ReadOnly {
			where = "a read-only mount"
		}
		out = append(out, folder{m.Source, where, false})
	}
	if source.Kind != inventory.OCI { // whose arguments are paths inside of it
		for _, w := range inventory.Given(e) {
			where := "an argument"
			if w.Option != "" {
				where = w.Option
			}
			out = append(out, folder{w.Value, where, isRoute(w.Option)})
		}
	}
	for _, v := range inventory.Environment(e) {
		if source.Kind == inventory.OCI || !namesFolders(v.Name) {
			continue
		}
		for _, path := range strings.FieldsFunc(string(v.Raw), func(r rune) bool { return r == ',' || r == ';' }) {
			out = append(out, folder{strings.TrimSpace(path), "the variable " + v.Name, false})
		}
	}
	return out
}

func isRoute(option string) bool {
	words := argument.Words(strings.TrimLeft(option, "-"))
	return len(words) > 0 && !namesFolders(option) && slices.ContainsFunc(words, func(w string) bool {
		return slices.Contains([]string{"path", "prefix", "base", "url", "uri", "route", "endpoint", "basepath", "mount"}, w)
	})
}

func namesFolders(name string) bool {
	return slices.ContainsFunc(argument.Words(strings.TrimLeft(name, "-")), func(w string) bool {
		return slices.Contains([]string{"allowed", "root", "roots", "dir", "dirs", "directory", "directories", "folder", "folders", "workspace", "workspaces", "vault"}, w)
	})
}

const (
	everything  = "which is everything on this machine"
	everybody   = "where the folders of everybody on this machine are"
	personal    = "your home, with keys, passwords and the files of every client in it"
	credentials = "where keys and passwords are"
	clientFiles = "where a client keeps which servers it starts: who writes there starts programs as you"
	system      = "which belongs to the system"
)

// broad is what is said about a folder.
type broad struct {
	severity rule.Severity
	what     string
}

// places are folders that no server needs as a whole, as inventory.Place writes them.
var places = map[string]broad{
	"/": {rule.High, everything}, "~": {rule.High, personal},
	"/home": {rule.High, everybody}, "/Users": {rule.High, everybody}, "C:/Users": {rule.High, everybody}, "/mnt/c/Users": {rule.High, everybody}, "/mnt": {rule.Medium, "where other disks are"}, "/Volumes": {rule.High, everything}, "/media": {rule.Medium, "where other disks are"},
	"/etc": {rule.High, system}, "/proc": {rule.High, system}, "/sys": {rule.High, system}, "/dev": {rule.High, system}, "/run": {rule.High, "where programs of the system listen"}, "/var/run": {rule.High, "where programs of the system listen"}, "/boot": {rule.High, system}, "/private": {rule.High, system}, "/private/etc": {rule.High, system},
	"/var": {rule.Medium, system}, "/usr": {rule.Medium, system}, "/opt": {rule.Medium, system}, "/bin": {rule.Medium, system}, "/Library": {rule.Medium, system}, "/System": {rule.Medium, system}, "/Applications": {rule.Medium, system}, "C:/Windows": {rule.High, system}, "C:/ProgramData": {rule.Medium, system}, "C:/Program Files": {rule.Medium, system},
	"~/.config": {rule.High, credentials}, "~/.local": {rule.Medium, "where programs keep what they know"}, "~/Library": {rule.High, credentials}, "~/Library/Application Support": {rule.High, credentials}, "~/AppData": {rule.High, credentials}, "~/AppData/Roaming": {rule.High, credentials}, "~/AppData/Local": {rule.High, credentials},
	"~/Documents": {rule.Low, "all of your documents"}, "~/Desktop": {rule.Low, "everything on your desktop"}, "~/Downloads": {rule.Low, "everything that you fetched"}, "~/OneDrive": {rule.Low, "all of your documents"}, "~/Dropbox": {rule.Low, "all of your documents"}, "~/Google Drive": {rule.Low, "all of your documents"}, "~/Library/Mobile Documents": {rule.Low, "all of your documents"}, "~/Pictures": {rule.Low, "all of your pictures"},
}

var drive = regexp.MustCompile(`^[A-Za-z]:`)

// windows are the places on drives, in lower case.
var windows = sync.OnceValue(func() map[string]broad {
	all := map[string]broad{}
	for place, b := range places {
		if drive.MatchString(place) {
			all[strings.ToLower(place)] = b
		}
	}
	return all
})

// secret are folders that hold keys and passwords, themselves and all below them.
var secret = []string{"~/.ssh", "~/.aws", "~/.gnupg", "~/.kube", "~/.azure", "~/.docker", "~/.password-store", "~/.config/gcloud", "~/.config/gh", "~/.config/op", "~/.local/share/keyrings", "~/Library/Keychains", "~/.mozilla", "~/.config/google-chrome", "~/Library/Application Support/Google/Chrome", "~/.oci", "~/.vault-token", "~/.netrc", "~/.npmrc", "~/.pypirc", "~/.git-credentials", "/etc/shadow", "/etc/ssh", "/etc/ssl/private"}

// ofClients are folders that hold the files of clients.
var ofClients = []string{"~/.cursor", "~/.claude", "~/.claude.json", "~/.codex", "~/.gemini", "~/.vscode", "~/.codeium", "~/.config/Code", "~/.config/Claude", "~/.config/zed", "~/Library/Application Support/Claude", "~/Library/Application Support/Code"}

func judge(place string) (rule.Severity, string) {
	p, known := places[place]
	if !known && drive.MatchString(place) {
		p, known = windows()[strings.ToLower(place)] // where case does not matter
	}
	if known {
		return p.severity, p.what
	}
	for _, s := range secret {
		if place == s {
			return rule.High, credentials
		}
		if strings.HasPrefix(place, s+"/") {
			return rule.Medium, credentials
		}
	}
	if slices.Contains(ofClients, place) {
		return rule.High, clientFiles
	}
	return rule.Unrated, ""
}
