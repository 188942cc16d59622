//go:build unix

package requirements

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/test/program"
)

func Test_R084_starts_and_messages_of_stdio_servers_are_in_the_log(t *testing.T) {
	g := open(t)
	starts := func() int {
		return len(g.records(t, audit.Filter{Server: "files", Kinds: []audit.Kind{audit.ServerStarted}}))
	}
	before := starts()
	c := g.client(t, false, "files")
	c.call("echo", object{"text": "hello"})
	c.request("prompts/get", object{"name": "greeting", "arguments": object{"who": "you"}})
	c.request("completion/complete", object{"ref": object{"type": "ref/prompt", "name": "greeting"}, "argument": object{"name": "who", "value": "w"}})
	c.request("vendor/thing", object{})
	c.end()
	asked := g.client(t, false, "files", "elicitation")
	asked.ask("ask-name", "elicitation/create", object{"action": "accept", "content": object{"name": "Ada"}})
	asked.end()
	if got := starts() - before; got != 2 {
		t.Errorf("%d starts are in the log, want one for each session", got)
	}
	decided, ended := map[string]int{}, map[string]int{}
	for _, r := range g.records(t, audit.Filter{Server: "files"}) {
		switch r.Kind {
		case audit.Decided:
			decided[r.Method]++
		case audit.Ended:
			ended[r.Method]++
		}
	}
	for _, method := range []string{"initialize", "tools/call", "prompts/get", "completion/complete", "vendor/thing", "elicitation/create"} {
		if decided[method] == 0 || ended[method] == 0 {
			t.Errorf("%s is in the log %d times as decided and %d times as ended", method, decided[method], ended[method])
		}
	}
}

func Test_R086_no_caller_chooses_what_is_executed(t *testing.T) {
	g := open(t)
	trace := filepath.Join(t.TempDir(), "executed")
	command := []string{"/usr/bin/touch", trace}
	wish := object{"command": command, "args": command[1:], "stdio": object{"command": command}, "servers": object{"mine": object{"command": command}}}
	for _, c := range []*client{g.client(t, true, "web"), g.client(t, true, "")} {
		for _, method := range []string{"tools/list", "server/discover", "servers/add", "gatehouse/run", "config/set"} {
			c.request(method, wish)
		}
		c.request("tools/call", object{"name": "echo", "arguments": object{"text": "hello"}, "command": command})
		c.url += "/mine?command=" + command[0] + "&args=" + trace
		c.request("tools/list", wish)
	}
	initialize := string(encode(t, object{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": object{
		"protocolVersion": legacyVersion, "capabilities": object{"experimental": wish}, "clientInfo": object{"name": command[0], "version": "1"}, "command": command}}))
	for _, path := range []string{"/mcp/web", "/mcp/mine", "/servers", "/admin/servers", "/api/servers", "/config", "/mcp/..%2F..%2Fusr%2Fbin%2Ftouch"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch} {
			request, err := http.NewRequestWithContext(t.Context(), method, g.url+path, strings.NewReader(initialize))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if path != "/mcp/web" && response.StatusCode < 400 {
				t.Errorf("%s %s was answered %s", method, path, response.Status)
			}
		}
	}
	if _, err := os.Stat(trace); err == nil {
		t.Error("a command of a caller was executed")
	}
	for _, r := range g.records(t, audit.Filter{Kinds: []audit.Kind{audit.ServerStarted}}) {
		if !slices.Contains([]string{"web", "newest", "files"}, r.Server) {
			t.Errorf("%s was started", r.Server)
		}
	}
}

// nobody is the user who owns nothing.
const nobody = 65534

// Where the tests run as root, another gateway is started as nobody.
func Test_R087_the_gateway_needs_no_rights_of_its_own(t *testing.T) {
	g := open(t)
	if os.Geteuid() != 0 {
		if r := g.client(t, true, "files").call("echo", object{"text": "hello"}); r.text() != "hello" {
			t.Errorf("answered %s", r.raw)
		}
		return
	}
	dir, err := os.MkdirTemp("", "gatehouse-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"gatehouse": filepath.Join(g.dir, "gatehouse"), "server": os.Args[0]} {
		copyProgram(t, from, filepath.Join(dir, name))
	}
	own := &gateway{dir: dir, printed: &program.Output{}, command: exec.Command(filepath.Join(dir, "gatehouse"))}
	t.Cleanup(func() {
		if err := own.end(); err != nil {
			t.Error(err)
		}
	})
	own.command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	own.command.Dir = dir
	config := object{"listen": "127.0.0.1:0", "servers": object{
		"files": object{"command": []string{filepath.Join(dir, "server")}, "env": object{serverOnStdio: "1"}}}}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "gatehouse.yaml"), raw, 0o644); err != nil { // nobody reads it
		t.Fatal(err)
	}
	if err := own.start(); err != nil {
		t.Fatal(err)
	}
	if r := own.client(t, true, "files").call("echo", object{"text": "hello"}); r.text() != "hello" {
		t.Errorf("answered %s", r.raw)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", own.command.Process.Pid))
	if err != nil {
		t.Skip("this system has no /proc")
	}
	if !strings.Contains(string(status), "\nUid:\t65534\t65534") || !strings.Contains(string(status), "\nCapEff:\t0000000000000000\n") {
		t.Errorf("the gateway has rights:\n%s", status)
	}
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

func Test_R103_only_the_loopback_address_is_listened_on(t *testing.T) {
	g := open(t)
	for _, address := range []string{"0.0.0.0:0", "[::]:0", ":0", "192.0.2.1:0"} {
		for name, args := range map[string][]string{
			"flag":          {"--config", filepath.Join(g.dir, "gatehouse.yaml"), "--listen", address},
			"configuration": {"--config", listening(t, address)},
		} {
			output, err := exec.CommandContext(t.Context(), filepath.Join(g.dir, "gatehouse"), append([]string{"serve"}, args...)...).CombinedOutput()
			var exit *exec.ExitError
			if exit, _ = err.(*exec.ExitError); exit == nil || exit.ExitCode() != 2 {
				t.Errorf("%s by %s: ended with %v and said %s", address, name, err, output)
			}
		}
	}
	for _, address := range listened(t, g.command.Process.Pid) {
		if address != "0100007F" && address != "00000000000000000000000001000000" {
			t.Errorf("the gateway listens on %s", address)
		}
	}
}

// listening is a configuration that wants to listen on an address.
func listening(t *testing.T, address string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gatehouse.yaml")
	if err := os.WriteFile(file, encode(t, object{"listen": address, "servers": object{"files": object{"command": []string{"true"}}}}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// listened are the addresses on which a process listens, as the kernel writes them
// (proc_net_tcp(5)).
func listened(t *testing.T, pid int) []string {
	t.Helper()
	fds, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
	if len(fds) == 0 {
		t.Skip("this system has no /proc")
	}
	var sockets []string
	for _, fd := range fds {
		link, _ := os.Readlink(fd)
		if inode, ok := strings.CutPrefix(link, "socket:["); ok {
			sockets = append(sockets, strings.TrimSuffix(inode, "]"))
		}
	}
	var addresses []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(table)
		if err != nil {
			continue // no such protocol here
		}
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			const local, state, inode, open = 1, 3, 9, "0A"
			fields := strings.Fields(lines.Text())
			if len(fields) > inode && fields[state] == open && slices.Contains(sockets, fields[inode]) {
				address, _, _ := strings.Cut(fields[local], ":")
				addresses = append(addresses, address)
			}
		}
	}
	if len(addresses) == 0 {
		t.Error("found no socket of the gateway")
	}
	return addresses
}
