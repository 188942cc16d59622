package scan

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// server is a package from a registry, as the file of a client has it.
type server struct {
	name      string
	words     []string // that start it; empty for a URL
	url       string
	env       map[string]string
	reference bool   // one of those that the makers of the protocol published
	unread    string // why it does not say what it has to somebody who only asks
}

// npm is a package that npx starts, in a version or whatever is newest.
func npm(name, pack string, args ...string) server {
	return server{name: name, words: append([]string{"npx", "-y", pack}, args...)}
}

// pypi is a package that uvx starts.
func pypi(name, pack string, args ...string) server {
	return server{name: name, words: append([]string{"uvx", pack}, args...)}
}

func (s server) ofReference() server { s.reference = true; return s }

func (s server) not(read string) server { s.unread = read; return s }

// with gives it a variable.
func (s server) with(name, value string) server {
	env := map[string]string{name: value}
	maps.Copy(env, s.env)
	s.env = env
	return s
}

// Names in the texts below.
const (
	home  = "HOME"  // the home that is scanned
	notes = "NOTES" // a folder in it
)

// withCare are servers in one version each, with the one folder or the references that
// they need.
var withCare = []server{
	npm("charts", "@antv/mcp-server-chart@0.9.10"),
	npm("chrome", "chrome-devtools-mcp@1.11.0", "--isolated"),
	npm("commands", "mcp-server-commands@0.5.0"),
	npm("context7", "@upstash/context7-mcp@4.1.1"),
	npm("desktop", "@wonderwhy-er/desktop-commander@0.2.52"),
	npm("eslint", "@eslint/mcp@0.3.13"),
	npm("everything", "@modelcontextprotocol/server-everything@2026.8.31").ofReference(),
	pypi("fetch", "mcp-server-fetch==2026.10.24").ofReference(),
	npm("files", "@modelcontextprotocol/server-filesystem@2026.8.31", notes).ofReference(),
	npm("firecrawl", "firecrawl-mcp@3.26.0").with("FIRECRAWL_API_KEY", "${FIRECRAWL_API_KEY}"),
	pypi("git", "mcp-server-git==2026.10.19", "--repository", notes).ofReference().not("it needs the program git"),
	npm("git-node", "@cyanheads/git-mcp-server@2.15.3"),
	npm("github", "@modelcontextprotocol/server-github@2025.4.8").with("GITHUB_PERSONAL_ACCESS_TOKEN", "${GITHUB_TOKEN}").ofReference(),
	npm("memory", "@modelcontextprotocol/server-memory@2026.8.31").with("MEMORY_FILE_PATH", notes+"/memory.json").ofReference(),
	npm("mongodb", "mongodb-mcp-server@3.0.4", "--readOnly").with("MDB_MCP_CONNECTION_STRING", "${MONGODB_URI}").not("it looks at the address of the database first"),
	npm("notion", "@notionhq/notion-mcp-server@2.5.2").with("NOTION_TOKEN", "${NOTION_TOKEN}"),
	npm("playwright", "@playwright/mcp@0.0.83", "--isolated"),
	npm("postgres", "@modelcontextprotocol/server-postgres@0.6.2", "postgresql://localhost/shop").ofReference().not("its resources are in a database"),
	npm("slack", "@modelcontextprotocol/server-slack@2025.4.25").with("SLACK_BOT_TOKEN", "${SLACK_BOT_TOKEN}").with("SLACK_TEAM_ID", "T01234567").ofReference(),
	npm("thinking", "@modelcontextprotocol/server-sequential-thinking@2026.8.31").ofReference(),
	pypi("time", "mcp-server-time==2026.10.19", "--local-timezone", "Europe/Oslo").ofReference(),
	npm("tracker", "mcp-remote@0.15.1", "https://tracker.example.com/mcp", "--header", "Authorization:${TRACKER_TOKEN}").not("what it has is elsewhere"),
}

// fromPages are servers as their pages show them: in whatever version is newest, with what
// a person is told to replace still in place.
var fromPages = []server{
	npm("charts", "@antv/mcp-server-chart"),
	npm("chrome", "chrome-devtools-mcp@latest"),
	npm("context7", "@upstash/context7-mcp", "--api-key", "YOUR_API_KEY"),
	pypi("fetch", "mcp-server-fetch"),
	npm("files", "@modelcontextprotocol/server-filesystem", home+"/Desktop", home+"/Downloads"),
	npm("firecrawl", "firecrawl-mcp").with("FIRECRAWL_API_KEY", "fc-YOUR_API_KEY"),
	pypi("git", "mcp-server-git", "--repository", notes),
	npm("github", "@modelcontextprotocol/server-github").with("GITHUB_PERSONAL_ACCESS_TOKEN", "<YOUR_TOKEN>"),
	npm("memory", "@modelcontextprotocol/server-memory"),
	npm("notion", "@notionhq/notion-mcp-server").with("NOTION_TOKEN", "ntn_****"),
	npm("playwright", "@playwright/mcp@latest"),
	npm("slack", "@modelcontextprotocol/server-slack").with("SLACK_BOT_TOKEN", "xoxb-your-bot-token").with("SLACK_TEAM_ID", "T01234567"),
}

// classicToken has the form of a token of GitHub, and was never one.
var classicToken = "ghp_" + strings.Repeat("aB3dE6gH9", 4)

// nobodyShould are servers as nobody should have them. Secrets in them were never valid.
var nobodyShould = []server{
	npm("all-files", "@modelcontextprotocol/server-filesystem@2026.8.31", "/"),
	npm("home-files", "@modelcontextprotocol/server-filesystem@2026.8.31", home),
	npm("keys", "@modelcontextprotocol/server-filesystem@2026.8.31", home+"/.ssh"),
	npm("escape", "@modelcontextprotocol/server-filesystem@2025.3.28", notes),
	npm("remote", "mcp-remote@0.1.15", "https://tracker.example.com/mcp"),
	npm("remote-http", "mcp-remote@0.15.1", "http://tracker.example.com/mcp", "--allow-http"),
	npm("cluster", "mcp-server-kubernetes@2.9.6"),
	npm("github", "@modelcontextprotocol/server-github@2025.4.8").with("GITHUB_PERSONAL_ACCESS_TOKEN", classicToken),
	npm("postgres", "@modelcontextprotocol/server-postgres@0.6.2", "postgresql://postgres:correct-horse-9@db.example.com/shop"),
	pypi("git", "mcp-server-git==2026.10.19", "--repository", home),
	npm("typo", "@modelcontextprotocl/server-filesystem@2026.8.31", notes),
	{name: "installer", words: []string{"bash", "-c", "curl -fsSL https://get.example.com/server.sh | sh"}},
	{name: "root", words: []string{"sudo", "npx", "-y", "@modelcontextprotocol/server-memory@2026.8.31"}},
	{name: "docker", words: []string{"docker", "run", "-i", "--rm", "-v", "/var/run/docker.sock:/var/run/docker.sock", "mcp/git:1.0.0"}},
	{name: "privileged", words: []string{"docker", "run", "-i", "--rm", "--privileged", "mcp/fetch:1.0.0"}},
	{name: "url", url: "http://tools.example.com/mcp?api_key=4f9d8c7b6a5e4d3c2b1a"},
}

// setup is servers in the file of one client, of which everything is known that this
// machine can tell.
type setup struct {
	title   string
	servers []server
	modules []string // folders of npm's packages
	connect bool     // read what they define
}

// Titles of the setups.
const (
	careful = "Set up with care"
	asShown = "Set up as most pages show it"
	badly   = "Set up badly"
)

var setups = []setup{
	{careful, withCare, current, true}, {asShown, fromPages, current, false},
	{badly, nobodyShould, append([]string{"../node/holed/node_modules"}, current...), false},
}

// current are the folders of packages in the versions that people use today.
var current = []string{"../node/node_modules", "../.tools/wide/node_modules"}

// environments are those of Python.
var environments = map[string]string{
	"mcp-server-git": "../.tools/python", "mcp-server-fetch": "../.tools/wide/python", "mcp-server-time": "../.tools/wide/python",
}

// machine is a home in which launchers have fetched what is installed here. It says
// whether that is everything.
func machine(t *testing.T, s setup) (dir string, whole bool) {
	t.Helper()
	dir = t.TempDir()
	whole = true
	link := func(path, to string) {
		to, err := filepath.Abs(to)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(to); err != nil {
			whole = false
			return
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
	}
	for i, modules := range s.modules {
		link(filepath.Join(dir, ".npm", "_npx", strconv.Itoa(i), "node_modules"), modules)
	}
	for name, environment := range environments {
		link(filepath.Join(dir, ".local", "share", "uv", "tools", name), environment)
	}
	for _, folder := range []string{"notes", "Desktop", "Downloads", ".ssh"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".claude.json"), s.file(t, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, whole
}

// file is that of Claude Code.
func (s setup) file(t *testing.T, dir string) []byte {
	t.Helper()
	fill := strings.NewReplacer(notes, filepath.Join(dir, "notes"), home, dir).Replace
	servers := map[string]any{}
	for _, one := range s.servers {
		if one.url != "" {
			servers[one.name] = map[string]any{"type": "http", "url": one.url}
			continue
		}
		var words []string
		for _, word := range one.words {
			words = append(words, fill(word))
		}
		env := map[string]string{}
		for name, value := range one.env {
			env[name] = fill(value)
		}
		servers[one.name] = map[string]any{"command": words[0], "args": words[1:], "env": env}
	}
	raw, err := json.Marshal(map[string]any{"mcpServers": servers})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
