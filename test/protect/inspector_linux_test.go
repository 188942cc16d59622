package protect_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/test/program"
)

// person is somebody with a home of their own and one client.
type person struct {
	*testing.T
	home, gatehouse, file string
}

func newPerson(t *testing.T, servers map[string]any) *person {
	t.Helper()
	gatehouse, err := program.Build(t.TempDir())
	must(t, err)
	home, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	p := &person{t, home, gatehouse, filepath.Join(home, ".cursor", "mcp.json")}
	text, err := json.MarshalIndent(map[string]any{"mcpServers": servers}, "", "  ")
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(p.file), 0o755))
	must(t, os.WriteFile(p.file, text, 0o600))
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a program as the person would.
func (p *person) run(name string, args ...string) (printed string, code int) {
	p.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = p.home
	cmd.Env = []string{"HOME=" + p.home, "PATH=" + os.Getenv("PATH"), "DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere", "MCP_INSPECTOR_SECRET_STORE=memory", "GEMINI_CLI_TRUST_WORKSPACE=true"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		p.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func Test_a_real_client_starts_protected_servers(t *testing.T) {
	node := program.Node(t)
	packages := program.Package(t, "@modelcontextprotocol")
	inspector := program.Package(t, ".bin", "mcp-inspector")
	const token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
	notes := filepath.Join(t.TempDir(), "notes")
	must(t, os.MkdirAll(notes, 0o777))
	must(t, os.Chmod(notes, 0o777)) // for the user that servers of root run as
	must(t, os.WriteFile(filepath.Join(notes, "list.txt"), []byte("remember the milk\n"), 0o666))
	p := newPerson(t, map[string]any{
		"files":      map[string]any{"command": node, "args": []string{filepath.Join(packages, "server-filesystem/dist/index.js"), notes}},
		"everything": map[string]any{"command": node, "args": []string{filepath.Join(packages, "server-everything/dist/index.js")}, "env": map[string]any{"GITHUB_TOKEN": token, "COLOUR": "green"}},
	})
	before, err := os.ReadFile(p.file)
	must(t, err)

	if out, code := p.run(p.gatehouse, "protect"); code != 1 || !strings.Contains(out, "Nothing was changed") {
		t.Errorf("without a terminal: %d\n%s", code, out)
	}
	if now, err := os.ReadFile(p.file); err != nil || !bytes.Equal(now, before) {
		t.Error("without a terminal the file was changed")
	}
	out, code := p.run(p.gatehouse, "protect", "--yes")
	if code != 0 || strings.Contains(out, token) {
		t.Fatalf("protect ends with %d:\n%s", code, out)
	}
	if now, err := os.ReadFile(p.file); err != nil || bytes.Contains(now, []byte(token)) || strings.Count(string(now), `"--sandbox"`) != 2 {
		t.Fatalf("%v\n%s", err, now)
	}

	inspect := func(server string, method ...string) string {
		t.Helper()
		out, code := p.run(node, append([]string{inspector, "--cli", "--config", p.file, "--server", server, "--method"}, method...)...)
		if code != 0 {
			t.Fatalf("the Inspector ends with %d:\n%s", code, out)
		}
		return out
	}
	if out := inspect("files", "tools/list"); !strings.Contains(out, "read_text_file") {
		t.Errorf("tools: %s", out)
	}
	read := []string{"tools/call", "--tool-name", "read_text_file", "--tool-arg"}
	if out := inspect("files", append(read, "path="+filepath.Join(notes, "list.txt"))...); !strings.Contains(out, "remember the milk") {
		t.Errorf("a file that is granted: %s", out)
	}
	// What Gatehouse gives the server arrives; that it does not come back says that it is known.
	environment := inspect("everything", "tools/call", "--tool-name", "get-env")
	if !strings.Contains(environment, "green") || !strings.Contains(environment, "GITHUB_TOKEN") || strings.Contains(environment, token) || strings.Contains(environment, "age:") {
		t.Errorf("environment: %s", environment)
	}
	if log, code := p.run(p.gatehouse, "log", "query", "--server", "files", "--kind", "decided", "--dir", filepath.Join(p.home, ".local/state/gatehouse/audit")); code != 0 || !strings.Contains(log, "read_text_file") {
		t.Errorf("the call is not on record: %d\n%s", code, log)
	}

	if out, code := p.run(p.gatehouse, "protect", "--yes"); code != 0 || !strings.Contains(out, "0 servers protected, 2 already") && !strings.Contains(out, "0 servers would be protected, 2 already") {
		t.Errorf("a second run ends with %d:\n%s", code, out)
	}
	if out, code := p.run(p.gatehouse, "unprotect", "--yes"); code != 0 {
		t.Errorf("unprotect ends with %d:\n%s", code, out)
	}
	if now, err := os.ReadFile(p.file); err != nil || !bytes.Equal(now, before) {
		t.Errorf("the file is not what it was: %v\n%s", err, now)
	}
	if out := inspect("files", "tools/list"); !strings.Contains(out, "read_text_file") {
		t.Errorf("without Gatehouse: %s", out)
	}
}
