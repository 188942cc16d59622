//go:build unix

package integration

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"gatehouse/test/program"
)

// everythingSSE starts the reference server with the transport of 2024-11-05 and
// returns when it listens.
func everythingSSE(t *testing.T, port int) *exec.Cmd {
	t.Helper()
	script := installed(t, filepath.Join("..", "node", "node_modules", ".bin", "mcp-server-everything"))
	server := exec.Command(node(t), script, "sse")
	server.Env = []string{"PORT=" + strconv.Itoa(port)}
	printed := &program.Output{}
	server.Stdout, server.Stderr = printed, printed
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	eventually(t, "the server to listen", func() bool {
		c, err := net.Dial("tcp", net.JoinHostPort("localhost", strconv.Itoa(port)))
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	return server
}

// freePort is a port that nobody listens on now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestGateway_server_of_2024(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	server := everythingSSE(t, port)
	g := serve(t, object{"old": object{"url": fmt.Sprintf("http://localhost:%d/sse", port)}})
	c := g.legacy("old")
	if tools := c.tools(); !slices.Contains(tools, "echo") || !slices.Contains(tools, "trigger-long-running-operation") {
		t.Fatalf("listed %q", tools)
	}
	if r := c.call("echo", object{"message": "hello"}); r.text() != "Echo: hello" {
		t.Errorf("answered %d %s", r.status, r.raw)
	}

	// Progress comes ahead of the answer, under the client's own token.
	r := c.request("tools/call", object{
		"name": "trigger-long-running-operation", "arguments": object{"duration": 0.5, "steps": 3}, "_meta": object{"progressToken": "mine"},
	})
	if r.text() != "Long running operation completed. Duration: 0.5 seconds, Steps: 3." {
		t.Errorf("answered %d %s", r.status, r.raw)
	}
	progress := c.heard("notifications/progress")
	if len(progress) != 3 {
		t.Fatalf("%d notifications of progress: %v", len(progress), progress)
	}
	for i, m := range progress {
		if params := m["params"].(object); params["progressToken"] != "mine" || params["progress"] != float64(i+1) {
			t.Errorf("progress %d: %v", i+1, params)
		}
	}

	// Two sessions with the same ids have a stream each.
	other := g.legacy("old")
	if r := other.call("echo", object{"message": "other"}); r.text() != "Echo: other" {
		t.Errorf("answered %d %s", r.status, r.raw)
	}

	// A client without sessions reaches it too.
	if r := g.modern("old").call("echo", object{"message": "modern"}); r.text() != "Echo: modern" {
		t.Errorf("answered %d %s", r.status, r.raw)
	}

	// The session of the client outlives the server.
	_ = server.Process.Kill()
	_ = server.Wait()
	everythingSSE(t, port)
	back := time.Now()
	eventually(t, "an answer after the restart", func() bool {
		return c.call("echo", object{"message": "again"}).text() == "Echo: again"
	})
	if took := time.Since(back); took > 5*time.Second {
		t.Errorf("the first answer came %v after the server was back", took)
	}
}
