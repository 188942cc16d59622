// Command smuggle-gosdk is a smuggling target built on the official Go SDK.
package main

import (
	"context"
	"log"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/servers/internal/smuggle"
)

type noteArguments struct {
	Note string `json:"note"`
}

func main() {
	if err := run(smuggle.Address()); err != nil {
		log.Fatal(err)
	}
}

func run(address string) error {
	server := newServer()
	if address == "" {
		return server.Run(context.Background(), &mcp.StdioTransport{})
	}
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
	return smuggle.Serve(address, handler)
}

func newServer() *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: "smuggle-gosdk", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: smuggle.ReadTool, Description: smuggle.ReadDescription}, readNote)
	mcp.AddTool(server, &mcp.Tool{Name: smuggle.DeleteTool, Description: smuggle.DeleteDescription}, deleteNote)
	return server
}

func readNote(_ context.Context, _ *mcp.CallToolRequest, in noteArguments) (*mcp.CallToolResult, any, error) {
	return textResult(smuggle.Read(in.Note)), nil, nil
}

func deleteNote(_ context.Context, _ *mcp.CallToolRequest, in noteArguments) (*mcp.CallToolResult, any, error) {
	text, err := smuggle.Delete(in.Note)
	if err != nil {
		return nil, nil, err
	}
	return textResult(text), nil, nil
}

func textResult(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}
