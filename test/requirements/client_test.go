//go:build unix

package requirements

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// client is an MCP client of either era over HTTP. It sends one message at a time.
type client struct {
	t            *testing.T
	url          string
	modern       bool
	session      string
	capabilities object
	header       http.Header       // sent with every request
	asked        map[string]object // answers to questions, by method
	told         []object          // messages that came ahead of answers
	id           int
	transport    http.RoundTripper
}

// reply is what came back for one message.
type reply struct {
	status int
	header http.Header
	raw    string
	body   object
}

func (r reply) result() object {
	result, _ := r.body["result"].(object)
	return result
}

// text is the first text of a tool's result.
func (r reply) text() string {
	content, _ := r.result()["content"].([]any)
	if len(content) == 0 {
		return ""
	}
	text, _ := content[0].(object)["text"].(string)
	return text
}

func (r reply) code() int {
	problem, _ := r.body["error"].(object)
	code, _ := problem["code"].(float64)
	return int(code)
}

// reason is the reason code of a refusal by the gateway, "" if it was none.
func (r reply) reason() string {
	data, _ := r.result()["_meta"].(object)
	refusal, _ := data["gatehouse/refusal"].(object)
	if problem, ok := r.body["error"].(object); ok {
		refusal, _ = problem["data"].(object)
	}
	reason, _ := refusal["reason"].(string)
	return reason
}

// entries are those of a list in the result.
func (r reply) entries(list string) []object {
	var entries []object
	all, _ := r.result()[list].([]any)
	for _, entry := range all {
		entries = append(entries, entry.(object))
	}
	return entries
}

// names are the names of a list in the result.
func (r reply) names(list string) []string {
	var names []string
	for _, entry := range r.entries(list) {
		name, _ := entry["name"].(string)
		names = append(names, name)
	}
	return names
}

// client is one on a mount, "" for all servers, that declares what it answers.
func (g *gateway) client(t *testing.T, modern bool, mount string, declares ...string) *client {
	t.Helper()
	c := &client{t: t, url: g.url + "/mcp", modern: modern, capabilities: object{}, header: http.Header{}, asked: map[string]object{}, transport: http.DefaultTransport}
	if mount != "" {
		c.url += "/" + mount
	}
	for _, name := range declares {
		c.capabilities[name] = object{}
		if name == "elicitation" {
			c.capabilities[name] = object{"form": object{}, "url": object{}}
		}
	}
	if !modern {
		c.initialize()
	}
	return c
}

// both are a client of each era.
func (g *gateway) both(t *testing.T, mount string, declares ...string) []*client {
	t.Helper()
	return []*client{g.client(t, false, mount, declares...), g.client(t, true, mount, declares...)}
}

func (c *client) era() string {
	if c.modern {
		return modernVersion
	}
	return legacyVersion
}

func (c *client) initialize() reply {
	c.t.Helper()
	r := c.request("initialize", object{"protocolVersion": legacyVersion, "capabilities": c.capabilities, "clientInfo": object{"name": "test", "version": "1"}})
	if r.result() == nil {
		c.t.Fatalf("initialize was answered %d %s", r.status, r.raw)
	}
	c.session = r.header.Get("Mcp-Session-Id")
	c.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, nil)
	return r
}

func (c *client) call(name string, arguments object) reply {
	c.t.Helper()
	return c.request("tools/call", object{"name": name, "arguments": arguments})
}

// request sends a request in the way of the client's era.
func (c *client) request(method string, params object) reply {
	c.t.Helper()
	return c.requestWith(method, params, nil)
}

// requestWith is request with further headers, which go before its own.
func (c *client) requestWith(method string, params object, more http.Header) reply {
	c.t.Helper()
	c.id++
	header := http.Header{}
	if c.modern {
		params = maps.Clone(params)
		params["_meta"] = c.meta()
		header = modernHeader(method, params)
	}
	maps.Copy(header, more)
	return c.send(string(encode(c.t, object{"jsonrpc": "2.0", "id": c.id, "method": method, "params": params})), header)
}

func (c *client) meta() object {
	return object{metaPrefix + "protocolVersion": modernVersion, metaPrefix + "clientCapabilities": c.capabilities,
		metaPrefix + "clientInfo": object{"name": "test", "version": "1"}}
}

func modernHeader(method string, params object) http.Header {
	header := http.Header{"Mcp-Protocol-Version": {modernVersion}, "Mcp-Method": {method}}
	for _, member := range []string{"name", "uri", "taskId"} {
		if name, ok := params[member].(string); ok {
			header.Set("Mcp-Name", sentinel(name))
		}
	}
	return header
}

// sentinel is the form in which any text may travel in a header.
func sentinel(text string) string {
	return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(text)) + "?="
}

// send sends these very bytes.
func (c *client) send(raw string, header http.Header) reply {
	c.t.Helper()
	response := c.post(raw, header)
	defer response.Body.Close()
	r := reply{status: response.StatusCode, header: response.Header}
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			c.t.Fatal(err)
		}
		r.take(body)
		return r
	}
	lines := bufio.NewReader(response.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			c.t.Fatalf("the stream ended before the answer: %v", err)
		}
		data, ok := bytes.CutPrefix(line, []byte("data:"))
		if data = bytes.TrimSpace(data); !ok || len(data) == 0 { // an event may have an id alone
			continue
		}
		r.take(data)
		if r.body["method"] == nil {
			return r
		}
		c.hear(r.body)
	}
}

// hear keeps a message that came ahead of an answer, and answers a question.
func (c *client) hear(message object) {
	c.t.Helper()
	c.told = append(c.told, message)
	method, _ := message["method"].(string)
	if answer, ok := c.asked[method]; ok && message["id"] != nil {
		c.post(string(encode(c.t, object{"jsonrpc": "2.0", "id": message["id"], "result": answer})), nil).Body.Close()
	}
}

func (c *client) post(raw string, header http.Header) *http.Response {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url, strings.NewReader(raw))
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	maps.Copy(request.Header, c.header)
	if c.session != "" {
		request.Header.Set("Mcp-Session-Id", c.session)
		request.Header.Set("Mcp-Protocol-Version", legacyVersion)
	}
	maps.Copy(request.Header, header)
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		c.t.Fatal(err)
	}
	return response
}

func (r *reply) take(raw []byte) {
	r.raw, r.body = string(raw), nil
	if json.Unmarshal(raw, &r.body) != nil {
		r.body = nil
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(out.Bytes())
}

// ask calls a tool that asks, answers its question once and returns the question
// and what the call came to.
func (c *client) ask(tool, method string, answer object) (question object, r reply) {
	c.t.Helper()
	c.asked[method] = answer
	told := len(c.told)
	r = c.call(tool, object{})
	if !c.modern {
		for _, message := range c.told[told:] {
			if message["method"] == method {
				question, _ = message["params"].(object)
			}
		}
		return question, r
	}
	requests, _ := r.result()["inputRequests"].(object)
	for _, key := range slices.Sorted(maps.Keys(requests)) {
		question, _ = requests[key].(object)["params"].(object)
		r = c.request("tools/call", object{"name": tool, "arguments": object{}, "requestState": r.result()["requestState"], "inputResponses": object{key: answer}})
	}
	return question, r
}
