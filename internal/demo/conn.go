package demo

import (
	"context"
	"encoding/json"
	"fmt"
)

// protocol is the revision that the client asks for. All servers here speak it.
const protocol = "2025-11-25"

// maxMessage bounds one message, in bytes. The largest here are lists of tools.
const maxMessage = 4 << 20

// conn is a connection to one MCP server, or to the gateway.
type conn interface {
	// call sends a request and returns its result; a *rpcError is an answer too.
	call(ctx context.Context, method string, params any) (json.RawMessage, error)
	notify(ctx context.Context, method string) error
	close()
}

type request struct {
	JSONRPC string `json:"jsonrpc"`
	ID      int    `json:"id,omitempty"` // from 1; a notification has none
	Method  string `json:"method"`
	Params  any    `json:"params,omitempty"`
}

type response struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"` // set when it is no response at all
	Result json.RawMessage `json:"result"`
	Error  *rpcError       `json:"error"`
}

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return fmt.Sprintf("error %d: %s", e.Code, e.Message) }

// answers tells whether r is the response to the request with this id.
func (r *response) answers(id int) bool {
	return r.Method == "" && string(r.ID) == fmt.Sprint(id)
}

func (r *response) outcome() (json.RawMessage, error) {
	if r.Error != nil {
		return nil, r.Error
	}
	return r.Result, nil
}

// introduce is the handshake. It returns what the server says about itself.
func introduce(ctx context.Context, c conn) (json.RawMessage, error) {
	result, err := c.call(ctx, "initialize", map[string]any{
		"protocolVersion": protocol,
		"capabilities":    map[string]any{},
		"clientInfo":      map[string]any{"name": "obedient-client", "version": "1"},
	})
	if err != nil {
		return nil, err
	}
	return result, c.notify(ctx, "notifications/initialized")
}
