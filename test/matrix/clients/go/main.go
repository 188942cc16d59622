// Command matrix-client drives the Go SDK over Streamable HTTP. Input, output and
// steps are those of the TypeScript drivers, see ../ts/steps.mjs.
//
//lint:file-ignore SA1019 the table says what becomes of sampling as long as it exists
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// stepTimeout is how long one step may take; what takes longer has failed.
	stepTimeout = time.Minute
	// updateTimeout is how long an update may take; one server sends one every three
	// seconds and not when it is asked to.
	updateTimeout = 10 * time.Second
)

// versions are the revisions that a client of each era offers.
var versions = map[string]string{"legacy": "2025-11-25", "modern": "2026-07-28", "auto": ""}

type job struct {
	Client  string
	Era     string
	Targets []target
}

type target struct {
	Name  string
	URL   string
	Steps []step
}

type step struct {
	Op        string
	Tool      string
	Arguments map[string]any
	URI       string
	Answer    map[string]any
	When      string
}

type result struct {
	Text  string `json:"text,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	stdin := bufio.NewReader(os.Stdin)
	var given job
	line, err := stdin.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &given)
	}
	if err != nil {
		log.Fatal(err)
	}
	results := map[string]map[string]result{}
	var open []*connection
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, t := range given.Targets {
		all.Go(func() {
			c, found := run(context.Background(), given, t)
			mu.Lock()
			defer mu.Unlock()
			results[t.Name] = found
			open = append(open, c)
		})
	}
	all.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, stdin); err != nil {
		log.Fatal(err)
	}
	for _, c := range open {
		if c.session != nil {
			c.session.Close()
		}
	}
}

// run goes through the steps of one target over one connection, and leaves it open.
func run(ctx context.Context, j job, t target) (*connection, map[string]result) {
	results := map[string]result{}
	c := &connection{updates: make(chan string, 16)}
	err := c.connect(ctx, j, t.URL)
	for _, s := range t.Steps {
		if err != nil {
			results[s.Op] = result{Error: err.Error()}
			continue
		}
		text, err := c.step(ctx, s)
		if err != nil {
			results[s.Op] = result{Error: fmt.Sprintf("%v (the last answers: %s)", err, c.heard.text())}
			continue
		}
		results[s.Op] = result{Text: text}
	}
	return c, results
}

// connection is a session and what its handlers answer at present.
type connection struct {
	session *mcp.ClientSession
	updates chan string
	heard   heard

	mu    sync.Mutex // guards what follows
	asked func(context.Context) (*mcp.ElicitResult, error)
	stop  context.CancelFunc
}

func (c *connection) connect(ctx context.Context, j job, url string) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	client := mcp.NewClient(&mcp.Implementation{Name: j.Client, Version: "1.0.0"}, &mcp.ClientOptions{
		ElicitationHandler: func(ctx context.Context, _ *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			c.mu.Lock()
			answer := c.asked
			c.mu.Unlock()
			return answer(ctx)
		},
		CreateMessageHandler: func(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			return &mcp.CreateMessageResult{Role: "assistant", Model: "none", Content: &mcp.TextContent{Text: "sampled by the client"}}, nil
		},
		ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) {
			select {
			case c.updates <- r.Params.URI:
			default: // one is enough
			}
		},
		ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.stop != nil {
				c.stop()
			}
		},
	})
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: &c.heard}},
		&mcp.ClientSessionOptions{ProtocolVersion: versions[j.Era]})
	c.session = session
	return err
}

func (c *connection) step(ctx context.Context, s step) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	switch s.Op {
	case "list":
		listed, err := c.session.ListTools(ctx, nil)
		if err != nil {
			return "", err
		}
		var names []string
		for _, tool := range listed.Tools {
			names = append(names, tool.Name)
		}
		return strings.Join(names, " "), nil
	case "call", "sample":
		return c.call(ctx, s)
	case "read":
		return c.read(ctx, s.URI)
	case "subscribe":
		return c.subscribe(ctx, s)
	case "elicit":
		c.mu.Lock()
		c.asked = func(context.Context) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: s.Answer}, nil
		}
		c.mu.Unlock()
		return c.call(ctx, s)
	case "cancel":
		return c.cancel(ctx, s)
	}
	return "", fmt.Errorf("unknown step %q", s.Op)
}

func (c *connection) call(ctx context.Context, s step) (string, error) {
	params := &mcp.CallToolParams{Name: s.Tool, Arguments: map[string]any{}}
	if s.Arguments != nil {
		params.Arguments = s.Arguments
	}
	if s.Op == "cancel" {
		params.SetProgressToken("matrix")
	}
	answer, err := c.session.CallTool(ctx, params)
	if err != nil {
		return "", err
	}
	var said []string
	for _, block := range answer.Content {
		if text, ok := block.(*mcp.TextContent); ok {
			said = append(said, text.Text)
		}
	}
	if answer.IsError {
		return "", fmt.Errorf("tool error: %s", strings.Join(said, " "))
	}
	return strings.Join(said, " "), nil
}

func (c *connection) read(ctx context.Context, uri string) (string, error) {
	answer, err := c.session.ReadResource(ctx, &mcp.ReadResourceParams{URI: uri})
	if err != nil {
		return "", err
	}
	var texts []string
	for _, part := range answer.Contents {
		texts = append(texts, part.Text)
	}
	return strings.Join(texts, " "), nil
}

func (c *connection) subscribe(ctx context.Context, s step) (string, error) {
	if err := c.session.Subscribe(ctx, &mcp.SubscribeParams{URI: s.URI}); err != nil {
		return "", err
	}
	if s.Tool != "" {
		if _, err := c.call(ctx, s); err != nil {
			return "", err
		}
	}
	select {
	case uri := <-c.updates:
		return "updated " + uri, nil
	case <-time.After(updateTimeout):
		return "", errors.New("no update came")
	}
}

// cancel ends a call at its first progress, or when its server asks the user.
func (c *connection) cancel(whole context.Context, s step) (string, error) {
	ctx, cancel := context.WithCancel(whole)
	defer cancel()
	c.mu.Lock()
	if s.When == "asked" {
		c.asked = func(ctx context.Context) (*mcp.ElicitResult, error) {
			cancel()
			<-ctx.Done() // and never answers
			return nil, ctx.Err()
		}
	} else {
		c.stop = cancel
	}
	c.mu.Unlock()
	said, err := c.call(ctx, s)
	switch {
	case errors.Is(err, context.Canceled):
		_, err := c.session.ListTools(whole, nil) // the connection outlives the call
		return "cancelled", err
	case err != nil:
		return "", err
	}
	return "", fmt.Errorf("not cancelled, answered %s", said)
}

// heard keeps the end of what came over HTTP, for the report of an error: the SDK's
// errors do not say what they could not read.
type heard struct {
	mu   sync.Mutex
	last []byte
}

// maxHeard is a few short answers.
const maxHeard = 4 << 10

func (h *heard) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		h.keep(fmt.Appendf(nil, "\n%s: %v", r.Method, err))
		return nil, err
	}
	h.keep(fmt.Appendf(nil, "\n%s: %s %s: ", r.Method, answer.Status, answer.Header.Get("Content-Type")))
	answer.Body = &hearing{ReadCloser: answer.Body, to: h}
	return answer, nil
}

func (h *heard) keep(text []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = append(h.last, text...)
	h.last = h.last[max(0, len(h.last)-maxHeard):]
}

func (h *heard) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.last)
}

// hearing is the body of one answer.
type hearing struct {
	io.ReadCloser
	to *heard
}

func (b *hearing) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.to.keep(p[:n])
	return n, err
}
