package downstream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// pipe is a client on our stdin and stdout.
type pipe struct {
	in     *io.PipeWriter
	out    *bufio.Reader
	closer *io.PipeReader
	ended  chan error
	stop   context.CancelFunc
}

func serveStdio(t *testing.T, b *backend) *pipe {
	t.Helper()
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	p := &pipe{in: inWrite, out: bufio.NewReader(outRead), closer: outRead, ended: make(chan error, 1)}
	s := &Stdio{Gateway: newGateway(t, b), Mount: "files", Bytes: testBytes}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	go func() {
		err := s.Serve(ctx, inRead, outWrite)
		outWrite.Close()
		p.ended <- err
	}()
	t.Cleanup(func() { // a failed test must not leave it behind
		p.stop()
		inWrite.Close()
		outRead.Close()
	})
	return p
}

func (p *pipe) say(t *testing.T, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if _, err := io.WriteString(p.in, l+"\n"); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *pipe) hear(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatalf("reading %q: %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// greet performs the handshake; the backend says something ahead of its answer.
func (p *pipe) greet(t *testing.T) {
	t.Helper()
	p.say(t, hello)
	if got := p.hear(t); got != noteOf("starting") {
		t.Fatalf("got %s", got)
	}
	if got := p.hear(t); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18"`) {
		t.Fatalf("got %s", got)
	}
	p.say(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

func (p *pipe) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.ended:
		return err
	case <-time.After(soon):
		t.Fatal("Serve does not return")
		return nil
	}
}

func Test_stdio_keeps_the_order_of_the_handshake(t *testing.T) {
	p := serveStdio(t, newBackend(t))
	// Written at once: the call must find the session begun.
	go func() {
		_, _ = io.WriteString(p.in, hello+"\n"+`{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n"+callOf("1", "echo")+"\n")
	}()
	for _, want := range []string{noteOf("starting"), `{"jsonrpc":"2.0","id":0,`, `{"jsonrpc":"2.0","id":1,"result":{"content"`} {
		if got := p.hear(t); !strings.HasPrefix(got, want) {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	p.in.Close()
	if err := p.end(t); err != nil {
		t.Error(err)
	}
}

func Test_stdio_requests_do_not_wait_for_each_other(t *testing.T) {
	b := newBackend(t)
	p := serveStdio(t, b)
	p.greet(t)
	p.say(t, callOf("1", "held"))
	<-b.held
	p.say(t, callOf("2", "noisy"))
	for _, want := range []string{noteOf("one"), noteOf("two"), `{"jsonrpc":"2.0","id":2,`} {
		if got := p.hear(t); !strings.HasPrefix(got, want) {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	close(b.hold)
	if got := p.hear(t); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"result"`) {
		t.Errorf("got %s", got)
	}
}

func Test_stdio_refuses_what_is_no_message_and_goes_on(t *testing.T) {
	p := serveStdio(t, newBackend(t))
	p.greet(t)
	p.say(t, "", "   ", "{")
	if got := p.hear(t); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700`) {
		t.Errorf("got %s", got)
	}
	p.say(t, callOf("1", "echo")+"\r")
	if got := p.hear(t); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"result"`) {
		t.Errorf("got %s", got)
	}
}

func Test_stdio_delivers_answers_under_way_when_the_input_ends(t *testing.T) {
	b := newBackend(t)
	p := serveStdio(t, b)
	p.greet(t)
	p.say(t, callOf("1", "held"))
	<-b.held
	p.in.Close()
	close(b.hold)
	if got := p.hear(t); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"result"`) {
		t.Errorf("got %s", got)
	}
	if err := p.end(t); err != nil {
		t.Error(err)
	}
}

func Test_stdio_takes_a_last_line_without_an_end(t *testing.T) {
	p := serveStdio(t, newBackend(t))
	p.greet(t)
	go func() {
		_, _ = io.WriteString(p.in, callOf("1", "echo"))
		p.in.Close()
	}()
	if got := p.hear(t); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"result"`) {
		t.Errorf("got %s", got)
	}
}

func Test_stdio_does_not_wait_for_ever(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reads bool
		end   func(*pipe)
		limit time.Duration
	}{
		{"a server that hangs, end of input", true, func(p *pipe) { p.in.Close() }, lastAnswers + lastWords + 1500*time.Millisecond},
		{"a client that does not read, end of input", false, func(p *pipe) { p.in.Close() }, lastAnswers + lastWords + 1500*time.Millisecond},
		{"a client that does not read, end of the program", false, func(p *pipe) { p.stop() }, lastAnswers + lastWords + 1500*time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			p := serveStdio(t, b)
			p.greet(t)
			tool := "echo"
			if tt.reads {
				tool = "held"
			}
			p.say(t, callOf("1", tool))
			began := time.Now()
			tt.end(p)
			if tt.reads {
				if got := p.hear(t); !strings.Contains(got, `"id":1`) {
					t.Errorf("got %s", got)
				}
			}
			if err := p.end(t); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > tt.limit {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func Test_stdio_bounds_a_line(t *testing.T) {
	b := newBackend(t)
	p := serveStdio(t, b)
	p.greet(t)
	fitting := callOf("1", "echo")
	p.say(t, fitting+strings.Repeat(" ", testBytes-len(fitting)))
	if got := p.hear(t); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"result"`) {
		t.Errorf("got %s", got)
	}
	var written int
	for { // without end
		n, err := io.WriteString(p.in, strings.Repeat("x", 16<<10))
		if written += n; err != nil || written > 100*testBytes {
			break
		}
		select {
		case err := <-p.ended:
			if err == nil || !strings.Contains(err.Error(), fmt.Sprint(testBytes)) {
				t.Errorf("got %v", err)
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Errorf("%d bytes were taken", written)
}

func Test_lines_are_written_whole_and_without_breaks(t *testing.T) {
	var out strings.Builder
	w := &lineWriter{out: &out}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if err := w.write(fmt.Appendf(nil, "{\"n\":\r\n%d,\n\"s\":\"\\n\"}", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 50 {
		t.Errorf("%d lines", len(lines))
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, `{"n":  `) || !strings.HasSuffix(l, `, "s":"\n"}`) {
			t.Errorf("line %q", l)
		}
	}
}
