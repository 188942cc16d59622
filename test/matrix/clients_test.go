//go:build unix

package matrix

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/test/program"
)

// sampled is what all drivers answer for the model.
const sampled = "sampled by the client"

// client is one client program in one way of using it.
type client struct {
	id      string // also the name by which the log knows clients that have none of their own
	title   string
	version string
	era     era
	known   string               // the name by which the log knows it, if it has one
	lacks   map[operation]string // what it cannot do with any server, and why
	run     func(*testing.T, *gateway, client, []target) results
}

// name is how the client's name begins in the log.
func (c client) name() string {
	if c.known != "" {
		return c.known
	}
	return c.id
}

// target is a mount of the gateway and what a client is to do there.
type target struct {
	server server
	steps  []step
}

// results say what came of each step, by mount.
type results map[string]map[operation]result

// result is what a step said, or why it failed.
type result struct {
	Text  string `json:"text"`
	Error string `json:"error"`
}

func (r results) set(s server, op operation, found result) {
	if r[s.mount()] == nil {
		r[s.mount()] = map[operation]result{}
	}
	r[s.mount()][op] = found
}

// Why some clients lack something.
const (
	noModel     = "it declares no sampling: there is no model behind it"
	noQuestions = "it declares no elicitation"
)

func clients(t *testing.T) []client {
	t.Helper()
	inspector := map[operation]string{opSample: noModel}
	inspectorLegacy := map[operation]string{
		opSample: noModel,
		opCancel: "ended by Ctrl-C it only closes its connection, which by these revisions is not to cancel",
	}
	version := npm(t, "@modelcontextprotocol/inspector")
	typescript := func(file string, more ...string) func(*testing.T, *gateway, client, []target) results {
		return driver(append([]string{node(t), installed(t, "clients", "ts", file)}, more...)...)
	}
	return []client{
		{id: "inspector-legacy", title: "MCP Inspector CLI, `legacy`", version: version, era: legacy, known: "inspector-cli", lacks: inspectorLegacy, run: inspect},
		{id: "inspector-auto", title: "MCP Inspector CLI, `auto`", version: version, era: auto, known: "inspector-cli", lacks: inspectorLegacy, run: inspect},
		{id: "inspector-modern", title: "MCP Inspector CLI, `modern`", version: version, era: modern, known: "inspector-cli", lacks: inspector, run: inspect},
		{id: "mcp-remote", title: "mcp-remote", version: npm(t, "mcp-remote"), era: legacy, run: remote},
		{
			id: "mcporter", title: "mcporter", version: npm(t, "mcporter"), era: legacy, known: "mcporter", run: porter,
			lacks: map[operation]string{
				opSubscribe: "it has no command for it", opElicit: noQuestions, opSample: noModel,
				opCancel: "a call that takes too long is given up without a word to the server",
			},
		},
		{id: "ts-legacy", title: "TypeScript SDK 1", version: npm(t, "@modelcontextprotocol/sdk"), era: legacy, run: typescript("legacy.mjs")},
		{id: "ts-modern", title: "TypeScript SDK 2, pinned to 2026-07-28", version: npm(t, "@modelcontextprotocol/client"), era: modern, run: typescript("modern.mjs")},
		{id: "go-legacy", title: "Go SDK, 2025-11-25", version: module(t, "github.com/modelcontextprotocol/go-sdk"), era: legacy, run: driver(tool(t, "matrix-client"))},
		{id: "go-modern", title: "Go SDK, 2026-07-28 first", version: module(t, "github.com/modelcontextprotocol/go-sdk"), era: auto, run: driver(tool(t, "matrix-client"))},
		{id: "py-legacy", title: "Python SDK, `legacy`", version: pypi(t, "mcp"), era: legacy, run: driver(python(t), installed(t, "clients", "python", "client.py"))},
		{id: "py-modern", title: "Python SDK, pinned to 2026-07-28", version: pypi(t, "mcp"), era: modern, run: driver(python(t), installed(t, "clients", "python", "client.py"))},
	}
}

// job is what a driver reads.
type job struct {
	Client  string      `json:"client"`
	Era     era         `json:"era"`
	Targets []jobTarget `json:"targets"`
}

type jobTarget struct {
	Name    string   `json:"name"`
	URL     string   `json:"url"`
	Command []string `json:"command,omitempty"`
	Steps   []step   `json:"steps"`
}

// driver runs a program of our own that uses an SDK, see clients/ts/steps.mjs.
func driver(command ...string) func(*testing.T, *gateway, client, []target) results {
	return func(t *testing.T, g *gateway, c client, targets []target) results {
		t.Helper()
		return drive(t, c, command, targets, func(s server) jobTarget { return jobTarget{URL: g.url + s.mount()} })
	}
}

// remote puts mcp-remote, which turns a program that speaks on standard input and
// output into a client of a URL, behind the TypeScript SDK.
func remote(t *testing.T, g *gateway, c client, targets []target) results {
	t.Helper()
	command := []string{node(t), installed(t, "clients", "ts", "legacy.mjs")}
	return drive(t, c, command, targets, func(s server) jobTarget {
		return jobTarget{Command: []string{node(t), bin(t, "mcp-remote"), g.url + s.mount(), "--transport", "http-only", "--allow-http"}}
	})
}

func drive(t *testing.T, c client, command []string, targets []target, reach func(server) jobTarget) results {
	t.Helper()
	work := job{Client: c.id, Era: c.era}
	for _, to := range targets {
		one := reach(to.server)
		one.Name, one.Steps = to.server.mount(), to.steps
		work.Targets = append(work.Targets, one)
	}
	input, err := json.Marshal(work)
	if err != nil {
		t.Fatal(err)
	}
	process := start(t, command...)
	stdin, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr program.Output
	process.Stderr = &stderr
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after what came of it was judged
		stdin.Close()
		process.Wait()
	})
	var found results
	_, err = stdin.Write(append(input, '\n'))
	if err == nil {
		err = json.NewDecoder(stdout).Decode(&found)
	}
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, &stderr)
	}
	return found
}

// programTimeout is how long one run of a client program may take.
const programTimeout = 4 * time.Minute

// start prepares a client program: with a home of its own, so that it finds no
// settings of a person and leaves none.
func start(t *testing.T, command ...string) *exec.Cmd {
	t.Helper()
	home := t.TempDir()
	ctx, stop := context.WithTimeout(t.Context(), programTimeout)
	t.Cleanup(stop)
	process := exec.CommandContext(ctx, command[0], command[1:]...)
	process.WaitDelay = time.Second // for what it started and that holds its output
	process.Dir = home
	process.Env = append(os.Environ(), "HOME="+home, "MCP_REMOTE_CONFIG_DIR="+filepath.Join(home, "mcp-remote"))
	return process
}
