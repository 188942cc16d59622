//go:build unix

package integration

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// sdk is a server built on one SDK, with the harmless tool read_note and the
// dangerous tool delete_note, which leaves a trace on disk.
type sdk struct {
	name    string
	command func(t *testing.T) []string
	// fooled is a message with which the server, alone, runs delete_note: what a
	// gateway must not pass on.
	fooled string
	modern bool // speaks 2026-07-28 over HTTP
}

var sdks = []sdk{
	{"gosdk", func(t *testing.T) []string { return []string{tool(t, "smuggle-gosdk")} }, "the name twice", false},
	{"mcpgo", func(t *testing.T) []string { return []string{tool(t, "smuggle-mcpgo")} }, "Name beside name", true},
	{"ts", func(t *testing.T) []string {
		return []string{node(t), installed(t, filepath.Join("..", "servers", "smuggle-ts", "server.mjs"))}
	}, "the name twice", false},
}

const (
	read    = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read_note","arguments":{"note":"n"}}}`
	remove  = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"delete_note","arguments":{"note":"n"}}}`
	removal = `{"name":"delete_note","arguments":{"note":"n"}}`
	reading = `{"name":"read_note","arguments":{"note":"n"}}`
)

// ambiguous are messages that one reader takes for a call of read_note, or for no
// call, and another for a call of delete_note.
var ambiguous = []struct{ name, message string }{
	{"the name twice", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read_note","name":"delete_note","arguments":{"note":"n"}}}`},
	{"the name twice, the dangerous one first", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"delete_note","name":"read_note","arguments":{"note":"n"}}}`},
	{"the name twice, escaped", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read_note","n\u0061me":"delete_note","arguments":{"note":"n"}}}`},
	{"Name beside name", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read_note","Name":"delete_note","arguments":{"note":"n"}}}`},
	{"NAME before name", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"NAME":"delete_note","name":"read_note","arguments":{"note":"n"}}}`},
	{"Name alone", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"Name":"delete_note","arguments":{"note":"n"}}}`},
	{"the method twice", `{"jsonrpc":"2.0","id":7,"method":"tools/list","method":"tools/call","params":` + removal + `}`},
	{"Method beside method", `{"jsonrpc":"2.0","id":7,"method":"tools/list","Method":"tools/call","params":` + removal + `}`},
	{"Method alone", `{"jsonrpc":"2.0","id":7,"Method":"tools/call","params":` + removal + `}`},
	{"the params twice", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":` + reading + `,"params":` + removal + `}`},
	{"Params beside params", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":` + reading + `,"Params":` + removal + `}`},
	{"a long s in params", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":` + reading + `,"paramſ":` + removal + `}`},
	{"a long s in params, escaped", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":` + reading + `,"param\u017f":` + removal + `}`},
	{"a long s in arguments", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"delete_note","argumentſ":{"note":"n"}}}`},
	{"a Kelvin sign in a member of params", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"delete_note","arguments":{"note":"n"},"task":null,"tas\u212a":{}}}`},
	{"a NUL in name", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read_note","name\u0000":"delete_note","arguments":{"note":"n"}}}`},
	{"a NUL in method", `{"jsonrpc":"2.0","id":7,"method":"tools/list","method\u0000":"tools/call","params":` + removal + `}`},
	{"a second value", read + ` ` + remove},
	{"a second value, the dangerous one first", remove + read},
	{"a second value in front of nothing", remove + `{`},
	{"trailing garbage", remove + ` and more`},
	{"a trailing comma", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":` + removal + `,}`},
	{"a trailing bracket", remove + `]`},
	{"a comment", `{"jsonrpc":"2.0","id":7,/* harmless */"method":"tools/call","params":` + removal + `}`},
	{"a byte order mark", "\ufeff" + remove},
	{"invalid UTF-8 in a name", "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"read_note\",\"name\xff\":\"delete_note\",\"arguments\":{\"note\":\"n\"}}}"},
	{"half a surrogate in a name", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read_note","name\ud800":"delete_note","arguments":{"note":"n"}}}`},
	{"id null", `{"jsonrpc":"2.0","id":null,"method":"tools/call","params":` + removal + `}`},
	{"id 1.5", `{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":` + removal + `}`},
	{"id 7e0", `{"jsonrpc":"2.0","id":7e0,"method":"tools/call","params":` + removal + `}`},
	{"id true", `{"jsonrpc":"2.0","id":true,"method":"tools/call","params":` + removal + `}`},
	{"id array", `{"jsonrpc":"2.0","id":[7],"method":"tools/call","params":` + removal + `}`},
	{"the id twice", `{"jsonrpc":"2.0","id":7,"id":8,"method":"tools/call","params":` + removal + `}`},
	{"ID beside id", `{"jsonrpc":"2.0","ID":7,"id":8,"method":"tools/call","params":` + removal + `}`},
	{"a batch", `[` + read + `,` + remove + `]`},
	{"a batch of one", `[` + remove + `]`},
	{"params as an array", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":["delete_note",{"note":"n"}]}`},
	{"arguments as an array", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"delete_note","arguments":["n"]}}`},
	{"the name as an array", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":["delete_note"],"arguments":{"note":"n"}}}`},
	{"a method and a result", `{"jsonrpc":"2.0","id":7,"method":"tools/call","result":{},"params":` + removal + `}`},
	{"another version of JSON-RPC", `{"jsonrpc":"1.0","id":7,"method":"tools/call","params":` + removal + `}`},
	{"no version of JSON-RPC", `{"id":7,"method":"tools/call","params":` + removal + `}`},
	{"a request without an id", `{"jsonrpc":"2.0","method":"tools/call","params":` + removal + `}`},
	{"the note twice", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"delete_note","arguments":{"note":"a","note":"b"}}}`},
}

func (s sdk) server(t *testing.T, http bool) (entry object, trace string) {
	trace = filepath.Join(t.TempDir(), "trace")
	if http {
		url, _ := listen(t, append(s.command(t), "-http", "127.0.0.1:0"), "SMUGGLE_LOG="+trace)
		return object{"url": url}, trace
	}
	return object{"command": s.command(t), "env": object{"SMUGGLE_LOG": trace}}, trace
}

func transport(http bool) string {
	if http {
		return "http"
	}
	return "stdio"
}

func TestSmuggling_ambiguous_messages_reach_no_server(t *testing.T) {
	for _, sdk := range sdks {
		for _, upstream := range []bool{false, true} {
			for _, downstream := range []bool{false, true} {
				t.Run(sdk.name+" over "+transport(upstream)+" to a client over "+transport(downstream), func(t *testing.T) {
					t.Parallel()
					entry, trace := sdk.server(t, upstream)
					g := serve(t, object{"notes": entry})
					for _, mount := range []string{"notes", ""} {
						c := g.connect(mount, downstream)
						refuseAmbiguous(t, c, mount, trace)
					}
				})
			}
		}
	}
}

// connect is an initialized client over either transport. Over stdio it starts a
// gateway of its own beside g, with the same configuration.
func (g *gateway) connect(mount string, http bool) *client {
	g.t.Helper()
	if http {
		return g.legacy(mount)
	}
	args := []string{gatehouse, "serve", "--stdio", "--config", g.config}
	if mount != "" {
		args = append(args, "--server", mount)
	}
	c := newClient(g.t, startStdio(g.t, args), legacyVersion)
	c.initialize()
	return c
}

func refuseAmbiguous(t *testing.T, c *client, mount, trace string) {
	t.Helper()
	prefix := func(message string) string {
		if mount != "" {
			return message
		}
		return strings.NewReplacer("read_note", "notes__read_note", "delete_note", "notes__delete_note").Replace(message)
	}
	// White space around a message is no difference, not even to a server that
	// wants the newline right behind it.
	if r := c.send("\t " + prefix(read) + " \r\n"); r.text() != "note n: buy milk" {
		t.Fatalf("the harmless call was answered %d %s", r.status, r.raw)
	}
	for _, test := range ambiguous {
		_, stdio := c.wire.(*overStdio)
		if test.name == "a request without an id" && stdio {
			c.notify(prefix(test.message)) // nothing comes back; the trace tells
			continue
		}
		r := c.send(prefix(test.message))
		clear := r.reason() == "malformed" && r.code() != 0
		switch test.name {
		case "arguments as an array":
			clear = r.reason() == "invalid-arguments"
		case "the name as an array":
			clear = r.reason() == "invalid-arguments" || r.reason() == "not-found"
		case "a request without an id":
			clear = r.status == http.StatusBadRequest
		}
		if !clear {
			t.Errorf("%s (mount %q): answered %d %s", test.name, mount, r.status, r.raw)
		}
	}
	if got := lines(t, trace); len(got) > 0 {
		t.Errorf("mount %q: the dangerous tool ran: %q", mount, got)
	}
	// The connection is of use all the same, and the dangerous tool is there for
	// who calls it openly.
	if r := c.send(prefix(remove)); r.text() != "deleted n" {
		t.Errorf("the open call was answered %d %s", r.status, r.raw)
	}
	if got := lines(t, trace); len(got) != 1 {
		t.Errorf("the open call left the trace %q", got)
	}
	mustRemove(t, trace)
}

func TestSmuggling_servers_alone_are_fooled(t *testing.T) {
	for _, sdk := range sdks {
		for _, upstream := range []bool{false, true} {
			t.Run(sdk.name+" over "+transport(upstream), func(t *testing.T) {
				t.Parallel()
				c, trace := sdk.direct(t, upstream)
				for _, test := range ambiguous {
					if test.name == sdk.fooled {
						c.send(test.message)
					}
				}
				if got := lines(t, trace); len(got) != 1 {
					t.Errorf("%s: the trace is %q; this server no longer shows what the guard is for", sdk.fooled, got)
				}
			})
		}
	}
}

// direct is a client of the server alone.
func (s sdk) direct(t *testing.T, http bool) (c *client, trace string) {
	t.Helper()
	trace = filepath.Join(t.TempDir(), "trace")
	if http {
		url, _ := listen(t, append(s.command(t), "-http", "127.0.0.1:0"), "SMUGGLE_LOG="+trace)
		c = newClient(t, &overHTTP{url: url}, legacyVersion)
	} else {
		c = newClient(t, startStdio(t, s.command(t), "SMUGGLE_LOG="+trace), legacyVersion)
	}
	c.initialize()
	return c, trace
}

func TestSmuggling_headers_that_disagree_with_the_body(t *testing.T) {
	for _, sdk := range sdks {
		if !sdk.modern {
			continue
		}
		t.Run(sdk.name, func(t *testing.T) {
			t.Parallel()
			entry, trace := sdk.server(t, true)
			g := serve(t, object{"notes": entry})
			for _, mount := range []string{"notes", ""} {
				refuseDisagreement(t, g, mount, trace)
			}
		})
	}
}

func refuseDisagreement(t *testing.T, g *gateway, mount, trace string) {
	t.Helper()
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	prefix := ""
	if mount == "" {
		prefix = "notes__"
	}
	danger := `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + prefix + `delete_note","arguments":{"note":"n"},` + meta + `}}`
	right := func() http.Header {
		return http.Header{"Mcp-Protocol-Version": {modernVersion}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {prefix + "delete_note"}}
	}
	c := g.modern(mount)
	for _, test := range []struct {
		name, header string
		values       []string
	}{
		{"another name", "Mcp-Name", []string{prefix + "read_note"}},
		{"no name", "Mcp-Name", nil},
		{"an empty name", "Mcp-Name", []string{""}},
		{"two names", "Mcp-Name", []string{prefix + "delete_note", prefix + "read_note"}},
		{"the name in upper case", "Mcp-Name", []string{strings.ToUpper(prefix + "delete_note")}},
		{"another name in base64", "Mcp-Name", []string{"=?base64?cmVhZF9ub3Rl?="}},
		{"a name in broken base64", "Mcp-Name", []string{"=?base64?ZGVsZXRlX25vdGU?="}},
		{"another method", "Mcp-Method", []string{"tools/list"}},
		{"no method", "Mcp-Method", nil},
		{"two methods", "Mcp-Method", []string{"tools/call", "tools/list"}},
		{"the method in other case", "Mcp-Method", []string{"Tools/Call"}},
		{"a legacy version", "Mcp-Protocol-Version", []string{legacyVersion}},
		{"no version", "Mcp-Protocol-Version", nil},
		{"a version that does not exist", "Mcp-Protocol-Version", []string{"2099-01-01"}},
		{"two versions", "Mcp-Protocol-Version", []string{modernVersion, legacyVersion}},
	} {
		header := right()
		header[test.header] = test.values
		r := c.sendWith(danger, header)
		if r.status != http.StatusBadRequest || r.code() != -32020 || r.reason() != "header-mismatch" {
			t.Errorf("%s (mount %q): answered %d %s", test.name, mount, r.status, r.raw)
		}
	}
	// Headers of the modern era around a body without its _meta.
	if r := c.sendWith(strings.Replace(remove, "delete_note", prefix+"delete_note", 1), right()); r.status != http.StatusBadRequest {
		t.Errorf("a legacy body under modern headers (mount %q): answered %d %s", mount, r.status, r.raw)
	}
	if got := lines(t, trace); len(got) > 0 {
		t.Errorf("mount %q: the dangerous tool ran: %q", mount, got)
	}
	if r := c.sendWith(danger, right()); r.text() != "deleted n" {
		t.Errorf("the open call was answered %d %s", r.status, r.raw)
	}
	mustRemove(t, trace)
}

func TestSmuggling_content_types(t *testing.T) {
	t.Parallel()
	entry, trace := sdks[1].server(t, true)
	g := serve(t, object{"notes": entry})
	c := g.legacy("notes")
	twice := ambiguous[0].message
	for _, test := range []struct {
		name   string
		types  []string
		status int
	}{
		{"none", []string{""}, http.StatusUnsupportedMediaType},
		{"text", []string{"text/plain"}, http.StatusUnsupportedMediaType},
		{"a form", []string{"application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType},
		{"a suffix", []string{"application/vnd.api+json"}, http.StatusUnsupportedMediaType},
		{"a longer word", []string{"application/jsonx"}, http.StatusUnsupportedMediaType},
		{"a list", []string{"application/json, text/plain"}, http.StatusUnsupportedMediaType},
		{"a broken parameter", []string{"application/json; charset"}, http.StatusUnsupportedMediaType},
		{"text and then JSON", []string{"text/plain", "application/json"}, http.StatusUnsupportedMediaType},
		// These are JSON however they are written, and inspected like it.
		{"upper case", []string{"Application/JSON"}, http.StatusBadRequest},
		{"a parameter", []string{"application/json; charset=utf-8"}, http.StatusBadRequest},
		{"another charset", []string{"application/json; charset=utf-16"}, http.StatusBadRequest},
	} {
		r := c.sendWith(twice, http.Header{"Content-Type": test.types})
		if r.status != test.status {
			t.Errorf("%s: answered %d %s, want %d", test.name, r.status, r.raw, test.status)
		}
	}
	packed := c.sendWith(string(compressed(t, remove)), http.Header{"Content-Encoding": {"gzip"}})
	if packed.status < 400 {
		t.Errorf("a compressed body: answered %d %s", packed.status, packed.raw)
	}
	if got := lines(t, trace); len(got) > 0 {
		t.Errorf("the dangerous tool ran: %q", got)
	}
}
