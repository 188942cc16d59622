//go:build unix

package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/test/program"
)

const (
	legacyVersion = "2025-11-25"
	modernVersion = "2026-07-28"
)

// client is one MCP client, of either era and over either transport. It sends one
// message at a time; for several at once, there are several clients on a session.
type client struct {
	t            *testing.T
	wire         wire
	era          string // legacyVersion or modernVersion
	lastID       int
	capabilities string // as JSON; what the client declares
	header       http.Header

	// asked answers questions of the server, by method; what is not there is not
	// answered.
	asked map[string]object
	// seen is every byte that came from the server, answers and all else.
	seen bytes.Buffer
	// told are the messages that came ahead of answers, questions included.
	told []object
}

// wire carries the bytes of a client.
type wire interface {
	// exchange sends a message and returns what came until the answer. Messages
	// ahead of it go to each, which returns what to send back, or nil.
	exchange(ctx context.Context, raw []byte, header http.Header, each func(raw []byte) []byte) (reply, error)
}

// reply is what came back for one message.
type reply struct {
	status int
	header http.Header
	raw    string // the answer's bytes; of a refusal by HTTP the whole body
	body   object // the answer; nil if there was none or it is no JSON
}

func (r reply) result() object {
	result, _ := r.body["result"].(object)
	return result
}

// text is the first text block of a tool's result.
func (r reply) text() string {
	content, _ := r.result()["content"].([]any)
	for _, block := range content {
		if text, ok := block.(object)["text"].(string); ok {
			return text
		}
	}
	return ""
}

func (r reply) code() int {
	problem, _ := r.body["error"].(object)
	code, _ := problem["code"].(float64)
	return int(code)
}

// refusal is what the gateway said when it refused, nil if it did not.
func (r reply) refusal() object {
	if problem, ok := r.body["error"].(object); ok {
		data, _ := problem["data"].(object)
		return data
	}
	meta, _ := r.result()["_meta"].(object)
	refusal, _ := meta["gatehouse/refusal"].(object)
	return refusal
}

// reason is the reason code of a refusal, "" if there was none.
func (r reply) reason() string {
	reason, _ := r.refusal()["reason"].(string)
	return reason
}

// names are the values of a member of all entries of a list.
func (r reply) names(list, member string) []string {
	entries, _ := r.result()[list].([]any)
	var names []string
	for _, entry := range entries {
		name, _ := entry.(object)[member].(string)
		names = append(names, name)
	}
	return names
}

// legacy is a client with a session on a mount, "" for all servers.
func (g *gateway) legacy(mount string) *client {
	g.t.Helper()
	c := g.client(mount, legacyVersion)
	c.initialize()
	return c
}

// modern is a client without a session.
func (g *gateway) modern(mount string) *client { return g.client(mount, modernVersion) }

func (g *gateway) client(mount, era string) *client {
	url := g.url + "/mcp"
	if mount != "" {
		url += "/" + mount
	}
	return newClient(g.t, &overHTTP{url: url, gateway: g}, era)
}

func newClient(t *testing.T, w wire, era string) *client {
	return &client{t: t, wire: w, era: era, capabilities: "{}", asked: map[string]object{}, header: http.Header{}}
}

// initialize opens a session.
func (c *client) initialize() reply {
	c.t.Helper()
	r := c.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"initialize","params":{"protocolVersion":%q,"capabilities":%s,"clientInfo":{"name":"test","version":"1"}}}`,
		c.nextID(), c.era, c.capabilities))
	if r.result() == nil {
		c.t.Fatalf("initialize was answered %d %s", r.status, r.raw)
	}
	if over, ok := c.wire.(*overHTTP); ok {
		over.session = r.header.Get("Mcp-Session-Id")
	}
	c.header.Set("Mcp-Protocol-Version", r.result()["protocolVersion"].(string))
	c.notify(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return r
}

func (c *client) nextID() int {
	c.lastID++
	return c.lastID
}

// call calls a tool.
func (c *client) call(name string, arguments object) reply {
	c.t.Helper()
	return c.request("tools/call", object{"name": name, "arguments": arguments})
}

// echo calls the tool that the good server has and that returns its text.
func (c *client) echo(prefix string) {
	c.t.Helper()
	if r := c.call(prefix+"echo", object{"text": "still here"}); r.text() != "still here" {
		c.t.Errorf("echo was answered %d %s", r.status, r.raw)
	}
}

// tools are the names that tools/list shows.
func (c *client) tools() []string {
	c.t.Helper()
	r := c.request("tools/list", object{})
	if r.result() == nil {
		c.t.Errorf("tools/list was answered %d %s", r.status, r.raw)
	}
	return r.names("tools", "name")
}

// request sends a request in the way of the client's era.
func (c *client) request(method string, params object) reply {
	c.t.Helper()
	id := c.nextID()
	if c.era == modernVersion {
		params = maps.Clone(params)
		meta, _ := params["_meta"].(object)
		meta = maps.Clone(meta)
		if meta == nil {
			meta = object{}
		}
		maps.Copy(meta, c.meta())
		params["_meta"] = meta
	}
	raw := encode(c.t, object{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
	return c.sendWith(string(raw), c.modernHeader(method, params))
}

func (c *client) meta() object {
	return object{
		"io.modelcontextprotocol/protocolVersion":    modernVersion,
		"io.modelcontextprotocol/clientCapabilities": json.RawMessage(c.capabilities),
		"io.modelcontextprotocol/clientInfo":         object{"name": "test", "version": "1"},
	}
}

func (c *client) modernHeader(method string, params object) http.Header {
	if c.era != modernVersion {
		return nil
	}
	header := http.Header{"Mcp-Protocol-Version": {modernVersion}, "Mcp-Method": {method}}
	for _, member := range []string{"name", "uri"} {
		if name, ok := params[member].(string); ok {
			header.Set("Mcp-Name", "=?base64?"+base64.StdEncoding.EncodeToString([]byte(name))+"?=")
		}
	}
	return header
}

// send sends these very bytes.
func (c *client) send(raw string) reply {
	c.t.Helper()
	return c.sendWith(raw, nil)
}

func (c *client) sendWith(raw string, header http.Header) reply {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	r, err := c.try(ctx, raw, header)
	if err != nil {
		c.t.Fatalf("%.200s: %v", raw, err)
	}
	return r
}

// try is sendWith for an exchange that may come to no end.
func (c *client) try(ctx context.Context, raw string, header http.Header) (reply, error) {
	all := c.header.Clone()
	maps.Copy(all, header)
	r, err := c.wire.exchange(ctx, []byte(raw), all, c.between)
	c.seen.WriteString(r.raw)
	return r, err
}

// notify sends a message that is not answered.
func (c *client) notify(raw string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if over, ok := c.wire.(*overStdio); ok {
		over.write([]byte(raw))
		return
	}
	r, err := c.try(ctx, raw, nil)
	if err != nil || r.status >= 300 {
		c.t.Errorf("%s: %d %s %v", raw, r.status, r.raw, err)
	}
}

// between takes a message that comes ahead of an answer.
func (c *client) between(raw []byte) []byte {
	c.seen.Write(raw)
	var m object
	if err := json.Unmarshal(raw, &m); err != nil {
		c.t.Errorf("the gateway sent %q: %v", raw, err)
		return nil
	}
	c.told = append(c.told, m)
	method, _ := m["method"].(string)
	answer, ok := c.asked[method]
	if m["id"] == nil || !ok {
		return nil
	}
	return encode(c.t, object{"jsonrpc": "2.0", "id": m["id"], "result": answer})
}

// heard are the messages of a method that came ahead of answers.
func (c *client) heard(method string) []object {
	return slices.DeleteFunc(slices.Clone(c.told), func(m object) bool { return m["method"] != method })
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

// overHTTP is the Streamable HTTP transport.
type overHTTP struct {
	url     string
	session string
	gateway *gateway // whose answers are counted; nil for a direct connection
}

func (o *overHTTP) post(ctx context.Context, raw []byte, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	request.Header = header.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	if request.Header.Values("Content-Type") == nil {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("Accept", "application/json, text/event-stream")
	if o.session != "" {
		request.Header.Set("Mcp-Session-Id", o.session)
	}
	return http.DefaultTransport.RoundTrip(request)
}

func (o *overHTTP) exchange(ctx context.Context, raw []byte, header http.Header, each func([]byte) []byte) (reply, error) {
	response, err := o.post(ctx, raw, header)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	r := reply{status: response.StatusCode, header: response.Header}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		err = events(response.Body, func(data []byte) bool {
			if isAnswer(data) {
				r.take(data)
				return false
			}
			if back := each(data); back != nil {
				o.back(ctx, back, header)
			}
			return true
		})
	} else {
		var body []byte
		if body, err = io.ReadAll(response.Body); err == nil {
			r.take(body)
		}
	}
	if r.body != nil && o.gateway != nil && !bytes.Contains(raw, []byte(`"ping"`)) {
		o.gateway.answered.Add(1)
	}
	return r, err
}

// back sends the answer to a question.
func (o *overHTTP) back(ctx context.Context, raw []byte, header http.Header) {
	if response, err := o.post(ctx, raw, header); err == nil {
		response.Body.Close()
	}
}

// stream reads the standing stream of a session until each says that it is enough.
func (o *overHTTP) stream(ctx context.Context, each func(raw []byte) bool) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Mcp-Session-Id", o.session)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the stream was answered %s", response.Status)
	}
	return events(response.Body, each)
}

// events calls each with the data of every event until it says no more.
func events(body io.Reader, each func(data []byte) bool) error {
	reader := bufio.NewReader(body)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("the stream ended before the answer: %w", err)
		}
		// An event without data only has an id.
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok && len(bytes.TrimSpace(data)) > 0 && !each(bytes.TrimSpace(data)) {
			return nil
		}
	}
}

func (r *reply) take(raw []byte) {
	r.raw = string(raw)
	if json.Unmarshal(raw, &r.body) != nil {
		r.body = nil
	}
}

func isAnswer(raw []byte) bool {
	var m object
	return json.Unmarshal(raw, &m) == nil && m["method"] == nil
}

// overStdio is a client's side of a process.
type overStdio struct {
	t       *testing.T
	command *exec.Cmd
	stdin   io.WriteCloser
	lines   chan []byte
}

// startStdio starts a program that speaks on its pipes.
func startStdio(t *testing.T, command []string, env ...string) *overStdio {
	t.Helper()
	o := &overStdio{t: t, command: exec.Command(command[0], command[1:]...), lines: make(chan []byte, 1000)}
	o.command.Env = append(os.Environ(), env...)
	printed := &program.Output{}
	o.command.Stderr = printed
	var err error
	if o.stdin, err = o.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := o.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := o.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(o.lines)
		reader := bufio.NewReader(stdout)
		for {
			line, err := reader.ReadBytes('\n')
			if err != nil {
				return
			}
			o.lines <- bytes.TrimSpace(line)
		}
	}()
	t.Cleanup(func() {
		o.close()
		if t.Failed() {
			t.Logf("%s printed:\n%s", command[0], printed)
		}
	})
	return o
}

// close closes the program's input and waits until it has ended.
func (o *overStdio) close() {
	if o.command.ProcessState != nil {
		return
	}
	o.stdin.Close()
	kill := time.AfterFunc(2*shutdown, func() { o.command.Process.Kill() })
	defer kill.Stop()
	for range o.lines { // nobody else reads any more
	}
	o.command.Wait()
}

func (o *overStdio) write(raw []byte) {
	if _, err := o.stdin.Write(append(raw, '\n')); err != nil {
		o.t.Errorf("writing to the program: %v", err)
	}
}

func (o *overStdio) exchange(ctx context.Context, raw []byte, _ http.Header, each func([]byte) []byte) (reply, error) {
	o.write(raw)
	for {
		select {
		case line, ok := <-o.lines:
			if !ok {
				return reply{}, io.ErrUnexpectedEOF
			}
			if isAnswer(line) {
				r := reply{status: http.StatusOK}
				r.take(line)
				return r, nil
			}
			if back := each(line); back != nil {
				o.write(back)
			}
		case <-ctx.Done():
			return reply{}, ctx.Err()
		}
	}
}
