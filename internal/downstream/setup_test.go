package downstream

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/gateway"
	"gatehouse/internal/rules"
	"gatehouse/internal/wire"
)

// soon is far longer than anything here takes.
const soon = 10 * time.Second

// backend is a small MCP server of both eras.
type backend struct {
	*httptest.Server
	hold chan struct{} // the tool "held" answers when it is closed
	held chan struct{} // "held" was called
	gone chan struct{} // the call of "held" was cancelled
	news chan string   // for the standing stream
}

func newBackend(t testing.TB) *backend {
	b := &backend{hold: make(chan struct{}), held: make(chan struct{}, 100), gone: make(chan struct{}, 100), news: make(chan string, 10)}
	b.Server = httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(b.Server.Close)
	t.Cleanup(b.Server.CloseClientConnections)
	return b
}

func (b *backend) serve(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case text := <-b.news:
				fmt.Fprintf(w, "data: %s\n\n", text)
			}
		}
	case http.MethodPost:
		b.post(w, r)
	}
}

func (b *backend) post(w http.ResponseWriter, r *http.Request) {
	var m struct {
		ID     json.RawMessage
		Method string
		Params struct {
			Name            string
			ProtocolVersion string
		}
	}
	raw, _ := io.ReadAll(r.Body)
	if json.Unmarshal(raw, &m) != nil || m.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	note := `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"%s"}}`
	var events []string
	result := `{}`
	switch m.Method {
	case wire.MethodDiscover:
		result = fmt.Sprintf(`{"resultType":"complete","supportedVersions":[%q,"2025-11-25"],"capabilities":{"tools":{},"logging":{}}}`, wire.ModernVersion)
	case "initialize":
		w.Header().Set("Mcp-Session-Id", "of-the-backend")
		events = []string{fmt.Sprintf(note, "starting")}
		result = fmt.Sprintf(`{"protocolVersion":%q,"capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"backend","version":"1"}}`, m.Params.ProtocolVersion)
	case "tools/list":
		var tools []string
		for _, name := range []string{"echo", "held", "talks", "noisy", "flood", "torrent"} {
			tools = append(tools, fmt.Sprintf(`{"name":%q,"inputSchema":{"type":"object"}}`, name))
		}
		result = `{"tools":[` + strings.Join(tools, ",") + `]}`
	case "tools/call":
		result = fmt.Sprintf(`{"content":[{"type":"text","text":%q}]}`, m.Params.Name)
		switch m.Params.Name {
		case "noisy":
			events = []string{fmt.Sprintf(note, "one"), fmt.Sprintf(note, "two")}
		case "flood":
			for range floodEvents {
				events = append(events, fmt.Sprintf(note, strings.Repeat("x", floodSize)))
			}
		case "torrent": // says more than may wait for a client, and goes on when it is held
			w.Header().Set("Content-Type", "text/event-stream")
			for range 3 * floodEvents {
				fmt.Fprintf(w, "data: %s\n\n", fmt.Sprintf(note, strings.Repeat("x", floodSize)))
			}
			_ = http.NewResponseController(w).Flush()
			if !b.wait(r) {
				return
			}
		case "talks": // says something and goes on when it is held
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "data: %s\n\n", fmt.Sprintf(note, "one"))
			_ = http.NewResponseController(w).Flush()
			if !b.wait(r) {
				return
			}
			events = []string{fmt.Sprintf(note, "two")}
		case "held":
			if !b.wait(r) {
				return
			}
		}
	}
	answer := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)
	if events == nil {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range append(events, answer) {
		fmt.Fprintf(w, "data: %s\n\n", e)
	}
}

// wait waits to be let go, and reports whether it was before the caller left.
func (b *backend) wait(r *http.Request) bool {
	b.held <- struct{}{}
	select {
	case <-b.hold:
		return true
	case <-r.Context().Done():
		b.gone <- struct{}{}
		return false
	}
}

// A flood is more than what sockets buffer, and less than what may wait.
const floodEvents, floodSize = 100, 30_000

func newGateway(t testing.TB, b *backend) *gateway.Gateway {
	t.Helper()
	c := config.Default(filepath.Join(t.TempDir(), "gatehouse.yaml"))
	c.Servers = []config.Server{{ID: "files", URL: b.URL, Approve: config.FirstUse, Era: config.Auto, Timeout: time.Minute}}
	if err := c.EnsureState(); err != nil {
		t.Fatal(err)
	}
	trail, err := audit.Open(filepath.Join(c.State, "audit"), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
	})
	book, err := approval.Open(c.Lock, filepath.Join(c.State, "pending"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{Config: c, Rules: rules.All(), Book: book, Audit: trail, Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

const hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`

func callOf(id, tool string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":%q,"arguments":{}}}`, id, tool)
}
