package downstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/gateway"
	"gatehouse/internal/wire"
)

const testBytes = 64 << 10

// smallBuffer is what the system holds for a client that does not read, on each
// side.
const smallBuffer = 128 << 10

// front is the gateway as clients reach it.
type front struct {
	URL     string
	http    *HTTP
	backend *backend
	client  *http.Client
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{backend: newBackend(t)}
	f.http = &HTTP{Gateway: newGateway(t, f.backend),
		Bytes: func() int { return testBytes }, Origins: func() []string { return []string{"https://app.example.com", "https://other.example.com:8443"} }}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	f.client = &http.Client{Transport: transport}
	server := &Server{HTTP: &http.Server{Handler: f.http.Handler(), IdleTimeout: time.Minute}, Log: slog.New(slog.DiscardHandler)}
	f.listen(t, "http://", server.Serve, server)
	return f
}

// listen serves on a new address until the test ends.
func (f *front) listen(t *testing.T, scheme string, serve func(net.Listener) error, server io.Closer) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.http.Bound = netip.MustParseAddrPort(l.Addr().String())
	f.URL = scheme + "localhost:" + f.port()
	ended := make(chan error, 1)
	go func() { ended <- serve(narrow{l}) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serving ended with %v", err)
		}
	})
}

// narrow makes the system hold little for a client that does not read.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		_ = c.(*net.TCPConn).SetWriteBuffer(smallBuffer)
	}
	return c, err
}

func (f *front) port() string { return fmt.Sprint(f.http.Bound.Port()) }

// send sends a request; headers are name and value in turn, "" takes one away.
func (f *front) send(t *testing.T, method, path, body string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for pair := range slices.Chunk(headers, 2) {
		switch {
		case pair[0] == "Host":
			req.Host = pair[1]
		case pair[1] == "":
			req.Header.Del(pair[0])
		default:
			req.Header[pair[0]] = strings.Split(pair[1], " AND ")
		}
	}
	resp, err := f.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// session begins a session on /mcp/files.
func (f *front) session(t *testing.T) string {
	t.Helper()
	r := f.send(t, "POST", "/mcp/files", hello)
	id := r.Header.Get(headerSession)
	if body := bodyOf(t, r); r.StatusCode != 200 || id == "" {
		t.Fatalf("initialize: %d, session %q, %s", r.StatusCode, id, body)
	}
	if r := f.send(t, "POST", "/mcp/files", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, headerSession, id); r.StatusCode != http.StatusAccepted {
		t.Fatalf("initialized: %d %s", r.StatusCode, bodyOf(t, r))
	}
	return id
}

// A web page that rebinds its name to 127.0.0.1 sends that name as Host.
func Test_only_names_of_this_machine_may_stand_in_host(t *testing.T) {
	f := newFront(t)
	for host, allowed := range map[string]bool{
		"127.0.0.1:" + f.port():          true,
		"localhost:" + f.port():          true,
		"LOCALHOST:" + f.port():          true,
		"[::1]:" + f.port():              true,
		"127.8.8.8:" + f.port():          true,
		"[::ffff:127.0.0.1]:" + f.port(): true,
		"evil.example.com:" + f.port():   false,
		"evil.example.com":               false,
		"localhost.evil.com:" + f.port(): false,
		"127.0.0.1.nip.io:" + f.port():   false,
		"localhost.:" + f.port():         false,
		"0.0.0.0:" + f.port():            false,
		"192.168.1.1:" + f.port():        false,
		"[2001:db8::1]:" + f.port():      false,
		"2130706433:" + f.port():         false,
		"127.1:" + f.port():              false,
		"0x7f.0.0.1:" + f.port():         false,
		"localhost:1":                    false,
		"localhost":                      false,
		"[::1]":                          false,
		"localhost:":                     false,
		":" + f.port():                   false,
	} {
		for _, path := range []string{"/healthz", "/mcp", "/mcp/files"} {
			r := f.send(t, "GET", path, "", "Host", host)
			if got := r.StatusCode != http.StatusForbidden; got != allowed {
				t.Errorf("Host %s on %s: status %d", host, path, r.StatusCode)
			}
		}
	}
}

func Test_only_known_origins_may_speak(t *testing.T) {
	f := newFront(t)
	for origin, allowed := range map[string]bool{
		"":                                true, // no browser
		"http://localhost:5173":           true,
		"https://127.0.0.1":               true,
		"http://[::1]:9000":               true,
		"HTTP://LOCALHOST:5173":           true,
		"https://app.example.com":         true,
		"https://other.example.com:8443":  true,
		"https://other.example.com":       false,
		"http://app.example.com":          false,
		"https://app.example.com:444":     false,
		"https://app.example.com.evil.io": false,
		"https://evil.example.com":        false,
		"http://localhost.evil.com":       false,
		"http://localhost@evil.com":       false,
		"http://127.0.0.1.nip.io":         false,
		"null":                            false,
		"file://":                         false,
		"file://localhost":                false,
		"chrome-extension://localhost":    false,
		"localhost":                       false,
		"http://0.0.0.0":                  false,
		"http://":                         false,
		"http://[::1":                     false,
		"http://localhost AND http://evil.example.com": false,
		"http://localhost AND http://localhost":        false,
	} {
		r := f.send(t, "POST", "/mcp/files", hello, "Origin", origin)
		if got := r.StatusCode == http.StatusOK; got != allowed || !allowed && r.StatusCode != http.StatusForbidden {
			t.Errorf("Origin %q: status %d", origin, r.StatusCode)
		}
	}
	if r := f.send(t, "POST", "/mcp/files", hello, "Origin", "http://localhost AND "); r.StatusCode != http.StatusForbidden {
		t.Errorf("an empty second Origin: status %d", r.StatusCode)
	}
	if !f.http.knownOrigin(nil) || f.http.knownOrigin([]string{""}) {
		t.Error("an empty Origin is not the same as none")
	}
}

func Test_content_types(t *testing.T) {
	f := newFront(t)
	for contentType, allowed := range map[string]bool{
		"application/json":                   true,
		"application/json; charset=utf-8":    true,
		"Application/JSON":                   true,
		"application/json;charset=\"utf-8\"": true,
		"":                                   false,
		"text/plain":                         false,
		"text/plain; application/json":       false,
		"application/x-www-form-urlencoded":  false,
		"multipart/form-data; boundary=x":    false,
		"application/json-seq":               false,
		"application/jsonx":                  false,
		"application/json, text/plain":       false,
	} {
		r := f.send(t, "POST", "/mcp/files", hello, "Content-Type", contentType)
		want := http.StatusUnsupportedMediaType
		if allowed {
			want = http.StatusOK
		}
		if r.StatusCode != want {
			t.Errorf("%q: status %d, want %d", contentType, r.StatusCode, want)
		}
	}
}

func Test_a_body_over_the_bound_is_not_handled(t *testing.T) {
	f := newFront(t)
	pad := func(n int) string { return hello[:len(hello)-1] + strings.Repeat(" ", n-len(hello)) + "}" }
	for _, tt := range []struct {
		size, want int
	}{{testBytes, 200}, {testBytes + 1, 413}, {40 * testBytes, 413}} {
		r := f.send(t, "POST", "/mcp/files", pad(tt.size))
		if r.StatusCode != tt.want {
			t.Errorf("%d bytes: status %d, want %d", tt.size, r.StatusCode, tt.want)
		}
		if session := r.Header.Get(headerSession); (session != "") != (tt.want == 200) {
			t.Errorf("%d bytes: session %q", tt.size, session)
		}
	}
	// The length is not told beforehand.
	req, err := http.NewRequestWithContext(t.Context(), "POST", f.URL+"/mcp/files", struct{ io.Reader }{strings.NewReader(pad(testBytes + 1))})
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	r, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 413 {
		t.Errorf("chunked: status %d", r.StatusCode)
	}
}

func Test_statuses(t *testing.T) {
	f := newFront(t)
	id := f.session(t)
	tests := []struct {
		name, method, path, session, body string
		want                              int
	}{
		{"health", "GET", "/healthz", "", "", 200},
		{"health is read only", "POST", "/healthz", "", "", 405},
		{"another path", "POST", "/", "", hello, 404},
		{"a path below a server", "POST", "/mcp/files/x", "", hello, 404},
		{"a server that is not there", "POST", "/mcp/none", "", hello, 404},
		{"PUT", "PUT", "/mcp/files", id, hello, 405},
		{"OPTIONS", "OPTIONS", "/mcp/files", "", "", 405},
		{"no JSON", "POST", "/mcp/files", id, "{", 400},
		{"a batch", "POST", "/mcp/files", id, "[" + hello + "]", 400},
		{"a call without a session", "POST", "/mcp/files", "", callOf("1", "echo"), 400},
		{"a call in another session", "POST", "/mcp/files", "guess", callOf("1", "echo"), 404},
		{"a session of another mount", "POST", "/mcp", id, callOf("1", "files__echo"), 404},
		{"a stream without a session", "GET", "/mcp/files", "", "", 405},
		{"a stream of another session", "GET", "/mcp/files", "guess", "", 404},
		{"a stream of another mount", "GET", "/mcp", id, "", 404},
		{"the end of no session", "DELETE", "/mcp/files", "", "", 405},
		{"the end of another session", "DELETE", "/mcp/files", "guess", "", 404},
		{"the end of a session on another mount", "DELETE", "/mcp", id, "", 404},
		{"a call", "POST", "/mcp/files", id, callOf("1", "echo"), 200},
		{"the end", "DELETE", "/mcp/files", id, "", 204},
		{"the end, again", "DELETE", "/mcp/files", id, "", 404},
		{"a call after the end", "POST", "/mcp/files", id, callOf("2", "echo"), 404},
		{"a stream after the end", "GET", "/mcp/files", id, "", 404},
	}
	for _, tt := range tests {
		r := f.send(t, tt.method, tt.path, tt.body, headerSession, tt.session)
		if r.StatusCode != tt.want {
			t.Errorf("%s: status %d, want %d: %.200s", tt.name, r.StatusCode, tt.want, bodyOf(t, r))
		}
		if r.StatusCode == 405 && r.Header.Get("Allow") == "" {
			t.Errorf("%s: no Allow", tt.name)
		}
	}
}

func Test_an_answer_is_plain_JSON_when_nothing_comes_ahead(t *testing.T) {
	f := newFront(t)
	r := f.send(t, "POST", "/mcp/files", callOf(`"x"`, "echo"), headerSession, f.session(t))
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	if got, want := bodyOf(t, r), `{"jsonrpc":"2.0","id":"x","result":{"content":[{"type":"text","text":"echo"}]}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func dataOf(t *testing.T, stream string) (all []string) {
	t.Helper()
	for block := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		if id, rest, has := strings.Cut(block, "\n"); has && strings.HasPrefix(id, "id: ") {
			block = rest
		}
		data, ok := strings.CutPrefix(block, "event: message\ndata: ")
		if !ok || strings.Contains(data, "\n") {
			t.Fatalf("an event that is none: %q", block)
		}
		all = append(all, data)
	}
	return all
}

func noteOf(text string) string {
	return `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"` + text + `"}}`
}

func Test_what_comes_ahead_makes_the_answer_a_stream_in_order(t *testing.T) {
	f := newFront(t)
	r := f.send(t, "POST", "/mcp/files", callOf("5", "noisy"), headerSession, f.session(t))
	for name, want := range map[string]string{"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", "Cache-Control": "no-cache, no-transform"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	want := []string{noteOf("one"), noteOf("two"), `{"jsonrpc":"2.0","id":5,"result":{"content":[{"type":"text","text":"noisy"}]}}`}
	if diff := cmp.Diff(want, dataOf(t, bodyOf(t, r))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func Test_a_client_that_takes_no_stream_gets_the_answer(t *testing.T) {
	f := newFront(t)
	id := f.session(t)
	for _, accept := range []string{"application/json", "", "text/html"} {
		r := f.send(t, "POST", "/mcp/files", callOf("5", "noisy"), headerSession, id, "Accept", accept)
		if got := r.Header.Get("Content-Type"); got != "application/json" || !strings.Contains(bodyOf(t, r), `"id":5`) {
			t.Errorf("Accept %q: %s", accept, got)
		}
	}
	if r := f.send(t, "GET", "/mcp/files", "", headerSession, id, "Accept", "application/json"); r.StatusCode != http.StatusNotAcceptable {
		t.Errorf("GET: status %d", r.StatusCode)
	}
}

// next reads one event of a stream.
func next(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			return strings.TrimSuffix(data, "\n")
		}
	}
}

// The backend says something before it answers initialize. A stream would have
// begun before the id of the session is known.
func Test_the_session_is_told_whatever_comes_ahead_of_it(t *testing.T) {
	f := newFront(t)
	id := f.session(t)
	body := f.send(t, "GET", "/mcp/files", "", headerSession, id).Body
	stream := bufio.NewReader(body)
	if got := next(t, stream); got != noteOf("starting") {
		t.Errorf("got %s", got)
	}
	f.backend.news <- noteOf("later")
	if got := next(t, stream); got != noteOf("later") {
		t.Errorf("got %s", got)
	}
	if r := f.send(t, "DELETE", "/mcp/files", "", headerSession, id); r.StatusCode != 204 {
		t.Fatalf("DELETE: %d", r.StatusCode)
	}
	late := time.AfterFunc(soon, func() { body.Close() })
	defer late.Stop()
	if rest, err := io.ReadAll(stream); err != nil || string(rest) != "\n" {
		t.Errorf("after the session the stream has %q, %v", rest, err)
	}
}

// "Disconnection SHOULD NOT be interpreted as the client cancelling its request."
func Test_disconnection_cancels_in_the_modern_era_only(t *testing.T) {
	for _, session := range []string{"", "some"} {
		ctx, gone := context.WithCancel(context.Background())
		r := httptest.NewRequestWithContext(ctx, "POST", "/mcp/files", nil)
		lifetime, stop := lifetime(r, &gateway.Peer{SessionID: session})
		gone()
		if ended := lifetime.Err() != nil; ended != (session == "") {
			t.Errorf("session %q: ended %v", session, ended)
		}
		stop()
	}
}

func Test_only_this_machine_is_local(t *testing.T) {
	for remote, want := range map[string]bool{
		"127.0.0.1:5": true, "[::1]:5": true, "[::ffff:127.0.0.1]:5": true,
		"10.0.0.1:5": false, "[2001:db8::1]:5": false, "localhost:5": false, "": false, "127.0.0.1": false,
	} {
		r := httptest.NewRequest("POST", "/mcp", nil)
		r.RemoteAddr = remote
		if got := peerOf(r, ""); got.Local != want {
			t.Errorf("%q: %v", remote, got.Local)
		}
	}
}

func Test_an_event_is_one_line(t *testing.T) {
	raw := []byte("{\"a\":\r\n1,\n\"b\":\"\\n\"\r}")
	got := dataOf(t, string(appendEvent(nil, gateway.Event{Data: raw})))
	if strings.ContainsAny(got[0], "\r\n") {
		t.Errorf("a line break in an event: %q", got[0])
	}
	if string(wire.Canonical([]byte(got[0]))) != string(wire.Canonical(raw)) {
		t.Errorf("the message became %s", got[0])
	}
	if string(raw) != "{\"a\":\r\n1,\n\"b\":\"\\n\"\r}" {
		t.Error("the caller's bytes were changed")
	}
}
