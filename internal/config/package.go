package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/command"
	"gatehouse/internal/profile"
)

func installKey(i *Install) key {
	texts := func() schema {
		return schema{"type": "array", "maxItems": maxGrants, "items": schema{"type": "string"}}
	}
	return section("install", "How the packages of servers that npx, uvx and the like would start are installed.",
		oneOf("when", "When Gatehouse starts, or only by gatehouse install.", &i.When, FirstStart, Explicitly),
		key{"network", described(texts(), "Places that installers may reach besides the registries that npm and pip are set up for, HOST:PORT."), func(r *reader, n *node, field string) {
			i.Network = r.destinations(n, field)
		}},
		key{"unsafe_addresses", described(texts(), "Private ranges, such as 10.1.0.0/16, into which the names of registries may lead."), func(r *reader, n *node, field string) {
			i.UnsafeAddresses = r.privateRanges(n, field)
		}},
	)
}

// Package is what the command of the server launches and Gatehouse installs, apart
// from its start. An error says why it cannot be installed; such a server does not
// start.
func (s Server) Package() (r command.Request, launches bool, err error) {
	if s.UnsafeNoSandbox || s.URL != "" || s.Sandbox != nil && s.Sandbox.InContainer() {
		return command.Request{}, false, nil
	}
	if r, launches, err = command.Launches(s.Command); launches && err == nil {
		err = s.checkLocal(r)
	}
	return r, launches, err
}

// checkLocal refuses what npx would not fetch, because a project has it already: a
// package of that name in the registry may be somebody else's.
func (s Server) checkLocal(r command.Request) error {
	if r.Kind != command.NPM || r.Program != "" || r.Pin() != command.Newest {
		return nil
	}
	for dir := s.Dir; ; dir = filepath.Dir(dir) {
		for _, there := range []string{filepath.Join(dir, "node_modules", r.Name()), filepath.Join(dir, "node_modules", ".bin", filepath.Base(r.Name()))} {
			if fileExists(there) {
				return fmt.Errorf("%s would start what is in %s already; write the program in %s as the command, or the version of the package that is meant", s.Command[0], there, filepath.Join(dir, "node_modules", ".bin"))
			}
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// ConfinePackage gives a server without a sandbox the one that belongs to a package
// that its command launches: nothing is allowed but the package itself.
func (s *Server) ConfinePackage() {
	if s.Sandbox == nil {
		s.packageDefaults(s.Command)
	}
}

func (s *Server) packageDefaults(words []string) {
	r, launches, _ := command.Launches(words)
	if !launches || s.UnsafeNoSandbox {
		return
	}
	preset := "node"
	if r.Kind == command.PyPI {
		preset = "python"
	}
	if p, err := profile.FromPreset(preset); err == nil {
		s.Sandbox = &p
	}
}

// wordsOf are the words of a command as far as it has the right form.
func wordsOf(n *node) []string {
	if n == nil {
		return nil
	}
	var words []string
	for _, item := range n.list {
		words = append(words, item.text)
	}
	return words
}

// checkPackage refuses commands whose package cannot be installed apart from their
// start, and tells what the server will miss.
func (r *reader) checkPackage(n *node, field string, s *Server) {
	_, launches, err := Server{Command: s.Command, Dir: s.Dir}.Package()
	at := n.at("unsafe_no_sandbox")
	switch {
	case s.UnsafeNoSandbox && n.get("sandbox") != nil:
		r.refuse(at, field+".unsafe_no_sandbox", "stands beside a sandbox section; keep one")
	case s.UnsafeNoSandbox && !launches:
		r.refuse(at, field+".unsafe_no_sandbox", "is for npx, uvx and the like; any other command has a sandbox only if a section says so")
	case s.UnsafeNoSandbox:
		s.Sandbox = nil
		r.warn(at, field+".unsafe_no_sandbox", "what %s fetches at each start may do whatever Gatehouse may", s.Command[0])
	case err != nil:
		r.refuse(n.at("command"), field+".command", "%v; or set unsafe_no_sandbox: true to start it as it is", err)
	case launches:
		r.warnUnseen(n.at("command"), field, *s)
	}
}

// warnUnseen tells of files and folders that a command names and that its sandbox
// does not show: the server would not find them.
func (r *reader) warnUnseen(at position, field string, s Server) {
	if unseen := s.Unseen(); len(unseen) > 0 {
		r.warn(at, field+".command", "names %s, which its sandbox does not show; name it under sandbox.read, or under sandbox.write if the server is to change it", strings.Join(unseen, ", "))
	}
}

// Unseen are the files and folders that the command of a launched package names and
// that its sandbox does not show.
func (s Server) Unseen() []string {
	request, launches, err := s.Package()
	if !launches || err != nil || s.Sandbox == nil {
		return nil
	}
	var out []string
	for _, arg := range request.Args {
		if name, value, found := strings.Cut(arg, "="); found && strings.HasPrefix(name, "-") {
			arg = value
		}
		if !strings.ContainsAny(arg, "/.") || suspiciousValue("", arg) {
			continue
		}
		path := arg
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.Dir, path)
		}
		if _, err := os.Stat(path); err != nil || s.shows(path) {
			continue
		}
		if !slices.Contains(out, arg) {
			out = append(out, arg)
		}
	}
	return out
}

func (s Server) shows(path string) bool {
	for _, list := range [][]string{s.Sandbox.Read, s.Sandbox.Write, {s.Sandbox.Home}} {
		if slices.ContainsFunc(list, func(grant string) bool { return grant != "" && within(grant, path) }) {
			return true
		}
	}
	return false
}

// UnsafeNoSandbox starts the servers of a client's file as the file says: npx, uvx and
// the like fetch what they start, and it may do whatever Gatehouse may. A gatehouse.yaml
// says so for each server by itself.
func (c *Config) UnsafeNoSandbox() {
	for i := range c.Servers {
		if _, launches, _ := c.Servers[i].Package(); launches {
			c.Servers[i].Sandbox, c.Servers[i].UnsafeNoSandbox = nil, true
		}
	}
}

// packageWarnings tell what will become of the servers of a client's file.
func (c *Config) packageWarnings() []string {
	var out []string
	for _, s := range c.Servers {
		if !c.client {
			break // told with their lines
		}
		_, _, err := s.Package()
		switch unseen := s.Unseen(); {
		case s.UnsafeNoSandbox:
			out = append(out, fmt.Sprintf("%s: what %s fetches at each start may do whatever Gatehouse may", s.Name, s.Command[0]))
		case err != nil:
			out = append(out, fmt.Sprintf("%s: it does not start: %v", s.Name, err))
		case len(unseen) > 0:
			out = append(out, fmt.Sprintf("%s: names %s, which its sandbox does not show; a gatehouse.yaml can, with a sandbox section", s.Name, strings.Join(unseen, ", ")))
		}
	}
	return out
}
