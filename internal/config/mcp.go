package config

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// LoadMCP reads the servers from the file in which a client keeps them: JSON
// with comments and trailing commas, in the shapes that clients use. Everything
// else about the configuration is the default.
//
// The file is someone else's, so an entry that cannot be served as written is
// left out and named in Warnings; a server that is left out is refused. The
// error is an *Error when the file cannot be understood, holds a key twice, or
// no entry is left. Lock and State lie in the user's state folder.
func LoadMCP(path string) (*Config, error) {
	path, source, err := readSource(path, maxClientBytes)
	if err != nil {
		return nil, err
	}
	r := &reader{path: path, dir: filepath.Dir(path)}
	c := Default(path)
	if c.State, err = stateHome(path); err != nil {
		return nil, err
	}
	c.Lock, c.client = filepath.Join(c.State, "gatehouse.lock"), true
	if root := r.parseJSON(source); len(r.problems) == 0 {
		c.Servers = r.clientFile(root, c)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	r.warnAboutFile(c)
	c.warnings = r.warnings
	return c, nil
}

// stateHome is the folder for a file in a place that is not ours, by the XDG
// Base Directory Specification: "$XDG_STATE_HOME … should be used if not set or
// empty, $HOME/.local/state"; "all paths … must be absolute".
func stateHome(path string) (string, error) {
	base := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("finding a state folder: %w", err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(base, "gatehouse", fmt.Sprintf("%x", sum[:8])), nil
}

// containers are the places where clients keep servers. A key may hold dots.
var containers = [][]string{
	{"mcpServers"}, {"servers"}, {"context_servers"}, {"amp.mcpServers"}, {"mcp.servers"},
	{"mcp", "servers"}, {"mcp", "mcpServers"}, {"mcp"},
}

func (r *reader) clientFile(root *node, c *Config) []Server {
	if root.kind != mapping {
		r.wrongKind(root, "", "an object with mcpServers")
		return nil
	}
	container, field := r.container(root)
	if container == nil {
		return nil
	}
	entries := r.entries(container, field)
	if len(entries) > maxServers {
		r.refuse(container.pos, field, "found %d servers, expected at most %d", len(entries), maxServers)
		return nil
	}
	servers := r.clientServers(entries, field, c)
	if len(servers) == 0 && len(r.problems) == 0 {
		message := "no server can be used"
		if len(entries) == 0 {
			message = `there are no servers; expected for example {"mcpServers": {"files": {"command": "npx", "args": ["-y", "some-server"]}}}`
		}
		r.refuse(container.pos, field, "%s", strings.Join(append([]string{message}, r.warnings...), "\n  "))
	}
	return servers
}

// container finds the servers. Two places at once are refused: which of them
// the client reads cannot be told.
func (r *reader) container(root *node) (found *node, field string) {
	var used string
	for _, names := range containers {
		n := root
		for _, name := range names {
			if n = n.get(name); n == nil {
				break
			}
		}
		if n == nil || found != nil && names[0] == used {
			continue
		}
		if found != nil {
			r.refuse(n.pos, "", "found servers under both %s and %s; keep one", field, strings.Join(names, "."))
			return nil, ""
		}
		found, field, used = n, strings.Join(names, "."), names[0]
	}
	if found == nil {
		if !flat(root) {
			r.refuse(root.pos, "", "found no servers; expected mcpServers, servers or context_servers")
			return nil, ""
		}
		return root, ""
	}
	r.unread(root, "", func(name string) bool { return name == used || name == "$schema" })
	return found, field
}

// flat reports whether a file is a mapping of servers with nothing around it.
func flat(root *node) bool {
	for _, m := range root.members {
		if m.value.kind != mapping || (m.value.get("command") == nil && m.value.get("url") == nil && m.value.get("serverUrl") == nil && m.value.get("httpUrl") == nil) {
			return false
		}
	}
	return len(root.members) > 0
}

// unread tells which keys of a mapping have no meaning here.
func (r *reader) unread(n *node, field string, known func(string) bool) {
	var out []string
	for _, m := range n.members {
		if !known(m.name) {
			out = append(out, join("", m.name))
		}
	}
	const shown = 8
	if len(out) > shown {
		out = append(out[:shown], fmt.Sprintf("and %d more", len(out)-shown))
	}
	if len(out) > 0 {
		where := field
		if where == "" {
			where = filepath.Base(r.path)
		}
		r.warn(n.pos, where, "not read here: %s", strings.Join(out, ", "))
	}
}

// entries lists the servers of a mapping, or of an array whose elements carry
// their name.
func (r *reader) entries(container *node, field string) []member {
	switch container.kind {
	case mapping:
		return container.members
	case list:
		var out []member
		for i, n := range container.list {
			name := n.get("name")
			if name == nil || name.kind != text {
				r.warn(n.pos, fmt.Sprintf("%s[%d]", field, i), "left out: it has no name")
				continue
			}
			if slices.ContainsFunc(out, func(m member) bool { return m.name == name.text }) {
				r.refuse(name.pos, field, "the name %s stands here a second time", quote(name.text))
				continue
			}
			out = append(out, member{name: name.text, pos: n.pos, value: n})
		}
		return out
	}
	r.wrongKind(container, field, "an object of servers by name")
	return nil
}

func (r *reader) clientServers(entries []member, field string, c *Config) []Server {
	ids := assignIDs(entries)
	var out []Server
	for _, m := range entries {
		at := join(field, m.name)
		e := &entry{reader: r, n: m.value, field: at, dir: workspace(r.dir)}
		s := Server{ID: ids[m.name], Name: m.name, Dir: e.dir, Approve: c.Approve, Era: Auto, Trust: Normal, Timeout: c.Limits.Timeout}
		if err := e.read(&s); err != nil {
			r.warn(m.pos, at, "left out: %v", err)
			continue
		}
		s.ConfinePackage()
		out = append(out, s)
	}
	sortServers(out)
	return out
}

// workspace is the folder that a client's file speaks of: the project, when the
// file lies in the project's settings folder.
func workspace(dir string) string {
	switch filepath.Base(dir) {
	case ".vscode", ".cursor", ".roo", ".gemini", ".kiro", ".zed", ".amazonq", ".github", ".warp":
		return filepath.Dir(dir)
	}
	return dir
}

var notInID = regexp.MustCompile(`[^a-z0-9]+`)

const maxID = 32

// normalID turns any name into the form of our ids.
func normalID(name string) string {
	id := strings.Trim(notInID.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if id == "" {
		return "server"
	}
	if isDigit(id[0]) {
		id = "s-" + id
	}
	return strings.TrimRight(id[:min(maxID, len(id))], "-")
}

// assignIDs gives every name an id of its own. It does not depend on the order
// of the file: approvals go by id. A name that is an id already keeps it.
func assignIDs(entries []member) map[string]string {
	var names []string
	for _, m := range entries {
		names = append(names, m.name)
	}
	slices.SortFunc(names, func(a, b string) int {
		aKeeps, bKeeps := normalID(a) == a, normalID(b) == b
		if aKeeps != bKeeps {
			if aKeeps {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	ids, taken := map[string]string{}, map[string]bool{}
	for _, name := range names {
		id := normalID(name)
		for i := 2; taken[id]; i++ {
			suffix := fmt.Sprintf("-%d", i)
			base := normalID(name)
			id = strings.TrimRight(base[:min(len(base), maxID-len(suffix))], "-") + suffix
		}
		ids[name], taken[id] = id, true
	}
	return ids
}
