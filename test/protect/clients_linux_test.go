package protect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"gatehouse/test/program"
)

// machine is how packages name the processor.
var machine = map[string]string{"amd64": "x64", "arm64": "arm64"}

// Clients that other people publish, which list their servers without a model. They are
// large, so that only `make test-clients` installs them.
func Test_published_clients_start_protected_servers(t *testing.T) {
	modules, err := filepath.Abs("../.tools/clients/node_modules")
	must(t, err)
	if _, err := os.Stat(modules); err != nil {
		if os.Getenv("GATEHOUSE_CLIENTS") == "required" {
			t.Fatal(err)
		}
		t.Skip("make test-clients installs the clients")
	}
	command, args := program.Node(t), []string{filepath.Join(program.Package(t, "@modelcontextprotocol"), "server-everything/dist/index.js")}
	entry, err := json.Marshal(map[string]any{"command": command, "args": args})
	must(t, err)
	for _, c := range []struct {
		program, file, text string
		want                string // that the client says of a server which answers
	}{
		{"@anthropic-ai/claude-code-linux-" + machine[runtime.GOARCH] + "/claude", ".claude.json", fmt.Sprintf(`{"mcpServers": {"everything": %s}}`, entry), "Connected"},
		{".bin/gemini", ".gemini/settings.json", fmt.Sprintf(`{"mcpServers": {"everything": %s}} // mine
`, entry), "Connected"},
		{".bin/codex", ".codex/config.toml", fmt.Sprintf("# mine\n[mcp_servers.everything]\ncommand = %q\nargs = [%q]\n", command, args[0]), "enabled"}, // it starts nothing
	} {
		t.Run(filepath.Base(c.program), func(t *testing.T) {
			p := newPerson(t, map[string]any{})
			p.file = filepath.Join(p.home, filepath.FromSlash(c.file))
			must(t, os.MkdirAll(filepath.Dir(p.file), 0o755))
			must(t, os.WriteFile(p.file, []byte(c.text), 0o600))
			if out, code := p.run(p.gatehouse, "protect", "--yes", "--secrets", "age"); code != 0 || !strings.Contains(out, "1 server protected") {
				t.Fatalf("protect ends with %d:\n%s", code, out)
			}
			out, code := p.run(filepath.Join(modules, filepath.FromSlash(c.program)), "mcp", "list")
			if code != 0 || !strings.Contains(out, c.want) || !strings.Contains(out, p.gatehouse) {
				t.Errorf("%s mcp list ends with %d:\n%s", c.program, code, out)
			}
			if out, code := p.run(p.gatehouse, "unprotect", "--yes"); code != 0 {
				t.Errorf("unprotect ends with %d:\n%s", code, out)
			}
			now, err := os.ReadFile(p.file)
			must(t, err)
			if bytes.Contains(now, []byte("gatehouse")) || !bytes.Contains(now, []byte(args[0])) {
				t.Errorf("afterwards the file is\n%s", now)
			}
			if c.program == ".bin/codex" && string(now) != c.text { // the others write their files anew
				t.Errorf("the file is not what it was:\n%s", now)
			}
		})
	}
}
