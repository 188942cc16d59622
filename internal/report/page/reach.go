package page

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/report"
)

// kind is what a server reaches.
type kind string

const (
	files   kind = "files"
	network kind = "network"
	secrets kind = "secrets"
)

// target is one thing that a server reaches, as far as the files tell.
type target struct {
	kind kind
	name string
}

// What a process without a sandbox reaches is what the person who starts it reaches.
var (
	everyFile = target{files, "every file of yours"}
	everyHost = target{network, "any host"}
	allowed   = target{files, "what its sandbox allows"}
)

// maxTargets bounds what is drawn for one server.
const maxTargets = 6

// reaches says what a server reaches.
func reaches(r *report.Report, s inventory.Server) []target {
	var out []target
	add := func(t target) {
		if t.name != "" && !slices.Contains(out, t) && len(out) < maxTargets {
			out = append(out, t)
		}
	}
	switch {
	case s.Kind == inventory.Remote:
		add(target{network, host(s.Package)})
	case s.Kind == inventory.BuiltIn: // what the client gives it does not stand in its file
	case s.Protected:
		add(allowed)
	case s.Kind == inventory.OCI: // what a container is given may differ from client to client
		if slices.ContainsFunc(s.Entries, owns) {
			add(everyFile)
			add(everyHost)
		}
		if slices.ContainsFunc(s.Entries, networked) {
			add(everyHost)
		}
	default:
		add(everyFile)
		add(everyHost)
	}
	for _, name := range named(s) {
		add(target{secrets, name})
	}
	for _, e := range s.Entries {
		for _, m := range inventory.Of(e).Mounts {
			if strings.ContainsAny(m.Source, `/\`) { // a name without a separator is a volume
				add(target{files, r.Short(m.Source)})
			}
		}
	}
	for _, root := range s.Roots {
		add(target{files, r.Short(root)})
	}
	return out
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	return u.Host
}

// owns reports whether a container has the rights of the machine: it is privileged, or may
// speak to the engine that starts containers.
func owns(e client.Entry) bool {
	return slices.ContainsFunc(inventory.Launching(e), func(w inventory.Word) bool { return w.Option == "--privileged" && w.Value != "false" }) ||
		slices.ContainsFunc(inventory.Of(e).Mounts, inventory.Mount.Engine)
}

// networked reports whether a container has a network: it has one unless it is told to
// have none.
func networked(e client.Entry) bool {
	none := false
	for _, w := range inventory.Launching(e) {
		if w.Option == "--network" || w.Option == "--net" {
			if none = w.Value == "none"; !none {
				return true
			}
		}
	}
	return !none
}

var secretName = regexp.MustCompile(`(?i)(token|key|secret|passw|credential|authorization)`)

// named are the secrets that a server is given.
func named(s inventory.Server) (out []string) {
	for _, e := range s.Entries {
		for _, v := range slices.Concat(e.Env, e.Headers) {
			if (v.Secret || v.Kind == client.Reference && secretName.MatchString(v.Name)) && !slices.Contains(out, v.Name) {
				out = append(out, v.Name)
			}
		}
	}
	return out
}
