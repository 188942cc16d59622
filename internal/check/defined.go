package check

import (
	"fmt"
	"strings"

	"gatehouse/internal/inventory"
)

// Defined is a server with what it says of itself.
type Defined struct {
	Server inventory.Server
	Tools  []Tool
	Others []Item
}

// Owner is what is known of who runs the server, as lower-case words, from files of
// clients and never from the server.
func (d Defined) Owner() string {
	words := []string{d.Server.Name, d.Server.Package}
	for _, e := range d.Server.Entries {
		words = append(words, e.Name, e.ShownURL)
		words = append(words, e.Shown...)
	}
	return strings.ToLower(strings.Join(words, " "))
}

// Finding is a finding about what the server says.
func (d Defined) Finding(evidence ...string) Finding {
	f := About(d.Server, d.Server.Entries[0])
	f.Clients = d.Server.Clients
	f.Evidence = Bind(append([]string{d.Server.ID}, evidence...)...)
	return f
}

// notConnected is the answer where no server was asked.
var notConnected = Unchecked{Why: "what servers define is not known; scan --connect starts them in a sandbox and asks"}

// Defined judges what each server says of itself. One that could not be asked or judged is
// Unchecked.
func (scene *Scene) Defined(judge func(Defined) ([]Finding, error)) (r Result) {
	if scene.Facts.Definitions == nil {
		return Result{Unchecked: []Unchecked{notConnected}}
	}
	for _, s := range scene.Servers {
		if s.Disabled {
			continue
		}
		d, err := scene.defined(s)
		if err == nil {
			var found []Finding
			found, err = judge(d)
			r.Findings = append(r.Findings, found...)
		}
		if err != nil {
			r.Unchecked = append(r.Unchecked, NotKnown(s, err.Error()))
		}
	}
	return r
}

func (scene *Scene) defined(s inventory.Server) (Defined, error) {
	tools, err := scene.Facts.Definitions(s.ID)
	if err != nil {
		return Defined{}, err
	}
	d := Defined{Server: s, Tools: tools}
	if scene.Facts.Others != nil {
		if d.Others, err = scene.Facts.Others(s.ID); err != nil {
			return Defined{}, err
		}
	}
	return d, nil
}

// Together are the servers that a client has at once, as far as they could be asked.
type Together struct {
	Set
	Servers []Defined // each once
}

// Together judges the servers of each set together. Those that could not be asked are left
// out, and named as not checked.
func (scene *Scene) Together(judge func(Together) ([]Finding, error)) (r Result) {
	if scene.Facts.Definitions == nil {
		return Result{Unchecked: []Unchecked{notConnected}}
	}
	said := map[string]bool{}
	for _, set := range scene.Sets() {
		all := Together{Set: set}
		var silent []string
		seen := map[string]bool{}
		for _, m := range set.Members {
			if seen[m.Server.ID] {
				continue
			}
			seen[m.Server.ID] = true
			d, err := scene.defined(m.Server)
			if err != nil {
				silent = append(silent, m.Server.Name)
				continue
			}
			all.Servers = append(all.Servers, d)
		}
		found, err := judge(all)
		r.Findings = append(r.Findings, found...)
		if err != nil {
			r.Unchecked = append(r.Unchecked, Unchecked{Why: fmt.Sprintf("%s: %v", set.Client, err)})
		}
		if len(silent) > 0 {
			why := fmt.Sprintf("servers of %s that could not be asked are not compared: %s", set.Client, strings.Join(silent, ", "))
			if !said[why] {
				said[why] = true
				r.Unchecked = append(r.Unchecked, Unchecked{Why: why})
			}
		}
	}
	return r
}
