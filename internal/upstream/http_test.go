package upstream

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/wire"
)

const (
	sessionID = "session-1"
	reply     = `{"jsonrpc":"2.0","id":1,"result":{}}`
	note      = `{"jsonrpc":"2.0","method":"notifications/message","params":{"n":%d}}`
)

// exchange is one request that a web server received.
type exchange struct {
	Method string
	Header http.Header
	Body   string
}

// web is a server that notes what it receives.
type web struct {
	*httptest.Server
	mu  sync.Mutex
	got []exchange
}

func (w *web) all() []exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]exchange(nil), w.got...)
}

func (w *web) count(method, part string) (n int) {
	for _, e := range w.all() {
		if e.Method == method && strings.Contains(e.Body, part) {
			n++
		}
	}
	return n
}

func serveHTTP(t *testing.T, handle func(w http.ResponseWriter, r *http.Request, body string)) *web {
	t.Helper()
	s := &web{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.got = append(s.got, exchange{r.Method, r.Header.Clone(), string(body)})
		s.mu.Unlock()
		handle(w, r, string(body))
	}))
	t.Cleanup(s.Server.Close)
	return s
}

func dial(t *testing.T, e Endpoint, limits Limits, inbound Inbound) *Client {
	t.Helper()
	if inbound == nil {
		inbound = func(*wire.Message, any) {}
	}
	transport := NewTransport()
	c := Dial(e, transport, limits, quiet(), inbound)
	t.Cleanup(transport.CloseIdleConnections)
	t.Cleanup(c.Close)
	return c
}

func (c *Client) try(r Request) (Answer, error) {
	ctx, stop := context.WithTimeout(context.Background(), soon)
	defer stop()
	return c.Call(ctx, r)
}

func writeJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func writeEvents(w http.ResponseWriter, text ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, t := range text {
		io.WriteString(w, t)
		_ = http.NewResponseController(w).Flush()
	}
}

func messageEvent(data string) string { return "event: message\ndata: " + data + "\n\n" }

// answering is a handler that begins a session and answers everything.
func answering(w http.ResponseWriter, r *http.Request, body string) {
	switch {
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case strings.Contains(body, `"initialize"`):
		w.Header().Set(headerSession, sessionID)
		writeJSON(w, 200, `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18"}}`)
	case strings.Contains(body, `"id"`):
		writeJSON(w, 200, reply)
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

func initialize(t *testing.T, c *Client) {
	t.Helper()
	if _, err := c.try(request(t, "1", wire.MethodInitialize, `{}`)); err != nil {
		t.Fatal(err)
	}
}

func Test_what_a_post_looks_like(t *testing.T) {
	s := serveHTTP(t, answering)
	c := dial(t, Endpoint{URL: s.URL, Modern: true, Header: http.Header{"Authorization": {"Bearer ours"}, "X-Key": {"k"}}}, testLimits, nil)
	r := request(t, "1", "ping", `{"n":9007199254740993}`)
	r.Header = http.Header{"Mcp-Method": {"ping"}, "Authorization": {"Bearer of the client"}}
	answer, err := c.try(r)
	if err != nil || string(answer.Message.Raw) != reply || answer.Status != 200 {
		t.Fatalf("got %+v, %v", answer, err)
	}
	got := s.all()[0]
	if got.Body != string(r.Message.Raw) {
		t.Errorf("body %s", got.Body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Method": "ping",
		"X-Key": "k", "Accept-Encoding": "", headerSession: "", headerVersion: "",
		"Authorization": "Bearer ours", // tokens of clients are not passed through
	} {
		if got := got.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func Test_session_and_version_follow_initialize(t *testing.T) {
	s := serveHTTP(t, answering)
	c := dial(t, Endpoint{URL: s.URL}, testLimits, nil)
	initialize(t, c)
	if err := c.Send(context.Background(), wire.NewNotification(wire.NotifyInitialized, nil)); err != nil {
		t.Fatal(err)
	}
	c.Listen()
	waitFor(t, "the GET", func() bool { return s.count("GET", "") == 1 })
	c.Close()
	for i, e := range s.all() {
		session, version := sessionID, "2025-06-18"
		if i == 0 {
			session, version = "", ""
		}
		if e.Header.Get(headerSession) != session || e.Header.Get(headerVersion) != version {
			t.Errorf("%s %s: session %q, version %q", e.Method, e.Body, e.Header.Get(headerSession), e.Header.Get(headerVersion))
		}
	}
	// "Clients that no longer need a particular session SHOULD send an HTTP DELETE"
	if s.count("DELETE", "") != 1 {
		t.Errorf("received %+v", s.all())
	}
	// "The server MAY respond … with HTTP 405", which is no reason to ask again.
	if s.count("GET", "") != 1 {
		t.Errorf("received %+v", s.all())
	}
	select {
	case <-c.Done():
	default:
		t.Error("Done is not closed")
	}
	c.Close()
	if s.count("DELETE", "") != 1 {
		t.Error("a second Close sends a second DELETE")
	}
}

func Test_without_a_session_nothing_is_deleted(t *testing.T) {
	s := serveHTTP(t, answering)
	c := dial(t, Endpoint{URL: s.URL}, testLimits, nil)
	if _, err := c.try(request(t, "1", "ping", `{}`)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if n := s.count("DELETE", ""); n != 0 {
		t.Errorf("%d DELETE", n)
	}
}

func Test_close_does_not_wait_for_a_server_that_hangs(t *testing.T) {
	s := serveHTTP(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if r.Method == http.MethodPost && strings.Contains(body, `"initialize"`) {
			answering(w, r, body)
			return
		}
		<-r.Context().Done()
	})
	c := dial(t, Endpoint{URL: s.URL}, testLimits, nil)
	initialize(t, c)
	c.Listen()
	failed := make(chan error, 1)
	go func() {
		_, err := c.try(request(t, "2", "hang", `{}`))
		failed <- err
	}()
	waitFor(t, "the call", func() bool { return s.count("POST", "hang") == 1 })
	began := time.Now()
	c.Close()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Close took %s", took)
	}
	if err := <-failed; !errors.Is(err, ErrEnded) {
		t.Errorf("the call in flight: %v", err)
	}
}

func Test_a_stream_hands_over_events_in_order_and_ends_with_the_answer(t *testing.T) {
	s := serveHTTP(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		writeEvents(w, ": hello\n\nid: 0\ndata:\n\n", messageEvent(fmt.Sprintf(note, 9007199254740993)), "event: other\ndata: {\n\n",
			messageEvent(`{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage"}`), messageEvent(fmt.Sprintf(note, 2)), messageEvent(reply),
			messageEvent(fmt.Sprintf(note, 3)))
	})
	var box inbox
	c := dial(t, Endpoint{URL: s.URL}, testLimits, box.inbound)
	r := request(t, "1", "ping", `{}`)
	r.Tag = 7
	answer, err := c.try(r)
	if err != nil || string(answer.Message.Raw) != reply {
		t.Fatalf("got %+v, %v", answer, err)
	}
	want := []tagged{
		{fmt.Sprintf(note, 9007199254740993), 7}, {`{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage"}`, 7}, {fmt.Sprintf(note, 2), 7},
	}
	if diff := cmp.Diff(want, box.all()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func Test_answers_that_are_none(t *testing.T) {
	plain := func(contentType, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header()["Content-Type"] = []string{contentType}
			io.WriteString(w, body)
		}
	}
	status := func(status int, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { writeJSON(w, status, body) }
	}
	const failure = `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}`
	tests := []struct {
		name   string
		answer func(http.ResponseWriter)
		want   error
	}{
		{"another id", plain("application/json", `{"jsonrpc":"2.0","id":2,"result":{}}`), ErrInvalid},
		{"the id as a string", plain("application/json", `{"jsonrpc":"2.0","id":"1","result":{}}`), ErrInvalid},
		{"another id on a stream", plain("text/event-stream", messageEvent(`{"jsonrpc":"2.0","id":2,"result":{}}`)), ErrInvalid},
		{"a request", plain("application/json", `{"jsonrpc":"2.0","id":1,"method":"x"}`), ErrInvalid},
		{"a batch", plain("application/json", `[`+reply+`]`), ErrInvalid},
		{"two values", plain("application/json", reply+reply), ErrInvalid},
		{"twin keys", plain("application/json", `{"jsonrpc":"2.0","id":1,"result":{},"RESULT":{}}`), ErrInvalid},
		{"nothing", plain("application/json", ""), ErrInvalid},
		{"HTML", plain("text/html", reply), ErrInvalid},
		{"no content type", plain("", reply), ErrInvalid},
		{"a broken content type", plain("application/json; charset", reply), ErrInvalid},
		{"upper case", plain("Application/JSON; charset=utf-8", reply), nil},
		{"garbage on a stream", plain("text/event-stream", "data: {\n\n"), ErrInvalid},
		{"a stream without the answer", plain("text/event-stream", messageEvent(fmt.Sprintf(note, 1))), ErrEnded},
		{"202", func(w http.ResponseWriter) { w.WriteHeader(202) }, ErrInvalid},
		{"400", status(400, "bad request"), ErrUnavailable},
		{"400 with the answer of another request", status(400, strings.Replace(failure, ":1", ":2", 1)), ErrUnavailable},
		{"401", status(401, `{"error":"unauthorized"}`), ErrUnavailable},
		{"403", status(403, ""), ErrUnavailable},
		{"404 without a session", status(404, "not found"), ErrUnavailable},
		{"429", status(429, ""), ErrUnavailable},
		{"500", status(500, ""), ErrUnavailable},
		{"JSON-RPC error", status(200, failure), nil},
		{"JSON-RPC error with 400", status(400, failure), nil},
		{"JSON-RPC error with 404", status(404, failure), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request, _ string) { tt.answer(w) })
			answer, err := dial(t, Endpoint{URL: s.URL, Modern: true}, testLimits, nil).try(request(t, "1", "ping", `{}`))
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if (err == nil) != (answer.Message != nil) {
				t.Errorf("answer %+v with %v", answer, err)
			}
		})
	}
	t.Run("the status of an error is told", func(t *testing.T) {
		s := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request, _ string) { writeJSON(w, 400, failure) })
		answer, err := dial(t, Endpoint{URL: s.URL, Modern: true}, testLimits, nil).try(request(t, "1", "ping", `{}`))
		if err != nil || answer.Status != 400 || string(answer.Message.Raw) != failure {
			t.Errorf("got %+v, %v", answer, err)
		}
	})
}

// "When a client receives HTTP 404 in response to a request containing an
// Mcp-Session-Id, it MUST start a new session."
func Test_a_lost_session_is_told_apart(t *testing.T) {
	for name, body := range map[string]string{
		"text":           "no session",
		"JSON-RPC error": `{"jsonrpc":"2.0","id":2,"error":{"code":-32001,"message":"Session not found"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := serveHTTP(t, func(w http.ResponseWriter, r *http.Request, got string) {
				if strings.Contains(got, `"initialize"`) {
					answering(w, r, got)
					return
				}
				writeJSON(w, 404, body)
			})
			c := dial(t, Endpoint{URL: s.URL}, testLimits, nil)
			initialize(t, c)
			if _, err := c.try(request(t, "2", "ping", `{}`)); !errors.Is(err, ErrSessionLost) {
				t.Errorf("Call: %v", err)
			}
			if err := c.Send(context.Background(), wire.NewNotification("x", nil)); !errors.Is(err, ErrSessionLost) {
				t.Errorf("Send: %v", err)
			}
		})
	}
}

func Test_a_notification_that_is_not_taken_is_an_error(t *testing.T) {
	for status, want := range map[int]error{200: nil, 202: nil, 204: nil, 302: ErrInvalid, 404: ErrInvalid, 500: ErrInvalid} {
		s := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(status) })
		err := dial(t, Endpoint{URL: s.URL}, testLimits, nil).Send(context.Background(), wire.NewNotification("x", nil))
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// A redirect would carry the request and its credentials to another place.
func Test_redirects_are_not_followed(t *testing.T) {
	elsewhere := serveHTTP(t, answering)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := serveHTTP(t, func(w http.ResponseWriter, r *http.Request, _ string) {
			http.Redirect(w, r, elsewhere.URL, status)
		})
		c := dial(t, Endpoint{URL: s.URL, Header: http.Header{"Authorization": {"Bearer secret"}}}, testLimits, nil)
		if _, err := c.try(request(t, "1", "ping", `{}`)); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "redirect") {
			t.Errorf("%d: %v", status, err)
		}
	}
	if got := elsewhere.all(); len(got) != 0 {
		t.Errorf("the other place received %+v", got)
	}
}

func Test_a_server_that_is_not_there(t *testing.T) {
	s := serveHTTP(t, answering)
	s.Server.Close()
	c := dial(t, Endpoint{URL: s.URL}, testLimits, nil)
	if _, err := c.try(request(t, "1", "ping", `{}`)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Call: %v", err)
	}
	if err := c.Send(context.Background(), wire.NewNotification("x", nil)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Send: %v", err)
	}
}

func Test_a_connection_that_breaks_in_mid_answer(t *testing.T) {
	for _, contentType := range []string{"application/json", "text/event-stream"} {
		s := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Type", contentType)
			io.WriteString(w, `data: {"jsonrpc":`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		if _, err := dial(t, Endpoint{URL: s.URL}, testLimits, nil).try(request(t, "1", "ping", `{}`)); !errors.Is(err, ErrEnded) {
			t.Errorf("%s: %v", contentType, err)
		}
	}
}

func Test_a_body_over_the_bound_is_never_held(t *testing.T) {
	for name, start := range map[string][2]string{
		"JSON":    {"application/json", `{"jsonrpc":"2.0","id":1,"result":{"a":"`},
		"stream":  {"text/event-stream", `data: {"jsonrpc":"2.0","id":1,"result":{"a":"`},
		"comment": {"text/event-stream", `:`},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			s := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
				w.Header().Set("Content-Type", start[0])
				io.WriteString(w, start[1])
				part := []byte(strings.Repeat("x", 64<<10))
				for sent.Load() < 200<<20 {
					if _, err := w.Write(part); err != nil {
						return
					}
					sent.Add(int64(len(part)))
				}
			})
			c := dial(t, Endpoint{URL: s.URL}, testLimits, nil)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.try(request(t, "1", "ping", `{}`))
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("got %v", err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 20*uint64(testLimits.MessageBytes) {
				t.Errorf("%d bytes were allocated for a bound of %d", used, testLimits.MessageBytes)
			}
			if sent.Load() >= 200<<20 {
				t.Error("everything was read")
			}
		})
	}
}

// A small body must not unfold into a large one.
func Test_compressed_answers_are_not_unpacked(t *testing.T) {
	s := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, reply)
		z.Close()
	})
	if _, err := dial(t, Endpoint{URL: s.URL}, testLimits, nil).try(request(t, "1", "ping", `{}`)); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func Test_too_many_events_in_one_call(t *testing.T) {
	limits := testLimits
	limits.Events = 10
	n := 0
	s := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		for i := range n {
			writeEvents(w, messageEvent(fmt.Sprintf(note, i)))
		}
		writeEvents(w, messageEvent(reply))
	})
	for _, tt := range []struct {
		method string
		n      int
		want   error
	}{{"ping", 10, nil}, {"ping", 11, ErrFlood}, {wire.MethodListen, 50, nil}} {
		n = tt.n
		_, err := dial(t, Endpoint{URL: s.URL, Modern: true}, limits, nil).try(request(t, "1", tt.method, `{}`))
		if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%d events in %s: %v", tt.n, tt.method, err)
		}
	}
}

func Test_the_standing_stream_delivers_and_comes_back(t *testing.T) {
	var gets atomic.Int32
	s := serveHTTP(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if r.Method != http.MethodGet {
			answering(w, r, body)
			return
		}
		switch gets.Add(1) {
		case 1:
			writeEvents(w, messageEvent(fmt.Sprintf(note, 1)), "data: {\n\n", messageEvent(reply), messageEvent(fmt.Sprintf(note, 2)))
		case 2:
			writeEvents(w, messageEvent(fmt.Sprintf(note, 3)))
			<-r.Context().Done()
		}
	})
	var box inbox
	c := dial(t, Endpoint{URL: s.URL}, testLimits, box.inbound)
	c.Listen()
	waitFor(t, "the third message", func() bool { return len(box.all()) == 3 })
	want := []tagged{{fmt.Sprintf(note, 1), nil}, {fmt.Sprintf(note, 2), nil}, {fmt.Sprintf(note, 3), nil}}
	if diff := cmp.Diff(want, box.all()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c.Close() // ends the stream that stands
}

func Test_a_flood_on_the_standing_stream_is_cut(t *testing.T) {
	var gets atomic.Int32
	cut := make(chan struct{})
	s := serveHTTP(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		if gets.Add(1) > 1 {
			<-r.Context().Done()
			return
		}
		defer close(cut)
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			if _, err := io.WriteString(w, messageEvent(`{"jsonrpc":"2.0","method":"x"}`)); err != nil {
				return
			}
		}
	})
	var seen atomic.Int32
	c := dial(t, Endpoint{URL: s.URL}, testLimits, func(*wire.Message, any) { seen.Add(1) })
	c.Listen()
	select {
	case <-cut:
	case <-time.After(soon):
		t.Error("the stream still stands")
	}
	if n := seen.Load(); n > maxUnasked {
		t.Errorf("%d messages were passed on", n)
	}
	c.Close()
}

// resumable answers a POST and the GETs that resume it with one text each.
func resumable(t *testing.T, streams ...string) *web {
	var next atomic.Int32
	return serveHTTP(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		n := int(next.Add(1)) - 1
		if n >= len(streams) {
			n = len(streams) - 1
		}
		writeEvents(w, streams[n])
	})
}

func Test_a_stream_that_is_closed_early_is_resumed(t *testing.T) {
	s := resumable(t, "id: a-0\nretry: 20\ndata:\n\nid: a-1\n"+messageEvent(fmt.Sprintf(note, 1))+"id: a-2\ndata: {\"cut", "id: a-2\n"+messageEvent(fmt.Sprintf(note, 2)), messageEvent(reply))
	var box inbox
	c := dial(t, Endpoint{URL: s.URL, Header: http.Header{"Authorization": {"Bearer ours"}}}, testLimits, box.inbound)
	r := request(t, "1", "ping", `{}`)
	r.Tag = "tag"
	began := time.Now()
	if answer, err := c.try(r); err != nil || string(answer.Message.Raw) != reply {
		t.Fatalf("got %+v, %v", answer, err)
	}
	if took := time.Since(began); took < 40*time.Millisecond {
		t.Errorf("asked again without waiting: %s for two times 20 ms", took)
	}
	if diff := cmp.Diff([]tagged{{fmt.Sprintf(note, 1), "tag"}, {fmt.Sprintf(note, 2), "tag"}}, box.all()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got := s.all()
	for i, want := range []struct{ method, id string }{{"POST", ""}, {"GET", "a-1"}, {"GET", "a-2"}} {
		if got[i].Method != want.method || got[i].Header.Get("Last-Event-Id") != want.id || got[i].Header.Get("Authorization") != "Bearer ours" {
			t.Errorf("request %d: %+v", i, got[i])
		}
	}
}

func Test_what_is_not_resumed(t *testing.T) {
	t.Run("2026-07-28", func(t *testing.T) {
		s := resumable(t, "id: 1\nretry: 0\ndata:\n\n")
		if _, err := dial(t, Endpoint{URL: s.URL, Modern: true}, testLimits, nil).try(request(t, "1", "ping", `{}`)); !errors.Is(err, ErrEnded) {
			t.Errorf("got %v", err)
		}
		if n := s.count("GET", ""); n != 0 {
			t.Errorf("%d GET", n)
		}
	})
	t.Run("without an id", func(t *testing.T) {
		s := resumable(t, messageEvent(fmt.Sprintf(note, 1)))
		if _, err := dial(t, Endpoint{URL: s.URL}, testLimits, nil).try(request(t, "1", "ping", `{}`)); !errors.Is(err, ErrEnded) {
			t.Errorf("got %v", err)
		}
		if n := s.count("GET", ""); n != 0 {
			t.Errorf("%d GET", n)
		}
	})
	t.Run("for ever", func(t *testing.T) {
		s := resumable(t, "id: 1\nretry: 0\ndata:\n\n")
		if _, err := dial(t, Endpoint{URL: s.URL}, testLimits, nil).try(request(t, "1", "ping", `{}`)); !errors.Is(err, ErrEnded) {
			t.Errorf("got %v", err)
		}
		if n := s.count("GET", ""); n != maxResumed {
			t.Errorf("%d GET, want %d", n, maxResumed)
		}
	})
	t.Run("refused", func(t *testing.T) {
		s := serveHTTP(t, func(w http.ResponseWriter, r *http.Request, _ string) {
			if r.Method == http.MethodGet {
				w.WriteHeader(405)
				return
			}
			writeEvents(w, "id: 1\nretry: 0\ndata:\n\n")
		})
		if _, err := dial(t, Endpoint{URL: s.URL}, testLimits, nil).try(request(t, "1", "ping", `{}`)); !errors.Is(err, ErrEnded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a flood over several streams", func(t *testing.T) {
		limits := testLimits
		limits.Events = 10
		s := resumable(t, "id: 1\nretry: 0\n"+strings.Repeat(messageEvent(fmt.Sprintf(note, 1)), 4))
		if _, err := dial(t, Endpoint{URL: s.URL}, limits, nil).try(request(t, "1", "ping", `{}`)); !errors.Is(err, ErrFlood) {
			t.Errorf("got %v", err)
		}
	})
}

var errChanged = errors.New("the client changed its mind")

// cancelledCall begins a call that hangs and cancels it.
func cancelledCall(t *testing.T, modern bool, method string) (s *web, gone chan struct{}) {
	t.Helper()
	gone = make(chan struct{})
	s = serveHTTP(t, func(w http.ResponseWriter, r *http.Request, body string) {
		if strings.Contains(body, "notifications/") {
			w.WriteHeader(202)
			return
		}
		writeEvents(w, ": working\n\n")
		<-r.Context().Done()
		close(gone)
	})
	c := dial(t, Endpoint{URL: s.URL, Modern: modern}, testLimits, nil)
	ctx, stop := context.WithCancelCause(context.Background())
	failed := make(chan error, 1)
	go func() {
		_, err := c.Call(ctx, request(t, `"id-1"`, method, `{}`))
		failed <- err
	}()
	waitFor(t, "the call", func() bool { return s.count("POST", method) == 1 })
	stop(errChanged)
	if err := <-failed; !errors.Is(err, errChanged) {
		t.Errorf("got %v", err)
	}
	return s, gone
}

func Test_cancelling(t *testing.T) {
	const said = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"id-1"}}`
	for _, tt := range []struct {
		name, method string
		modern       bool
		notified     int
	}{
		{"legacy says it", "ping", false, 1},
		{"modern closes the stream", "ping", true, 0},
		{"initialize is never cancelled", wire.MethodInitialize, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, gone := cancelledCall(t, tt.modern, tt.method)
			select {
			case <-gone:
			case <-time.After(soon):
				t.Error("the stream still stands")
			}
			if n := s.count("POST", said); n != tt.notified {
				t.Errorf("notifications/cancelled was posted %d times: %+v", n, s.all())
			}
		})
	}
}
