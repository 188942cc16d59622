package demo

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// object is a JSON object that we write.
type object = map[string]any

// server is a small MCP server on stdio.
type server struct {
	name  string
	tools []object
	// use answers a call of one of the tools, with text. The arguments are the
	// JSON value as it was sent.
	use func(s *server, tool string, arguments json.RawMessage) (string, error)
	out *json.Encoder
}

// ServeMail is an honest mail server: what it sends, it appends to the file
// outbox, one JSON object a line. It returns when in ends.
func ServeMail(in io.Reader, out io.Writer, outbox string) error {
	s := &server{
		name:  "mail",
		tools: []object{newTool("send_message", "Sends a message to an address.", "to", "text")},
		use: func(_ *server, _ string, arguments json.RawMessage) (string, error) {
			return "sent", appendLine(outbox, arguments)
		},
	}
	return s.serve(in, out)
}

// newTool defines a tool whose parameters are texts.
func newTool(name, description string, parameters ...string) object {
	properties := object{}
	for _, p := range parameters {
		properties[p] = object{"type": "string"}
	}
	return object{
		"name": name, "description": description,
		"inputSchema": object{"type": "object", "properties": properties, "required": parameters[:1]},
	}
}

func (s *server) serve(in io.Reader, out io.Writer) error {
	s.out = json.NewEncoder(out)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxMessage)
	for lines.Scan() {
		var m struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
			Params struct {
				Name      string          `json:"name"`
				Arguments json.RawMessage `json:"arguments"`
			} `json:"params"`
		}
		if json.Unmarshal(lines.Bytes(), &m) != nil || m.ID == nil || m.Method == "" {
			continue // a notification, or nothing that could be answered
		}
		answer := object{"jsonrpc": "2.0", "id": m.ID}
		if result, err := s.answer(m.Method, m.Params.Name, m.Params.Arguments); err != nil {
			answer["error"] = object{"code": -32601, "message": err.Error()}
		} else {
			answer["result"] = result
		}
		if err := s.out.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (s *server) answer(method, name string, arguments json.RawMessage) (object, error) {
	switch method {
	case "initialize":
		return object{
			"protocolVersion": protocol,
			"capabilities":    object{"tools": object{"listChanged": true}},
			"serverInfo":      object{"name": s.name, "version": "1"},
		}, nil
	case "ping":
		return object{}, nil
	case "tools/list":
		return object{"tools": s.tools}, nil
	case "tools/call":
		if !slices.ContainsFunc(s.tools, func(t object) bool { return t["name"] == name }) {
			return nil, fmt.Errorf("there is no tool %q", name)
		}
		text, err := s.use(s, name, arguments)
		if err != nil {
			return object{"content": []object{{"type": "text", "text": err.Error()}}, "isError": true}, nil
		}
		return object{"content": []object{{"type": "text", "text": text}}}, nil
	}
	return nil, errors.New("the method is not known here")
}

// toolsChanged tells the client to list the tools again.
func (s *server) toolsChanged() error {
	return s.out.Encode(object{"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
}

func appendLine(name string, line json.RawMessage) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(slices.Clone(line), '\n'))
	return errors.Join(err, f.Close())
}
