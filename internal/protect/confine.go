package protect

import (
	"encoding/csv"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/client"
	"gatehouse/internal/command"
	"gatehouse/internal/config"
	"gatehouse/internal/inventory"
	"gatehouse/internal/profile"
)

// Grants are what the sandbox of a server allows.
type Grants struct {
	Preset  string   `json:"preset"`
	Read    []string `json:"read,omitempty"`
	Write   []string `json:"write,omitempty"`
	Execute []string `json:"execute,omitempty"`
	Network []string `json:"network,omitempty"`
}

// flags are the flags of gatehouse run that say so.
func (g *Grants) flags() []string {
	out := []string{"--sandbox", g.Preset}
	for _, list := range []struct {
		flag  string
		items []string
	}{{"--read", g.Read}, {"--write", g.Write}, {"--execute", g.Execute}} {
		for _, item := range list.items {
			out = append(out, list.flag, field(item))
		}
	}
	for _, place := range g.Network {
		out = append(out, "--network", place)
	}
	return out
}

// field writes a path as a flag that takes lists reads it.
func field(path string) string {
	if !strings.ContainsAny(path, ",\"") {
		return path
	}
	var out strings.Builder
	w := csv.NewWriter(&out)
	w.Write([]string{path}) // into memory
	w.Flush()
	return strings.TrimSuffix(out.String(), "\n")
}

// confine plans the sandbox, as flags of gatehouse run. It gives back the words with folders
// narrowed.
func (s *Server) confine(words []string, said client.Said, o Options) (flags, narrowed []string) {
	if s.source.Kind == inventory.OCI {
		s.note("its container stays its sandbox: what it may do is what the flags of %s say", s.source.Launcher)
		return nil, words
	}
	request, launches, err := command.Launches(words)
	if o.UnsafeNoSandbox {
		s.note("it runs without a sandbox, with all rights that you have")
		if launches { // gatehouse run gives these a sandbox, said or not
			flags = []string{"--unsafe-no-sandbox"}
		}
		return flags, words
	}
	switch {
	case len(s.source.Wrappers) > 0:
		s.leave("it is started through %s, inside which a sandbox could not tell what belongs to it; name the program itself", s.source.Wrappers[0])
		return nil, words
	case err != nil: // gatehouse run would not start it
		s.leave("%v", err)
		return nil, words
	case launches:
		s.Request = &request
	}
	preset, hosts := needs(s.source)
	g := &Grants{Preset: preset, Network: hosts}
	words = s.roots(g, words, o)
	s.variablePaths(g, said, o)
	s.extra(g, said, o)
	s.Grants = g
	if len(g.Network) == 0 && preset != "web-reader" {
		s.Unknown = slices.ContainsFunc(s.entry.Env, func(v client.Value) bool { return v.Secret || v.Kind == client.Reference })
		if s.Unknown {
			s.note("it can reach nothing over the network; if it needs a service, give --network %s=HOST:443", s.Name)
		}
	}
	return g.flags(), words
}

// extra grants what a person named, and places that the entry names by a URL.
func (s *Server) extra(g *Grants, said client.Said, o Options) {
	extra := o.Extra[s.Name]
	for _, place := range append(places(said), extra.Network...) {
		if d, err := profile.ParseDestination(place); err == nil {
			g.Network = add(g.Network, d.String())
		} else {
			s.leave("--network %s=%s: %v", s.Name, place, err)
		}
	}
	for _, list := range []struct {
		flag     string
		from, to *[]string
	}{{"read", &extra.Read, &g.Read}, {"write", &extra.Write, &g.Write}, {"execute", &extra.Execute, &g.Execute}} {
		for _, path := range *list.from {
			if list.flag != "execute" && broad(path, o) {
				s.leave("--%s %s=%s: that holds secrets of yours, or what guards the server", list.flag, s.Name, path)
			}
			*list.to = add(*list.to, path)
		}
	}
}

// variablePaths grants the files and folders that variables name, such as the file in which a
// server keeps what it remembers. One that would hand out too much is named and not granted:
// unlike an argument, a variable is often not needed.
func (s *Server) variablePaths(g *Grants, said client.Said, o Options) {
	for _, name := range slices.Sorted(maps.Keys(said.Env)) {
		value := said.Env[name]
		real := s.resolve(value, o.Home)
		if !filepath.IsAbs(real) || !strings.HasPrefix(value, "~") && !filepath.IsAbs(value) || config.LooksSecret("", value) {
			continue
		}
		if broad(real, o) {
			s.note("%s names %s, which is not granted: secrets of yours lie there", name, value)
			continue
		}
		s.grant(g, value, real, slices.Contains(o.Read, s.Name))
	}
}

func add(list []string, item string) []string {
	if slices.Contains(list, item) {
		return list
	}
	return append(list, item)
}

// presets by launcher. What is not here begins with nothing.
var presets = map[string]string{
	"npx": "node", "bunx": "node", "pnpx": "node", "npm exec": "node", "npm x": "node", "pnpm dlx": "node", "pnpm exec": "node", "yarn dlx": "node",
	"bun x": "node", "node": "node", "bun": "node", "deno": "node", "tsx": "node", "ts-node": "node",
	"uvx": "python", "uv tool run": "python", "pipx run": "python", "python": "python", "python3": "python", "py": "python", "uv": "python", "poetry": "python",
}

// services are the places that widely used servers exist to talk to.
var services = map[string]string{
	"@modelcontextprotocol/server-github":       "api.github.com:443",
	"@modelcontextprotocol/server-gitlab":       "gitlab.com:443",
	"@modelcontextprotocol/server-slack":        "slack.com:443",
	"@modelcontextprotocol/server-brave-search": "api.search.brave.com:443",
	"@modelcontextprotocol/server-google-maps":  "maps.googleapis.com:443",
	"@brave/brave-search-mcp-server":            "api.search.brave.com:443",
	"@notionhq/notion-mcp-server":               "api.notion.com:443",
	"@stripe/mcp":                               "api.stripe.com:443",
	"@upstash/context7-mcp":                     "context7.com:443",
	"exa-mcp-server":                            "api.exa.ai:443",
	"figma-developer-mcp":                       "api.figma.com:443",
	"firecrawl-mcp":                             "api.firecrawl.dev:443",
	"tavily-mcp":                                "api.tavily.com:443",
}

// readers fetch any page that they are told to.
var readers = []string{"mcp-server-fetch"}

// needs is the preset to begin with, and the places that the server is known to need.
func needs(s inventory.Source) (preset string, hosts []string) {
	if slices.Contains(readers, s.Package) {
		return "web-reader", nil
	}
	preset = presets[s.Launcher]
	if preset == "" && strings.HasPrefix(s.Launcher, "python") {
		preset = "python"
	}
	if preset == "" {
		preset = "nothing"
	}
	if host := services[s.Package]; host != "" && s.Kind == inventory.NPM {
		hosts = []string{host}
	}
	return preset, hosts
}

// ports of schemes that name none.
var ports = map[string]int{
	"http": 80, "https": 443, "ws": 80, "wss": 443, "postgres": 5432, "postgresql": 5432, "mysql": 3306, "mariadb": 3306, "redis": 6379, "rediss": 6379,
	"mongodb": 27017, "amqp": 5672, "amqps": 5671, "mssql": 1433, "sqlserver": 1433, "clickhouse": 9000, "bolt": 7687, "neo4j": 7687,
}

// places are those that arguments and variables name by a URL.
func places(said client.Said) (out []string) {
	texts := slices.Clone(said.Words)
	for _, value := range said.Env {
		texts = append(texts, value)
	}
	for _, text := range texts {
		if _, value, found := strings.Cut(text, "="); found && strings.HasPrefix(text, "-") {
			text = value
		}
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || ports[u.Scheme] == 0 {
			continue
		}
		host := strings.ToLower(u.Hostname())
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		port := u.Port()
		if port == "" {
			port = strconv.Itoa(ports[u.Scheme])
		}
		place := host + ":" + port
		if _, err := profile.ParseDestination(place); err == nil {
			out = append(out, place)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// roots grants the folders and files that arguments name. Folders may be changed, files
// be read, unless they are databases. Those that would hand out everything keep the
// server as it is, unless a narrower one was named.
func (s *Server) roots(g *Grants, words []string, o Options) []string {
	words = slices.Clone(words)
	narrow := o.Narrow[s.Name]
	at := s.argumentsAt(words)
	for i := at; i < len(words); i++ {
		word, prefix := words[i], ""
		if name, value, found := strings.Cut(word, "="); found && strings.HasPrefix(name, "-") {
			word, prefix = value, name+"="
		}
		if !slices.Contains(s.source.Roots, word) {
			continue
		}
		real := s.resolve(word, o.Home)
		if broad(real, o) {
			if narrow == "" {
				s.Broad = append(s.Broad, word)
				continue
			}
			s.note("%s is narrowed to %s", word, narrow)
			words[i], real, word = prefix+narrow, narrow, narrow
			if broad(narrow, o) {
				s.leave("--narrow %s=%s: that holds secrets of yours, or what guards the server", s.Name, narrow)
				return words
			}
		}
		s.grant(g, word, real, slices.Contains(o.Read, s.Name))
	}
	if len(s.Broad) > 0 {
		s.leave("it is given %s, which no sandbox of ours hands out because secrets of yours or the state of Gatehouse lie there; give --narrow %s=FOLDER",
			strings.Join(s.Broad, " and "), s.Name)
	}
	return words
}

// argumentsAt is where the arguments of the server itself begin: paths before it are the
// program's own.
func (s *Server) argumentsAt(words []string) int {
	for i, word := range words {
		if bare, ok := withVersion(s.source, word, "0"); word == s.source.Package || ok && bare != "" {
			return i + 1
		}
	}
	return 1
}

// resolve is the path on this machine; "" where only the client can tell.
func (s *Server) resolve(word, home string) string {
	for _, prefix := range []string{"~", "${userHome}", "${HOME}", "$HOME", "%USERPROFILE%"} {
		if rest, found := strings.CutPrefix(word, prefix); found && (rest == "" || rest[0] == '/' || rest[0] == '\\') {
			return filepath.Join(home, rest)
		}
	}
	switch {
	case strings.ContainsAny(word, "$%"):
		return ""
	case filepath.IsAbs(word):
		return filepath.Clean(word)
	case filepath.IsAbs(s.entry.Dir):
		return filepath.Join(s.entry.Dir, word)
	}
	return ""
}

// changing are the endings of files that a server changes.
var changing = []string{".db", ".sqlite", ".sqlite3", ".duckdb", ".json", ".jsonl"}

func (s *Server) grant(g *Grants, word, real string, readOnly bool) {
	path := real
	if real == "" { // the client fills it in, in the flag as in the argument
		path = word
	} else if resolved, err := os.Stat(real); err != nil {
		s.note("%s is not there, so it is not granted; make it, or give --write %s=FOLDER", word, s.Name)
		return
	} else if !resolved.IsDir() && !slices.Contains(changing, filepath.Ext(real)) {
		readOnly = true
	}
	if readOnly {
		g.Read = add(g.Read, path)
	} else {
		g.Write = add(g.Write, path)
	}
}

// private are folders of a home that hold what opens everything else.
var private = []string{".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".config/gcloud", ".config/gh", ".config/gatehouse", ".password-store", ".mozilla", "Library/Keychains", ".local/share/keyrings", ".netrc", ".npmrc", ".pypirc", ".git-credentials"}

// broad reports whether a folder holds everything of a person, or what guards the rest.
func broad(path string, o Options) bool {
	if path == "" {
		return false
	}
	kept := []string{o.Home}
	for _, name := range private {
		kept = append(kept, filepath.Join(o.Home, filepath.FromSlash(name)))
	}
	if o.State != "" {
		kept = append(kept, o.State)
	}
	for _, p := range spellings(path) {
		for i, keep := range kept {
			for _, k := range spellings(keep) {
				if within(k, p) || i > 0 && within(p, k) { // below the home there is much to grant
					return true
				}
			}
		}
	}
	return false
}

// spellings are a path as it is written and as it is without links.
func spellings(path string) []string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return []string{path, real}
	}
	return []string{path}
}

// within reports whether a path lies in a folder or is it.
func within(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// entryOf is an entry that runs words.
func entryOf(words []string) client.Entry {
	return client.Entry{Transport: client.Stdio, Words: words}
}
