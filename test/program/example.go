package program

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/test/registry"
)

// Example is a folder of examples/, in a place of its own, with the page of docs/ that
// explains it. The configuration is used as it stands, and so are the commands of the
// page: each of them has to be run before the test ends.
type Example struct {
	Folder string // the copy; commands run in it
	URL    string // of the gateway, once it is served, without a path
	Env    []string

	t       *testing.T
	page    string
	left    map[string]bool // its commands, and whether they were not run yet
	program string
}

// shown is the address that configurations and pages name. A test listens elsewhere.
const shown = "http://127.0.0.1:8848"

// elsewhere are the programs of pages that tests do not have.
var elsewhere = []string{"claude ", "code "}

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// NewExample copies the example with this name, for the program built at a path.
func NewExample(t *testing.T, name, program string) *Example {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	e := &Example{Folder: filepath.Join(t.TempDir(), name), t: t, page: string(page), left: map[string]bool{}, program: program}
	if err := os.CopyFS(e.Folder, os.DirFS(filepath.Join("..", "..", "examples", name))); err != nil {
		t.Fatal(err)
	}
	for _, block := range shellBlock.FindAllStringSubmatch(e.page, -1) {
		for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", "")) {
			if line = command(line); line != "" {
				e.left[line] = true
			}
		}
	}
	tools := t.TempDir()
	if err := errors.Join(os.Symlink(program, filepath.Join(tools, "gatehouse")), os.WriteFile(filepath.Join(tools, "npx"), npx(t), 0o700)); err != nil {
		t.Fatal(err)
	}
	// The gateway installs what the examples start, from what is installed for the tests.
	npm := registry.NewNPM(t, nil, Package(t))
	e.Env = append(os.Environ(), "HOME="+t.TempDir(), "PATH="+tools+":"+os.Getenv("PATH"), "NPM_CONFIG_REGISTRY="+npm.URL)
	t.Cleanup(func() {
		for line, left := range e.left {
			if left && !t.Failed() {
				t.Errorf("docs/%s.md shows a command that the test does not run: %s", name, line)
			}
		}
	})
	return e
}

// command is a line of a page without the remark behind it; "" if it is none for
// tests.
func command(line string) string {
	line, _, _ = strings.Cut(strings.TrimSpace(line), "  #")
	for _, name := range elsewhere {
		if strings.HasPrefix(line, name) {
			return ""
		}
	}
	return strings.Join(strings.Fields(line), " ")
}

// packages are those that examples start with npx, by the name of their program.
var packages = map[string]string{
	"@modelcontextprotocol/inspector":         "mcp-inspector",
	"@modelcontextprotocol/server-everything": "mcp-server-everything",
	"@modelcontextprotocol/server-filesystem": "mcp-server-filesystem",
	"@modelcontextprotocol/server-memory":     "mcp-server-memory",
	"@upstash/context7-mcp":                   "context7-mcp",
	"mcp-remote":                              "mcp-remote",
	"mcporter":                                "mcporter",
}

// npx is a program that stands in for npx: it takes what is installed for the tests and
// downloads nothing. A version that the example names must be the one that is there.
func npx(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("#!/bin/sh\n[ \"$1\" = -y ] && shift\nwanted=$1\nshift\ncase $wanted in\n")
	for name, bin := range packages {
		raw, err := os.ReadFile(Package(t, name, "package.json"))
		if err != nil {
			t.Fatal(err)
		}
		var manifest struct{ Version string }
		if err := json.Unmarshal(raw, &manifest); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "'%s'|'%s@%s') exec '%s' '%s' \"$@\" ;;\n", name, name, manifest.Version, Node(t), Package(t, ".bin", bin))
	}
	b.WriteString("esac\necho \"$wanted is not installed\" >&2\nexit 1\n")
	return b.Bytes()
}

// Block is the one block of the page in a language that contains a text.
func (e *Example) Block(language, contains string) string {
	e.t.Helper()
	var found []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(e.page, -1) {
		if strings.Contains(m[1], contains) {
			found = append(found, e.at(m[1]))
		}
	}
	if len(found) != 1 {
		e.t.Fatalf("the page has %d %s blocks with %q, want 1", len(found), language, contains)
	}
	return found[0]
}

// at is a text with the address of the gateway in place of the one that is shown.
func (e *Example) at(text string) string { return strings.ReplaceAll(text, shown, e.URL) }

// Replace changes the configuration: what has to be different on this machine.
func (e *Example) Replace(file, before, after string) {
	e.t.Helper()
	path := filepath.Join(e.Folder, file)
	raw, err := os.ReadFile(path)
	if err != nil {
		e.t.Fatal(err)
	}
	if !bytes.Contains(raw, []byte(before)) {
		e.t.Fatalf("%s has no %q", file, before)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(raw, []byte(before), []byte(after)), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

// startPatience is how long the servers of an example may take to start.
const startPatience = time.Minute

// Serve runs the page's "gatehouse serve" on a free port, until the test ends.
func (e *Example) Serve() {
	e.t.Helper()
	e.left["gatehouse serve"] = false
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close() // nobody else is expected to take the port in between
	serve := exec.Command(e.program, "serve", "--listen", address)
	serve.Dir, serve.Env = e.Folder, e.Env
	printed := &Output{}
	if err := Start(serve, printed); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		End(serve, startPatience)
		if e.t.Failed() {
			e.t.Logf("the gateway printed:\n%s", printed)
		}
	})
	e.URL = "http://" + address
	late := time.After(startPatience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for { // what it prints is the address for clients, which may be another
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		select {
		case <-again.C:
		case <-late:
			e.t.Fatalf("nobody listens within %v", startPatience)
		}
	}
}

// Run runs a command that the page shows and returns what it printed and how it ended.
func (e *Example) Run(line string) (output string, code int) {
	e.t.Helper()
	if _, is := e.left[line]; !is {
		e.t.Fatalf("the page does not show %s", line)
	}
	e.left[line] = false
	return e.shell(line)
}

// Other runs a command that the page does not show, and that has to succeed.
func (e *Example) Other(line string) string {
	e.t.Helper()
	output, code := e.shell(line)
	if code != 0 {
		e.t.Fatalf("%s ended with %d:\n%s", line, code, output)
	}
	return output
}

func (e *Example) shell(line string) (output string, code int) {
	e.t.Helper()
	shell := exec.Command("sh", "-c", e.at(line))
	shell.Dir, shell.Env = e.Folder, e.Env
	raw, err := shell.CombinedOutput()
	if err != nil && shell.ProcessState == nil {
		e.t.Fatal(err)
	}
	return string(raw), shell.ProcessState.ExitCode()
}

// Must is Run of a command that has to succeed.
func (e *Example) Must(line string) string {
	e.t.Helper()
	output, code := e.Run(line)
	if code != 0 {
		e.t.Fatalf("%s ended with %d:\n%s", line, code, output)
	}
	return output
}
