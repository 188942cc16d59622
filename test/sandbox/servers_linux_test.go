package sandbox_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/test/program"
)

// call is one tool call and what its answer must hold.
type call struct {
	tool string
	args map[string]any
	want string
}

// Test_real_servers_work_inside starts servers of others with `gatehouse run` in a
// sandbox with a preset, and uses them.
func Test_real_servers_work_inside(t *testing.T) {
	gatehouse, err := program.Build(t.TempDir())
	must(t, err)
	work, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	must(t, os.Chmod(work, 0o777)) // for the user that servers of root run as
	must(t, os.WriteFile(filepath.Join(work, "notes.txt"), []byte("remember the milk\n"), 0o666))
	packages := program.Package(t, "@modelcontextprotocol")
	node := program.Node(t)
	var table strings.Builder
	for _, server := range []struct {
		name  string
		flags []string
		env   []string
		args  []string
		calls []call
	}{
		{
			"server-filesystem", []string{"--sandbox", "offline-files", "--write", work}, nil,
			[]string{node, filepath.Join(packages, "server-filesystem/dist/index.js"), work},
			[]call{
				{"read_text_file", map[string]any{"path": work + "/notes.txt"}, "remember the milk"},
				{"write_file", map[string]any{"path": work + "/new.txt", "content": "written inside"}, ""},
				{"move_file", map[string]any{"source": work + "/new.txt", "destination": work + "/moved.txt"}, ""},
				{"list_directory", map[string]any{"path": work}, "moved.txt"},
			},
		},
		{
			"server-everything", []string{"--sandbox", "node"}, nil,
			[]string{node, filepath.Join(packages, "server-everything/dist/index.js")},
			[]call{{"echo", map[string]any{"message": "hello from inside"}, "hello from inside"}, {"get-sum", map[string]any{"a": 2, "b": 40}, "42"}},
		},
		{
			"server-memory", []string{"--sandbox", "node", "--write", work, "--pass-env", "MEMORY_FILE_PATH"}, []string{"MEMORY_FILE_PATH=" + work + "/memory.jsonl"},
			[]string{node, filepath.Join(packages, "server-memory/dist/index.js")},
			[]call{
				{"create_entities", map[string]any{"entities": []any{map[string]any{"name": "Ada", "entityType": "person", "observations": []any{"writes programs"}}}}, "Ada"},
				{"read_graph", map[string]any{}, "writes programs"},
			},
		},
		{
			"a server on FastMCP, Python", []string{"--sandbox", "python", "--read", filepath.Join(repository(t), "test/python")}, nil,
			[]string{program.Installed(t, "../.tools/python/bin/python"), filepath.Join(repository(t), "test/python/server.py")},
			[]call{{"echo", map[string]any{"text": "from inside"}, "echo: from inside"}},
		},
		{
			"everything-server of the SDK, Go", []string{"--sandbox", "nothing"}, nil,
			[]string{program.Tool(t, "everything-server")},
			[]call{{"test_simple_text", map[string]any{}, "text"}},
		},
	} {
		t.Run(server.name, func(t *testing.T) {
			args := append([]string{"run", "--state", t.TempDir()}, server.flags...)
			cmd := exec.Command(gatehouse, append(append(args, "--"), server.args...)...)
			cmd.Env, cmd.Dir = append(os.Environ(), server.env...), work
			c := connect(t, cmd)
			if list := c.call("tools/list", map[string]any{}); !strings.Contains(list, `"inputSchema"`) {
				t.Fatalf("tools: %s", list)
			}
			used := []string{"`tools/list`"}
			for _, want := range server.calls {
				got := c.call("tools/call", map[string]any{"name": want.tool, "arguments": want.args})
				used = append(used, "`"+want.tool+"`")
				if strings.Contains(got, `"isError":true`) || !strings.Contains(got, `"result"`) || !strings.Contains(got, want.want) {
					t.Errorf("%s: %s", want.tool, got)
				}
			}
			flags := strings.NewReplacer(work, "FOLDER", repository(t)+"/", "").Replace(strings.Join(server.flags, " "))
			fmt.Fprintf(&table, "| %s | `%s` | %s |\n", server.name, flags, strings.Join(used, ", "))
		})
	}
	checkTable(t, table.String())
	if text, err := os.ReadFile(filepath.Join(work, "moved.txt")); err != nil || string(text) != "written inside" {
		t.Errorf("what was written inside is %q outside (%v)", text, err)
	}
}

// page is where the table of servers stands, between two lines that mark it.
const (
	page       = "../../docs/sandbox.md"
	tableBegin = "<!-- servers: made by test/sandbox -->\n"
	tableEnd   = "<!-- end of servers -->\n"
)

// checkTable compares the table in the documentation with what was found.
func checkTable(t *testing.T, rows string) {
	t.Helper()
	text, err := os.ReadFile(page)
	must(t, err)
	before, rest, found := strings.Cut(string(text), tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		t.Fatalf("%s has no place for the servers", page)
	}
	want := before + tableBegin + "| server | `gatehouse run` with | used inside |\n|---|---|---|\n" + rows + tableEnd + after
	if *update {
		must(t, os.WriteFile(page, []byte(want), 0o644))
	} else if string(text) != want {
		t.Errorf("the table in %s is not what was found; run the test with -update:\n%s", page, rows)
	}
}

var update = flag.Bool("update", false, "write the table of servers into the documentation")

// client speaks to a server on its standard streams, one request after another.
type client struct {
	t    *testing.T
	in   *json.Encoder
	out  *bufio.Scanner
	errs *strings.Builder
	last int
}

// patience is how long a server under load may take.
const patience = time.Minute

func connect(t *testing.T, cmd *exec.Cmd) *client {
	t.Helper()
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	c := &client{t: t, in: json.NewEncoder(in), out: bufio.NewScanner(out), errs: &strings.Builder{}}
	c.out.Buffer(nil, 1<<20)
	cmd.Stderr = c.errs
	must(t, cmd.Start())
	limit := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		limit.Stop()
		in.Close()
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("it ended with %v\n%s", err, c.errs)
		}
	})
	c.call("initialize", map[string]any{"protocolVersion": "2025-06-18", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "test", "version": "1"}})
	must(t, c.in.Encode(map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"}))
	return c
}

// call sends a request and returns its whole answer.
func (c *client) call(method string, params map[string]any) string {
	c.t.Helper()
	c.last++
	must(c.t, c.in.Encode(map[string]any{"jsonrpc": "2.0", "id": c.last, "method": method, "params": params}))
	for c.out.Scan() {
		var answer struct {
			ID     *int   `json:"id"`
			Method string `json:"method"`
		}
		if err := json.Unmarshal(c.out.Bytes(), &answer); err == nil && answer.ID != nil && *answer.ID == c.last && answer.Method == "" {
			return c.out.Text()
		}
	}
	c.t.Fatalf("no answer to %s: %v\n%s", method, c.out.Err(), c.errs)
	return ""
}

// repository is the root of the checkout.
func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	must(t, err)
	return root
}
