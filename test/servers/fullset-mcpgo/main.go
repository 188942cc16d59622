// Command fullset-mcpgo is a server built on mark3labs/mcp-go that has one of
// everything a client may want: a tool that answers, one that asks the user, one
// that asks the model, one that takes long, and a resource that changes. It speaks
// both eras on standard input and output.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

const (
	noteURI  = "note://today"
	noteText = "buy milk"
	// traceVariable names the environment variable with the path of a file that
	// gets a line for every call of wait that was cancelled.
	traceVariable = "MATRIX_TRACE"
	// longest bounds wait for a client that never cancels, pace is how often it
	// says that it still works.
	longest = time.Minute
	pace    = 100 * time.Millisecond
)

func main() {
	if err := server.ServeStdio(newServer()); err != nil {
		log.Fatal(err)
	}
}

func newServer() *server.MCPServer {
	open := &listens{ids: map[any]bool{}}
	srv := server.NewMCPServer("fullset-mcpgo", "1.0.0", server.WithHooks(open.hooks()),
		server.WithToolCapabilities(false), server.WithResourceCapabilities(true, false), server.WithElicitation())
	srv.EnableSampling()
	srv.AddTool(mcp.NewTool("echo", mcp.WithDescription("Returns the text."), mcp.WithString("text", mcp.Required())), echo)
	srv.AddTool(mcp.NewTool("ask", mcp.WithDescription("Asks the user for a name.")), ask)
	srv.AddTool(mcp.NewTool("think", mcp.WithDescription("Asks the model for a word.")), think)
	srv.AddTool(mcp.NewTool("wait", mcp.WithDescription("Waits until it is cancelled."), mcp.WithString("token", mcp.Required())), wait)
	srv.AddTool(mcp.NewTool("touch", mcp.WithDescription("Says that the note has changed.")), open.touch)
	srv.AddResource(mcp.NewResource(noteURI, "note", mcp.WithMIMEType("text/plain")), readNote)
	return srv
}

func echo(_ context.Context, call mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultText("echo: " + call.GetString("text", "")), nil
}

func ask(_ context.Context, call mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	const id = "name"
	answer := server.ElicitationResponse(call.Params.InputResponses, id)
	if answer == nil {
		schema := map[string]any{
			"type": "object", "required": []string{"name"},
			"properties": map[string]any{"name": map[string]any{"type": "string"}},
		}
		return server.NewInputRequestBuilder("").
			Elicit(id, mcp.ElicitationParams{Message: "Who is there?", RequestedSchema: schema}).ToolResult(), nil
	}
	content, err := json.Marshal(answer.Content)
	if err != nil {
		return nil, err
	}
	return mcp.NewToolResultText(fmt.Sprintf("%s %s", answer.Action, content)), nil
}

func think(_ context.Context, call mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	const id = "word"
	answer := server.SamplingResponse(call.Params.InputResponses, id)
	if answer == nil {
		question := mcp.SamplingMessage{Role: mcp.RoleUser, Content: mcp.NewTextContent("Say a word.")}
		return server.NewInputRequestBuilder("").
			Sample(id, mcp.CreateMessageParams{Messages: []mcp.SamplingMessage{question}, MaxTokens: 10}).ToolResult(), nil
	}
	content, err := json.Marshal(answer.Content)
	if err != nil {
		return nil, err
	}
	return mcp.NewToolResultText("the model said " + string(content)), nil
}

func wait(ctx context.Context, call mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	again := time.NewTicker(pace)
	defer again.Stop()
	end := time.After(longest)
	for said := 1; ; said++ {
		if err := progress(ctx, call, said); err != nil {
			return nil, err
		}
		select {
		case <-again.C:
		case <-end:
			return mcp.NewToolResultText("nobody cancelled"), nil
		case <-ctx.Done():
			return nil, trace("cancelled " + call.GetString("token", ""))
		}
	}
}

// progress reports to a client that wants to hear of it.
func progress(ctx context.Context, call mcp.CallToolRequest, said int) error {
	if call.Params.Meta == nil || call.Params.Meta.ProgressToken == nil {
		return nil
	}
	err := server.ServerFromContext(ctx).SendNotificationToClient(ctx, string(mcp.MethodNotificationProgress),
		map[string]any{"progressToken": call.Params.Meta.ProgressToken, "progress": said})
	if err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// listens are the open subscriptions/listen streams. The SDK opens them and leaves
// it to a server to say which of them an update is for.
type listens struct {
	mu  sync.Mutex // guards ids
	ids map[any]bool
}

func (l *listens) hooks() *server.Hooks {
	hooks := &server.Hooks{}
	hooks.AddBeforeSubscriptionsListen(func(_ context.Context, id any, _ *mcp.SubscriptionsListenRequest) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ids[id] = true
	})
	hooks.AddAfterSubscriptionsListen(func(_ context.Context, id any, _ *mcp.SubscriptionsListenRequest, _ *mcp.SubscriptionsListenResult) {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.ids, id)
	})
	return hooks
}

// touch sends one update for each stream, and one without a stream to a client of
// the initialize-based revisions.
func (l *listens) touch(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	updates := []mcp.JSONRPCNotification{updated(nil)}
	if mcp.IsModernProtocol(server.RequestProtocolVersion(ctx)) {
		updates = nil
		l.mu.Lock()
		for id := range l.ids {
			updates = append(updates, updated(map[string]any{mcp.MetaKeySubscriptionID: id}))
		}
		l.mu.Unlock()
	}
	for _, update := range updates {
		select {
		case server.ClientSessionFromContext(ctx).NotificationChannel() <- update:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return mcp.NewToolResultText("touched"), nil
}

func updated(meta map[string]any) mcp.JSONRPCNotification {
	params := mcp.NotificationParams{Meta: meta, AdditionalFields: map[string]any{"uri": noteURI}}
	return mcp.JSONRPCNotification{
		JSONRPC:      mcp.JSONRPC_VERSION,
		Notification: mcp.Notification{Method: string(mcp.MethodNotificationResourceUpdated), Params: params},
	}
}

func readNote(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
	return []mcp.ResourceContents{mcp.TextResourceContents{URI: noteURI, MIMEType: "text/plain", Text: noteText}}, nil
}

func trace(line string) error {
	file, err := os.OpenFile(os.Getenv(traceVariable), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(file, line); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
