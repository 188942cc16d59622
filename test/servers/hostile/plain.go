package main

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// legacyVersions are the revisions with an initialize handshake.
var legacyVersions = []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}

const modernVersion = "2026-07-28"

// tool is a definition as it is listed, and what a call of it answers.
type tool struct {
	definition object
	call       func(ctx context.Context, arguments toolArguments) object
}

func (t tool) name() string { return t.definition["name"].(string) }

// toolArguments are all arguments that the plain tools take.
type toolArguments struct {
	Text  string  `json:"text"`
	To    string  `json:"to"`
	A     float64 `json:"a"`
	B     float64 `json:"b"`
	Bytes int     `json:"bytes"`
	MS    int     `json:"ms"`
}

// newTool describes a tool; properties maps argument names to JSON types.
func newTool(name, description string, properties map[string]string, call func(context.Context, toolArguments) object) tool {
	schema, required := object{}, []string{}
	for _, property := range sortedKeys(properties) {
		schema[property] = object{"type": properties[property]}
		required = append(required, property)
	}
	definition := object{
		"name":        name,
		"description": description,
		"inputSchema": object{"type": "object", "properties": schema, "required": required},
	}
	return tool{definition, call}
}

func plainTools() []tool {
	return []tool{
		newTool("echo", "Returns the text it is given.", map[string]string{"text": "string"},
			func(_ context.Context, in toolArguments) object { return textResult(in.Text) }),
		newTool("add", "Adds two numbers.", map[string]string{"a": "number", "b": "number"},
			func(_ context.Context, in toolArguments) object {
				return textResult(strconv.FormatFloat(in.A+in.B, 'f', -1, 64))
			}),
		newTool("big", "Returns a text of the given length.", map[string]string{"bytes": "integer"}, big),
		newTool("slow", "Answers after the given number of milliseconds.", map[string]string{"ms": "integer"}, slow),
		newTool("fail", "Always answers that it could not do its work.", nil,
			func(context.Context, toolArguments) object {
				result := textResult("nothing could be done")
				result["isError"] = true
				return result
			}),
	}
}

func textResult(text string) object { return object{"content": textContent(text)} }

// maxBig bounds the tool big, which holds its text in memory; mode huge streams.
const maxBig = 64 << 20

func big(_ context.Context, in toolArguments) object {
	return textResult(strings.Repeat("x", min(max(in.Bytes, 0), maxBig)))
}

func slow(ctx context.Context, in toolArguments) object {
	select {
	case <-time.After(time.Duration(in.MS) * time.Millisecond):
	case <-ctx.Done():
	}
	return textResult("done")
}

// plain is the good server that every mode departs from.
func (s *server) plain(ctx context.Context, ex *exchange) {
	switch ex.method {
	case "initialize":
		s.initialize(ex)
	case "server/discover":
		s.discover(ex)
	case "subscriptions/listen":
		s.subscribe(ctx, ex)
	case "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe":
		ex.result(object{})
	case "tools/list":
		definitions := []object{}
		for _, t := range s.currentTools() {
			definitions = append(definitions, t.definition)
		}
		ex.result(object{"tools": definitions})
	case "tools/call":
		s.call(ctx, ex)
	case "prompts/list":
		ex.result(object{"prompts": []object{plainPrompt()}})
	case "prompts/get":
		ex.result(promptResult("Say hello to the reader."))
	case "resources/list":
		ex.result(object{"resources": []object{plainResource()}})
	case "resources/templates/list":
		ex.result(object{"resourceTemplates": []object{plainTemplate()}})
	case "resources/read":
		ex.result(resourceResult("Welcome."))
	case "completion/complete":
		ex.result(completionResult("welcome"))
	default:
		ex.fail(-32601, "no such method", nil)
	}
}

func (s *server) initialize(ex *exchange) {
	var params struct {
		ProtocolVersion string `json:"protocolVersion"`
	}
	json.Unmarshal(ex.params, &params)
	version := params.ProtocolVersion
	if !slices.Contains(legacyVersions, version) {
		version = legacyVersions[len(legacyVersions)-1]
	}
	result := s.introduction()
	result["protocolVersion"] = version
	ex.result(result)
}

func (s *server) discover(ex *exchange) {
	result := s.introduction()
	result["supportedVersions"] = append(slices.Clone(legacyVersions), modernVersion)
	ex.result(result)
}

func (s *server) introduction() object {
	result := object{
		"serverInfo": object{"name": "hostile", "version": "1.0.0"},
		"capabilities": object{
			"tools":       object{"listChanged": true},
			"prompts":     object{},
			"resources":   object{"subscribe": true},
			"completions": object{},
			"logging":     object{},
		},
	}
	if s.instructions != "" {
		result["instructions"] = s.instructions
	}
	return result
}

// subscribe keeps a stream of 2026-07-28 open until the client goes.
func (s *server) subscribe(ctx context.Context, ex *exchange) {
	var params struct {
		Notifications json.RawMessage `json:"notifications"`
	}
	json.Unmarshal(ex.params, &params)
	err := ex.notify("notifications/subscriptions/acknowledged", object{
		"notifications": params.Notifications,
		"_meta":         object{"io.modelcontextprotocol/subscriptionId": ex.id},
	})
	if err != nil {
		return
	}
	l := &listener{peer: ex.peer, subscription: ex.id}
	s.listen(l)
	defer s.unlisten(l)
	<-ctx.Done()
}

func (s *server) call(ctx context.Context, ex *exchange) {
	var params struct {
		Name      string        `json:"name"`
		Arguments toolArguments `json:"arguments"`
	}
	if err := json.Unmarshal(ex.params, &params); err != nil {
		ex.fail(-32602, err.Error(), nil)
		return
	}
	tools := s.currentTools()
	i := slices.IndexFunc(tools, func(t tool) bool { return t.name() == params.Name })
	if i < 0 {
		ex.fail(-32602, "no tool "+strconv.Quote(params.Name), nil)
		return
	}
	ex.result(tools[i].call(ctx, params.Arguments))
}

func plainPrompt() object {
	return object{"name": "greeting", "description": "Greets the reader."}
}

func plainResource() object {
	return object{"uri": "note://welcome", "name": "welcome", "description": "A welcome note.", "mimeType": "text/plain"}
}

func plainTemplate() object {
	return object{"uriTemplate": "note://{name}", "name": "note", "description": "One note."}
}

func promptResult(text string) object {
	return object{"messages": []object{{"role": "user", "content": object{"type": "text", "text": text}}}}
}

func resourceResult(text string) object {
	return object{"contents": []object{{"uri": "note://welcome", "mimeType": "text/plain", "text": text}}}
}

func completionResult(value string) object {
	return object{"completion": object{"values": []string{value}, "hasMore": false}}
}
