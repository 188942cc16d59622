//go:build unix

package matrix

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/audit"
)

// inspector is the command line of MCP Inspector in one era. It has two programs:
// mcp-inspector --cli connects, asks once and ends; mcpdo keeps a connection, in a
// process of its own, so that it can be told what changes and be asked.
type inspector struct {
	t       *testing.T
	gateway *gateway
	client  client
	daemon  []string // environment by which mcpdo finds its process
}

func inspect(t *testing.T, g *gateway, c client, targets []target) results {
	t.Helper()
	dir, err := os.MkdirTemp("", "mcpdo-") // the name of the socket in it must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The daemon writes its cache while it ends.
		if !await(func() bool { return os.RemoveAll(dir) == nil }) {
			t.Errorf("%s cannot be removed", dir)
		}
	})
	i := &inspector{t: t, gateway: g, client: c, daemon: []string{
		"MCP_INSPECTOR_DAEMON_DIR=" + dir, "MCP_INSPECTOR_DAEMON_TOKEN=matrix-" + c.id, "MCP_INSPECTOR_SECRET_STORE=file",
		"HOME=" + dir, "NODE_COMPILE_CACHE=" + filepath.Join(dir, "cache"),
	}}
	defer i.do("daemon", "stop")
	found := results{}
	for _, to := range targets {
		i.target(to, found)
	}
	return found
}

func (i *inspector) target(to target, found results) {
	connection := "@" + i.client.id + strings.ReplaceAll(to.server.mount(), "/", "-")
	connected := false
	for n, s := range to.steps {
		text, err := i.step(to.server, s, connection, &connected)
		found.set(to.server, s.Op, outcome(text, err))
		if n == 0 && err != nil { // it cannot connect; that it cannot do so again says nothing new
			for _, s := range to.steps[1:] {
				found.set(to.server, s.Op, outcome("", err))
			}
			break
		}
	}
	if connected {
		i.do("disconnect", connection[1:])
	}
}

// step lists and cancels with the program that asks once, and does all else over
// one connection.
func (i *inspector) step(s server, todo step, connection string, connected *bool) (string, error) {
	switch todo.Op {
	case opList:
		return output(i.once(s, "--method", "tools/list"))
	case opCancel:
		return i.cancel(s, todo)
	}
	if !*connected {
		_, err := i.do("connect", "--server-url", i.gateway.url+s.mount(), "--transport", "http",
			"--connect-timeout", connectTimeout, "--era", string(i.client.era), "--connection", connection[1:])
		if err != nil {
			return "", err
		}
		*connected = true
	}
	switch todo.Op {
	case opRead:
		return i.do(connection, "resources/read", todo.URI)
	case opSubscribe:
		return i.subscribe(connection, todo)
	case opElicit:
		return i.elicit(connection, todo)
	}
	return i.do(connection, "tools/call", todo.Tool, encode(i.t, todo.Arguments))
}

func outcome(text string, err error) result {
	if err != nil {
		return result{Error: err.Error()}
	}
	return result{Text: text}
}

// once is the program that connects, asks and ends.
func (i *inspector) once(s server, method ...string) *exec.Cmd {
	args := []string{node(i.t), bin(i.t, "mcp-inspector"), "--cli", i.gateway.url + s.mount(), "--transport", "http",
		"--connect-timeout", connectTimeout, "--protocol-era", string(i.client.era), "--quiet", "--format", "json"}
	program := start(i.t, append(args, method...)...)
	program.Env = append(program.Env, i.daemon...)
	return program
}

// cancel presses Ctrl-C while a call waits.
func (i *inspector) cancel(s server, called step) (string, error) {
	program := i.once(s, "--method", "tools/call", "--tool-name", called.Tool, "--tool-args-json", encode(i.t, called.Arguments))
	program.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches a whole group
	if err := program.Start(); err != nil {
		return "", err
	}
	arrived := await(func() bool { return len(i.gateway.calls(audit.Decided, i.client, s, called)) > 0 })
	syscall.Kill(-program.Process.Pid, syscall.SIGINT)
	program.Wait() // fails, because it was interrupted
	if !arrived {
		return "", errors.New("the call did not reach the gateway")
	}
	return "cancelled", nil
}

// do runs one command of mcpdo.
func (i *inspector) do(args ...string) (string, error) { return output(i.mcpdo(args...)) }

func (i *inspector) mcpdo(args ...string) *exec.Cmd {
	program := start(i.t, append([]string{node(i.t), bin(i.t, "mcpdo"), "--format", "json"}, args...)...)
	program.Env = append(program.Env, i.daemon...)
	return program
}

// connectTimeout is for a machine that has much to do, in milliseconds.
const connectTimeout = "60000"

// updateTimeout is how long an update may take; one server sends one every three
// seconds and not when it is asked to.
const updateTimeout = 10 * time.Second

// subscribe leaves a program waiting for updates while another one calls the tool
// that makes one.
func (i *inspector) subscribe(connection string, s step) (string, error) {
	waiting := i.mcpdo(connection, "resources/subscribe", s.URI)
	said, err := waiting.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := waiting.Start(); err != nil {
		return "", err
	}
	defer waiting.Wait()
	defer waiting.Process.Kill()
	late := time.AfterFunc(updateTimeout, func() { waiting.Process.Kill() })
	defer late.Stop()
	texts := json.NewDecoder(bufio.NewReader(said))
	var first, update struct{ Type, URI string }
	if err := texts.Decode(&first); err != nil {
		return "", fmt.Errorf("subscribing: %w", err)
	}
	if s.Tool != "" {
		if _, err := i.do(connection, "tools/call", s.Tool, encode(i.t, s.Arguments)); err != nil {
			return "", err
		}
	}
	if err := texts.Decode(&update); err != nil {
		return "", fmt.Errorf("waiting for an update: %w", err)
	}
	return "updated " + update.URI, nil
}

var questionID = regexp.MustCompile(`elicitation-[0-9a-f-]+`)

// elicit calls the tool, which leaves a question open, and answers it.
func (i *inspector) elicit(connection string, s step) (string, error) {
	asked, err := i.do(connection, "tools/call", s.Tool, encode(i.t, s.Arguments))
	if err != nil {
		return "", err
	}
	id := questionID.FindString(asked)
	if id == "" {
		return "", fmt.Errorf("no question came: %s", asked)
	}
	return i.do(connection, "elicitation/respond", id, encode(i.t, s.Answer))
}

// output is what a program printed; an error holds what it printed of it.
func output(program *exec.Cmd) (string, error) {
	var stdout, stderr strings.Builder
	program.Stdout, program.Stderr = &stdout, &stderr
	if err := program.Run(); err != nil {
		return "", fmt.Errorf("%w: %s %s", err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

func encode(t *testing.T, value object) string {
	t.Helper()
	if value == nil {
		value = object{}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
