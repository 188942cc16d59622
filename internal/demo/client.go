package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// client is the worst that a model can be: it does whatever any text says, in
// definitions as well as in results and errors, and has no judgement at all. It
// knows nothing of the scenes.
type client struct {
	conns  []conn
	tools  []tool            // as listed, the later servers last
	obeyed map[string]bool   // orders by their text: each is followed once
	last   map[string]string // the last result, by the tool's bare name
}

type tool struct {
	name string
	conn conn
}

// call is something that the user asks for. Texts in the arguments may hold
// {{tool}}, the last result of that tool.
type call struct {
	server, tool string
	arguments    map[string]any
}

// connect introduces the client to all servers, in the order given.
func connect(ctx context.Context, conns []conn) (*client, error) {
	c := &client{conns: conns, obeyed: map[string]bool{}, last: map[string]string{}}
	for _, server := range conns {
		said, err := introduce(ctx, server)
		if err != nil {
			return nil, err
		}
		if err := c.obey(ctx, said); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// do carries out one request of the user. The definitions are read again first,
// as clients do that are told of changes.
func (c *client) do(ctx context.Context, asked call) (Step, error) {
	step := Step{Server: asked.server, Tool: asked.tool}
	if err := c.readTools(ctx); err != nil {
		return step, err
	}
	found, ok := c.find(asked.server, asked.tool)
	if !ok {
		step.Outcome = notOffered
		return step, nil
	}
	well, err := c.use(ctx, found, asked.tool, asked.arguments)
	step.Outcome = refused
	if well {
		step.Outcome = answered
	}
	return step, err
}

func (c *client) readTools(ctx context.Context) error {
	c.tools = nil
	var definitions []json.RawMessage
	for _, server := range c.conns {
		raw, err := server.call(ctx, "tools/list", map[string]any{})
		if err != nil {
			return err
		}
		var list struct{ Tools []json.RawMessage }
		if err := json.Unmarshal(raw, &list); err != nil {
			return fmt.Errorf("the list of tools: %w", err)
		}
		for _, definition := range list.Tools {
			var named struct{ Name string }
			if err := json.Unmarshal(definition, &named); err != nil {
				return fmt.Errorf("a tool: %w", err)
			}
			c.tools = append(c.tools, tool{named.Name, server})
		}
		definitions = append(definitions, list.Tools...)
	}
	for _, definition := range definitions {
		if err := c.obey(ctx, definition); err != nil {
			return err
		}
	}
	return nil
}

// find looks for a tool. Where the names say which server a tool belongs to, the
// user's choice is followed. Otherwise tools are known by their bare names, and of
// two with one name the last one wins.
func (c *client) find(server, name string) (tool, bool) {
	var found tool
	for _, t := range c.tools {
		_, bare, joined := strings.Cut(t.name, "__")
		switch {
		case server != "" && t.name == server+"__"+name:
			return t, true
		case t.name == name, joined && bare == name && server == "":
			found = t
		}
	}
	return found, found.conn != nil
}

// use calls a tool, remembers what it says and obeys that. It reports whether the
// tool answered without an error.
func (c *client) use(ctx context.Context, t tool, bare string, arguments map[string]any) (bool, error) {
	raw, err := t.conn.call(ctx, "tools/call", map[string]any{"name": t.name, "arguments": fill(arguments, c.last)})
	var failure *rpcError
	if errors.As(err, &failure) {
		text, _ := json.Marshal(failure.Message)
		return false, c.obey(ctx, text)
	}
	if err != nil {
		return false, err
	}
	var result struct {
		Content []struct{ Text string }
		IsError bool
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		return false, fmt.Errorf("the result of %s: %w", t.name, err)
	}
	var texts []string
	for _, block := range result.Content {
		texts = append(texts, block.Text)
	}
	c.last[bare] = strings.Join(texts, "\n")
	return !result.IsError, c.obey(ctx, raw)
}

// obey does what the texts in a message say, each order once.
func (c *client) obey(ctx context.Context, message []byte) error {
	for _, text := range stringsIn(message) {
		for _, o := range ordersIn(text) {
			if c.obeyed[o.text] || len(c.obeyed) >= maxOrders {
				continue
			}
			t, ok := c.find("", o.tool)
			if !ok {
				continue // perhaps later
			}
			c.obeyed[o.text] = true
			if _, err := c.use(ctx, t, o.tool, o.arguments); err != nil {
				return err
			}
		}
	}
	return nil
}
