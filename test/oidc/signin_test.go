//go:build unix

package oidc

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/audit"
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

func (p *Provider) front() *front {
	t := p.t
	t.Helper()
	dir := t.TempDir()
	f := &front{url: "http://" + freeAddress(t), audit: filepath.Join(dir, ".gatehouse", "audit")}
	raw, err := json.Marshal(object{
		"listen": f.url[len("http://"):],
		"identity": object{
			"resource": f.url,
			"issuers":  object{"corp": object{"url": p.Issuer, "scopes": []string{"mcp"}, "typ": "at+jwt", "teams_claim": "groups"}},
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

// signIn does what a person does on the pages of the provider, which says for what the
// client asks.
func (p *page) signIn(name, resource string) {
	p.t.Helper()
	p.fill("the name", `document.querySelector('[name=login]')`, name)
	p.fill("the password", `document.querySelector('[name=password]')`, "any")
	p.click("to sign in", labelled("button", "Sign-in"))
	p.await("the question for consent", `document.querySelector('[value=consent]')`)
	p.await("the resource", says(resource+":\n"))
}

const connect = `document.querySelector('input[role=switch][aria-label^="Connect"]')`

// Inspector is told nothing but the address. It is refused, finds the provider,
// registers itself, sends the person there and comes back with a token.
func Test_people_sign_in_from_MCP_Inspector(t *testing.T) {
	p := Start(t)
	f := p.front()
	for _, test := range []struct {
		name, mount, era string
		tools            []string
	}{
		{"alice", "/mcp/notes", "legacy", []string{"echo", "add"}},
		{"guest", "/mcp/notes", "modern", []string{"echo"}},
		{"guest", "/mcp", "legacy", []string{"notes__echo"}},
	} {
		t.Run(test.name+" "+test.era+" "+test.mount, func(t *testing.T) {
			at := inspector(t, f.url+test.mount, test.era)
			page := browse(t).open(at)
			page.click("to connect", connect)
			page.signIn(test.name, f.url+test.mount)
			page.click("to consent", labelled("button", "Continue"))

			page.await("to be back", fmt.Sprintf("location.origin === new URL(%q).origin", at))
			page.click("the tools", labelled("label", "Tools"))
			page.await("the number of tools", says(fmt.Sprintf("Tools (%d)", len(test.tools))))
			var listed []string
			if err := page.evaluate(`[...document.querySelectorAll('button.list-item')].map(e => e.innerText.trim())`, &listed); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.tools, listed); diff != "" {
				t.Errorf("tools (-want +shown):\n%s", diff)
			}

			page.click("the tool", labelled("button.list-item", test.tools[0]))
			page.fill("its argument", labelled("label", "text")+"?.control", "signed in as "+test.name)
			page.click("to call it", labelled("button", "Execute Tool"))
			page.await("the answer", fmt.Sprintf(`[...document.querySelectorAll('pre, code, p, span, div')].some(e => !e.children.length && e.innerText.trim() === %q)`, "signed in as "+test.name))
			page.picture("called")
			f.called(t, "user:corp/"+test.name)
		})
	}
}

// called checks that the log has one call, of this principal.
func (f *front) called(t *testing.T, principal string) {
	t.Helper()
	var found []string
	err := audit.Read(f.audit, audit.Filter{Kinds: []audit.Kind{audit.Decided}}, func(r *audit.Record) error {
		if r.Method == "tools/call" && r.Decision == "allow" {
			found = append(found, r.Principal)
		}
		return nil
	})
	if err != nil || len(found) == 0 || found[len(found)-1] != principal {
		t.Errorf("calls were made by %q (%v); want the last one by %s", found, err, principal)
	}
}

func Test_who_does_not_consent_is_not_signed_in(t *testing.T) {
	p := Start(t)
	f := p.front()
	at := inspector(t, f.url+"/mcp/notes", "legacy")
	page := browse(t).open(at)
	page.click("to connect", connect)
	page.signIn("alice", f.url+"/mcp/notes")
	page.click("to cancel", labelled("a", "[ Cancel ]"))
	page.await("to be back", fmt.Sprintf("location.origin === new URL(%q).origin", at))
	page.await("the refusal", says("access_denied"))
	page.picture("cancelled")
	err := audit.Read(f.audit, audit.Filter{Kinds: []audit.Kind{audit.Decided}}, func(r *audit.Record) error {
		if r.Decision == "allow" && r.Direction == audit.ClientToServer {
			t.Errorf("%s was allowed to %s", r.Method, r.Principal)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
