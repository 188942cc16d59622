package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/profile"
)

// packaged is the sandbox of a server that launches a package and says nothing else.
func packaged(preset string) *profile.Profile {
	p, err := profile.FromPreset(preset)
	if err != nil {
		panic(err)
	}
	return &p
}

func Test_what_npx_and_uvx_launch_has_a_sandbox(t *testing.T) {
	path := write(t, "gatehouse.yaml", `
servers:
  a: {command: [npx, -y, server]}
  b: {command: [uvx, server==1.0]}
  c: {command: [npx, -y, server], sandbox: {network: ["api.example.com:443"]}}
  d: {command: [uvx, server], sandbox: {preset: web-reader}}
  e: {command: [npx, -y, server], unsafe_no_sandbox: true}
  f: {command: [node, server.js]}
  g: {command: [npx, -y, server], sandbox: }
`)
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	reaching, web := packaged("node"), packaged("web-reader")
	reaching.Network = []profile.Destination{{Host: "api.example.com", Ports: []int{443}}}
	for id, want := range map[string]*profile.Profile{"a": packaged("node"), "b": packaged("python"), "c": reaching, "d": web, "e": nil, "f": nil, "g": packaged("node")} {
		s, _ := c.Server(id)
		if diff := cmp.Diff(want, s.Sandbox); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
		if _, launches, err := s.Package(); launches != (want != nil) || err != nil {
			t.Errorf("%s launches a package: %v, %v", id, launches, err)
		}
	}
	wantWarnings(t, c, "servers.e.unsafe_no_sandbox (line 7): what npx fetches at each start may do whatever Gatehouse may")
}

func Test_a_package_that_cannot_be_confined_is_refused(t *testing.T) {
	for server, want := range map[string]string{
		"{command: [sh, -c, npx server]}":    "servers.a.command: it starts npx through sh",
		"{command: [npx, -y, 'github:a/b']}": "or set unsafe_no_sandbox: true",
		"{command: [npx]}":                   "cannot be told",
		"{command: [npx, x], unsafe_no_sandbox: true, sandbox: {preset: node}}": "unsafe_no_sandbox: stands beside a sandbox section",
		"{command: [node, x], unsafe_no_sandbox: true}":                         "unsafe_no_sandbox: is for npx, uvx",
		"{url: 'https://h.example', unsafe_no_sandbox: true}":                   "unsafe_no_sandbox: belongs to a server with command",
		"{command: [npx, x], unsafe_no_sandbox: maybe}":                         "unsafe_no_sandbox: found",
	} {
		if _, err := Load(write(t, "gatehouse.yaml", "servers: {a: "+server+"}\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", server, err, want)
		}
	}
	if _, err := Load(write(t, "gatehouse.yaml", "servers: {a: {command: [sh, -c, npx server], unsafe_no_sandbox: true}}\n")); err != nil {
		t.Errorf("what is said to be unsafe: %v", err)
	}
	for install, want := range map[string]string{"{when: never}": "install.when", "{network: [x]}": "install.network[0]", "{unsafe_addresses: [x]}": "install.unsafe_addresses[0]"} {
		if _, err := Load(write(t, "gatehouse.yaml", "install: "+install+"\nservers: {a: {command: [x]}}\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", install, err, want)
		}
	}
}

func Test_what_a_sandbox_does_not_show_is_told(t *testing.T) {
	path := write(t, "gatehouse.yaml", `servers:
  a: {command: [npx, -y, server, ./seen, ./unseen, --root=./also, ./none, plain]}
  b: {command: [npx, -y, server, ./seen], sandbox: {read: [seen]}}
  c: {command: [npx, -y, server, ./seen/inner], sandbox: {write: [seen]}}
  d: {command: [node, server, ./seen]}
`)
	for _, folder := range []string{"seen/inner", "unseen", "also", "plain"} {
		if err := os.MkdirAll(filepath.Join(filepath.Dir(path), folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	wantWarnings(t, c, "servers.a.command (line 2): names ./seen, ./unseen, ./also, which its sandbox does not show")
}

func Test_servers_of_client_files_have_the_same_sandbox(t *testing.T) {
	dir := t.TempDir()
	c := loadMCP(t, `{"mcpServers": {"a": {"command": "npx", "args": ["-y", "server", "`+dir+`"]}, "b": {"command": "sudo", "args": ["npx", "x"]}, "c": {"command": "node"}}}`)
	wantWarnings(t, c, "a: names "+dir+", which its sandbox does not show", "b: it does not start: it starts npx through sudo")
	if a, _ := c.Server("a"); a.Sandbox == nil || a.Sandbox.Preset != "node" {
		t.Errorf("the sandbox is %+v", a.Sandbox)
	}
	c.UnsafeNoSandbox()
	wantWarnings(t, c, "a: what npx fetches at each start may do whatever Gatehouse may", "b: what sudo fetches")
	for _, s := range c.Servers {
		if _, launches, _ := s.Package(); launches || s.Sandbox != nil {
			t.Errorf("%s still has a sandbox", s.ID)
		}
	}
}

// npx takes what a project has before it asks a registry, where somebody else may have
// published something of that name.
func Test_what_a_project_has_already_is_not_fetched(t *testing.T) {
	for _, there := range []string{"node_modules/.bin/server", "node_modules/@scope/server/package.json"} {
		path := write(t, "gatehouse.yaml", "")
		dir := filepath.Dir(path)
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, filepath.Dir(there)), 0o700), os.MkdirAll(filepath.Join(dir, "below"), 0o700), os.WriteFile(filepath.Join(dir, there), nil, 0o700)); err != nil {
			t.Fatal(err)
		}
		for line, refused := range map[string]bool{"dir: below, command: [npx, '@scope/server']": true, "command: [npx, '@scope/server@1.0.0']": false, "command: [npx, -p, '@scope/server', x]": false, "command: [uvx, server]": false} {
			if err := os.WriteFile(path, []byte("servers: {a: {"+line+"}}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(path); (err != nil) != refused || refused && !strings.Contains(err.Error(), "node_modules/.bin as the command") {
				t.Errorf("%s with %s: %v", line, there, err)
			}
		}
	}
}
