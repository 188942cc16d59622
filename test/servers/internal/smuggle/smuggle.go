// Package smuggle is what the smuggling targets share: two tools, one harmless
// and one dangerous, and a trace on disk of every execution of the dangerous
// one. A test sends a message that a careless gateway reads as a call of the
// harmless tool while the server reads it as a call of the dangerous one; the
// trace shows which of them ran.
package smuggle

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// LogVariable names the environment variable with the path of the trace file.
const LogVariable = "SMUGGLE_LOG"

// The two tools and what a model is told of them. Both take one string named
// note.
const (
	ReadTool          = "read_note"
	ReadDescription   = "Returns the text of a note."
	DeleteTool        = "delete_note"
	DeleteDescription = "Deletes a note for good."
)

// Address reads the command line: the value of -http, or "" for stdio.
func Address() string {
	address := flag.String("http", "", "serve Streamable HTTP on this `address` instead of stdio; port 0 picks a free port")
	flag.Parse()
	return *address
}

// Read is what the harmless tool answers.
func Read(note string) string { return "note " + note + ": buy milk" }

// Delete is the dangerous tool: it appends one line to the trace file.
func Delete(note string) (string, error) {
	path := os.Getenv(LogVariable)
	if path == "" {
		return "", fmt.Errorf("%s names no file", LogVariable)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(file, "%s %s\n", DeleteTool, note); err != nil {
		file.Close()
		return "", err
	}
	return "deleted " + note, file.Close()
}

// Serve answers HTTP on the address and prints the URL to standard error.
func Serve(address string, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "listening on http://%s/mcp\n", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}
