package downstream

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// BenchmarkRequest is the cost of the transport and of the shortest way through
// the pipeline.
func BenchmarkRequest(b *testing.B) {
	backend := newBackend(b)
	h := &HTTP{Gateway: newGateway(b, backend), Bytes: func() int { return testBytes }, Origins: func() []string { return nil }}
	for _, own := range []bool{false, true} {
		b.Run(map[bool]string{false: "net/http", true: "own"}[own], func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			h.Bound = netip.MustParseAddrPort(l.Addr().String())
			std := &http.Server{Handler: h.Handler()}
			if own {
				server := &Server{HTTP: std, Log: slog.New(slog.DiscardHandler)}
				defer server.Close()
				go server.Serve(l)
			} else {
				defer std.Close()
				go std.Serve(l)
			}
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			post := func(body, session string) string {
				return fmt.Sprintf("POST /mcp/files HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMcp-Protocol-Version: 2025-11-25\r\n%sContent-Length: %d\r\n\r\n%s",
					l.Addr(), session, len(body), body)
			}
			buffer := make([]byte, 64<<10)
			exchange := func(request string) string {
				if _, err := io.WriteString(c, request); err != nil {
					b.Fatal(err)
				}
				n, err := c.Read(buffer)
				if err != nil {
					b.Fatal(err)
				}
				return string(buffer[:n])
			}
			var session string
			for line := range strings.SplitSeq(exchange(post(hello, "")), "\r\n") {
				if len(line) > len(headerSession) && line[:len(headerSession)] == headerSession {
					session = line + "\r\n"
				}
			}
			request := post(`{"jsonrpc":"2.0","id":1,"method":"ping"}`, session)
			b.ReportAllocs()
			for b.Loop() {
				exchange(request)
			}
		})
	}
}
