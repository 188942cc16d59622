package main

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listen serves stubs, or whatever answer says, until the test ends.
func listen(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		if answer == nil {
			_ = serve(context.Background(), listener, map[string]*stub{"/mcp": newStub([]byte(twoTools)), "/catalog": newStub(catalog())})
			return
		}
		if conn, err := listener.Accept(); err == nil {
			answer(conn)
			conn.Close()
		}
	}()
	return listener.Addr().String()
}

func TestSession_calls_the_stub(t *testing.T) {
	address := listen(t, nil)
	for _, test := range []struct {
		path string
		work work
	}{
		{"/mcp", work{legacy, "echo", 200}},
		{"/mcp", work{modern, "echo", 200}},
		{"/mcp", work{legacy, "page", 10_000}},
		{"/mcp", work{modern, "page", 100_000}},
		{"/catalog", work{legacy, listTool, 200}},
		{"/catalog", work{modern, listTool, 200}},
	} {
		s, err := connect(&target{name: direct, address: address, path: test.path}, test.work, 3)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := s.call(); err != nil {
				t.Errorf("%+v: %v", test.work, err)
			}
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSession_notices_a_wrong_answer(t *testing.T) {
	right := func(session, call int, id string) []byte {
		b := appendMark(append([]byte(`{"jsonrpc":"2.0","id":`+id), `,"result":{"content":[{"type":"text","text":"`...), session, call)
		return appendResultEnd(append(b, pageOf(200-markBytes)...), modern)
	}
	for name, test := range map[string]struct {
		answer []byte
		fails  bool
	}{
		"right":           {right(3, 1, "1"), false},
		"another session": {right(4, 1, "1"), true},
		"another call":    {right(3, 2, "1"), true},
		"another id":      {right(3, 1, "2"), true},
		"cut":             {right(3, 1, "1")[:100], true},
		"empty":           {nil, true},
	} {
		address := listen(t, func(conn net.Conn) {
			r := bufio.NewReader(conn)
			if h, err := readHead(r); err == nil {
				_, _ = readBody(r, h, nil)
			}
			_, _ = conn.Write(appendResponse(nil, 200, "", test.answer))
		})
		s, err := connect(&target{name: direct, address: address, path: "/mcp"}, work{modern, "echo", 200}, 3)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.call(); errors.Is(err, errUnexpected) != test.fails {
			t.Errorf("%s: call() = %v, want an unexpected answer: %t", name, err, test.fails)
		}
		s.conn.Close()
	}
}

func TestReadBody(t *testing.T) {
	for name, test := range map[string]struct {
		raw, want string
		fails     bool
	}{
		"length":           {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", false},
		"chunks":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello", false},
		"no body":          {"HTTP/1.1 202 Accepted\r\n\r\n", "", false},
		"too short":        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "", true},
		"no end of chunks": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", "", true},
	} {
		r := bufio.NewReader(strings.NewReader(test.raw))
		h, err := readHead(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := readBody(r, h, nil)
		if (err != nil) != test.fails {
			t.Errorf("%s: readBody() error = %v, want one: %t", name, err, test.fails)
		}
		if !test.fails && string(got) != test.want {
			t.Errorf("%s: readBody() = %q, want %q", name, got, test.want)
		}
	}
}

func TestRatios(t *testing.T) {
	o := outcome{Samples: map[string][]sample{
		proxy:     {{Calls: 100, Time: 1e9}, {Calls: 50, Time: 1e9}, {Calls: 0, Time: 1e9}},
		gatehouse: {{Calls: 200, Time: 1e9}, {Calls: 200, Time: 1e9}, {Calls: 1, Time: 1e9}},
	}}
	if diff := cmp.Diff([]float64{2, 4}, o.ratios(gatehouse, proxy, rate)); diff != "" {
		t.Errorf("ratios of rounds (-want +got):\n%s", diff)
	}
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("median = %v, want 5", got)
	}
}

func TestReadSteps(t *testing.T) {
	text := "goos: linux\n" +
		"BenchmarkStep/decode/200B-2   \t  153553\t       775.8 ns/op\t     816 B/op\t       6 allocs/op\n" +
		"BenchmarkStep/decode/200B-2   \t  153553\t       700 ns/op\t     816 B/op\t       6 allocs/op\n" +
		"BenchmarkRule/all_rules/10KB-2\t    1106\t    110042 ns/op\t  90.87 MB/s\t   25012 B/op\t      30 allocs/op\n"
	got, err := readSteps("gateway", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []step{{"gateway", "Step/decode/200B", 0.7, 816, 6}, {"gateway", "Rule/all rules/10KB", 110.042, 25012, 30}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if _, err := readSteps("gateway", []byte("PASS\n")); err == nil {
		t.Error("no benchmark was found, and that is no error")
	}
}
