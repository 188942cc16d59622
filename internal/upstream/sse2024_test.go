package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/wire"
)

// oldServer is a server of 2024-11-05.
type oldServer struct {
	*web
	status   int         // of a POST to the URL of the stream
	endpoint string      // what the stream begins with
	events   chan string // what is sent on the stream; closing it ends the stream
	gone     chan bool   // the client closed the stream

	mu     sync.Mutex
	answer func(id, method string) (events []string) // to a request
	posted int                                       // status of a POST to the endpoint
}

const initialized2024 = `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2024-11-05"}}`

func serve2024(t *testing.T) *oldServer {
	t.Helper()
	s := &oldServer{status: 405, endpoint: "/message?sessionId=1", events: make(chan string, 1000), gone: make(chan bool, 1), posted: 202}
	s.answer = func(id, method string) []string {
		if method == wire.MethodInitialize {
			return []string{fmt.Sprintf(initialized2024, id)}
		}
		return []string{fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"method":%q}}`, id, method)}
	}
	s.web = serveHTTP(t, func(w http.ResponseWriter, r *http.Request, body string) {
		switch {
		case r.URL.Path != "/message" && r.Method == http.MethodPost:
			writeJSON(w, s.status, "no")
		case r.URL.Path == "/message":
			s.message(w, body)
		case s.endpoint == "none":
			writeEvents(w, messageEvent(fmt.Sprintf(note, 1)))
			<-r.Context().Done()
		case s.endpoint == "never":
			writeEvents(w, ": hello\n\n")
			<-r.Context().Done()
		case s.endpoint == "405":
			w.WriteHeader(405)
		default:
			s.stream(w, r)
		}
	})
	return s
}

func (s *oldServer) stream(w http.ResponseWriter, r *http.Request) {
	writeEvents(w, "event: endpoint\ndata: "+s.endpoint+"\n\n")
	for {
		select {
		case data, open := <-s.events:
			if !open {
				return
			}
			writeEvents(w, messageEvent(data))
		case <-r.Context().Done():
			s.gone <- true
			return
		}
	}
}

func (s *oldServer) message(w http.ResponseWriter, body string) {
	s.mu.Lock()
	answer, status := s.answer, s.posted
	s.mu.Unlock()
	m, err := wire.Parse([]byte(body), wire.Limits{})
	if err == nil && m.Kind == wire.Request && status == 202 {
		for _, event := range answer(string(m.ID), m.Method) {
			s.events <- event
		}
	}
	w.WriteHeader(status)
	io.WriteString(w, "Accepted")
}

func (s *oldServer) set(posted int, answer func(id, method string) []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posted, s.answer = posted, answer
}

// dial2024 is a connection that was initialized.
func dial2024(t *testing.T, s *oldServer, limits Limits, inbound Inbound) *Client {
	t.Helper()
	c := dial(t, Endpoint{URL: s.URL + "/sse", Header: http.Header{"Authorization": {"Bearer ours"}}}, limits, inbound)
	answer, err := c.try(request(t, `"first"`, wire.MethodInitialize, `{}`))
	if err != nil || string(answer.Message.Raw) != fmt.Sprintf(initialized2024, `"first"`) || answer.Status != 200 {
		t.Fatalf("got %+v, %v", answer, err)
	}
	return c
}

func Test_a_server_of_2024_is_found_out(t *testing.T) {
	for _, status := range []int{400, 404, 405} {
		s := serve2024(t)
		s.status = status
		c := dial2024(t, s, testLimits, nil)
		if answer, err := c.try(request(t, "1", "ping", `{}`)); err != nil || string(answer.Message.Raw) != `{"jsonrpc":"2.0","id":1,"result":{"method":"ping"}}` {
			t.Errorf("%d: got %+v, %v", status, answer, err)
		}
		if err := c.Send(t.Context(), wire.NewNotification(wire.NotifyInitialized, nil)); err != nil {
			t.Error(err)
		}
		c.Listen() // does nothing
		c.Close()
		for i, want := range []string{"POST", "GET", "POST", "POST", "POST"} {
			got := s.all()[i]
			if got.Method != want || got.Header.Get("Authorization") != "Bearer ours" || got.Header.Get(headerSession) != "" {
				t.Errorf("%d: request %d: %+v", status, i, got)
			}
		}
		if n := len(s.all()); n != 5 {
			t.Errorf("%d: %d requests", status, n)
		}
	}
}

func Test_what_is_no_server_of_2024(t *testing.T) {
	for _, tt := range []struct {
		name     string
		status   int
		endpoint string
		modern   bool
		method   string
		gets     int
	}{
		{"401", 401, "/message", false, wire.MethodInitialize, 0},
		{"403", 403, "/message", false, wire.MethodInitialize, 0},
		{"429", 429, "/message", false, wire.MethodInitialize, 0},
		{"500", 500, "/message", false, wire.MethodInitialize, 0},
		{"server/discover", 404, "/message", true, wire.MethodDiscover, 0},
		{"another method", 404, "/message", false, "ping", 0},
		{"no stream", 404, "405", false, wire.MethodInitialize, 1},
		{"a stream that begins with something else", 404, "none", false, wire.MethodInitialize, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve2024(t)
			s.status, s.endpoint = tt.status, tt.endpoint
			c := dial(t, Endpoint{URL: s.URL + "/sse", Modern: tt.modern}, testLimits, nil)
			if _, err := c.try(request(t, "1", tt.method, `{}`)); !errors.Is(err, ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			if n := s.count("GET", ""); n != tt.gets {
				t.Errorf("%d GET, want %d", n, tt.gets)
			}
		})
	}
	t.Run("a JSON-RPC error is an answer", func(t *testing.T) {
		const failure = `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}`
		s := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request, _ string) { writeJSON(w, 400, failure) })
		answer, err := dial(t, Endpoint{URL: s.URL}, testLimits, nil).try(request(t, "1", wire.MethodInitialize, `{}`))
		if err != nil || string(answer.Message.Raw) != failure || s.count("GET", "") != 0 {
			t.Errorf("got %+v, %v", answer, err)
		}
	})
}

func Test_a_stream_that_never_names_its_endpoint_is_not_awaited_beyond_the_call(t *testing.T) {
	s := serve2024(t)
	s.endpoint = "never"
	c := dial(t, Endpoint{URL: s.URL + "/sse"}, testLimits, nil)
	ctx, stop := context.WithCancelCause(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := c.Call(ctx, request(t, "1", wire.MethodInitialize, `{}`))
		failed <- err
	}()
	waitFor(t, "the GET", func() bool { return s.count("GET", "") == 1 })
	stop(errChanged)
	if err := <-failed; !errors.Is(err, errChanged) {
		t.Errorf("got %v", err)
	}
}

// A server must not have the requests, with the credentials in them, sent to another
// place.
func Test_an_endpoint_must_be_of_the_same_origin(t *testing.T) {
	for _, tt := range []struct{ base, data, want string }{
		{"http://a.example/x/sse", "/message?s=1", "http://a.example/message?s=1"},
		{"http://a.example/x/sse", "message", "http://a.example/x/message"},
		{"http://a.example/x/sse", "?s=1", "http://a.example/x/sse?s=1"},
		{"http://a.example/sse", "http://a.example/m", "http://a.example/m"},
		{"http://a.example/sse", "http://A.Example:80/m", "http://A.Example:80/m"},
		{"https://a.example:443/sse", "https://a.example/m", "https://a.example/m"},
		{"http://a.example/sse", "//a.example/m", "http://a.example/m"},
		{"http://a.example/sse", "http://b.example/m", ""},
		{"http://a.example/sse", "//b.example/m", ""},
		{"http://a.example/sse", `\\b.example/m`, "http://a.example/%5C%5Cb.example/m"},
		{"http://a.example/sse", "http://a.example:81/m", ""},
		{"http://a.example/sse", "http://a.example.evil.example/m", ""},
		{"http://a.example/sse", "http://a.example@b.example/m", ""},
		{"http://a.example/sse", "http://user@a.example/m", ""},
		{"https://a.example/sse", "http://a.example/m", ""},
		{"https://a.example/sse", "http://a.example:443/m", ""},
		{"http://a.example/sse", "https://a.example/m", ""},
		{"http://a.example/sse", "file:///etc/passwd", ""},
		{"http://a.example/sse", "javascript:alert(1)", ""},
		{"http://a.example/sse", "http:opaque", ""},
		{"http://a.example/sse", "http://[::1", ""},
		{"http://a.example/sse", "/m\x7f", ""},
		{"http://a.example/sse", "/" + strings.Repeat("a", maxEndpoint), ""},
	} {
		base, err := url.Parse(tt.base)
		if err != nil {
			t.Fatal(err)
		}
		got, err := endpointURL(base, []byte(tt.data))
		if got != tt.want || (err != nil) != (tt.want == "") || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s and %.40s: got %q, %v, want %q", tt.base, tt.data, got, err, tt.want)
		}
	}
	elsewhere := serveHTTP(t, answering)
	s := serve2024(t)
	s.endpoint = elsewhere.URL + "/message"
	c := dial(t, Endpoint{URL: s.URL + "/sse", Header: http.Header{"Authorization": {"Bearer secret"}}}, testLimits, nil)
	if _, err := c.try(request(t, "1", wire.MethodInitialize, `{}`)); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v", err)
	}
	if got := elsewhere.all(); len(got) != 0 {
		t.Errorf("the other place received %+v", got)
	}
}

func Test_calls_over_one_stream_are_kept_apart(t *testing.T) {
	s := serve2024(t)
	c := dial2024(t, s, testLimits, nil)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			method := fmt.Sprint("m", i)
			answer, err := c.try(request(t, "1", method, `{}`))
			if want := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"result":{"method":%q}}`, method); err != nil || string(answer.Message.Raw) != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
	all.Wait()
}

// What names no call belongs to the only one there is; with two, it may be either's.
func Test_whose_message_it_is_on_one_stream(t *testing.T) {
	const progress = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}}`
	question := `{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage"}`
	var box inbox
	s := serve2024(t)
	c := dial2024(t, s, testLimits, box.inbound)
	ids := make(chan string, 2)
	s.set(202, func(id, method string) []string {
		ids <- id
		return nil
	})
	answers := make(chan string, 2)
	begin := func(tag string) string {
		go func() {
			r := request(t, `"same"`, "tools/call", `{"_meta":{"progressToken":"token of `+tag+`"}}`)
			r.Tag = tag
			answer, err := c.try(r)
			if err != nil {
				t.Error(err)
				answers <- ""
				return
			}
			answers <- tag + " " + string(answer.Message.Raw)
		}()
		return <-ids
	}
	received := 0
	wait := func(n int) {
		received += n
		waitFor(t, "messages", func() bool { return len(box.all()) == received })
	}
	s.events <- question
	wait(1)
	a := begin("a")
	s.events <- question
	wait(1)
	b := begin("b")
	s.events <- question
	s.events <- fmt.Sprintf(progress, a)
	s.events <- fmt.Sprintf(progress, b)
	s.events <- fmt.Sprintf(progress, `"`+a+`"`) // not our number
	wait(3)
	for _, id := range []string{a, b} {
		s.events <- fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"n":%s}}`, id, id)
	}
	got := []string{<-answers, <-answers}
	for _, want := range []string{`a {"jsonrpc":"2.0","id":"same","result":{"n":` + a + `}}`, `b {"jsonrpc":"2.0","id":"same","result":{"n":` + b + `}}`} {
		if got[0] != want && got[1] != want {
			t.Errorf("%q lack %s", got, want)
		}
	}
	want := []tagged{
		{question, nil}, {question, "a"}, {question, nil},
		{fmt.Sprintf(progress, `"token of a"`), "a"}, {fmt.Sprintf(progress, `"token of b"`), "b"},
	}
	if diff := cmp.Diff(want, box.all()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func Test_the_end_of_the_stream_is_the_end_of_the_session(t *testing.T) {
	for name, tt := range map[string]struct {
		send func(s *oldServer)
		want error
	}{
		"closed":    {func(s *oldServer) { close(s.events) }, ErrEnded},
		"too large": {func(s *oldServer) { s.events <- `{"a":"` + strings.Repeat("x", testLimits.MessageBytes) + `"}` }, ErrTooLarge},
		"a flood": {func(s *oldServer) {
			for range testLimits.Events + 1 {
				s.events <- fmt.Sprintf(note, 1)
			}
		}, ErrFlood},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve2024(t)
			c := dial2024(t, s, testLimits, nil)
			s.set(202, func(string, string) []string { return nil })
			failed := make(chan error, 1)
			go func() {
				_, err := c.try(request(t, "1", "hang", `{}`))
				failed <- err
			}()
			waitFor(t, "the call", func() bool { return s.count("POST", "hang") == 1 })
			select {
			case <-c.Done():
				t.Error("Done is closed before the end")
			default:
			}
			tt.send(s)
			if err := <-failed; !errors.Is(err, tt.want) {
				t.Errorf("got %v", err)
			}
			select {
			case <-c.Done():
			case <-time.After(soon):
				t.Error("Done is not closed")
			}
			before := len(s.all())
			if _, err := c.try(request(t, "2", "ping", `{}`)); !errors.Is(err, tt.want) {
				t.Errorf("a call after the end: %v", err)
			}
			if err := c.Send(t.Context(), wire.NewNotification("x", nil)); !errors.Is(err, tt.want) {
				t.Errorf("a notification after the end: %v", err)
			}
			if n := len(s.all()); n != before {
				t.Errorf("%d requests after the end", n-before)
			}
		})
	}
}

func Test_a_garbled_message_fails_the_calls_it_may_have_answered(t *testing.T) {
	s := serve2024(t)
	c := dial2024(t, s, testLimits, nil)
	s.set(202, func(string, string) []string { return []string{"{"} })
	if _, err := c.try(request(t, "1", "x", `{}`)); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func Test_statuses_of_a_message_that_is_not_taken(t *testing.T) {
	s := serve2024(t)
	c := dial2024(t, s, testLimits, nil)
	for status, want := range map[int]error{404: ErrSessionLost, 400: ErrUnavailable, 401: ErrUnavailable, 307: ErrUnavailable, 500: ErrUnavailable} {
		s.set(status, nil)
		if _, err := c.try(request(t, "1", "ping", `{}`)); !errors.Is(err, want) {
			t.Errorf("Call, %d: %v", status, err)
		}
		if err := c.Send(t.Context(), wire.NewNotification("x", nil)); !errors.Is(err, want) {
			t.Errorf("Send, %d: %v", status, err)
		}
	}
}

func Test_cancelling_over_one_stream(t *testing.T) {
	s := serve2024(t)
	c := dial2024(t, s, testLimits, nil)
	s.set(202, func(string, string) []string { return nil })
	ctx, stop := context.WithCancelCause(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := c.Call(ctx, request(t, `"mine"`, "hang", `{}`))
		failed <- err
	}()
	waitFor(t, "the call", func() bool { return s.count("POST", "hang") == 1 })
	stop(errChanged)
	if err := <-failed; !errors.Is(err, errChanged) {
		t.Errorf("got %v", err)
	}
	// The number is the one that the server knows: initialize was 1.
	if n := s.count("POST", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}`); n != 1 {
		t.Errorf("received %+v", s.all())
	}
}

func Test_closing_ends_the_stream(t *testing.T) {
	s := serve2024(t)
	c := dial2024(t, s, testLimits, nil)
	s.set(202, func(string, string) []string { return nil })
	failed := make(chan error, 1)
	go func() {
		_, err := c.try(request(t, "1", "hang", `{}`))
		failed <- err
	}()
	waitFor(t, "the call", func() bool { return s.count("POST", "hang") == 1 })
	c.Close()
	if err := <-failed; !errors.Is(err, ErrEnded) {
		t.Errorf("the call in flight: %v", err)
	}
	select {
	case <-s.gone:
	case <-time.After(soon):
		t.Error("the stream still stands")
	}
	if s.count("DELETE", "") != 0 || s.count("POST", "cancelled") != 0 {
		t.Errorf("received %+v", s.all())
	}
	c.Close()
}

// Every message is there as soon as it was sent, over either kind of connection.
func Test_each_event_is_handed_over_before_the_next_one_is_sent(t *testing.T) {
	for _, end := range []string{"\n\n", "\r\n\r\n", "\r\r"} {
		seen := make(chan string)
		s := serveHTTP(t, func(w http.ResponseWriter, r *http.Request, _ string) {
			for i := range 3 {
				writeEvents(w, "data: "+fmt.Sprintf(note, i)+end)
				if got := <-seen; got != fmt.Sprintf(note, i) {
					t.Errorf("got %s", got)
				}
			}
			writeEvents(w, messageEvent(reply))
		})
		transport := NewTransport()
		t.Cleanup(transport.CloseIdleConnections)
		for _, via := range []http.RoundTripper{transport, transport.rest} {
			c := Dial(Endpoint{URL: s.URL}, via, testLimits, quiet(), func(m *wire.Message, _ any) { seen <- string(m.Raw) })
			if _, err := c.try(request(t, "1", "ping", `{}`)); err != nil {
				t.Error(err)
			}
			c.Close()
		}
	}
}

func Test_a_standing_stream_goes_on_where_it_ended(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	var when []time.Time
	script := []func(w http.ResponseWriter){
		func(w http.ResponseWriter) {
			writeEvents(w, "retry: 150\nid: a\n"+messageEvent(fmt.Sprintf(note, 1))+"id: b\ndata:\n\nid: c\ndata: {\"cut")
		},
		func(w http.ResponseWriter) { w.WriteHeader(503) },
		func(w http.ResponseWriter) { writeEvents(w, "id: c\n"+messageEvent(fmt.Sprintf(note, 2))) },
		func(w http.ResponseWriter) { w.WriteHeader(400) }, // it does not know the id
		func(w http.ResponseWriter) { writeEvents(w, "retry: 0\n"+messageEvent(fmt.Sprintf(note, 3))) },
		func(w http.ResponseWriter) { w.WriteHeader(400) },
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n := len(asked)
		asked, when = append(asked, r.Header.Get(headerLastEvent)), append(when, time.Now())
		mu.Unlock()
		if n < len(script) {
			script[n](w)
		}
	}))
	defer s.Close()
	var box inbox
	c := dial(t, Endpoint{URL: s.URL}, testLimits, box.inbound)
	c.Listen()
	c.streams.Wait() // a second refusal ends it
	if diff := cmp.Diff([]string{"", "b", "b", "c", "", ""}, asked); diff != "" {
		t.Errorf("Last-Event-ID (-want +got):\n%s", diff)
	}
	want := []tagged{{fmt.Sprintf(note, 1), nil}, {fmt.Sprintf(note, 2), nil}, {fmt.Sprintf(note, 3), nil}}
	if diff := cmp.Diff(want, box.all()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, atLeast := range map[int]time.Duration{1: 150 * time.Millisecond, 2: firstRetry, 3: 150 * time.Millisecond} {
		if wait := when[i].Sub(when[i-1]); wait < atLeast {
			t.Errorf("request %d came after %s, want %s", i, wait, atLeast)
		}
	}
	if wait := when[1].Sub(when[0]); wait > firstRetry {
		t.Errorf("it asked again after %s, the server said 150 ms", wait)
	}
	if wait := when[5].Sub(when[4]); wait < minRetry {
		t.Errorf("it asked again after %s", wait)
	}
}

func Test_which_refusals_end_a_standing_stream(t *testing.T) {
	c := dial(t, Endpoint{URL: "http://server.example"}, testLimits, nil)
	for _, tt := range []struct {
		status int
		lastID string
		again  bool
		keepID bool
	}{
		{405, "", false, false}, {405, "a", false, true}, {404, "a", false, true}, {400, "", false, false}, {400, "a", true, false},
		{200, "", false, false}, {503, "a", true, true}, {429, "a", true, true}, {409, "a", true, true},
	} {
		s := standing{lastID: tt.lastID}
		if again := c.listenAgain(tt.status, &s); again != tt.again || (s.lastID != "") != tt.keepID {
			t.Errorf("%d with id %q: again is %v, then the id is %q", tt.status, tt.lastID, again, s.lastID)
		}
	}
}
