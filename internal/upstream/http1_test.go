package upstream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/wire"
)

// tape is a connection that plays a recorded answer.
type tape struct {
	net.Conn // what is not played
	io.Reader
}

func (t tape) Read(b []byte) (int, error)  { return t.Reader.Read(b) }
func (t tape) Write(b []byte) (int, error) { return len(b), nil }
func (t tape) SetDeadline(time.Time) error { return nil }
func (t tape) Close() error                { return nil }

// play reads the one answer that r holds. read is how much of its body could be
// read, if it has a head.
func play(t testing.TB, r io.Reader) (resp *http.Response, read []byte, err error) {
	t.Helper()
	transport := NewTransport()
	req := plainRequest(t, "http://server.example/mcp", "{}")
	resp, err = newConn(transport, tape{Reader: r}, "").exchange(req, []byte("{}"))
	if err != nil {
		return nil, nil, err
	}
	read, err = io.ReadAll(resp.Body)
	resp.Body.Close()
	return resp, read, err
}

func plainRequest(t testing.TB, url, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

const (
	statusLine = "HTTP/1.1 200 OK\r\n"
	chunked    = statusLine + "Transfer-Encoding: chunked\r\n\r\n"
)

// accepted are responses, each with its body.
var accepted = []struct{ name, text, body string }{
	{"a length", statusLine + "Content-Length: 2\r\n\r\nhi", "hi"},
	{"no body", statusLine + "Content-Length: 0\r\n\r\n", ""},
	{"the length twice", statusLine + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", "hi"},
	{"lower case", statusLine + "content-length: 2\r\n\r\nhi", "hi"},
	{"white space around a value", statusLine + "Content-Length: \t 2 \t\r\n\r\nhi", "hi"},
	{"an empty value", statusLine + "X-Empty:\r\nContent-Length: 2\r\n\r\nhi", "hi"},
	{"obs-text", statusLine + "X-Text: \xe9\xff\r\nContent-Length: 2\r\n\r\nhi", "hi"},
	{"a field twice", statusLine + "X-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\nhi", "hi"},
	{"no text behind the status", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", "hi"},
	{"an empty text behind the status", "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", "hi"},
	{"chunks", chunked + "2\r\nhi\r\n0\r\n\r\n", "hi"},
	{"several chunks", chunked + "1\r\nh\r\n00001\r\ni\r\n0\r\n\r\n", "hi"},
	{"hexadecimal", chunked + "A\r\n0123456789\r\nb\r\n01234567890\r\n000\r\n\r\n", "012345678901234567890"},
	{"no chunks", chunked + "0\r\n\r\n", ""},
	{"a chunk extension", chunked + "2;a=b\r\nhi\r\n0;c\r\n\r\n", "hi"},
	{"trailers", chunked + "2\r\nhi\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", "hi"},
	{"CHUNKED", statusLine + "Transfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi"},
	{"until the end", statusLine + "\r\nhi", "hi"},
	{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nhi", "hi"},
	{"HTTP/1.0 with a length", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi"},
	{"closing", statusLine + "Connection: close\r\nContent-Length: 2\r\n\r\nhi", "hi"},
	{"204", "HTTP/1.1 204 No Content\r\n\r\n", ""},
	{"204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi", ""},
	{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", ""},
	{"404", "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nhi", "hi"},
	{"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + statusLine + "Content-Length: 2\r\n\r\nhi", "hi"},
	{"pragma", statusLine + "Pragma: no-cache\r\nContent-Length: 2\r\n\r\nhi", "hi"},
}

func Test_responses(t *testing.T) {
	for _, tt := range accepted {
		t.Run(tt.name, func(t *testing.T) {
			resp, body, err := play(t, strings.NewReader(tt.text))
			if err != nil || string(body) != tt.body {
				t.Fatalf("got %q, %v", body, err)
			}
			sameAsNetHTTP(t, []byte(tt.text), resp, body)
		})
	}
}

// What another reader might take for something else is refused, in the head or at
// the latest where the body is read.
func Test_responses_that_are_refused(t *testing.T) {
	field := func(line string) string { return statusLine + "Content-Length: 2\r\n" + line + "\r\n\r\nhi" }
	for name, text := range map[string]string{
		"both framings":               statusLine + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
		"two lengths":                 field("Content-Length: 3"),
		"a list of lengths":           statusLine + "Content-Length: 2, 2\r\n\r\nhi",
		"a signed length":             statusLine + "Content-Length: +2\r\n\r\nhi",
		"a negative length":           statusLine + "Content-Length: -2\r\n\r\nhi",
		"an empty length":             statusLine + "Content-Length:\r\n\r\nhi",
		"a hexadecimal length":        statusLine + "Content-Length: 0x2\r\n\r\nhi",
		"a length beyond 63 bits":     statusLine + "Content-Length: 18446744073709551618\r\n\r\nhi",
		"gzip, chunked":               statusLine + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"identity":                    statusLine + "Transfer-Encoding: identity\r\n\r\nhi",
		"two encodings":               statusLine + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"an encoding with a tab":      statusLine + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
		"chunks in HTTP/1.0":          "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"obs-fold":                    field("X-A: 1\r\n 2"),
		"a space before the colon":    field("X-A : 1"),
		"no colon":                    field("X-A"),
		"no name":                     field(": 1"),
		"a name with a space":         field("X A: 1"),
		"a bare CR in a value":        field("X-A: 1\rContent-Length: 9"),
		"a bare LF":                   field("X-A: 1\nX-B: 2"),
		"only LF":                     "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
		"NUL in a value":              field("X-A: 1\x002"),
		"NUL in a name":               field("X-A\x00: 1"),
		"DEL":                         field("X-A: \x7f"),
		"a long line":                 field("X-A: " + strings.Repeat("a", maxLineBytes)),
		"a line beyond the buffer":    field("X-A: " + strings.Repeat("a", 2*readBufferSize)),
		"many fields":                 field(strings.TrimSuffix(strings.Repeat("A: 1\r\n", maxFields), "\r\n")),
		"a large head":                field(strings.TrimSuffix(strings.Repeat("A: "+strings.Repeat("a", 1000)+"\r\n", 66), "\r\n")),
		"HTTP/2":                      "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"HTTP/1.2":                    "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"another protocol":            "ICY 200 OK\r\n\r\nhi",
		"http":                        "http/1.1 200 OK\r\n\r\nhi",
		"a status of two digits":      "HTTP/1.1 20 OK\r\n\r\nhi",
		"a status of four digits":     "HTTP/1.1 2000 OK\r\n\r\nhi",
		"a signed status":             "HTTP/1.1 +20 OK\r\n\r\nhi",
		"status 600":                  "HTTP/1.1 600 OK\r\n\r\nhi",
		"status 000":                  "HTTP/1.1 000 OK\r\n\r\nhi",
		"two spaces":                  "HTTP/1.1  200 OK\r\n\r\nhi",
		"NUL in the status line":      "HTTP/1.1 200 O\x00K\r\n\r\nhi",
		"an empty line first":         "\r\n" + statusLine + "\r\nhi",
		"101":                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
		"interim without end":         strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000),
		"nothing":                     "",
		"half a status line":          "HTTP/1.1 20",
		"half a head":                 statusLine + "Content-Length: 2\r\n",
		"half a body":                 statusLine + "Content-Length: 3\r\n\r\nhi",
		"no chunk size":               chunked + "\r\nhi\r\n0\r\n\r\n",
		"a chunk size that is none":   chunked + "x\r\nhi\r\n0\r\n\r\n",
		"a chunk size with 0x":        chunked + "0x2\r\nhi\r\n0\r\n\r\n",
		"a signed chunk size":         chunked + "+2\r\nhi\r\n0\r\n\r\n",
		"a chunk size with a space":   chunked + "2 \r\nhi\r\n0\r\n\r\n",
		"a space before a chunk size": chunked + " 2\r\nhi\r\n0\r\n\r\n",
		"a chunk beyond 64 bits":      chunked + "10000000000000002\r\nhi\r\n0\r\n\r\n",
		"a chunk of 63 bits":          chunked + "8000000000000000\r\nhi\r\n0\r\n\r\n",
		"a long extension":            chunked + "2;" + strings.Repeat("a", maxChunkLine) + "\r\nhi\r\n0\r\n\r\n",
		"LF behind a chunk size":      chunked + "2\nhi\r\n0\r\n\r\n",
		"NUL in an extension":         chunked + "2;\x00\r\nhi\r\n0\r\n\r\n",
		"a long chunk":                chunked + "2\r\nhi!\r\n0\r\n\r\n",
		"LF behind a chunk":           chunked + "2\r\nhi\n0\r\n\r\n",
		"a chunk without its end":     chunked + "2\r\nhi",
		"no last chunk":               chunked + "2\r\nhi\r\n",
		"no end of the trailers":      chunked + "2\r\nhi\r\n0\r\n",
		"a trailer that is none":      chunked + "2\r\nhi\r\n0\r\nGET / HTTP/1.1\r\n\r\n",
		"trailers without end":        chunked + "2\r\nhi\r\n0\r\n" + strings.Repeat("A: "+strings.Repeat("a", 1000)+"\r\n", 66) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			if resp, body, err := play(t, strings.NewReader(text)); err == nil {
				t.Errorf("accepted as %s %v %q", resp.Status, resp.Header, body)
			}
		})
	}
}

// sameAsNetHTTP compares what was read with what net/http reads.
func sameAsNetHTTP(t *testing.T, text []byte, resp *http.Response, body []byte) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(text))
	var want *http.Response
	for want == nil || want.StatusCode < 200 {
		var err error
		if want, err = http.ReadResponse(r, resp.Request); err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
	}
	wantBody, err := io.ReadAll(want.Body)
	if err != nil {
		t.Fatalf("net/http refuses the body: %v", err)
	}
	if want.Header.Get("Pragma") == "no-cache" && resp.Header["Cache-Control"] == nil {
		delete(want.Header, "Cache-Control") // net/http adds it
	}
	delete(want.Header, "Connection") // net/http takes "close" out of it
	delete(resp.Header, "Connection")
	if diff := cmp.Diff(want.Header, resp.Header); diff != "" {
		t.Errorf("header (-net/http +ours):\n%s", diff)
	}
	if want.StatusCode != resp.StatusCode || want.Status != resp.Status || want.Proto != resp.Proto {
		t.Errorf("%s %s, net/http says %s %s", resp.Proto, resp.Status, want.Proto, want.Status)
	}
	if !bytes.Equal(wantBody, body) {
		t.Errorf("body %q, net/http says %q", body, wantBody)
	}
}

// Whatever we accept, net/http reads in the same way.
func FuzzResponse(f *testing.F) {
	for _, tt := range accepted {
		f.Add([]byte(tt.text))
	}
	f.Add([]byte(statusLine + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		resp, body, err := play(t, bytes.NewReader(text))
		if err == nil {
			sameAsNetHTTP(t, text, resp, body)
		}
	})
}

// How a response is cut into packets makes no difference.
func FuzzResponseSplit(f *testing.F) {
	for i, tt := range accepted {
		f.Add([]byte(tt.text), i*7)
	}
	f.Fuzz(func(t *testing.T, text []byte, at int) {
		at = max(0, min(at, len(text)))
		whole, wholeBody, wholeErr := play(t, bytes.NewReader(text))
		for name, r := range map[string]io.Reader{
			"split":        io.MultiReader(bytes.NewReader(text[:at]), bytes.NewReader(text[at:])),
			"byte by byte": iotest.OneByteReader(bytes.NewReader(text)),
			"early end":    iotest.DataErrReader(bytes.NewReader(text)),
		} {
			resp, body, err := play(t, r)
			if (err == nil) != (wholeErr == nil) || (resp == nil) != (whole == nil) {
				t.Fatalf("%s: %v, in one piece %v", name, err, wholeErr)
			}
			if resp == nil {
				continue
			}
			if diff := cmp.Diff(whole.Header, resp.Header); diff != "" || resp.Status != whole.Status || !bytes.Equal(body, wholeBody) {
				t.Fatalf("%s: %s %q, in one piece %s %q\n%s", name, resp.Status, body, whole.Status, wholeBody, diff)
			}
		}
	})
}

// rawServer answers connections by itself, one goroutine each.
type rawServer struct {
	url      string
	accepted atomic.Int32
	requests atomic.Int32
}

// serveRaw calls each for every request, with the number it has on its connection,
// until it says that the connection ends.
func serveRaw(t *testing.T, each func(c net.Conn, number int) (again bool)) *rawServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &rawServer{url: "http://" + l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for n := 1; ; n++ {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					s.requests.Add(1)
					if !each(c, n) {
						return
					}
				}
			}()
		}
	}()
	return s
}

func answerWith(body string) string {
	return fmt.Sprintf("%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", statusLine, len(body), body)
}

func newTestTransport(t *testing.T) *Transport {
	t.Helper()
	transport := NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// post sends one POST and reads the answer.
func (t *Transport) post(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return "", err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func (t *Transport) idleCount() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.idle)
}

func Test_a_connection_is_used_again(t *testing.T) {
	s := serveRaw(t, func(c net.Conn, n int) bool {
		io.WriteString(c, answerWith(fmt.Sprint(n)))
		return true
	})
	transport := newTestTransport(t)
	for n := range 5 {
		if got, err := transport.post(t.Context(), s.url); err != nil || got != fmt.Sprint(n+1) {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if n := s.accepted.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// Response smuggling: bytes that a server, or whoever got something into its answer,
// sends behind an answer must not answer the next request, which may be another
// principal's.
func Test_bytes_behind_an_answer_never_answer_the_next_request(t *testing.T) {
	const injected = "injected"
	for name, first := range map[string]func(c net.Conn){
		"two answers":          func(c net.Conn) { io.WriteString(c, answerWith("1")+answerWith(injected)) },
		"a length too short":   func(c net.Conn) { io.WriteString(c, answerWith("1")+" trailing") },
		"one byte":             func(c net.Conn) { io.WriteString(c, answerWith("1")+"H") },
		"204 with a body":      func(c net.Conn) { io.WriteString(c, "HTTP/1.1 204 No Content\r\nContent-Length: 99\r\n\r\n") },
		"204 and an answer":    func(c net.Conn) { io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n"+answerWith(injected)) },
		"chunks and an answer": func(c net.Conn) { io.WriteString(c, chunked+"1\r\n1\r\n0\r\n\r\n"+answerWith(injected)) },
		"an answer that closes": func(c net.Conn) {
			io.WriteString(c, statusLine+"Connection: close\r\nContent-Length: 1\r\n\r\n1"+answerWith(injected))
		},
		"an answer of HTTP/1.0": func(c net.Conn) {
			io.WriteString(c, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n1"+answerWith(injected))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var served atomic.Int32
			s := serveRaw(t, func(c net.Conn, n int) bool {
				switch {
				case served.Add(1) == 1:
					first(c)
				case n > 1:
					io.WriteString(c, answerWith("on the same connection"))
				default:
					io.WriteString(c, answerWith("right"))
				}
				return true
			})
			transport := newTestTransport(t)
			if _, err := transport.post(t.Context(), s.url); err != nil {
				t.Fatal(err)
			}
			if got, err := transport.post(t.Context(), s.url); err != nil || got != "right" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	t.Run("an answer that comes later", func(t *testing.T) {
		conns := make(chan net.Conn, 1)
		s := serveRaw(t, func(c net.Conn, n int) bool {
			io.WriteString(c, answerWith("right"))
			conns <- c
			return true
		})
		transport := newTestTransport(t)
		if _, err := transport.post(t.Context(), s.url); err != nil {
			t.Fatal(err)
		}
		io.WriteString(<-conns, answerWith(injected))
		waitFor(t, "the bytes", transport.stirred)
		if got, err := transport.post(t.Context(), s.url); err != nil || got != "right" {
			t.Errorf("got %q, %v", got, err)
		}
		if n := s.accepted.Load(); n != 2 {
			t.Errorf("%d connections", n)
		}
	})
}

// stirred tells that something has come on the one idle connection.
func (t *Transport) stirred() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.idle) == 1 && !t.idle[0].silent()
}

func Test_a_connection_that_the_server_closed_is_not_used(t *testing.T) {
	closed := make(chan net.Conn, 10)
	s := serveRaw(t, func(c net.Conn, n int) bool {
		io.WriteString(c, answerWith("1"))
		closed <- c
		return true
	})
	transport := newTestTransport(t)
	for range 3 {
		if _, err := transport.post(t.Context(), s.url); err != nil {
			t.Fatal(err)
		}
		(<-closed).Close()
		waitFor(t, "the end", transport.stirred)
	}
	if accepted, requests := s.accepted.Load(), s.requests.Load(); accepted != 3 || requests != 3 {
		t.Errorf("%d requests over %d connections", requests, accepted)
	}
}

// A tools/call may have been carried out although its answer never came.
func Test_a_request_that_was_written_is_never_sent_again(t *testing.T) {
	s := serveRaw(t, func(c net.Conn, n int) bool {
		if n > 1 {
			return false
		}
		io.WriteString(c, answerWith("1"))
		return true
	})
	transport := newTestTransport(t)
	if _, err := transport.post(t.Context(), s.url); err != nil {
		t.Fatal(err)
	}
	if got, err := transport.post(t.Context(), s.url); err == nil {
		t.Errorf("got %q", got)
	}
	if n := s.requests.Load(); n != 2 {
		t.Errorf("the server read %d requests", n)
	}
}

// dialled is a real connection whose writes can be looked at and be made to fail.
type dialled struct {
	*net.TCPConn
	write func(b []byte) (int, error, bool)
}

func (d dialled) Write(b []byte) (int, error) {
	if n, err, instead := d.write(b); instead {
		return n, err
	}
	return d.TCPConn.Write(b)
}

// through makes the transport write through a function.
func through(transport *Transport, write func(b []byte) (int, error, bool)) {
	plain := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := plain(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return dialled{c.(*net.TCPConn), write}, nil
	}
}

func Test_a_request_of_which_nothing_was_written_is_sent_again_on_another_connection(t *testing.T) {
	for _, tt := range []struct {
		name    string
		written int
		fails   bool
	}{{"nothing", 0, false}, {"a byte", 1, true}} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveRaw(t, func(c net.Conn, n int) bool {
				io.WriteString(c, answerWith("1"))
				return true
			})
			transport := newTestTransport(t)
			writes := 0
			through(transport, func([]byte) (int, error, bool) {
				writes++
				return tt.written, syscall.EPIPE, writes == 2
			})
			if _, err := transport.post(t.Context(), s.url); err != nil {
				t.Fatal(err)
			}
			if _, err := transport.post(t.Context(), s.url); (err != nil) != tt.fails {
				t.Errorf("got %v", err)
			}
			if want := 3; !tt.fails && writes != want {
				t.Errorf("%d writes, want %d", writes, want)
			}
		})
	}
	t.Run("on a new connection", func(t *testing.T) {
		s := serveRaw(t, func(net.Conn, int) bool { return false })
		transport := newTestTransport(t)
		writes := 0
		through(transport, func([]byte) (int, error, bool) {
			writes++
			return 0, syscall.EPIPE, true
		})
		if _, err := transport.post(t.Context(), s.url); !errors.Is(err, syscall.EPIPE) || writes != 1 {
			t.Errorf("got %v after %d writes", err, writes)
		}
	})
}

func Test_a_request_leaves_in_one_write(t *testing.T) {
	s := serveRaw(t, func(c net.Conn, n int) bool {
		io.WriteString(c, answerWith("1"))
		return true
	})
	transport := newTestTransport(t)
	var written []string
	through(transport, func(b []byte) (int, error, bool) {
		written = append(written, string(b))
		return 0, nil, false
	})
	req := plainRequest(t, s.url+"/a%20b?c=d", "body")
	req.Header = http.Header{"X-A": {"1", "2"}, "Host": {"elsewhere"}, "Content-Length": {"99"}, "Transfer-Encoding": {"chunked"}}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	host := strings.TrimPrefix(s.url, "http://")
	want := []string{"POST /a%20b?c=d HTTP/1.1\r\nHost: " + host + "\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 4\r\n\r\nbody"}
	if diff := cmp.Diff(want, written); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func Test_requests_that_are_not_sent(t *testing.T) {
	transport := newTestTransport(t)
	through(transport, func([]byte) (int, error, bool) { t.Error("it was written"); return 0, io.EOF, true })
	s := serveRaw(t, func(net.Conn, int) bool { return false })
	ended, stop := context.WithCancelCause(t.Context())
	stop(errChanged)
	for name, change := range map[string]func(r *http.Request) *http.Request{
		"a line break in a value":   func(r *http.Request) *http.Request { r.Header = http.Header{"X": {"a\r\nY: b"}}; return r },
		"NUL in a value":            func(r *http.Request) *http.Request { r.Header = http.Header{"X": {"a\x00"}}; return r },
		"a name that is none":       func(r *http.Request) *http.Request { r.Header = http.Header{"X:": {"a"}}; return r },
		"a space in the URL":        func(r *http.Request) *http.Request { r.URL.RawQuery = "a b"; return r },
		"a line break in the URL":   func(r *http.Request) *http.Request { r.URL.RawQuery = "a\r\nb"; return r },
		"a body shorter than said":  func(r *http.Request) *http.Request { r.ContentLength = 10; return r },
		"a context that has ended":  func(r *http.Request) *http.Request { return r.WithContext(ended) },
		"an address that is denied": func(r *http.Request) *http.Request { r.URL.Host = "127.0.0.1:1"; return r },
	} {
		if _, err := transport.RoundTrip(change(plainRequest(t, s.url, "{}"))); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
	if n := s.requests.Load(); n != 0 {
		t.Errorf("the server read %d requests", n)
	}
}

func Test_what_is_left_to_net_http(t *testing.T) {
	transport := newTestTransport(t)
	if !transport.ours(plainRequest(t, "http://server.example/mcp", "{}")) {
		t.Fatal("a plain request is not done here")
	}
	for name, change := range map[string]func(r *http.Request){
		"https":           func(r *http.Request) { r.URL.Scheme = "https" },
		"HEAD":            func(r *http.Request) { r.Method = http.MethodHead },
		"CONNECT":         func(r *http.Request) { r.Method = http.MethodConnect },
		"another host":    func(r *http.Request) { r.Host = "other.example" },
		"an IPv6 zone":    func(r *http.Request) { r.URL.Host = "[fe80::1%en0]:80" },
		"a host in UTF-8": func(r *http.Request) { r.URL.Host = "münchen.example" },
		"unknown length":  func(r *http.Request) { r.ContentLength = -1 },
		"upgrade":         func(r *http.Request) { r.Header.Set("Upgrade", "x") },
		"expect":          func(r *http.Request) { r.Header.Set("Expect", "100-continue") },
		"closing":         func(r *http.Request) { r.Close = true },
		"trailers":        func(r *http.Request) { r.Trailer = http.Header{"X": nil} },
	} {
		req := plainRequest(t, "http://server.example/mcp", "{}")
		if change(req); transport.ours(req) {
			t.Errorf("%s is done here", name)
		}
	}
	proxy, _ := url.Parse("http://proxy.example:3128")
	transport.rest.Proxy = http.ProxyURL(proxy)
	if transport.ours(plainRequest(t, "http://server.example/mcp", "{}")) {
		t.Error("a request that goes through a proxy is done here")
	}
}

// A guard in DialContext sees every connection there is.
func Test_every_connection_goes_through_the_dial_hook(t *testing.T) {
	denied := errors.New("denied by the guard")
	for _, scheme := range []string{"http", "https"} {
		transport := newTestTransport(t)
		var asked string
		transport.DialContext = func(_ context.Context, _, address string) (net.Conn, error) {
			asked = address
			return nil, denied
		}
		if _, err := transport.post(t.Context(), scheme+"://10.0.0.1/mcp"); !errors.Is(err, denied) {
			t.Errorf("%s: %v", scheme, err)
		}
		if want := map[string]string{"http": "10.0.0.1:80", "https": "10.0.0.1:443"}[scheme]; asked != want {
			t.Errorf("%s: asked for %q, want %q", scheme, asked, want)
		}
	}
}

func Test_https_speaks_HTTP_2(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	transport := newTestTransport(t)
	if got, err := transport.post(t.Context(), s.URL); err == nil {
		t.Errorf("a certificate that nobody knows was accepted: %q", got)
	}
	transport = newTestTransport(t)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	transport.rest.TLSClientConfig = &tls.Config{RootCAs: roots}
	if got, err := transport.post(t.Context(), s.URL); err != nil || got != "HTTP/2.0" {
		t.Errorf("got %q, %v", got, err)
	}
}

func Test_ending_the_context_ends_waiting(t *testing.T) {
	for name, sent := range map[string]string{
		"for the head":     "",
		"in the head":      "HTTP/1.1 200",
		"for the body":     statusLine + "Content-Length: 5\r\n\r\n",
		"in the body":      statusLine + "Content-Length: 5\r\n\r\nab",
		"for a chunk":      chunked,
		"for the next one": chunked + "2\r\nab\r\n",
		"for the end":      chunked + "2\r\nab\r\n0\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancelCause(t.Context())
			s := serveRaw(t, func(c net.Conn, n int) bool {
				io.WriteString(c, sent)
				stop(errChanged)
				_, _ = io.Copy(io.Discard, c)
				return false
			})
			transport := newTestTransport(t)
			if got, err := transport.post(ctx, s.url); !errors.Is(err, errChanged) {
				t.Errorf("got %q, %v", got, err)
			}
			if n := transport.idleCount(); n != 0 {
				t.Errorf("%d connections are kept", n)
			}
		})
	}
}

func Test_a_context_that_ends_after_the_answer_does_not_harm_the_connection(t *testing.T) {
	s := serveRaw(t, func(c net.Conn, n int) bool {
		io.WriteString(c, answerWith("1"))
		return true
	})
	transport := newTestTransport(t)
	for range 3 {
		ctx, stop := context.WithCancel(t.Context())
		if _, err := transport.post(ctx, s.url); err != nil {
			t.Fatal(err)
		}
		stop()
	}
	if n := s.accepted.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// abortable is a connection that tells when its deadline was set.
type abortable struct {
	*net.TCPConn
	set chan bool
}

func (a abortable) SetDeadline(d time.Time) error {
	defer func() { a.set <- true }()
	return a.TCPConn.SetDeadline(d)
}

// The context ended while the rest of the answer was here already: the answer is
// whole, but the connection has a deadline that has passed.
func Test_a_context_that_ends_before_the_body_was_read_costs_the_connection(t *testing.T) {
	s := serveRaw(t, func(c net.Conn, n int) bool {
		io.WriteString(c, answerWith("12345"))
		return true
	})
	transport := newTestTransport(t)
	plain, set := transport.DialContext, make(chan bool, 1)
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := plain(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return abortable{c.(*net.TCPConn), set}, nil
	}
	ctx, stop := context.WithCancel(t.Context())
	resp, err := transport.RoundTrip(plainRequest(t, s.url, "{}").WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	stop()
	<-set
	if body, err := io.ReadAll(resp.Body); string(body) != "12345" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
	if n := transport.idleCount(); n != 0 {
		t.Errorf("%d connections are kept", n)
	}
	if got, err := transport.post(t.Context(), s.url); got != "12345" || err != nil {
		t.Errorf("the next request: %q, %v", got, err)
	}
}

func Test_only_a_body_that_was_read_gives_its_connection_back(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		read       int
		kept       int
	}{
		{"all", answerWith("12345"), 5, 1},
		{"all of the chunks", chunked + "5\r\n12345\r\n0\r\n\r\n", 6, 1},
		{"all but what is here", answerWith("12345"), 2, 1},
		{"all but the end of the chunks", chunked + "5\r\n12345\r\n0\r\n\r\n", 5, 1},
		{"half of what comes", statusLine + "Content-Length: 500000\r\n\r\nab", 1, 0},
		{"half a chunk", chunked + "5\r\n12345\r\n0\r\n\r\n", 2, 0},
		{"a closing one", statusLine + "Connection: close\r\nContent-Length: 2\r\n\r\nab", 2, 0},
		{"keep-alive, Close", statusLine + "Connection: keep-alive, Close\r\nContent-Length: 2\r\n\r\nab", 2, 0},
		{"until the end", statusLine + "\r\nab", 2, 0},
		{"soon closed by the server", statusLine + "Keep-Alive: max=5, timeout=1\r\nContent-Length: 2\r\n\r\nab", 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveRaw(t, func(c net.Conn, n int) bool {
				io.WriteString(c, tt.text)
				return true
			})
			transport := newTestTransport(t)
			resp, err := transport.RoundTrip(plainRequest(t, s.url, "{}"))
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, tt.read)
			if n, err := io.ReadFull(resp.Body, b); err != nil && n < len(b)-1 {
				t.Fatal(err)
			}
			resp.Body.Close()
			resp.Body.Close()
			if n, err := resp.Body.Read(b); n > 0 || err == nil {
				t.Errorf("reading after Close: %d, %v", n, err)
			}
			if n := transport.idleCount(); n != tt.kept {
				t.Errorf("%d connections are kept, want %d", n, tt.kept)
			}
		})
	}
}

// The end of a stream that follows its answer a little later does not cost the
// connection.
func Test_a_stream_that_ends_after_its_answer_gives_its_connection_back(t *testing.T) {
	next := make(chan bool)
	s := serveRaw(t, func(c net.Conn, n int) bool {
		text := messageEvent(reply)
		fmt.Fprintf(c, "%sContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", statusLine, len(text), text)
		<-next
		io.WriteString(c, "0\r\n\r\n")
		return true
	})
	transport := newTestTransport(t)
	c := Dial(Endpoint{URL: s.url}, transport, testLimits, quiet(), func(*wire.Message, any) {})
	t.Cleanup(c.Close)
	for range 3 {
		if _, err := c.try(request(t, "1", "ping", `{}`)); err != nil {
			t.Fatal(err)
		}
		next <- true
		waitFor(t, "the connection", func() bool { return transport.idleCount() == 1 })
	}
	if n := s.accepted.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func Test_a_stream_that_goes_on_after_its_answer_is_closed(t *testing.T) {
	gone := make(chan bool, 1)
	s := serveRaw(t, func(c net.Conn, n int) bool {
		text := messageEvent(reply)
		fmt.Fprintf(c, "%sContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", statusLine, len(text), text)
		_, err := io.Copy(io.Discard, c)
		gone <- err == nil
		return false
	})
	c := Dial(Endpoint{URL: s.url}, newTestTransport(t), testLimits, quiet(), func(*wire.Message, any) {})
	t.Cleanup(c.Close)
	if _, err := c.try(request(t, "1", "ping", `{}`)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
	case <-time.After(soon):
		t.Error("it is still open")
	}
}

func Test_idle_connections_are_bounded_in_number_and_time(t *testing.T) {
	transport := newTestTransport(t)
	idle := func() net.Conn {
		mine, theirs := net.Pipe()
		transport.put(newConn(transport, mine, "a:80"), time.Hour)
		return theirs
	}
	for range maxIdle {
		idle()
	}
	over := idle()
	if _, err := over.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("one more than the bound: %v", err)
	}
	if n := transport.idleCount(); n != maxIdle {
		t.Errorf("%d are kept", n)
	}
	transport.CloseIdleConnections()

	transport = newTestTransport(t)
	mine, theirs := net.Pipe()
	transport.put(newConn(transport, mine, "a:80"), 10*time.Millisecond)
	later, still := net.Pipe()
	transport.put(newConn(transport, later, "a:80"), 50*time.Millisecond)
	for _, c := range []net.Conn{theirs, still} {
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("one that was idle for too long: %v", err)
		}
	}
	if n := transport.idleCount(); n != 0 {
		t.Errorf("%d are kept", n)
	}
}

func Test_how_long_a_connection_may_be_idle(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": idleTimeout, "timeout=5": 4 * time.Second, "timeout=5, max=100": 4 * time.Second, "max=1,timeout=30": 29 * time.Second,
		"timeout=1": 0, "timeout=0": -time.Second, "timeout=9999": idleTimeout, "timeout=x": idleTimeout, "timeout=-1": idleTimeout,
	} {
		if got := idleWait([]string{value}); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

// A connection that cannot be looked at may hold anything when it is used again.
func Test_a_connection_that_cannot_be_looked_at_is_used_once(t *testing.T) {
	s := serveRaw(t, func(c net.Conn, n int) bool {
		io.WriteString(c, answerWith("1"))
		return true
	})
	transport := newTestTransport(t)
	plain := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := plain(ctx, network, address)
		return struct{ net.Conn }{c}, err
	}
	for range 2 {
		if _, err := transport.post(t.Context(), s.url); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.accepted.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// A server may refuse a large request before it has read it.
func Test_an_answer_that_comes_before_the_request_was_read(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(c, make([]byte, 10))
			io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	transport := newTestTransport(t)
	resp, err := transport.RoundTrip(plainRequest(t, "http://"+l.Addr().String(), strings.Repeat("x", 8<<20)))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != 413 || string(body) != "no" || err != nil {
		t.Errorf("got %s %q, %v", resp.Status, body, err)
	}
}
