package downstream

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/wire"
)

// streamed is a stream that a client reads.
type streamed struct {
	*http.Response
	r *bufio.Reader
}

// open sends a request of a client that may leave again.
func (f *front) open(t *testing.T, method, body string, headers ...string) (*streamed, context.CancelFunc) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	req, err := http.NewRequestWithContext(ctx, method, f.URL+"/mcp/files", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return &streamed{resp, bufio.NewReader(resp.Body)}, leave
}

// event is the next event: its id and its data.
func (s *streamed) event(t *testing.T) (id, data string) {
	t.Helper()
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			t.Fatalf("reading %q: %v", line, err)
		}
		line = strings.TrimSuffix(line, "\n")
		if value, ok := strings.CutPrefix(line, "id: "); ok {
			id = value
		}
		if value, ok := strings.CutPrefix(line, "data: "); ok {
			data = value
		}
		if line == "" {
			return id, data
		}
	}
}

func (s *streamed) want(t *testing.T, data string) (id string) {
	t.Helper()
	id, got := s.event(t)
	if !strings.HasPrefix(got, data) || data == "" && got != "" {
		t.Fatalf("got %s, want %s", got, data)
	}
	return id
}

func (s *streamed) wantEnd(t *testing.T) {
	t.Helper()
	if rest, err := io.ReadAll(s.r); err != nil || len(rest) > 0 {
		t.Errorf("the stream goes on: %q, %v", rest, err)
	}
}

const newest = "2025-11-25"

func Test_a_lost_stream_is_resumed_with_the_answer(t *testing.T) {
	for _, version := range []string{"2025-03-26", "2025-06-18", newest} {
		t.Run(version, func(t *testing.T) {
			f := newFront(t)
			id := f.session(t)
			head := []string{headerSession, id, headerVersion, version}
			call, leave := f.open(t, "POST", callOf("5", "talks"), head...)
			if version == newest {
				if id := call.want(t, ""); id == "" {
					t.Error("the first event has no id")
				}
			}
			last := call.want(t, noteOf("one"))
			leave()
			<-f.backend.held
			close(f.backend.hold)

			again, _ := f.open(t, "GET", "", append(head, "Last-Event-ID", last)...)
			two := again.want(t, noteOf("two"))
			answer := again.want(t, `{"jsonrpc":"2.0","id":5,"result"`)
			again.wantEnd(t)
			if two == last || answer == two || two == "" || answer == "" {
				t.Errorf("ids %s, %s, %s", last, two, answer)
			}
			once, _ := f.open(t, "GET", "", append(head, "Last-Event-ID", two)...)
			once.want(t, `{"jsonrpc":"2.0","id":5,"result"`)
			once.wantEnd(t)
		})
	}
}

// "63 … bind <user>:<session> server-side (also queues, event store …)": an id of
// another session is worth nothing.
func Test_nothing_is_replayed_for_an_id_that_is_not_the_sessions(t *testing.T) {
	f := newFront(t)
	mine, other := f.session(t), f.session(t)
	call, _ := f.open(t, "POST", callOf("5", "noisy"), headerSession, mine)
	last := call.want(t, noteOf("one"))
	for name, tt := range map[string]struct {
		headers []string
		want    int
	}{
		"another session's": {[]string{headerSession, other, "Last-Event-ID", last}, 400},
		"no session":        {[]string{headerSession, "", "Last-Event-ID", last}, 405},
		"a wrong session":   {[]string{headerSession, "guess", "Last-Event-ID", last}, 404},
		"a made-up id":      {[]string{headerSession, mine, "Last-Event-ID", "AAAAAAAAAAAAAAAA-0"}, 400},
		"an id ahead":       {[]string{headerSession, mine, "Last-Event-ID", last[:17] + "9"}, 400},
		"modern":            {[]string{headerSession, mine, headerVersion, wire.ModernVersion, "Last-Event-ID", last}, 405},
	} {
		r := f.send(t, "GET", "/mcp/files", "", tt.headers...)
		if body := bodyOf(t, r); r.StatusCode != tt.want || strings.Contains(body, "two") {
			t.Errorf("%s: %d %s", name, r.StatusCode, body)
		}
	}
}

func Test_the_standing_stream_is_resumed(t *testing.T) {
	f := newFront(t)
	id := f.session(t)
	head := []string{headerSession, id, headerVersion, newest}
	stream, leave := f.open(t, "GET", "", head...)
	first := stream.want(t, "")
	stream.want(t, noteOf("starting"))
	leave()
	again, _ := f.open(t, "GET", "", append(head, "Last-Event-ID", first)...)
	again.want(t, noteOf("starting")) // it may have been lost
	f.backend.news <- noteOf("later")
	again.want(t, noteOf("later"))
}

// A client of 2025-11-25 learns where to come back to before its call takes long.
func Test_a_long_call_can_be_resumed_though_nothing_came_ahead(t *testing.T) {
	f := newFront(t)
	head := []string{headerSession, f.session(t), headerVersion, newest}
	call, leave := f.open(t, "POST", callOf("5", "held"), head...)
	last := call.want(t, "")
	leave()
	<-f.backend.held
	close(f.backend.hold)
	again, _ := f.open(t, "GET", "", append(head, "Last-Event-ID", last)...)
	again.want(t, `{"jsonrpc":"2.0","id":5,"result"`)
	again.wantEnd(t)
}

func modernBody(tool string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":%q,"arguments":{},"_meta":{%q:%q,%q:{},%q:"info"}}}`,
		tool, wire.MetaVersion, wire.ModernVersion, wire.MetaCapabilities, "io.modelcontextprotocol/logLevel")
}

func modernCall(t *testing.T, f *front, tool string) (*streamed, context.CancelFunc) {
	t.Helper()
	return f.open(t, "POST", modernBody(tool), headerVersion, wire.ModernVersion, "Mcp-Method", "tools/call", "Mcp-Name", tool)
}

func Test_a_modern_stream_has_no_ids_and_its_end_cancels(t *testing.T) {
	f := newFront(t)
	call, leave := modernCall(t, f, "talks")
	if id := call.want(t, noteOf("one")); id != "" {
		t.Errorf("an event has the id %s", id)
	}
	if session := call.Header.Get(headerSession); session != "" {
		t.Errorf("a session began: %s", session)
	}
	<-f.backend.held
	leave()
	select {
	case <-f.backend.gone:
	case <-time.After(soon):
		t.Error("the server was not told")
	}
}

func Test_the_end_of_a_legacy_stream_cancels_nothing(t *testing.T) {
	f := newFront(t)
	id := f.session(t)
	call, leave := f.open(t, "POST", callOf("5", "talks"), headerSession, id)
	last := call.want(t, noteOf("one"))
	<-f.backend.held
	leave()
	again, _ := f.open(t, "GET", "", headerSession, id, "Last-Event-ID", last)
	select {
	case <-f.backend.gone:
		t.Fatal("the call was cancelled")
	default:
	}
	close(f.backend.hold)
	again.want(t, noteOf("two"))
	again.want(t, `{"jsonrpc":"2.0","id":5,"result"`)
}

// A client that does not read must not hold up the server that speaks to it, nor
// anybody else who uses that server.
func Test_a_client_that_does_not_read_holds_up_nobody(t *testing.T) {
	f := newFront(t)
	conn, err := net.Dial("tcp", f.http.Bound.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(smallBuffer)
	id := f.session(t)
	body := callOf("5", "flood")
	fmt.Fprintf(conn, "POST /mcp/files HTTP/1.1\r\nHost: localhost:%s\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\nMcp-Session-Id: %s\r\nContent-Length: %d\r\n\r\n%s",
		f.port(), id, len(body), body)
	// The head says that the stream began; the client reads no more.
	r, err := http.ReadResponse(bufio.NewReaderSize(conn, 1<<10), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	began := time.Now()
	for i := range 3 {
		r := f.send(t, "POST", "/mcp/files", callOf(fmt.Sprint(i), "echo"), headerSession, id)
		if got := bodyOf(t, r); r.StatusCode != 200 || !json.Valid([]byte(got)) {
			t.Errorf("%d %s", r.StatusCode, got)
		}
	}
	if took := time.Since(began); took > writeTimeout/2 {
		t.Errorf("it took %v", took)
	}
	// When it reads at last, nothing is missing.
	stream := bufio.NewReader(r.Body)
	for n := range floodEvents {
		if got := next(t, stream); got != noteOf(strings.Repeat("x", floodSize)) {
			t.Fatalf("event %d: %.100s", n, got)
		}
	}
	if got := next(t, stream); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":5,"result"`) {
		t.Errorf("got %.100s", got)
	}
}

// A modern client that does not read cannot come back for what it missed, so its
// call ends.
func Test_a_modern_client_that_does_not_read_is_cancelled(t *testing.T) {
	f := newFront(t)
	conn, err := net.Dial("tcp", f.http.Bound.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(smallBuffer)
	body := modernBody("torrent")
	fmt.Fprintf(conn, "POST /mcp/files HTTP/1.1\r\nHost: localhost:%s\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n"+
		"Mcp-Protocol-Version: %s\r\nMcp-Method: tools/call\r\nMcp-Name: torrent\r\nContent-Length: %d\r\n\r\n%s", f.port(), wire.ModernVersion, len(body), body)
	select {
	case <-f.backend.gone:
	case <-time.After(writeTimeout / 2): // it need not wait for a write to time out
		t.Fatal("the call goes on")
	}
	answer, err := io.ReadAll(conn)
	if strings.Contains(string(answer), `"id":5`) {
		t.Errorf("an answer came: %v", err)
	}
}
