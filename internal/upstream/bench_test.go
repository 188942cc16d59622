package upstream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"gatehouse/internal/wire"
)

// answerer is a server that costs next to nothing: it answers each request with
// the same bytes.
func answerer(b *testing.B, answer []byte) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					length := 0
					for {
						line, err := r.ReadSlice('\n')
						if err != nil {
							return
						}
						if len(line) == 2 {
							break
						}
						if digits, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
							length, _ = strconv.Atoi(string(digits[:len(digits)-2]))
						}
					}
					if _, err := r.Discard(length); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/mcp"
}

// BenchmarkCall compares our HTTP/1.1 client with net/http's. The server's share is
// in both.
func BenchmarkCall(b *testing.B) {
	for _, size := range []int{200, 10_000, 100_000} {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"result":{"text":%q}}`, strings.Repeat("x", size))
		event := messageEvent(body)
		for _, kind := range []struct{ name, answer string }{
			{"json", fmt.Sprintf("%sContent-Type: application/json\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\nContent-Length: %d\r\n\r\n%s", statusLine, len(body), body)},
			{"stream", fmt.Sprintf("%sContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", statusLine, len(event), event)},
		} {
			if kind.name == "stream" && size > 10_000 {
				continue
			}
			url := answerer(b, []byte(kind.answer))
			ours := NewTransport()
			for name, t := range map[string]http.RoundTripper{"ours": ours, "net-http": ours.rest} {
				for _, parallel := range []int{1, 16} {
					b.Run(fmt.Sprintf("%s/%d/%d/%s", kind.name, size, parallel, name), func(b *testing.B) {
						benchmarkCall(b, url, t, parallel)
					})
				}
			}
			ours.CloseIdleConnections()
		}
	}
}

func benchmarkCall(b *testing.B, url string, t http.RoundTripper, parallel int) {
	c := Dial(Endpoint{URL: url, Header: http.Header{"Authorization": {"Bearer of the gateway"}}}, t, testLimits, quiet(), func(*wire.Message, any) {})
	defer c.Close()
	r := request(b, "1", "tools/call", `{"name":"echo","arguments":{"text":"`+strings.Repeat("y", 200)+`"}}`)
	b.ReportAllocs()
	before := processorTime()
	call := func() {
		if _, err := c.Call(b.Context(), r); err != nil {
			b.Error(err)
		}
	}
	if parallel == 1 {
		for b.Loop() {
			call()
		}
	} else {
		b.SetParallelism(max(1, parallel/runtime.GOMAXPROCS(0)))
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				call()
			}
		})
	}
	b.ReportMetric(float64(processorTime()-before)/float64(b.N), "cpu-ns/op")
}

// BenchmarkReadAll reads bodies whose length was not announced.
func BenchmarkReadAll(b *testing.B) {
	for _, size := range []int{200, 1 << 20} {
		text := strings.Repeat("x", size)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if raw, err := readAll(struct{ io.Reader }{strings.NewReader(text)}, -1, 2<<20); err != nil || len(raw) != size {
					b.Fatal(err)
				}
			}
		})
	}
}
