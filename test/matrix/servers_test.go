//go:build unix

package matrix

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// operation is what a client wants to do with a server.
type operation string

const (
	opList      operation = "list"
	opCall      operation = "call"
	opRead      operation = "read"
	opSubscribe operation = "subscribe"
	opElicit    operation = "elicit"
	opSample    operation = "sample"
	opCancel    operation = "cancel"
)

// operations are the columns of the tables, in order.
var operations = []operation{opList, opCall, opRead, opSubscribe, opElicit, opSample, opCancel}

// era is what a client or a server speaks.
type era string

const (
	legacy era = "legacy" // begins with initialize: 2024-11-05 to 2025-11-25
	modern era = "modern" // 2026-07-28
	auto   era = "auto"   // a client that tries modern and falls back to legacy
	both   era = "both"   // a server that lists revisions of both
)

// step is one operation as it is done with one server. The drivers in clients/
// read it as JSON.
type step struct {
	Op        operation `json:"op"`
	Tool      string    `json:"tool,omitempty"`
	Arguments object    `json:"arguments,omitempty"`
	URI       string    `json:"uri,omitempty"`
	Answer    object    `json:"answer,omitempty"` // what the user fills in
	When      string    `json:"when,omitempty"`   // "asked": cancel when the server asks

	want  string // stands in what the step says
	token string // argument of a call that leaves its value in the trace if it is cancelled
}

// server is one server behind the gateway, or all of them joined.
type server struct {
	id      string // "" for the joined mount
	title   string
	version string
	era     era
	config  object
	steps   []step
	modern  []step // in place of those of the same operation, for modern clients
}

// configuration is what the gateway is told of the server. To find out the era of a
// server takes a time limit, and a machine that has much to do may exceed it.
func (s server) configuration() object {
	config := maps.Clone(s.config)
	if s.era != both {
		config["era"] = s.era
	}
	return config
}

// mount is the path at which the gateway serves it.
func (s server) mount() string {
	if s.id == "" {
		return "/mcp"
	}
	return "/mcp/" + s.id
}

// step is how a client of the era does the operation; false if the server has
// nothing to do it with, which a step without a tool says of one era.
func (s server) step(op operation, e era) (step, bool) {
	candidates := s.steps
	if e != legacy && s.era != legacy {
		candidates = append(slices.Clone(s.modern), s.steps...)
	}
	for _, candidate := range candidates {
		if candidate.Op == op {
			return candidate, candidate.Tool != "" || candidate.URI != "" || op == opList
		}
	}
	return step{}, false
}

// servers are all that stand behind the gateway. trace is the file in which our own
// servers note the calls that were cancelled.
func servers(t *testing.T, trace string) []server {
	t.Helper()
	list := []server{everything(t), filesystem(t), memory(t), context7(t), fastMCP(t, trace), goSDK(t), mcpGo(t, trace)}
	return append(list, joined(list[len(list)-1]))
}

func everything(t *testing.T) server {
	return server{
		id: "everything", title: "server-everything", version: npm(t, "@modelcontextprotocol/server-everything"), era: legacy,
		config: object{"command": []string{node(t), bin(t, "mcp-server-everything"), "stdio"}},
		steps: []step{
			{Op: opList, want: "echo"},
			{Op: opCall, Tool: "echo", Arguments: object{"message": "hello"}, want: "Echo: hello"},
			{Op: opRead, URI: "demo://resource/static/document/architecture.md", want: "Everything Server"},
			{Op: opSubscribe, URI: "demo://resource/dynamic/text/1", Tool: "toggle-subscriber-updates", want: "updated demo://resource/dynamic/text/1"},
			{Op: opElicit, Tool: "trigger-elicitation-request", Answer: object{"name": "Ada"}, want: "Name: Ada"},
			{Op: opSample, Tool: "trigger-sampling-request", Arguments: object{"prompt": "say something"}, want: sampled},
			{Op: opCancel, Tool: "trigger-long-running-operation", Arguments: object{"duration": 60, "steps": 600}},
		},
	}
}

func filesystem(t *testing.T) server {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "welcome.txt"), "welcome to this folder")
	return server{
		id: "filesystem", title: "server-filesystem", version: npm(t, "@modelcontextprotocol/server-filesystem"), era: legacy,
		config: object{"command": []string{node(t), bin(t, "mcp-server-filesystem"), dir}},
		steps: []step{
			{Op: opList, want: "read_text_file"},
			{Op: opCall, Tool: "read_text_file", Arguments: object{"path": filepath.Join(dir, "welcome.txt")}, want: "welcome to this folder"},
		},
	}
}

func memory(t *testing.T) server {
	path := filepath.Join(t.TempDir(), "memory.jsonl")
	write(t, path, `{"type":"entity","name":"Ada","entityType":"person","observations":["writes programs"]}`+"\n")
	return server{
		id: "memory", title: "server-memory", version: npm(t, "@modelcontextprotocol/server-memory"), era: legacy,
		config: object{"command": []string{node(t), bin(t, "mcp-server-memory")}, "env": object{"MEMORY_FILE_PATH": path}},
		steps: []step{
			{Op: opList, want: "open_nodes"},
			{Op: opCall, Tool: "open_nodes", Arguments: object{"names": []string{"Ada"}}, want: "writes programs"},
		},
	}
}

// context7 asks a service for what it answers; the test is that service.
func context7(t *testing.T) server {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"results":[{"id":"/an/engine","title":"Analytical Engine","description":"mills and stores"}]}`))
	}))
	t.Cleanup(service.Close)
	return server{
		id: "context7", title: "context7-mcp", version: npm(t, "@upstash/context7-mcp"), era: modern,
		config: object{"command": []string{node(t), bin(t, "context7-mcp")}, "env": object{"CONTEXT7_API_URL": service.URL}},
		steps: []step{
			{Op: opList, want: "resolve-library-id"},
			{Op: opCall, Tool: "resolve-library-id", Arguments: object{"libraryName": "engine", "query": "mills"}, want: "Analytical Engine"},
		},
	}
}

func fastMCP(t *testing.T, trace string) server {
	return server{
		id: "fastmcp", title: "FastMCP", version: pypi(t, "fastmcp"), era: modern,
		config: object{"command": []string{python(t), installed(t, "..", "python", "server.py")}, "env": object{"MATRIX_TRACE": trace}},
		steps: []step{
			{Op: opList, want: "echo"},
			{Op: opCall, Tool: "echo", Arguments: object{"text": "hello"}, want: "echo: hello"},
			{Op: opRead, URI: "note://today", want: "buy milk"},
			{Op: opElicit, Tool: "ask", Answer: object{"value": "Ada"}, want: "Ada"},
			{Op: opCancel, Tool: "wait", token: "token"},
		},
	}
}

// goSDK has no tool that takes long: what is cancelled is a call that waits for the
// user, which only the legacy way of asking has.
func goSDK(t *testing.T) server {
	return server{
		id: "gosdk", title: "everything-server of the Go SDK", version: module(t, "github.com/modelcontextprotocol/go-sdk"), era: both,
		config: object{"command": []string{tool(t, "everything-server")}},
		steps: []step{
			{Op: opList, want: "test_simple_text"},
			{Op: opCall, Tool: "test_simple_text", want: "simple text response"},
			{Op: opRead, URI: "test://static-text", want: "static text resource"},
			{Op: opSubscribe, URI: "test://watched-resource", want: "updated test://watched-resource"}, // updated by itself
			{Op: opElicit, Tool: "test_elicitation", Arguments: object{"message": "Who?"}, Answer: object{"username": "Ada"}, want: "Ada"},
			{Op: opSample, Tool: "test_sampling", Arguments: object{"prompt": "say something"}, want: sampled},
			{Op: opCancel, Tool: "test_elicitation", Arguments: object{"message": "Who?"}, When: "asked"},
		},
		modern: []step{
			{Op: opElicit, Tool: "test_input_required_result_elicitation", Answer: object{"name": "Ada"}, want: "Ada"},
			{Op: opSample, Tool: "test_input_required_result_sampling", want: sampled},
			{Op: opCancel},
		},
	}
}

func mcpGo(t *testing.T, trace string) server {
	return server{
		id: "mcpgo", title: "mcp-go", version: module(t, "github.com/mark3labs/mcp-go"), era: both,
		config: object{"command": []string{tool(t, "fullset-mcpgo")}, "env": object{"MATRIX_TRACE": trace}},
		steps: []step{
			{Op: opList, want: "echo"},
			{Op: opCall, Tool: "echo", Arguments: object{"text": "hello"}, want: "echo: hello"},
			{Op: opRead, URI: "note://today", want: "buy milk"},
			{Op: opSubscribe, URI: "note://today", Tool: "touch", want: "updated note://today"},
			{Op: opElicit, Tool: "ask", Answer: object{"name": "Ada"}, want: "Ada"},
			{Op: opSample, Tool: "think", want: sampled},
			{Op: opCancel, Tool: "wait", token: "token"},
		},
	}
}

// joined is the mount of all servers, used through the names that one of them has
// there.
func joined(one server) server {
	all := server{title: "all servers joined", era: one.era}
	for _, s := range one.steps {
		if s.Tool != "" {
			s.Tool = one.id + "__" + s.Tool
		}
		if s.URI != "" {
			s.URI = one.id + "+" + s.URI
		}
		switch s.Op {
		case opList:
			s.want = one.id + "__" + s.want
		case opSubscribe:
			s.want = "updated " + s.URI
		}
		all.steps = append(all.steps, s)
	}
	return all
}

// withToken fills in the argument that names a call in the trace.
func (s step) withToken(token string) step {
	if s.token != "" {
		s.Arguments = maps.Clone(s.Arguments)
		if s.Arguments == nil {
			s.Arguments = object{}
		}
		s.Arguments[s.token] = token
	}
	return s
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
