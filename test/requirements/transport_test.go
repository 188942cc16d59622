//go:build unix

package requirements

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"
)

func Test_R102_Origin_and_Host_are_checked(t *testing.T) {
	g := open(t)
	port := g.url[strings.LastIndexByte(g.url, ':'):]
	send := func(method, path, host, origin string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, g.url+path, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		if host != "" {
			request.Host = host
		}
		if origin != "" {
			request.Header.Set("Origin", origin)
		}
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete, http.MethodOptions} {
		for _, path := range []string{"/mcp", "/mcp/web", "/mcp/nothing", "/healthz", "/"} {
			for _, from := range []struct{ host, origin string }{
				{"attacker.example" + port, ""}, {"127.0.0.1.attacker.example" + port, ""}, {"192.168.0.1" + port, ""}, {"localhost", ""}, {"localhost:1", ""},
				{"", "https://attacker.example"}, {"", "null"}, {"", "http://localhost.attacker.example"}, {"", "file://localhost"}, {"attacker.example" + port, "http://attacker.example"},
			} {
				if got := send(method, path, from.host, from.origin); got != http.StatusForbidden {
					t.Errorf("%s %s for Host %q from %q: answered %d, want 403", method, path, from.host, from.origin, got)
				}
			}
			if got := send(method, path, "localhost"+port, "http://localhost:3000"); got == http.StatusForbidden {
				t.Errorf("%s %s from this machine: answered 403", method, path)
			}
		}
	}
}

func Test_R105_headers_that_disagree_with_the_body(t *testing.T) {
	g := open(t)
	c := g.client(t, true, "web")
	header := func(name string, values ...string) http.Header { return http.Header{name: values} }
	region := func(values ...string) http.Header { return header("Mcp-Param-Region", values...) }
	count := func(values ...string) http.Header { return header("Mcp-Param-Count", values...) }
	for _, test := range []struct {
		tool      string
		arguments object
		header    http.Header
		good      bool
	}{
		{"echo", object{"text": "x"}, header("Mcp-Protocol-Version"), false},
		{"echo", object{"text": "x"}, header("Mcp-Protocol-Version", legacyVersion), false},
		{"echo", object{"text": "x"}, header("Mcp-Method"), false},
		{"echo", object{"text": "x"}, header("Mcp-Method", "tools/list"), false},
		{"echo", object{"text": "x"}, header("Mcp-Name"), false},
		{"echo", object{"text": "x"}, header("Mcp-Name", "add"), false},
		{"echo", object{"text": "x"}, header("Mcp-Name", "echo", "echo"), false},
		{"echo", object{"text": "x"}, header("Mcp-Name", sentinel("add")), false},
		{"echo", object{"text": "x"}, header("Mcp-Name", "=?base64?ZWNobw?="), false},
		{"echo", object{"text": "x"}, header("Mcp-Name", "echo"), true},
		{"region", object{"text": "north"}, region("north"), true},
		{"region", object{"text": "north"}, region(sentinel("north")), true},
		{"region", object{"text": "nörd"}, region(sentinel("nörd")), true},
		{"region", object{"text": "north"}, region(), false},
		{"region", object{"text": "north"}, region("south"), false},
		{"region", object{"text": "north"}, region(sentinel("south")), false},
		{"region", object{"text": "north"}, region("North"), false},
		{"region", object{}, region("north"), false},
		{"count", object{"n": 42}, count("42"), true},
		{"count", object{"n": 42}, count("42.0"), true},
		{"count", object{"n": json.Number("42.0")}, count("42"), true},
		{"count", object{"n": 42}, count("42.5"), false},
		{"count", object{"n": 42}, count("043"), false},
		{"count", object{"n": json.Number("9007199254740993")}, count("9007199254740992"), false},
	} {
		var r reply
		got := g.web.during(func() {
			r = c.requestWith("tools/call", object{"name": test.tool, "arguments": test.arguments}, test.header)
		})
		what := fmt.Sprintf("%s %v with %v", test.tool, test.arguments, test.header)
		if test.good && (r.status != http.StatusOK || r.result()["isError"] != nil) {
			t.Errorf("%s: answered %d %s", what, r.status, r.raw)
		}
		if !test.good {
			if r.status != http.StatusBadRequest || r.code() != -32020 {
				t.Errorf("%s: answered %d %s, want 400 and -32020", what, r.status, r.raw)
			}
			quiet(t, got, "tools/call")
		}
	}
}

// githubToken is a made-up credential that the rules know.
func githubToken() string {
	random := (rand.Text() + rand.Text())[:30]
	sum, digits := crc32.ChecksumIEEE([]byte(random)), make([]byte, 6)
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[sum%62]
		sum /= 62
	}
	return "ghp_" + random + string(digits)
}

func Test_R106_unknown_parameter_headers_are_inspected_and_passed_on(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", ""} {
		c, name := g.client(t, true, mount), "echo"
		if mount == "" {
			name = "web__echo"
		}
		call := func(value string) (reply, []heard) {
			var r reply
			got := g.web.during(func() {
				r = c.requestWith("tools/call", object{"name": name, "arguments": object{"text": "x"}}, http.Header{"Mcp-Param-Unheard-Of": {value}})
			})
			return r, only(got, "tools/call")
		}
		for _, value := range []string{"plain", sentinel("täxt")} {
			if r, got := call(value); len(got) != 1 || got[0].header.Get("Mcp-Param-Unheard-Of") != value {
				t.Errorf("%q on %q: answered %s, the server got %v", value, mount, r.raw, got)
			}
		}
		token := githubToken()
		for _, value := range []string{token, sentinel("the key is " + token)} {
			if r, got := call(value); len(got) != 0 || r.reason() != "rule-matched" {
				t.Errorf("a secret as %q on %q: answered %d %s, the server got %v", value, mount, r.status, r.raw, got)
			}
		}
	}
}

func Test_R107_headers_of_older_revisions_decide_nothing(t *testing.T) {
	g := open(t)
	c := g.client(t, false, "web")
	var r reply
	got := g.web.during(func() {
		r = c.requestWith("tools/call", object{"name": "echo", "arguments": object{"text": "x"}}, http.Header{"Mcp-Name": {"trusted"}})
	})
	// Nobody may take the header for what is called: it is refused, or it goes no
	// further and what is called is what the body says.
	if r.status == http.StatusOK {
		calls := only(got, "tools/call")
		if len(calls) != 1 || calls[0].params["name"] != "echo" || calls[0].header.Get("Mcp-Name") != "" {
			t.Errorf("answered %s, the server got %v", r.raw, calls)
		}
	}
	got = g.web.during(func() {
		r = c.requestWith("tools/call", object{"name": "echo", "arguments": object{"text": "x"}}, http.Header{"Mcp-Method": {"tools/list"}, "Mcp-Name": {"trusted"}})
	})
	if r.status != http.StatusBadRequest {
		t.Errorf("a method in a header of an older revision was answered %d %s", r.status, r.raw)
	}
	quiet(t, got, "tools/call")
}

func Test_R108_parameter_headers_are_not_believed_and_bounded(t *testing.T) {
	g := open(t)
	c := g.client(t, true, "web")
	got := g.web.during(func() {
		r := c.requestWith("tools/call", object{"name": "region", "arguments": object{"text": "north"}}, http.Header{"Mcp-Param-Region": {"south"}})
		if r.status != http.StatusBadRequest {
			t.Errorf("another region in the header: answered %d %s", r.status, r.raw)
		}
		for name, value := range map[string]string{"plain": strings.Repeat("x", 200<<10), "encoded": sentinel(strings.Repeat("x", 150<<10))} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}`))
			if err != nil {
				t.Fatal(err)
			}
			request.Header = http.Header{"Content-Type": {"application/json"}, "Mcp-Param-Long": {value}}
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				continue // refused while the header was still being sent
			}
			response.Body.Close()
			if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%s: answered %s, want 431", name, response.Status)
			}
		}
	})
	quiet(t, got, "tools/call") // tools/list the gateway sends by itself
}

func Test_R109_possible_headers_are_mirrored(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"newest", ""} {
		prefix := ""
		if mount == "" {
			prefix = "newest__"
		}
		// A client of an older revision does not know of such headers.
		c := g.client(t, false, mount)
		for value, want := range map[string]string{"north": "north", "nörd": sentinel("nörd"), " x": sentinel(" x")} {
			got := only(g.web.during(func() { c.call(prefix+"region", object{"text": value}) }), "tools/call")
			if len(got) != 1 || got[0].header.Get("Mcp-Param-Region") != want || got[0].header.Get("Mcp-Name") != "region" {
				t.Errorf("%q on %q: the server got %v, want the header %s", value, mount, got, want)
			}
		}
		got := only(g.web.during(func() { c.call(prefix+"count", object{"n": 7}) }), "tools/call")
		if len(got) != 1 || got[0].header.Get("Mcp-Param-Count") != "7" {
			t.Errorf("a number on %q: the server got %v", mount, got)
		}
		where := object{"where": object{"region": "north"}}
		got = only(g.web.during(func() { c.call(prefix+"header-nested", where) }), "tools/call")
		if len(got) != 1 || got[0].header.Get("Mcp-Param-Region") != "north" {
			t.Errorf("a member of a member on %q: the server got %v", mount, got)
		}
	}
}

func Test_R109_tools_with_impossible_headers_are_left_out(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", "newest", ""} {
		for _, c := range g.both(t, mount) {
			names := c.request("tools/list", object{}).names("tools")
			if !slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, "header-nested") }) {
				t.Errorf("on %q in %s the list lacks a good tool: %q", mount, c.era(), names)
			}
			for _, name := range names {
				bare := name[strings.LastIndexByte(name, '_')+1:]
				if strings.HasPrefix(bare, "header-") && bare != "header-nested" && !strings.HasPrefix(name, "files__") {
					t.Errorf("on %q in %s the list has %s", mount, c.era(), name)
				}
			}
		}
	}
}

func Test_R110_revisions_and_methods_that_do_not_exist(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", "files", ""} {
		c := g.client(t, true, mount)
		meta := c.meta()
		meta[metaPrefix+"protocolVersion"] = "2099-01-01"
		raw := string(encode(t, object{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": object{"_meta": meta}}))
		r := c.send(raw, http.Header{"Mcp-Protocol-Version": {"2099-01-01"}, "Mcp-Method": {"tools/list"}})
		problem, _ := r.body["error"].(object)
		data, _ := problem["data"].(object)
		supported, _ := data["supported"].([]any)
		if r.status != http.StatusBadRequest || r.code() != -32022 || !slices.Contains(supported, any(modernVersion)) || data["requested"] != "2099-01-01" {
			t.Errorf("an unknown revision on %q: answered %d %s", mount, r.status, r.raw)
		}
		r = c.request("server/discover", object{})
		versions, _ := r.result()["supportedVersions"].([]any)
		if !slices.Contains(versions, any(modernVersion)) || r.result()["resultType"] != "complete" {
			t.Errorf("server/discover on %q: answered %s", mount, r.raw)
		}
		for _, method := range []string{"vendor/unknown", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "tasks/result", "tasks/list"} {
			if r := c.request(method, object{"uri": "note://welcome", "level": "info"}); r.status != http.StatusNotFound || r.code() != -32601 {
				t.Errorf("%s on %q: answered %d %s, want 404 and -32601", method, mount, r.status, r.raw)
			}
		}
	}
}

func Test_R111_nothing_is_asked_that_was_not_declared(t *testing.T) {
	g := open(t)
	for _, mount := range []string{"web", "newest", "files"} {
		for tool, method := range map[string]string{"ask-name": "elicitation/create", "ask-roots": "roots/list"} {
			for _, c := range g.both(t, mount, "sampling") { // which is neither
				if question, r := c.ask(tool, method, object{"action": "decline"}); question != nil {
					t.Errorf("%s on %q in %s asked %v; answered %s", tool, mount, c.era(), question, r.raw)
				}
			}
		}
		c := g.client(t, true, mount)
		if mount == "files" {
			continue // a legacy session behind it: the server is told, and answers as it likes
		}
		if r := c.call("ask-name", object{}); r.status != http.StatusBadRequest || r.code() != -32021 {
			t.Errorf("on %q: answered %d %s, want 400 and -32021", mount, r.status, r.raw)
		}
	}
}

func Test_R112_nothing_follows_from_earlier_requests_of_a_connection(t *testing.T) {
	g := open(t)
	connections := 0
	one := &http.Transport{MaxConnsPerHost: 1}
	defer one.CloseIdleConnections()
	via := roundTripper(func(request *http.Request) (*http.Response, error) {
		return one.RoundTrip(request.WithContext(httptrace.WithClientTrace(request.Context(), &httptrace.ClientTrace{
			GotConn: func(info httptrace.GotConnInfo) {
				if !info.Reused {
					connections++
				}
			},
		})))
	})
	able, unable := g.client(t, true, "web", "elicitation"), g.client(t, true, "web")
	bare := g.client(t, true, "web")
	able.transport, unable.transport, bare.transport = via, via, via
	const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}`
	for range 2 {
		if r := able.call("ask-name", object{}); r.result()["resultType"] != "input_required" {
			t.Errorf("who declared it was answered %s", r.raw)
		}
		if r := unable.call("ask-name", object{}); r.code() != -32021 {
			t.Errorf("who did not declare it was answered %s", r.raw)
		}
		for name, header := range map[string]http.Header{"no _meta": modernHeader("tools/call", object{"name": "echo"}), "no session": nil} {
			got := g.web.during(func() {
				if r := bare.send(call, header); r.status != http.StatusBadRequest {
					t.Errorf("%s: answered %d %s, want 400", name, r.status, r.raw)
				}
			})
			quiet(t, got, "tools/call")
		}
		legacy := g.client(t, true, "web")
		legacy.transport, legacy.modern = via, false
		legacy.initialize() // and the next round is on the same connection
	}
	if connections != 1 {
		t.Errorf("the test used %d connections, want one for all", connections)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func Test_R116_what_is_no_single_message_is_refused(t *testing.T) {
	g := open(t)
	const rest = `"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}`
	c := g.client(t, false, "web")
	for _, raw := range []string{
		`{"jsonrpc":"2.0","id":null,` + rest, `{"jsonrpc":"2.0","id":1.5,` + rest, `{"jsonrpc":"2.0","id":true,` + rest, `{"jsonrpc":"2.0","id":{},` + rest,
		`{"jsonrpc":"2.0",` + rest, `{"id":1,` + rest, `{"jsonrpc":"1.0","id":1,` + rest, `{"jsonrpc":"2.0","id":1,"id":2,` + rest,
		`[{"jsonrpc":"2.0","id":1,` + rest + `]`, `[]`, `{"jsonrpc":"2.0","id":1,` + rest + `{"jsonrpc":"2.0","id":2,` + rest, ``, `null`, `"x"`,
	} {
		got := g.web.during(func() {
			if r := c.send(raw, nil); r.status != http.StatusBadRequest {
				t.Errorf("%s: answered %d %s, want 400", raw, r.status, r.raw)
			}
		})
		quiet(t, got, "tools/call")
	}
	for _, id := range []string{`"text"`, `0`, `-7`, `9007199254740993`, `""`} {
		if r := c.send(`{"jsonrpc":"2.0","id":`+id+`,`+rest, nil); !strings.Contains(r.raw, `"id":`+id+`,`) || r.text() != "x" {
			t.Errorf("the id %s: answered %d %s", id, r.status, r.raw)
		}
	}
}
