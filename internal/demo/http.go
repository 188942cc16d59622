package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// httpConn is a Streamable HTTP endpoint.
type httpConn struct {
	url     string
	session string
	lastID  int
}

func (c *httpConn) call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	c.lastID++
	resp, err := c.send(ctx, http.MethodPost, request{JSONRPC: "2.0", ID: c.lastID, Method: method, Params: params})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" {
		c.session = id
	}
	body := io.LimitReader(resp.Body, maxMessage)
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return c.fromEvents(body)
	}
	var r response
	if err := json.NewDecoder(body).Decode(&r); err != nil {
		return nil, fmt.Errorf("%s: status %s: %w", method, resp.Status, err)
	}
	return r.outcome()
}

// fromEvents finds the answer among server-sent events, one message in each.
func (c *httpConn) fromEvents(body io.Reader) (json.RawMessage, error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxMessage)
	for lines.Scan() {
		data, isData := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		var r response
		if isData && json.Unmarshal(data, &r) == nil && r.answers(c.lastID) {
			return r.outcome()
		}
	}
	return nil, errors.Join(errors.New("the stream ended without an answer"), lines.Err())
}

func (c *httpConn) notify(ctx context.Context, method string) error {
	resp, err := c.send(ctx, http.MethodPost, request{JSONRPC: "2.0", Method: method})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%s: status %s", method, resp.Status)
	}
	return nil
}

func (c *httpConn) close() {
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	// The gateway ends right after this, with or without the session.
	if resp, err := c.send(ctx, http.MethodDelete, nil); err == nil {
		resp.Body.Close()
	}
}

func (c *httpConn) send(ctx context.Context, method string, message any) (*http.Response, error) {
	body, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if c.session != "" {
		req.Header.Set("Mcp-Session-Id", c.session)
		req.Header.Set("MCP-Protocol-Version", protocol)
	}
	return http.DefaultClient.Do(req)
}
