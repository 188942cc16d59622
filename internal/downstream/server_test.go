package downstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const plainHead = "POST /mcp/files HTTP/1.1\r\nHost: localhost:1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"

// Whatever is read here, net/http reads the same; the rest net/http reads alone.
func FuzzParseHead(f *testing.F) {
	for _, head := range append(unusual, plainHead,
		"POST /mcp HTTP/1.1\r\nhost: [::1]:80\r\ncontent-length: 65536\r\naccept: a\r\nAccept: b\r\nx-y:\t z \t\r\n\r\n",
		"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\nmCP-protocol-VERSION: 1\r\n\r\n",
		"POST /a/../b HTTP/1.1\r\nHost: a:b:c\r\nContent-Length: 1\r\nAuthorization: Bearer x.y.z\r\n\r\n") {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		end := bytes.Index(raw, endOfHead)
		if end < 0 {
			return
		}
		raw = raw[:end+len(endOfHead)]
		h, plain := parseHead(raw)
		if !plain {
			return
		}
		body := strings.Repeat("x", h.length)
		rest := bufio.NewReader(strings.NewReader(string(raw) + body + "behind"))
		want, err := http.ReadRequest(rest)
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		got := h.request([]byte(body))
		type request struct {
			Method, URI, Path, RawPath, Query, Host, Proto string
			Length                                         int64
			Header                                         http.Header
			Close                                          bool
			Encoding                                       []string
		}
		of := func(r *http.Request) request {
			return request{r.Method, r.RequestURI, r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.Host, r.Proto, r.ContentLength, r.Header, r.Close, r.TransferEncoding}
		}
		if diff := cmp.Diff(of(want), of(got)); diff != "" {
			t.Errorf("(-net/http +own):\n%s", diff)
		}
		wantBody, _ := io.ReadAll(want.Body)
		gotBody, _ := io.ReadAll(got.Body)
		behind, _ := io.ReadAll(rest)
		if string(wantBody) != string(gotBody) || string(behind) != "behind" {
			t.Errorf("the body ends elsewhere: %q, behind it %q", wantBody, behind)
		}
	})
}

// unusual heads are left to net/http, which refuses most of them.
var unusual = []string{
	"GET /mcp HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST /mcp HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
	"post /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
	"POST  /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
	"POST http://a/mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
	"POST //a/mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
	"POST /mcp?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
	"POST /mc%70 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a@b\r\nContent-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost:\r\nContent-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 01\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nUpgrade: h2c\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\n Content-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\nContent-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\nHost: a\r\nContent-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nX: \x00\r\nContent-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nX: \xff\r\nContent-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nX: a\rb\r\nContent-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nX\r\nContent-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\n: y\r\nContent-Length: 1\r\n\r\n",
	"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n" + strings.Repeat("A: b\r\n", maxOwnFields) + "\r\n",
}

func Test_only_the_plain_form_is_read_here(t *testing.T) {
	if h, plain := parseHead([]byte(plainHead)); !plain || h.target != "/mcp/files" || h.length != 2 {
		t.Errorf("%+v %v", h, plain)
	}
	for _, head := range unusual {
		if _, plain := parseHead([]byte(head)); plain {
			t.Errorf("%q was read here", head)
		}
	}
}

// spy is a Server whose handler tells who read the request.
type spy struct {
	server  *Server
	address string
	ended   chan error
}

func newSpy(t *testing.T, handler http.HandlerFunc) *spy {
	t.Helper()
	return newSpyWith(t, &http.Server{Handler: handler})
}

func newSpyWith(t *testing.T, behind *http.Server) *spy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &spy{address: l.Addr().String(), ended: make(chan error, 1)}
	s.server = &Server{HTTP: behind, Log: slog.New(slog.DiscardHandler)}
	go func() { s.ended <- s.server.Serve(l) }()
	t.Cleanup(func() { s.server.Close() })
	return s
}

func (s *spy) dial(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, bufio.NewReader(c)
}

// tell answers with what was read, and by whom.
func tell(w http.ResponseWriter, r *http.Request) {
	who := "net/http"
	if _, own := w.(*ownWriter); own {
		who = "own"
	}
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s", who, r.URL.Path, body)
}

func wantResponse(t *testing.T, r *bufio.Reader, method, want string) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("waiting for %q: %v", want, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != want {
		t.Fatalf("got %q, %v, want %q", body, err, want)
	}
	return resp
}

func Test_a_connection_goes_to_net_http_with_what_was_read(t *testing.T) {
	s := newSpy(t, tell)
	c, r := s.dial(t)
	plain := func(path, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	}
	// All at once, as a client may.
	fmt.Fprint(c, plain("/1", "one")+plain("/2", "two")+"GET /3?x=y HTTP/1.1\r\nHost: a\r\n\r\n"+plain("/4", "four"))
	for _, want := range []string{"own /1 one", "own /2 two", "net/http /3 ", "net/http /4 four"} {
		wantResponse(t, r, "POST", want)
	}
	// Byte by byte.
	c, r = s.dial(t)
	for _, b := range []byte(plain("/5", "five")) {
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if resp := wantResponse(t, r, "POST", "own /5 five"); resp.Header.Get("Date") == "" || resp.Header["Transfer-Encoding"] != nil {
		t.Errorf("%v", resp)
	}
	// The rest of a body that was not all there.
	fmt.Fprint(c, plain("/6", "sixsix")[:len(plain("/6", "sixsix"))-3])
	fmt.Fprint(c, "six")
	wantResponse(t, r, "POST", "own /6 sixsix")
	for _, head := range unusual {
		c, r := s.dial(t)
		fmt.Fprint(c, head+"x")
		c.(*net.TCPConn).CloseWrite()
		resp, err := http.ReadResponse(r, &http.Request{Method: "POST"})
		if err != nil {
			t.Errorf("%q: %v", head, err)
			continue
		}
		if body, _ := io.ReadAll(resp.Body); strings.HasPrefix(string(body), "own") {
			t.Errorf("%q was answered here", head)
		}
	}
}

func Test_responses(t *testing.T) {
	large := strings.Repeat("large ", 100_000)
	s := newSpy(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		switch r.URL.Path {
		case "/nothing":
		case "/accepted":
			w.WriteHeader(http.StatusAccepted)
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/error":
			http.Error(w, "no", http.StatusForbidden)
		case "/length":
			w.Header().Set("Content-Length", fmt.Sprint(len(large)))
			io.WriteString(w, large)
		case "/chunks":
			io.WriteString(w, large)
		case "/stream":
			_ = control.SetWriteDeadline(time.Now().Add(time.Minute))
			io.WriteString(w, "one ")
			_ = control.Flush()
			io.WriteString(w, "two")
			_ = control.Flush()
		case "/header":
			w.Header().Set("X", "a\r\nSet-Cookie: b")
		}
	})
	c, r := s.dial(t)
	for _, tt := range []struct {
		path   string
		status int
		length int64
		body   string
	}{
		{"/nothing", 200, 0, ""}, {"/accepted", 202, 0, ""}, {"/none", 204, 0, ""}, {"/error", 403, -1, "no\n"},
		{"/length", 200, int64(len(large)), large}, {"/chunks", 200, -1, large}, {"/stream", 200, -1, "one two"}, {"/header", 200, 0, ""},
	} {
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", tt.path)
		resp := wantResponse(t, r, "POST", tt.body)
		if resp.StatusCode != tt.status || resp.ContentLength != tt.length {
			t.Errorf("%s: %d, length %d", tt.path, resp.StatusCode, resp.ContentLength)
		}
		if resp.Header.Get("Set-Cookie") != "" {
			t.Error("a header value became a header")
		}
	}
}

func Test_a_response_that_is_not_as_long_as_it_said_ends_the_connection(t *testing.T) {
	for name, body := range map[string]string{"short": "x", "long": "xxxx", "panic": ""} {
		s := newSpy(t, func(w http.ResponseWriter, _ *http.Request) {
			if body == "" {
				panic("broken")
			}
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, body)
		})
		c, r := s.dial(t)
		fmt.Fprint(c, plainHead+"{}")
		_ = c.SetReadDeadline(time.Now().Add(soon))
		all, err := io.ReadAll(r)
		if err != nil || strings.HasSuffix(string(all), "\r\n\r\n"+strings.Repeat("x", 4)) {
			t.Errorf("%s: %q, %v", name, all, err)
		}
	}
}

func Test_a_client_that_goes_away_ends_its_request(t *testing.T) {
	waiting, ended := make(chan struct{}), make(chan error, 1)
	s := newSpy(t, func(_ http.ResponseWriter, r *http.Request) {
		close(waiting)
		select {
		case <-r.Context().Done():
			ended <- r.Context().Err()
		case <-time.After(soon):
			ended <- errors.New("nobody noticed")
		}
	})
	c, _ := s.dial(t)
	fmt.Fprint(c, plainHead+"{}")
	<-waiting
	c.Close()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What comes while a request is being answered is the next request, also when the
// client was being watched meanwhile.
func Test_watching_a_client_loses_nothing(t *testing.T) {
	s := newSpy(t, func(w http.ResponseWriter, r *http.Request) {
		<-time.After(2 * watchAfter)
		tell(w, r)
	})
	c, r := s.dial(t)
	for i := range 3 {
		fmt.Fprint(c, plainHead+"{}")
		if i == 1 { // one is sent while the one before is answered
			<-time.After(watchAfter + watchAfter/2)
			fmt.Fprint(c, plainHead+"[]")
			wantResponse(t, r, "POST", "own /mcp/files {}")
			wantResponse(t, r, "POST", "own /mcp/files []")
			continue
		}
		wantResponse(t, r, "POST", "own /mcp/files {}")
	}
}

func Test_shutdown_awaits_answers_and_nothing_else(t *testing.T) {
	waiting, go_on := make(chan struct{}), make(chan struct{})
	s := newSpy(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/mcp/files" {
			close(waiting)
			<-go_on
		}
		tell(w, r)
	})
	busy, r := s.dial(t)
	idle, idleReader := s.dial(t)
	fmt.Fprint(idle, strings.Replace(plainHead, "/mcp/files", "/", 1)+"{}")
	wantResponse(t, idleReader, "POST", "own / {}")
	fmt.Fprint(busy, plainHead+"{}")
	<-waiting
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.server.Shutdown(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it did not wait: %v", err)
	}
	if err := <-s.ended; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if _, err := idleReader.ReadByte(); err == nil {
		t.Error("an idle connection stays open")
	}
	close(go_on)
	if resp := wantResponse(t, r, "POST", "own /mcp/files {}"); !resp.Close {
		t.Error("the client is not told that the connection ends")
	}
	if err := s.server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", s.address); err == nil {
		t.Error("connections are still accepted")
	}
}

func Test_a_server_that_is_closed_before_it_serves(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{HTTP: &http.Server{}, Log: slog.New(slog.DiscardHandler)}
	s.Close()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("its listener is open")
	}
}

func Test_a_slow_client_is_given_up(t *testing.T) {
	const short = 50 * time.Millisecond
	s := newSpyWith(t, &http.Server{Handler: http.HandlerFunc(tell), ReadHeaderTimeout: short, ReadTimeout: short, IdleTimeout: short})
	for name, sent := range map[string]string{"idle": "", "head": plainHead[:30], "body": plainHead + "{"} {
		c, r := s.dial(t)
		fmt.Fprint(c, sent)
		_ = c.SetReadDeadline(time.Now().Add(soon))
		if got, err := io.ReadAll(r); err != nil || len(got) > 0 {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// A client that sends requests and reads no answers would hold a goroutine and a
// connection for ever.
func Test_a_client_that_reads_no_answers_is_given_up(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		w := ownWriter{conn: ours, ending: new(atomic.Bool)}
		began := time.Now()
		for range 3 {
			w.reset()
			io.WriteString(&w, "answer")
			if !w.finish() {
				break
			}
		}
		if took := time.Since(began); took < writeTimeout || took > 2*writeTimeout {
			t.Errorf("it was given up after %v", took)
		}
		// A deadline of the handler's own is not the next response's.
		w.reset()
		_ = w.SetWriteDeadline(time.Now().Add(time.Second))
		w.finish()
		go io.Copy(io.Discard, theirs)
		<-time.After(time.Minute)
		w.reset()
		if io.WriteString(&w, "answer"); !w.finish() {
			t.Error("the deadline of an earlier response is in force")
		}
		ours.Close()
	})
}
