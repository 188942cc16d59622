//go:build amd64 || arm64

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/test/program"
	"gatehouse/test/registry"
)

// spy is a server that tells what it sees, as a package of npm. Its script would show
// that it was run.
var spy = registry.Package{
	Name: "@made/spy", Version: "1.0.0",
	Manifest: map[string]any{"bin": "spy.js", "scripts": map[string]string{"postinstall": "node script.js"}},
	Files: map[string]string{
		"script.js": "require('fs').writeFileSync(__dirname + '/ran', 'x')\n",
		"spy.js": `#!/usr/bin/env node
const fs = require('fs'), net = require('net'), path = require('path')
const attempt = f => { try { return String(f()) } catch (e) { return e.code } }
async function look() {
  const reach = host => new Promise(done => { const s = net.connect(443, host, () => done('reached')); s.on('error', e => done(e.code)) })
  return JSON.stringify({
    ran: fs.existsSync(__dirname + '/ran'),
    own: attempt(() => fs.writeFileSync(__filename, 'x')),
    beside: attempt(() => fs.readdirSync(path.join(process.env.STATE, 'audit'))),
    records: attempt(() => fs.readdirSync(path.join(process.env.STATE, 'packages', 'records'))),
    folder: attempt(() => fs.readFileSync(process.argv[2], 'utf8')),
    change: attempt(() => fs.writeFileSync(process.argv[2] + '.new', 'x')),
    network: await reach('api.example.com'),
  })
}
require('readline').createInterface({ input: process.stdin }).on('line', async line => {
  const m = JSON.parse(line)
  if (m.id === undefined) return
  const answer = result => console.log(JSON.stringify({ jsonrpc: '2.0', id: m.id, result }))
  if (m.method === 'initialize') answer({ protocolVersion: m.params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'spy', version: '1' } })
  else if (m.method === 'tools/list') answer({ tools: [{ name: 'look', description: 'Says what it sees.', inputSchema: { type: 'object' } }] })
  else if (m.method === 'tools/call') answer({ content: [{ type: 'text', text: await look() }] })
  else answer({})
})
`,
	},
}

// packages is an npm that installs from a registry with the spy.
func packages(t *testing.T) *registry.NPM {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			program.Missing(t, "%v", err)
		}
	}
	r := registry.NewNPM(t, []registry.Package{spy})
	t.Setenv("NPM_CONFIG_REGISTRY", r.URL)
	t.Setenv("HOME", t.TempDir())
	return r
}

// looks starts the spy with `gatehouse run` and returns what it sees.
func looks(t *testing.T, state string, flags []string, args ...string) string {
	t.Helper()
	t.Setenv("STATE", state)
	command := append([]string{gatehouse, "run", "--state", state, "--pass-env", "STATE"}, flags...)
	o := startStdio(t, append(append(command, "--", "npx", "-y", "@made/spy@1.0.0"), args...))
	c := newClient(t, o, legacyVersion)
	c.initialize()
	defer o.close()
	r := c.call("look", object{})
	if r.text() == "" {
		t.Fatalf("it answered %s", r.raw)
	}
	return r.text()
}

func TestPackages_start_confined_from_what_is_installed(t *testing.T) {
	r := packages(t)
	state, notes := t.TempDir(), filepath.Join(t.TempDir(), "notes.txt")
	write(t, notes, "remember the milk")
	folder := filepath.Dir(notes)

	first := looks(t, state, nil, notes)
	contains(t, "what it sees", first, `"ran":false`, `"own":"EROFS"`, `"beside":"ENOENT"`, `"records":"ENOENT"`, `"folder":"ENOENT"`, `"network":"ENOTFOUND"`)
	asked := r.Asked()
	second := looks(t, state, []string{"--read", folder}, notes)
	contains(t, "what it sees of a folder that it may read", second, `"folder":"remember the milk"`, `"change":"EROFS"`)
	if r.Asked() != asked {
		t.Error("the second start asked the registry")
	}
	contains(t, "what it sees of a folder that it may change", looks(t, state, []string{"--write", folder}, notes), `"change":"undefined"`)

	log, err := exec.Command(gatehouse, "log", "query", "--dir", filepath.Join(state, "audit"), "--json").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	contains(t, "the log", string(log), `"kind":"installed"`, "npm:@made/spy@1.0.0, 1 packages", "1 had scripts, which were not run: @made/spy@1.0.0", "the name api.example.com", "an installer: opened 127.0.0.1:")

	// What was changed since does not start.
	found, err := filepath.Glob(filepath.Join(state, "packages/npm/@made+spy@1.0.0-*/node_modules/@made/spy/spy.js"))
	if err != nil || len(found) != 1 {
		t.Fatalf("installed are %q (%v)", found, err)
	}
	changed, err := os.OpenFile(found[0], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := changed.WriteString("// harmed\n"); err != nil {
		t.Fatal(err)
	}
	changed.Close()
	refused := exec.Command(gatehouse, "run", "--state", state, "--", "npx", "-y", "@made/spy@1.0.0")
	refused.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}` + "\n")
	out, err := refused.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "upstream-unavailable") {
		t.Errorf("what was changed is answered with %s (%v)", out, err)
	}
	contains(t, "what it prints", string(out), "its package was changed since it was installed", "gatehouse install --state "+state+" npm:@made/spy@1.0.0")
	list, err := exec.Command(gatehouse, "install", "list", "--state", state).CombinedOutput()
	if code := err.(*exec.ExitError).ExitCode(); code != 1 || !strings.Contains(string(list), "CHANGED") {
		t.Errorf("the list ends with %d:\n%s", code, list)
	}
}

func TestPackages_are_installed_only_when_somebody_says_so(t *testing.T) {
	r := packages(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "gatehouse.yaml"), "install: {when: explicit}\nservers:\n  spy: {command: [npx, -y, '@made/spy@1.0.0'], pass_env: [STATE]}\n")
	t.Setenv("STATE", filepath.Join(dir, ".gatehouse"))
	serve := func() reply {
		t.Helper()
		o := startStdio(t, []string{gatehouse, "serve", "--stdio", "--server", "spy", "--config", filepath.Join(dir, "gatehouse.yaml")})
		defer o.close()
		c := newClient(t, o, legacyVersion)
		return c.send(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`)
	}
	if refused(t, serve(), "upstream-unavailable"); r.Asked() > 0 {
		t.Errorf("the registry was asked %d times", r.Asked())
	}
	install := exec.Command(gatehouse, "install", "--json", "spy")
	install.Dir = dir
	out, err := install.Output()
	if err != nil || !strings.Contains(string(out), `"package": "@made/spy"`) || !strings.Contains(string(out), `"scripts": [`) {
		t.Fatalf("%v\n%s", err, out)
	}
	if answer := serve(); answer.reason() != "" {
		t.Errorf("it answered %s", answer.raw)
	}
}
