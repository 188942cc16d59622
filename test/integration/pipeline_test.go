//go:build unix

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/audit"
)

func TestPipeline_what_is_not_there_is_not_found(t *testing.T) {
	t.Parallel()
	g := serve(t, object{"files": object{"command": hostile(t)}, "other": object{"command": hostile(t)}})
	for _, era := range []string{legacyVersion, modernVersion} {
		c, joined := g.client("files", era), g.client("", era)
		nowhere := g.client("nowhere", era)
		if era == legacyVersion {
			c.initialize()
			joined.initialize()
			if r := nowhere.tryInitialize(); r.status != http.StatusNotFound {
				t.Errorf("a mount that is not there: %d %s", r.status, r.raw)
			}
		} else if r := nowhere.request("tools/list", object{}); r.status != http.StatusNotFound {
			t.Errorf("a mount that is not there: %d %s", r.status, r.raw)
		}
		for _, test := range []struct {
			client *client
			method string
			params object
		}{
			{c, "tools/call", object{"name": "nothing"}},
			{c, "tools/call", object{"name": "ECHO", "arguments": object{"text": "hello"}}},
			{c, "tools/call", object{"name": "echo ", "arguments": object{"text": "hello"}}},
			{c, "tools/call", object{"name": "files__echo", "arguments": object{"text": "hello"}}},
			{c, "prompts/get", object{"name": "nothing"}},
			{joined, "tools/call", object{"name": "echo", "arguments": object{"text": "hello"}}},
			{joined, "tools/call", object{"name": "nowhere__echo", "arguments": object{"text": "hello"}}},
			{joined, "tools/call", object{"name": "files__nothing"}},
			{joined, "tools/call", object{"name": "FILES__echo", "arguments": object{"text": "hello"}}},
			{joined, "prompts/get", object{"name": "nowhere__greeting"}},
			{joined, "resources/read", object{"uri": "note://welcome"}},
			{joined, "resources/read", object{"uri": "nowhere+note://welcome"}},
			{joined, "completion/complete", object{"ref": object{"type": "ref/prompt", "name": "greeting"}, "argument": object{"name": "a", "value": "b"}}},
		} {
			if r := test.client.request(test.method, test.params); r.reason() != "not-found" {
				t.Errorf("%s %v in %s: answered %d %s", test.method, test.params, era, r.status, r.raw)
			}
		}
	}
}

func TestPipeline_a_session_is_of_one_mount(t *testing.T) {
	t.Parallel()
	g := serve(t, object{"files": object{"command": hostile(t)}, "other": object{"command": hostile(t)}})
	c := g.legacy("files")
	session := c.wire.(*overHTTP).session
	for _, mount := range []string{"other", ""} {
		stranger := g.client(mount, legacyVersion)
		stranger.wire.(*overHTTP).session = session
		if r := stranger.call("echo", object{"text": "hello"}); r.status != http.StatusNotFound {
			t.Errorf("on mount %q: answered %d %s", mount, r.status, r.raw)
		}
		if err := stranger.wire.(*overHTTP).stream(t.Context(), nil); err == nil {
			t.Errorf("on mount %q: the stream was opened", mount)
		}
	}
	c.echo("")
	c.delete()
	if r := c.call("echo", object{"text": "hello"}); r.status != http.StatusNotFound {
		t.Errorf("after its end: answered %d %s", r.status, r.raw)
	}
	if r := g.client("files", legacyVersion).call("echo", object{"text": "hello"}); r.status != http.StatusBadRequest {
		t.Errorf("without a session: answered %d %s", r.status, r.raw)
	}
}

// delete ends the client's session.
func (c *client) delete() {
	c.t.Helper()
	over := c.wire.(*overHTTP)
	request, err := http.NewRequest(http.MethodDelete, over.url, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Mcp-Session-Id", over.session)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		c.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		c.t.Errorf("ending the session was answered %s", response.Status)
	}
}

func TestPipeline_an_id_in_flight_is_not_taken_twice(t *testing.T) {
	t.Parallel()
	record := filepath.Join(t.TempDir(), "record")
	g := serve(t, object{"bad": object{"command": hostile(t, "-mode", "hang", "-record", record)}}, object{"limits": object{"timeout": "1s"}})
	c := g.legacy("bad")
	const call = `{"jsonrpc":"2.0","id":"same","method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}`
	first := make(chan reply, 1)
	other := *c
	go func() { first <- c.send(call) }()
	eventually(t, "the call to reach the server", func() bool { return len(lines(t, record)) == 1 })
	if r := other.send(call); r.reason() != "malformed" {
		t.Errorf("the second was answered %s", r.raw)
	}
	if r := <-first; r.reason() != "upstream-timeout" {
		t.Errorf("the first was answered %s", r.raw)
	}
	if got := lines(t, record); slices.Contains(got[1:], "waiting") {
		t.Errorf("the second reached the server: %q", got)
	}
}

func TestPipeline_a_schema_that_cannot_be_used_refuses(t *testing.T) {
	t.Parallel()
	var visited atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited.Add(1) }))
	defer target.Close()
	g := serve(t, object{"calc": object{"command": hostile(t, "-mode", "remote-ref", "-target", target.URL)}})
	c := g.modern("calc")
	if r := c.call("add", object{"a": 1, "b": 2}); r.reason() != "upstream-invalid" {
		t.Errorf("answered %s", r.raw)
	}
	c.echo("")
	if visited.Load() != 0 {
		t.Error("the schema was fetched")
	}
}

const verbatimResult = `{"z": 1, "a": [1.50, 1e2, 9007199254740993, 123456789012345678901234567890], "resultType": "vendor", "u": "\u00e9\/", "": null}`

func TestPipeline_unknown_methods(t *testing.T) {
	for _, upstream := range []bool{false, true} {
		t.Run(transport(upstream), func(t *testing.T) {
			t.Parallel()
			record := filepath.Join(t.TempDir(), "record")
			command := hostile(t, "-mode", "verbatim", "-record", record, "-text", verbatimResult)
			entry := object{"command": command}
			if upstream {
				url, _ := listen(t, append(command, "-http", "127.0.0.1:0"))
				entry = object{"url": url}
			}
			g := serve(t, object{"files": entry})
			const params = `{"b": 9007199254740993, "a": [ 1.50,1e2 ], "name2": "\u00e9\/", "nested": {"name": "x", "Name": 1}}`
			// Names that differ in case only are refused wherever they stand.
			plain := strings.Replace(params, `, "Name": 1`, "", 1)

			c := g.legacy("files")
			r := c.send(`{"extra": true, "jsonrpc": "2.0", "id": 9007199254740993, "method": "vendor/thing", "params": ` + plain + `}`)
			if want := `{"jsonrpc":"2.0","id":9007199254740993,"result":` + verbatimResult + `}`; r.raw != want {
				t.Errorf("the answer came as\n%s, want\n%s", r.raw, want)
			}
			if got := lines(t, record); !slices.Contains(got, "vendor/thing "+plain) {
				t.Errorf("the server got\n%q, want\n%s", got, plain)
			}
			if r := c.send(`{"jsonrpc":"2.0","id":"x","method":"vendor/thing","params":` + params + `}`); r.reason() != "malformed" {
				t.Errorf("a twin deep inside: answered %s", r.raw)
			}
			c.notify(`{"jsonrpc":"2.0","method":"notifications/vendor","params":` + plain + `}`)
			eventually(t, "the notification", func() bool { return slices.Contains(lines(t, record), "notifications/vendor "+plain) })
			if r := c.request("nothing/known", object{}); r.code() != -32601 || r.refusal() != nil {
				t.Errorf("what the server does not know was answered %s", r.raw)
			}

			m := g.modern("files")
			whole := strings.Replace(plain, `{`, `{"_meta": `+string(encode(t, m.meta()))+`, `, 1)
			r = m.sendWith(`{"jsonrpc": "2.0", "id": "x", "method": "vendor/thing", "params": `+whole+`}`, m.modernHeader("vendor/thing", nil))
			if want := `{"jsonrpc":"2.0","id":"x","result":` + verbatimResult + `}`; r.raw != want {
				t.Errorf("in the modern era the answer came as\n%s, want\n%s", r.raw, want)
			}
			if got := lines(t, record); !slices.Contains(got, "vendor/thing "+whole) {
				t.Errorf("in the modern era the server got\n%q, want\n%s", got, whole)
			}

			before := len(lines(t, record))
			for _, c := range []*client{g.legacy(""), g.modern("")} {
				r := c.request("vendor/thing", object{})
				if r.code() != -32601 || r.reason() != "unsupported" || c.era == modernVersion && r.status != http.StatusNotFound {
					t.Errorf("joined in %s: answered %d %s", c.era, r.status, r.raw)
				}
			}
			for _, line := range lines(t, record)[before:] {
				if strings.HasPrefix(line, "vendor/") {
					t.Errorf("the server got %s", line)
				}
			}
		})
	}
}

func TestPipeline_questions_reach_clients_that_declared_them(t *testing.T) {
	methods := map[string]string{"sampling": "sampling/createMessage", "elicitation": "elicitation/create", "roots": "roots/list"}
	answers := map[string]object{
		"sampling":    {"role": "assistant", "model": "m", "content": object{"type": "text", "text": "the answer"}},
		"elicitation": {"action": "accept", "content": object{"answer": "the answer"}},
		"roots":       {"roots": []any{object{"uri": "file:///the answer"}}},
	}
	for kind, method := range methods {
		for _, upstream := range []bool{false, true} {
			t.Run(kind+" over "+transport(upstream), func(t *testing.T) {
				t.Parallel()
				command := hostile(t, "-mode", "server-request", "-kind", kind)
				entry := object{"command": command}
				if upstream {
					url, _ := listen(t, append(command, "-http", "127.0.0.1:0"))
					entry = object{"url": url}
				}
				g := serve(t, object{"asks": entry})
				for _, mount := range []string{"asks", ""} {
					for _, http := range []bool{false, true} {
						for declared := range methods {
							c := g.client(mount, legacyVersion)
							if !http {
								args := []string{gatehouse, "serve", "--stdio", "--config", g.config, "--server", mount}
								if mount == "" {
									args = args[:len(args)-2]
								}
								c = newClient(t, startStdio(t, args), legacyVersion)
							}
							c.capabilities = `{"` + declared + `":{}}`
							for each, method := range methods {
								c.asked[method] = answers[each]
							}
							c.initialize()
							name := "echo"
							if mount == "" {
								name = "asks__echo"
							}
							r := c.call(name, object{"text": "hello"})
							asked := c.heard(method)
							if declared == kind && (len(asked) != 1 || !strings.Contains(r.text(), "the answer")) {
								t.Errorf("mount %q over %s: asked %v, answered %s", mount, transport(http), asked, r.raw)
							}
							if declared != kind && (len(asked) != 0 || !strings.Contains(r.text(), "error")) {
								t.Errorf("mount %q over %s: a client that declared %s was asked %v; answered %s", mount, transport(http), declared, asked, r.raw)
							}
						}
					}
				}
				m := g.modern("asks")
				m.capabilities = `{"` + kind + `":{}}`
				r := m.call("echo", object{"text": "hello"})
				if r.result()["resultType"] != "input_required" || r.result()["requestState"] != "asked-once" {
					t.Errorf("in the modern era: answered %s", r.raw)
				}
				r = m.request("tools/call", object{"name": "echo", "arguments": object{"text": "hello"},
					"requestState": "asked-once", "inputResponses": object{"question": answers[kind]}})
				if !strings.Contains(r.text(), "the answer") {
					t.Errorf("in the modern era: answered %s", r.raw)
				}
			})
		}
	}
}

func TestPipeline_progress_carries_the_clients_own_token(t *testing.T) {
	t.Parallel()
	command := hostile(t, "-mode", "inject", "-surface", "progress", "-text", "half way")
	url, _ := listen(t, append(command, "-http", "127.0.0.1:0"))
	g := serve(t, object{"stdio": object{"command": command}, "http": object{"url": url}})
	for _, mount := range []string{"stdio", "http", ""} {
		for _, token := range []any{"p", "1", float64(1), float64(4711)} {
			for _, c := range []*client{g.legacy(mount), g.modern(mount)} {
				name := "echo"
				if mount == "" {
					name = "stdio__echo"
				}
				r := c.request("tools/call", object{"name": name, "arguments": object{"text": "hello"}, "_meta": object{"progressToken": token}})
				heard := c.heard("notifications/progress")
				if r.text() != "done" || len(heard) != 1 {
					t.Errorf("mount %q: heard %v, answered %s", mount, heard, r.raw)
					continue
				}
				if params := heard[0]["params"].(object); params["progressToken"] != token || params["message"] != "half way" {
					t.Errorf("mount %q: heard %v, want the token %v", mount, params, token)
				}
			}
		}
	}
}

func TestPipeline_ping_level_completion_and_templates(t *testing.T) {
	t.Parallel()
	record := filepath.Join(t.TempDir(), "record")
	g := serve(t, object{"files": object{"command": hostile(t, "-mode", "verbatim", "-record", record)}})
	for _, mount := range []string{"files", ""} {
		name, uri := "greeting", "note://welcome"
		if mount == "" {
			name, uri = "files__greeting", "files+note://welcome"
		}
		c := g.legacy(mount)
		if r := c.request("ping", object{}); string(encode(t, r.result())) != "{}" {
			t.Errorf("ping on %q: %s", mount, r.raw)
		}
		level := "error"
		if mount == "" {
			level = "debug"
		}
		if r := c.request("logging/setLevel", object{"level": level}); r.result() == nil {
			t.Errorf("logging/setLevel on %q: %s", mount, r.raw)
		}
		for _, c := range []*client{c, g.modern(mount)} {
			if got := c.request("prompts/list", object{}).names("prompts", "name"); !slices.Equal(got, []string{name}) {
				t.Errorf("prompts on %q in %s: %q", mount, c.era, got)
			}
			if r := c.request("prompts/get", object{"name": name}); r.result()["messages"] == nil {
				t.Errorf("the prompt on %q in %s: %s", mount, c.era, r.raw)
			}
			if got := c.request("resources/list", object{}).names("resources", "uri"); !slices.Equal(got, []string{uri}) {
				t.Errorf("resources on %q in %s: %q", mount, c.era, got)
			}
			template := strings.Replace(uri, "welcome", "{name}", 1)
			if got := c.request("resources/templates/list", object{}).names("resourceTemplates", "uriTemplate"); !slices.Equal(got, []string{template}) {
				t.Errorf("templates on %q in %s: %q", mount, c.era, got)
			}
			if got := c.request("resources/read", object{"uri": uri}).names("contents", "uri"); !slices.Equal(got, []string{uri}) {
				t.Errorf("the resource on %q in %s: %q", mount, c.era, got)
			}
			for _, ref := range []object{{"type": "ref/prompt", "name": name}, {"type": "ref/resource", "uri": template}} {
				r := c.request("completion/complete", object{"ref": ref, "argument": object{"name": "who", "value": "w"}})
				if !strings.Contains(r.raw, `"welcome"`) {
					t.Errorf("completion on %q in %s: %s", mount, c.era, r.raw)
				}
			}
		}
		// A server that was not connected when the level was set is told when it is.
		if got := lines(t, record); !slices.Contains(got, `logging/setLevel {"level":"`+level+`"}`) {
			t.Errorf("the server was not told the level: %q", got)
		}
	}
	// The server saw names and URIs as it knows them.
	for _, line := range lines(t, record) {
		if strings.Contains(line, "files__") || strings.Contains(line, "files+") {
			t.Errorf("the server got %s", line)
		}
	}
}

func TestPipeline_names_and_uris_where_servers_are_joined(t *testing.T) {
	t.Parallel()
	servers := object{"good": object{"command": hostile(t)}}
	for _, surface := range []string{"embedded", "link"} {
		servers[surface] = object{"command": hostile(t, "-mode", "inject", "-surface", surface, "-text", "a page")}
	}
	g := serve(t, servers)
	for _, c := range []*client{g.legacy(""), g.modern("")} {
		tools := c.tools()
		want := []string{"embedded__echo", "good__echo", "link__echo"}
		for _, name := range want {
			if !slices.Contains(tools, name) {
				t.Errorf("%s is missing in %q", name, tools)
			}
		}
		if !slices.IsSorted(c.request("prompts/list", object{}).names("prompts", "name")) {
			t.Error("the list is not in the order of the servers")
		}
		for _, surface := range []string{"embedded", "link"} {
			r := c.call(surface+"__echo", object{"text": "hello"})
			uri := surface + "+note://page"
			if !strings.Contains(r.raw, `"uri":"`+uri+`"`) {
				t.Errorf("%s: %s", surface, r.raw)
			}
			if r := c.request("resources/read", object{"uri": uri}); r.result()["contents"] == nil {
				t.Errorf("reading %s: %s", uri, r.raw)
			}
		}
	}
	if r := g.modern("link").call("echo", object{"text": "hello"}); !strings.Contains(r.raw, `"uri":"note://page"`) {
		t.Errorf("on its own mount: %s", r.raw)
	}
}

func TestPipeline_subscriptions(t *testing.T) {
	for _, upstream := range []bool{false, true} {
		t.Run(transport(upstream), func(t *testing.T) {
			t.Parallel()
			command := hostile(t, "-mode", "updates")
			entry := object{"command": command}
			if upstream {
				url, _ := listen(t, append(command, "-http", "127.0.0.1:0"))
				entry = object{"url": url}
			}
			g := serve(t, object{"files": entry})
			for _, mount := range []string{"files", ""} {
				uri := "note://welcome"
				if mount == "" {
					uri = "files+note://welcome"
				}
				c := g.legacy(mount)
				ctx, stop := context.WithTimeout(t.Context(), patience)
				heard := make(chan error, 1)
				go func() {
					heard <- c.wire.(*overHTTP).stream(ctx, func(raw []byte) bool {
						return !strings.Contains(string(raw), `resources/updated`) || !strings.Contains(string(raw), `"`+uri+`"`)
					})
				}()
				if r := c.request("resources/subscribe", object{"uri": uri}); r.result() == nil {
					t.Errorf("subscribing on %q: %s", mount, r.raw)
				}
				if len(c.heard("notifications/resources/updated")) > 0 {
					stop() // it came on the stream of the request itself
				}
				// Over HTTP the server opens its own stream a moment later than it answers.
				for done := false; !done; {
					select {
					case err := <-heard:
						if err != nil && len(c.heard("notifications/resources/updated")) == 0 {
							t.Errorf("on %q the update was not heard: %v", mount, err)
						}
						done = true
					case <-time.After(200 * time.Millisecond):
						c.request("resources/subscribe", object{"uri": uri})
					}
				}
				for _, m := range c.heard("notifications/resources/updated") {
					if got := m["params"].(object)["uri"]; got != uri {
						t.Errorf("on %q an update of %v was heard, want %s", mount, got, uri)
					}
				}
				stop()
			}
		})
	}
}

// subscriptions/listen of 2026-07-28: acknowledged first, tagged with the client's
// own id, cancelled by closing the stream.
func TestPipeline_listen(t *testing.T) {
	for _, upstream := range []bool{false, true} {
		t.Run(transport(upstream), func(t *testing.T) {
			t.Parallel()
			command := hostile(t, "-mode", "rugpull", "-list-changed", "-text", "quickly.")
			entry := object{"command": command}
			if upstream {
				url, _ := listen(t, append(command, "-http", "127.0.0.1:0"))
				entry = object{"url": url}
			}
			g := serve(t, object{"files": entry})
			c := g.modern("files")
			ctx, stop := context.WithTimeout(t.Context(), patience)
			defer stop()
			params := object{"notifications": object{"toolsListChanged": true}, "_meta": c.meta()}
			over := c.wire.(*overHTTP)
			response, err := over.post(ctx, encode(t, object{"jsonrpc": "2.0", "id": "my-listen", "method": "subscriptions/listen", "params": params}),
				c.modernHeader("subscriptions/listen", object{}))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			var got []string
			err = events(response.Body, func(raw []byte) bool {
				var m struct {
					Method string
					Params struct {
						Meta map[string]any `json:"_meta"`
					}
				}
				if err := json.Unmarshal(raw, &m); err != nil {
					t.Error(err)
				}
				got = append(got, m.Method)
				if id := m.Params.Meta["io.modelcontextprotocol/subscriptionId"]; id != "my-listen" {
					t.Errorf("%s is tagged %v", raw, id)
				}
				if len(got) == 1 {
					g.modern("files").echo("") // after it the definition changes
				}
				return len(got) < 2
			})
			want := []string{"notifications/subscriptions/acknowledged", "notifications/tools/list_changed"}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("heard %q (%v), want %q", got, err, want)
			}
		})
	}
}

func TestPipeline_reload(t *testing.T) {
	t.Parallel()
	needProc(t)
	first := object{"files": object{"command": hostile(t)}, "old": object{"command": hostile(t, "-mode", "ok", "-text", "old")}}
	g := serve(t, first)
	c, m := g.legacy(""), g.modern("")
	c.echo("old__")
	c.echo("files__")
	kept := c.wire.(*overHTTP).session

	second := object{"files": first["files"], "new": object{"command": hostile(t, "-mode", "post")}}
	g.write(second)
	eventually(t, "the added server", func() bool { return slices.Contains(c.tools(), "new__send_message") })
	if r := c.call("old__echo", object{"text": "hello"}); r.reason() != "not-found" {
		t.Errorf("the removed server answered %s", r.raw)
	}
	eventually(t, "the removed server to end", func() bool {
		for _, pid := range descendants(g.command.Process.Pid) {
			if raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); strings.Contains(string(raw), "old") {
				return false
			}
		}
		return true
	})
	c.echo("files__")
	m.echo("files__")
	if c.wire.(*overHTTP).session != kept {
		t.Error("the session was lost")
	}

	for name, text := range map[string]string{
		"no YAML":          "{",
		"an unknown key":   `{"listen": "127.0.0.1:0", "server": {}, "servers": {"files": {"command": ["true"]}}}`,
		"an unknown rule":  `{"listen": "127.0.0.1:0", "rules": {"no-such-rule": "report"}, "servers": {"files": {"command": ["true"]}}}`,
		"no servers":       `{"listen": "127.0.0.1:0"}`,
		"another address":  `{"listen": "127.0.0.1:1", "servers": {"files": {"command": ["true"]}}}`,
		"an open address":  `{"listen": "0.0.0.0:0", "servers": {"files": {"command": ["true"]}}}`,
		"empty":            ``,
		"a value mistyped": `{"listen": "127.0.0.1:0", "limits": {"timeout": "ten"}, "servers": {"files": {"command": ["true"]}}}`,
	} {
		refused := len(g.records(audit.Filter{Kinds: []audit.Kind{audit.ReloadRefused}}))
		g.replace(text)
		eventually(t, name+": the refusal in the log", func() bool {
			return len(g.records(audit.Filter{Kinds: []audit.Kind{audit.ReloadRefused}})) > refused
		})
		c.echo("files__")
		if got := m.tools(); !slices.Contains(got, "new__send_message") {
			t.Errorf("%s: the list shows %q", name, got)
		}
	}

	reloads := func() int { return len(g.records(audit.Filter{Kinds: []audit.Kind{audit.Reload}})) }
	g.write(first)
	eventually(t, "the first configuration", func() bool { return slices.Contains(c.tools(), "old__echo") })
	before := reloads()
	g.command.Process.Signal(syscall.SIGHUP)
	eventually(t, "the reload by SIGHUP", func() bool { return reloads() > before })
	c.echo("old__")
}

func TestPipeline_bounds_on_sessions_and_exchanges(t *testing.T) {
	t.Parallel()
	record := filepath.Join(t.TempDir(), "record")
	g := serve(t, object{"bad": object{"command": hostile(t, "-mode", "hang", "-record", record)}},
		object{"limits": object{"sessions": 2, "in_flight": 2, "timeout": "3s"}})
	one, two := g.legacy("bad"), g.legacy("bad")
	if r := g.client("bad", legacyVersion).tryInitialize(); r.reason() != "overloaded" {
		t.Errorf("a third session: %d %s", r.status, r.raw)
	}
	two.delete()
	g.legacy("bad").delete() // there is room again

	done := make(chan reply, 2)
	for range 2 {
		m := g.modern("bad")
		go func() { done <- m.call("echo", object{"text": "hello"}) }()
	}
	eventually(t, "two calls to reach the server", func() bool { return len(lines(t, record)) == 2 })
	for _, c := range []*client{one, g.modern("bad")} {
		if r := c.call("add", object{"a": 1, "b": 2}); r.reason() != "overloaded" {
			t.Errorf("a third call: %d %s", r.status, r.raw)
		}
	}
	for range 2 {
		if r := <-done; r.reason() != "upstream-timeout" {
			t.Errorf("answered %s", r.raw)
		}
	}
	if r := one.request("prompts/get", object{"name": "greeting"}); r.result()["messages"] == nil {
		t.Errorf("afterwards: %s", r.raw)
	}
}

func TestPipeline_foreign_hosts_and_origins(t *testing.T) {
	t.Parallel()
	g := serve(t, object{"files": object{"command": hostile(t)}}, object{"origins": []string{"https://app.example.org"}})
	for _, test := range []struct {
		host, origin string
		want         int
	}{
		{"", "", 200}, {"localhost", "", 200},
		{"evil.example", "", 403}, {"127.0.0.1.evil.example", "", 403}, {"192.168.1.1", "", 403},
		{"", "https://evil.example", 403}, {"", "null", 403}, {"", "https://app.example.org", 200}, {"", "http://localhost:3000", 200},
		{"", "https://app.example.org.evil.example", 403}, {"", "http://localhost.evil.example", 403},
	} {
		for _, path := range []string{"/mcp", "/mcp/files"} {
			request, err := http.NewRequest(http.MethodPost, g.url+path, strings.NewReader(
				`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Accept", "application/json, text/event-stream")
			if test.host != "" {
				request.Host = test.host + g.url[strings.LastIndexByte(g.url, ':'):]
			}
			if test.origin != "" {
				request.Header.Set("Origin", test.origin)
			}
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != test.want {
				t.Errorf("Host %q, Origin %q: %s, want %d", test.host, test.origin, response.Status, test.want)
			}
		}
	}
}

// `gatehouse run` guards one server for the client that starts it.
func TestPipeline_run_wraps_one_server(t *testing.T) {
	t.Parallel()
	needProc(t)
	dir := t.TempDir()
	run := func(command []string) (*client, *overStdio) {
		o := startStdio(t, append([]string{gatehouse, "run", "--state", dir, "--"}, command...))
		return newClient(t, o, legacyVersion), o
	}
	c, o := run(hostile(t))
	c.initialize()
	if got := c.tools(); !slices.Equal(got, []string{"echo", "add", "big", "slow", "fail"}) {
		t.Errorf("the list shows %q", got)
	}
	c.echo("")
	children := descendants(o.command.Process.Pid)
	o.close()
	for _, pid := range children {
		if alive(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	c, _ = run(hostile(t, "-mode", "poison", "-text", order))
	if r := c.tryInitialize(); r.reason() != "quarantined" || strings.Contains(r.raw, "attacker") {
		t.Errorf("a poisoned server: %s", r.raw)
	}
	c, _ = run(hostile(t, "-mode", "inject", "-text", order))
	c.initialize()
	if r := c.call("echo", object{"text": "hello"}); r.result() == nil || strings.Contains(c.seen.String(), "attacker.example") {
		t.Errorf("an injected result: %s", r.raw)
	}
}
