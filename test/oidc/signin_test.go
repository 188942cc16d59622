//go:build unix

package oidc

import (
	"crypto/rand"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"gatehouse/test/program"
)

// freeAddress is an address of this machine that nobody listens on now. It has to be
// known beforehand where it stands in tokens and in addresses that come back.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// front is a gateway that takes the tokens of the provider.
type front struct {
	url   string // without a path
	audit string // folder
}

const grace = 5 * time.Second

func (p *provider) front() *front {
	t := p.t
	t.Helper()
	dir := t.TempDir()
	f := &front{url: "http://" + freeAddress(t), audit: filepath.Join(dir, ".gatehouse", "audit")}
	raw, err := json.Marshal(object{
		"listen": f.url[len("http://"):],
		"identity": object{
			"resource": f.url,
			"issuers":  object{"corp": object{"url": p.issuer, "scopes": []string{"mcp"}, "typ": "at+jwt", "teams_claim": "groups"}},
		},
		"teams":  object{"data": object{"groups": []string{"corp/data-eng"}}},
		"policy": object{"files": []string{"tools.cedar"}},
		"servers": object{
			"notes": object{"command": []string{program.Tool(t, "hostile")}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "gatehouse.yaml")
	const policies = `
@id("everybody echoes")
permit (principal, action == Action::"tools/call", resource == Tool::"notes/echo");

@id("data adds")
permit (principal in Team::"data", action == Action::"tools/call", resource == Tool::"notes/add");
`
	for path, text := range map[string]string{config: string(raw), filepath.Join(dir, "tools.cedar"): policies} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	launch(t, exec.Command(gatehouse, "serve", "--config", config), regexp.MustCompile(`(http://[0-9.:]+)/mcp\n`))
	return f
}

// launch starts a program, waits until it prints something and returns the first
// group of that. It ends with the test.
func launch(t *testing.T, command *exec.Cmd, until *regexp.Regexp) string {
	t.Helper()
	printed := &program.Output{}
	if err := program.Start(command, printed); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		program.End(command, grace)
		if t.Failed() {
			t.Logf("%s printed:\n%s", command.Args[0], printed)
		}
	})
	late := time.After(patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if found := until.FindStringSubmatch(printed.String()); found != nil {
			return found[1]
		}
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("%s did not print %s", command.Args[0], until)
		}
	}
}

// inspector starts the web page of MCP Inspector for an MCP endpoint and returns its
// address. It keeps nothing outside a folder of the test, and opens no browser.
func inspector(t *testing.T, endpoint, era string) string {
	t.Helper()
	script := program.Package(t, ".bin", "mcp-inspector")
	dir := t.TempDir()
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program.Node(t), script, "--web", "--transport", "http", "--server-url", endpoint, "--protocol-era", era)
	command.Env = append(os.Environ(), "HOME="+dir, "HOST=127.0.0.1", "CLIENT_PORT="+port, "MCP_STORAGE_DIR="+filepath.Join(dir, "storage"),
		"MCP_INSPECTOR_SECRET_STORE=memory", "MCP_AUTO_OPEN_ENABLED=false", "MCP_INSPECTOR_API_TOKEN="+rand.Text(), "NO_COLOR=1",
		"MCP_SANDBOX_PORT=0", "MCP_APP_ORIGIN_PORT=0")
	return launch(t, command, regexp.MustCompile(`(http://127\.0\.0\.1:\S+)`))
}

func TestExplore(t *testing.T) {
	p := start(t)
	f := p.front()
	at := inspector(t, f.url+"/mcp/notes", "legacy")
	t.Log(at)
	page := browse(t).open(at)
	page.await("the page", "document.body.innerText.length > 200")
	page.picture("explore-1")
	var text string
	page.evaluate("location.href+document.body.innerText + [...document.querySelectorAll('button, input, a, [role=switch]')].map(e => e.outerHTML).join('\\n')", &text)
	t.Log(text)
}
