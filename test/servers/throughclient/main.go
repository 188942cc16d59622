// Throughclient is the client side of the official suite's client scenarios with
// the gateway in the middle: it starts the gateway in front of the suite's server and
// lets a client use it. In the auth scenarios the gateway is the OAuth client; the
// client here calls a tool and does what the gateway's refusals say, as a person
// would: it runs `gatehouse login` and follows the address that is printed. In all
// other scenarios the client is another program.
//
// Usage: throughclient -gatehouse BINARY [-client BINARY] URL, with
// MCP_CONFORMANCE_SCENARIO and MCP_CONFORMANCE_CONTEXT as the suite sets them.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// maxLogins that one run of a person makes before it gives up.
	maxLogins = 4
	limit     = 25 * time.Second // of the suite it is 30 s
)

func main() {
	gatehouse := flag.String("gatehouse", "", "the gateway's `binary`")
	client := flag.String("client", "", "a `binary` that is the client where it needs no token")
	flag.Parse()
	if flag.NArg() != 1 || *gatehouse == "" {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	if err := run(ctx, *gatehouse, *client, flag.Arg(0)); err != nil {
		log.Fatalf("%s: %v", os.Getenv("MCP_CONFORMANCE_SCENARIO"), err)
	}
}

func run(ctx context.Context, binary, client, server string) error {
	dir, err := os.MkdirTemp("", "throughclient-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	address, err := freeAddress()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "gatehouse.yaml")
	if err := writeConfig(dir, path, address, server); err != nil {
		return err
	}
	stopGateway, err := startGateway(ctx, binary, path, address)
	if err != nil {
		return err
	}
	defer stopGateway()
	if !strings.HasPrefix(os.Getenv("MCP_CONFORMANCE_SCENARIO"), "auth/") {
		program := exec.CommandContext(ctx, client, "http://"+address+"/mcp/up")
		program.Stdout, program.Stderr = os.Stdout, os.Stderr
		return program.Run()
	}
	for logins := 0; ; logins++ {
		err := use(ctx, "http://"+address+"/mcp/up")
		if err == nil || logins == maxLogins || !strings.Contains(err.Error(), "gatehouse login up") {
			return err
		}
		log.Printf("the gateway says: %v", err)
		if err := login(ctx, binary, path); err != nil {
			return fmt.Errorf("logging in: %w", err)
		}
	}
}

// given is what the suite registered beforehand.
type given struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	Issuer       string `json:"issuer"`
	PrivateKey   string `json:"private_key_pem"`
	IdPClientID  string `json:"idp_client_id"`
	IdPIssuer    string `json:"idp_issuer"`
	IDToken      string `json:"idp_id_token"`
	Workload     string `json:"valid_jwt"`
}

func writeConfig(dir, path, address, server string) error {
	var g given
	if text := os.Getenv("MCP_CONFORMANCE_CONTEXT"); text != "" {
		if err := json.Unmarshal([]byte(text), &g); err != nil {
			return fmt.Errorf("MCP_CONFORMANCE_CONTEXT: %w", err)
		}
	}
	auth := map[string]any{
		// Servers and authorization servers of the suite are on this machine.
		"unsafe_addresses": []string{"localhost", "127.0.0.1", "::1"},
	}
	set := func(name, value string) {
		if value != "" {
			auth[name] = value
		}
	}
	secret := func(to map[string]any, name, value string) error {
		if value == "" {
			return nil
		}
		to[name] = "file:" + name
		return os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600)
	}
	set("client_id", g.ClientID)
	set("issuer", g.Issuer)
	problems := []error{secret(auth, "client_secret", g.ClientSecret), secret(auth, "client_key", g.PrivateKey)}
	switch scenario := os.Getenv("MCP_CONFORMANCE_SCENARIO"); {
	case strings.Contains(scenario, "client-credentials"):
		auth["type"] = "client-credentials"
	case g.Workload != "":
		auth["type"] = "workload-identity"
		problems = append(problems, secret(auth, "assertion", g.Workload))
	case g.IDToken != "":
		auth["type"] = "enterprise"
		idp := map[string]any{"issuer": g.IdPIssuer, "client_id": g.IdPClientID}
		problems = append(problems, secret(idp, "id_token", g.IDToken))
		auth["idp"] = idp
	case g.ClientID == "":
		auth["client_metadata_url"] = "https://conformance-test.local/client-metadata.json"
	}
	text, err := json.Marshal(map[string]any{ // JSON is YAML
		"listen": address, "servers": map[string]any{"up": map[string]any{"url": server, "auth": auth}},
	})
	return errors.Join(append(problems, err, os.WriteFile(path, text, 0o600))...)
}

func startGateway(ctx context.Context, binary, path, address string) (stop func(), err error) {
	gateway := exec.Command(binary, "serve", "--config", path)
	gateway.Stdout, gateway.Stderr = os.Stderr, os.Stderr
	if err := gateway.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		gateway.Process.Signal(os.Interrupt)
		gateway.Wait()
	}
	for again := time.NewTicker(10 * time.Millisecond); ; {
		resp, err := http.Get("http://" + address + "/healthz")
		if err == nil {
			resp.Body.Close()
			return stop, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			stop()
			return nil, errors.Join(errors.New("the gateway does not answer"), err)
		}
	}
}

// use is what a client does: it connects, lists the tools and calls one.
func use(ctx context.Context, url string) error {
	client := mcp.NewClient(&mcp.Implementation{Name: "throughclient", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: url, MaxRetries: -1}, nil)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer session.Close()
	if _, err := session.ListTools(ctx, nil); err != nil {
		return fmt.Errorf("listing tools: %w", err)
	}
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "test-tool", Arguments: map[string]any{}})
	if err != nil {
		return fmt.Errorf("calling a tool: %w", err)
	}
	if result.IsError {
		text, _ := json.Marshal(result.Content)
		return fmt.Errorf("calling a tool: %s", text)
	}
	return nil
}

// login does what a person does. The suite's authorization servers allow everything
// at once and send the browser back, here a plain GET.
func login(ctx context.Context, binary, path string) error {
	command := exec.CommandContext(ctx, binary, "login", "--json", "--config", path, "up")
	var problems bytes.Buffer
	command.Stderr = io.MultiWriter(os.Stderr, &problems)
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var said struct {
			URL string `json:"authorization_url"`
		}
		if json.Unmarshal(lines.Bytes(), &said) != nil || said.URL == "" {
			continue
		}
		resp, err := http.Get(said.URL)
		if err != nil {
			log.Printf("following the address: %v", err)
			continue
		}
		resp.Body.Close()
		log.Printf("the browser ends at HTTP status %d", resp.StatusCode)
		if resp.StatusCode != http.StatusOK {
			command.Process.Signal(os.Interrupt) // a person gives up
		}
	}
	if err := command.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, problems.String())
	}
	return nil
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
