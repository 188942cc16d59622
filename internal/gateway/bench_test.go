package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/approval"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/rules"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

const benchTools = `{"tools":[{"name":"echo","description":"Returns the text it is given.","inputSchema":{"type":"object",` +
	`"properties":{"text":{"type":"string","description":"The text to return."}},"required":["text"],"additionalProperties":false}}],` +
	`"resultType":"complete","ttlMs":0,"cacheScope":"public"}`

// benchAnswers is the server of the benchmarks: the result for each method.
func benchAnswers(text []byte) map[string][]byte {
	call := append([]byte(`{"content":[{"type":"text","text":`), wire.AppendString(nil, string(text))...)
	return map[string][]byte{
		wire.MethodInitialize: fmt.Appendf(nil, `{"protocolVersion":%q,"capabilities":{"tools":{}},"serverInfo":{"name":"stub","version":"1"}}`, wire.LegacyVersions[3]),
		wire.MethodDiscover:   fmt.Appendf(nil, `{"resultType":"complete","supportedVersions":[%q,%q],"capabilities":{"tools":{}}}`, wire.ModernVersion, wire.LegacyVersions[3]),
		wire.MethodToolsList:  []byte(benchTools),
		wire.MethodToolsCall:  append(call, `}],"resultType":"complete"}`...),
	}
}

// benchConn is a server without a network: what is measured is the gateway.
type benchConn struct {
	answers map[string][]byte
	done    chan struct{}
}

func (c *benchConn) Call(_ context.Context, r upstream.Request) (upstream.Answer, error) {
	m, err := wire.Parse(wire.NewResult(r.Message.ID, c.answers[r.Message.Method]), wire.Limits{})
	return upstream.Answer{Message: m, Status: http.StatusOK}, err
}

func (c *benchConn) Send(context.Context, []byte) error { return nil }
func (c *benchConn) Close()                             {}
func (c *benchConn) Done() <-chan struct{}              { return c.done }

// bench is a gateway in front of one approved server, a client's session and a
// prepared call.
type bench struct {
	gateway *Gateway
	peer    *Peer
	raw     []byte
}

func newBench(b *testing.B, modern bool, size int) *bench {
	b.Helper()
	page, err := os.ReadFile("../../test/bench/page.txt")
	if err != nil {
		b.Fatal(err)
	}
	text := []byte(strings.Repeat(string(page), size/len(page)+1))[:size]
	answers := benchAnswers(text)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		m, parseErr := wire.Parse(raw, wire.Limits{})
		if err != nil || parseErr != nil || m.Kind != wire.Request {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(wire.NewResult(m.ID, answers[m.Method]))
	}))
	b.Cleanup(server.Close)
	out := &bench{gateway: benchGateway(b, server.URL)}
	out.connect(b, modern, answers)
	arguments := wire.AppendString([]byte(`{"text":`), string(page[:200]))
	params := append(append([]byte(`{"name":"echo","arguments":`), arguments...), '}')
	if modern {
		params = fmt.Appendf(params, `,"_meta":{%q:%q,%q:{}}`, wire.MetaVersion, wire.ModernVersion, wire.MetaCapabilities)
	}
	out.raw = wire.NewRequest("7", wire.MethodToolsCall, append(params, '}'))
	if got := out.gateway.Handle(b.Context(), out.raw, out.peer); !strings.Contains(string(got.Body), string(wire.AppendString(nil, string(text)))) {
		b.Fatalf("the answer of the prepared call is %.300s", got.Body)
	}
	return out
}

func benchGateway(b *testing.B, url string) *Gateway {
	b.Helper()
	dir := b.TempDir()
	file := filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "servers:\n  stub:\n    url: %s\n", url), 0o600); err != nil {
		b.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		b.Fatal(err)
	}
	trail, err := audit.Open(filepath.Join(dir, "audit"), audit.Options{})
	if err != nil {
		b.Fatal(err)
	}
	book, err := approval.Open(c.Lock, filepath.Join(dir, "pending"))
	if err != nil {
		b.Fatal(err)
	}
	g, err := New(Options{Config: c, Rules: rules.All(), Book: book, Audit: trail, Log: slog.New(slog.DiscardHandler), Version: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		g.Close()
		if err := trail.Close(); err != nil {
			b.Error(err)
		}
	})
	return g
}

// connect begins a session, or prepares the headers of the era without them, and
// puts a server without a network behind the link that calls will use.
func (x *bench) connect(b *testing.B, modern bool, answers map[string][]byte) {
	b.Helper()
	s := x.gateway.live.Load().servers["stub"]
	if err := s.look(b.Context()); err != nil {
		b.Fatal(err)
	}
	x.peer = &Peer{Local: true, Mount: "stub", Header: http.Header{}}
	l := s.shared
	if modern {
		x.peer.Header = http.Header{headerVersion: {wire.ModernVersion}, headerMethod: {wire.MethodToolsCall}, headerName: {"echo"}}
	} else {
		initialize := wire.NewRequest("1", wire.MethodInitialize, fmt.Appendf(nil,
			`{"protocolVersion":%q,"capabilities":{},"clientInfo":{"name":"bench","version":"1"}}`, wire.LegacyVersions[3]))
		got := x.gateway.Handle(b.Context(), initialize, x.peer)
		if got.Session == "" {
			b.Fatalf("initialize was answered by %.300s", got.Body)
		}
		x.peer.SessionID = got.Session
		x.gateway.Handle(b.Context(), wire.NewNotification(wire.NotifyInitialized, nil), x.peer)
		l = x.gateway.sessions.find(got.Session, x.gateway.local.ID, "stub").link(s)
	}
	if conn := l.current(); conn != nil {
		conn.Close()
	}
	l.conn = &benchConn{answers: answers, done: make(chan struct{})}
}

// prepared is an exchange on which all steps have been taken but the last ones:
// each step of it may be repeated.
func (x *bench) prepared(b *testing.B) *exchange {
	b.Helper()
	ex := newExchange(x.raw, x.peer)
	ctx, cancel := context.WithCancelCause(b.Context())
	ex.cancel = cancel
	g := x.gateway
	for _, step := range []func() error{
		func() error { return g.identify(ctx, ex) }, func() error { return g.decode(ex) }, func() error { return g.attach(ex) }, func() error { return g.resolve(ex) },
		func() error { return g.admit(ctx, ex) }, func() error { return g.validate(ex) }, func() error { return g.authorize(ex) },
		func() error { return g.inspectRequest(ex) }, func() error { return g.recordDecision(ex) },
		func() error { return g.forward(ctx, ex) }, func() error { return g.inspectAnswer(ctx, ex) },
	} {
		if err := step(); err != nil {
			b.Fatal(err)
		}
	}
	b.Cleanup(func() {
		g.leave(ex)
		cancel(nil)
	})
	return ex
}

var benchSizes = []struct {
	name  string
	bytes int
}{{"200B", 200}, {"10KB", 10_000}, {"100KB", 100_000}}

// steps are what Handle does, one by one, on a prepared exchange of the legacy
// era. The request has 200 bytes of text, the answer has as many as the size says.
var steps = []struct {
	name string
	size bool // the cost depends on the size of the answer
	run  func(*bench, context.Context, *exchange) error
}{
	{"begin_an_exchange", false, func(x *bench, _ context.Context, _ *exchange) error {
		if ex := newExchange(x.raw, x.peer); ex.id == "" {
			return errors.New("an exchange without an id")
		}
		return nil
	}},
	{"decode", false, func(x *bench, _ context.Context, ex *exchange) error {
		ex.msg = nil
		return x.gateway.decode(ex)
	}},
	{"identify_and_resolve", false, func(x *bench, ctx context.Context, ex *exchange) error {
		x.gateway.leave(ex)
		if err := errors.Join(x.gateway.identify(ctx, ex), x.gateway.attach(ex)); err != nil {
			return err
		}
		return x.gateway.resolve(ex)
	}},
	{"admit", false, func(x *bench, ctx context.Context, ex *exchange) error { return x.gateway.admit(ctx, ex) }},
	{"validate", false, func(x *bench, _ context.Context, ex *exchange) error { return x.gateway.validate(ex) }},
	{"inspect_request", false, func(x *bench, _ context.Context, ex *exchange) error { return x.gateway.inspectRequest(ex) }},
	{"record_decision", false, func(x *bench, _ context.Context, ex *exchange) error { return x.gateway.recordDecision(ex) }},
	{"forward_and_read_the_answer", true, func(x *bench, ctx context.Context, ex *exchange) error {
		defer ex.clock.stop()
		return x.gateway.forward(ctx, ex)
	}},
	{"inspect_answer", true, func(x *bench, ctx context.Context, ex *exchange) error { return x.gateway.inspectAnswer(ctx, ex) }},
	{"record_end_and_reply", true, func(x *bench, _ context.Context, ex *exchange) error {
		x.gateway.reply(ex)
		if ex.refusal != nil {
			return ex.refusal
		}
		return nil
	}},
}

func BenchmarkStep(b *testing.B) {
	for _, step := range steps {
		for _, size := range benchSizes {
			if !step.size && size.bytes > 200 {
				continue
			}
			b.Run(step.name+"/"+size.name, func(b *testing.B) {
				x := newBench(b, false, size.bytes)
				ex := x.prepared(b)
				ctx := b.Context()
				b.ReportAllocs()
				for b.Loop() {
					if err := step.run(x, ctx, ex); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkHandle is all steps together, for both eras.
func BenchmarkHandle(b *testing.B) {
	for _, era := range []string{"legacy", "modern"} {
		for _, size := range benchSizes {
			b.Run(era+"/"+size.name, func(b *testing.B) {
				x := newBench(b, era == "modern", size.bytes)
				b.ReportAllocs()
				for b.Loop() {
					if got := x.gateway.Handle(b.Context(), x.raw, x.peer); len(got.Body) < size.bytes {
						b.Fatalf("%.300s", got.Body)
					}
				}
			})
		}
	}
}
