//go:build unix

package wide

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/test/program"
)

const (
	starting = 5 * time.Minute // many servers start at once
	patience = 2 * time.Minute // for one answer
	stopping = 30 * time.Second
)

// gateway is the built program in front of all servers.
type gateway struct {
	url   string
	audit string
	stop  func()
}

func serve(t *testing.T, all []server) *gateway {
	t.Helper()
	folder := t.TempDir()
	built, err := program.Build(folder)
	if err != nil {
		t.Fatal(err)
	}
	configured := object{}
	for _, s := range all {
		configured[s.id] = object{"command": s.command, "env": s.env, "idle_stop": "20s"}
	}
	raw, err := json.Marshal(object{"listen": "127.0.0.1:0", "servers": configured, "limits": object{"start_timeout": "4m", "timeout": "1m"}})
	if err != nil {
		t.Fatal(err)
	}
	config := write(t, folder, "gatehouse.yaml", string(raw))
	printed := &program.Output{}
	command := exec.Command(built, "serve", "--config", config)
	if err := program.Start(command, printed); err != nil {
		t.Fatal(err)
	}
	g := &gateway{audit: filepath.Join(folder, ".gatehouse", "audit")}
	g.stop = sync.OnceFunc(func() {
		program.End(command, stopping)
		if t.Failed() {
			t.Logf("the gateway printed:\n%s", printed)
		}
	})
	t.Cleanup(g.stop)
	url, err := printed.AwaitURL(starting)
	if err != nil {
		t.Fatal(err)
	}
	g.url = url + "/mcp"
	return g
}

// client is a session with one server through the gateway.
type client struct {
	t       *testing.T
	url     string
	session string
	id      int
	bytes   int // of results
}

func (g *gateway) client(t *testing.T, id string) *client {
	t.Helper()
	c := &client{t: t, url: g.url + "/" + id}
	if c.result("initialize", object{"protocolVersion": "2025-11-25", "capabilities": object{}, "clientInfo": object{"name": "wide", "version": "1"}}) == nil {
		t.Fatal("there is no session")
	}
	c.post(object{"jsonrpc": "2.0", "method": "notifications/initialized"})
	return c
}

// result asks and returns the result, nil for an error. What a result says is of no
// interest here: rules have read it.
func (c *client) result(method string, params object) object {
	c.t.Helper()
	c.id++
	raw := c.post(object{"jsonrpc": "2.0", "id": c.id, "method": method, "params": params})
	var answer struct {
		Result json.RawMessage
		Error  json.RawMessage
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		c.t.Fatalf("%s: %v: %.200s", method, err, raw)
	}
	var result object
	if answer.Result == nil || json.Unmarshal(answer.Result, &result) != nil {
		c.t.Logf("%s: %.300s", method, raw)
	}
	if result["isError"] == true {
		c.t.Logf("%s %v: %.300s", method, params["name"], answer.Result)
	}
	c.bytes += len(answer.Result)
	return result
}

// post sends a message and returns the answer to it, which may stand in a stream.
func (c *client) post(message object) []byte {
	c.t.Helper()
	raw, err := json.Marshal(message)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(raw))
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Mcp-Protocol-Version": {"2025-11-25"}}
	if c.session != "" {
		request.Header.Set("Mcp-Session-Id", c.session)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	if session := response.Header.Get("Mcp-Session-Id"); session != "" {
		c.session = session
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		return body
	}
	for line := range strings.Lines(string(body)) {
		if data, found := strings.CutPrefix(strings.TrimSpace(line), "data: "); found && strings.Contains(data, fmt.Sprintf(`"id":%d`, c.id)) {
			return []byte(data)
		}
	}
	c.t.Fatalf("the stream has no answer: %.200s", body)
	return nil
}

// list is a whole list, with the bytes that it takes.
func (c *client) list(method, member string) (entries []object, size int) {
	c.t.Helper()
	params := object{}
	for {
		before := c.bytes
		result := c.result(method, params)
		size, c.bytes = size+c.bytes-before, before
		list, _ := result[member].([]any)
		for _, entry := range list {
			if entry, ok := entry.(object); ok {
				entries = append(entries, entry)
			}
		}
		cursor, _ := result["nextCursor"].(string)
		if cursor == "" {
			return entries, size
		}
		params = object{"cursor": cursor}
	}
}
