package facts

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/internal/check"
	"gatehouse/internal/checks"
	"gatehouse/internal/client"
	"gatehouse/internal/egress/inside"
	"gatehouse/internal/facts/connect"
	"gatehouse/internal/facts/installed"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
	"gatehouse/internal/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Inside(inside.Setup) // a part of a sandbox is this program too
	os.Exit(m.Run())
}

// Servers that many people use, with ordinary settings, raise no loud alarm: whoever is
// warned of everything listens to nothing.
func Test_popular_servers_raise_no_loud_alarm(t *testing.T) {
	if _, err := sandbox.Available(); err != nil {
		t.Skip(err)
	}
	root, err := filepath.Abs(filepath.Join("..", "..", "test"))
	if err != nil {
		t.Fatal(err)
	}
	modules, wide, python := filepath.Join(root, "node", "node_modules"), filepath.Join(root, ".tools", "wide", "node_modules"), filepath.Join(root, ".tools", "wide", "python", "bin")
	var entries []client.Entry
	add := func(name, file string, args ...string) {
		words := append([]string{"node", file}, args...)
		if filepath.Dir(file) == python {
			words = append([]string{file}, args...)
		}
		if _, err := os.Stat(file); err == nil {
			entries = append(entries, client.Entry{Name: name, Clients: []string{"test"}, Transport: client.Stdio, Words: words, Shown: words, Env: []client.Value{{Name: "FIRECRAWL_API_KEY"}, {Name: "SLACK_BOT_TOKEN"}, {Name: "SLACK_TEAM_ID"}}})
		}
	}
	for name, file := range map[string]string{
		"files": "@modelcontextprotocol/server-filesystem/dist/index.js", "memory": "@modelcontextprotocol/server-memory/dist/index.js",
	} {
		add(name, filepath.Join(modules, filepath.FromSlash(file)), t.TempDir())
	}
	for name, file := range map[string]string{
		"github": "@modelcontextprotocol/server-github/dist/index.js", "slack": "@modelcontextprotocol/server-slack/dist/index.js",
		"thinking": "@modelcontextprotocol/server-sequential-thinking/dist/index.js", "notion": "@notionhq/notion-mcp-server/bin/cli.mjs",
		"playwright": "@playwright/mcp/cli.js", "context7": "@upstash/context7-mcp/dist/index.js", "git": "@cyanheads/git-mcp-server/dist/index.js",
		"desktop": "@wonderwhy-er/desktop-commander/dist/index.js", "firecrawl": "firecrawl-mcp/dist/index.js", "charts": "@antv/mcp-server-chart/build/index.js",
	} {
		add(name, filepath.Join(wide, filepath.FromSlash(file)))
	}
	for _, name := range []string{"mcp-server-time", "mcp-server-fetch"} {
		add(name, filepath.Join(python, name))
	}
	if len(entries) == 0 {
		t.Skip("no server is installed; make tools and make test-wide install them")
	}
	s := &check.Scene{Now: now, Servers: inventory.Servers(entries)}
	getenv := func(string) string { return "" }
	o := Options{Home: t.TempDir(), Getenv: getenv, State: t.TempDir(), Connect: connect.Options{
		Looker: installed.Looker{Home: t.TempDir(), Getenv: getenv}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}}
	o.Plans = connect.Plans(s.Servers, o.Connect)
	if err := Gather(context.Background(), o, s); err != nil {
		t.Fatal(err)
	}
	r := checks.Run(s)
	for _, f := range r.Findings {
		t.Logf("%s %s %s: %s", f.Severity, f.Check, f.Name, f.Why)
		if f.Severity >= rule.High && f.Check != "temporary-place" { // that is about where this checkout lies
			t.Errorf("%s %s %s: %s", f.Severity, f.Check, f.Name, f.Why)
		}
	}
	for _, u := range r.Unchecked {
		t.Logf("unchecked %s %s: %s", u.Check, u.Name, u.Why)
	}
}
