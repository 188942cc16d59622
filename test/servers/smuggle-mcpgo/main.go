// Command smuggle-mcpgo is a smuggling target built on mark3labs/mcp-go, whose
// decoder takes member names without regard to case.
package main

import (
	"context"
	"log"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"gatehouse/test/servers/internal/smuggle"
)

func main() {
	if err := run(smuggle.Address()); err != nil {
		log.Fatal(err)
	}
}

func run(address string) error {
	srv := newServer()
	if address == "" {
		return server.ServeStdio(srv)
	}
	return smuggle.Serve(address, server.NewStreamableHTTPServer(srv))
}

func newServer() *server.MCPServer {
	srv := server.NewMCPServer("smuggle-mcpgo", "1.0.0", server.WithToolCapabilities(false))
	srv.AddTool(noteTool(smuggle.ReadTool, smuggle.ReadDescription), readNote)
	srv.AddTool(noteTool(smuggle.DeleteTool, smuggle.DeleteDescription), deleteNote)
	return srv
}

func noteTool(name, description string) mcp.Tool {
	return mcp.NewTool(name, mcp.WithDescription(description), mcp.WithString("note", mcp.Required()))
}

func readNote(_ context.Context, call mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultText(smuggle.Read(call.GetString("note", ""))), nil
}

func deleteNote(_ context.Context, call mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	text, err := smuggle.Delete(call.GetString("note", ""))
	if err != nil {
		return mcp.NewToolResultError(err.Error()), nil
	}
	return mcp.NewToolResultText(text), nil
}
