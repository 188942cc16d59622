package downstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/wire"
)

// Stdio serves one client that started us, on its pipes.
type Stdio struct {
	Gateway *gateway.Gateway
	Mount   string // id of the one server; "" is all of them
	Bytes   int    // of one message
}

const (
	// lastAnswers is how long answers under way are awaited when the input has ended.
	lastAnswers = 3 * time.Second
	// lastWords is how long, after that, refusals may take to be written. A client
	// that does not read its pipe would hold us up for ever.
	lastWords = 500 * time.Millisecond
)

// Serve reads messages from in until it ends, and writes answers to out. It
// returns when all answers under way were written, or were given up.
func (s *Stdio) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	w := &lineWriter{out: out}
	session := s.Gateway.Connect(s.Mount, w.write)
	defer s.Gateway.EndSession(session)
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer await(ctx, &running, stop)
	lines := readLines(ctx, in, s.Bytes)
	for {
		var line input
		var ok bool
		select {
		case <-ctx.Done():
			return nil
		case line, ok = <-lines:
		}
		switch {
		case !ok:
			return nil
		case line.err != nil:
			return line.err
		case len(bytes.TrimSpace(line.text)) == 0:
			continue
		}
		peer := &gateway.Peer{Local: true, Mount: s.Mount, Connection: session, Emit: w.write}
		answer := func() {
			if reply := s.Gateway.Handle(ctx, line.text, peer); reply.Body != nil {
				_ = w.write(reply.Body)
			}
		}
		// Requests may take long and must not hold up what follows them. Everything
		// else, and the handshake, is handled in order.
		if inOrder(line.text, s.Bytes) {
			answer()
			continue
		}
		running.Go(answer)
	}
}

// await waits for the answers under way. A client that closes our input may still
// read what it asked for; one that is gone must not keep us, and neither must any
// when we are told to end.
func await(ctx context.Context, running *sync.WaitGroup, stop context.CancelFunc) {
	defer stop()
	done := make(chan struct{})
	go func() { // ends with the last answer, or with the program
		running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	case <-time.After(lastAnswers):
	}
	stop()
	select {
	case <-done:
	case <-time.After(lastWords):
	}
}

func inOrder(line []byte, limit int) bool {
	m, err := wire.Parse(line, wire.Limits{Bytes: limit})
	return err != nil || m.Kind != wire.Request || m.Method == wire.MethodInitialize
}

type input struct {
	text []byte
	err  error
}

// readLines hands over the lines of in. The goroutine ends with in; a read from
// a terminal or pipe cannot be interrupted, so it may outlive ctx by one line.
func readLines(ctx context.Context, in io.Reader, limit int) <-chan input {
	lines := make(chan input)
	send := func(i input) bool {
		select {
		case lines <- i:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(lines)
		r := bufio.NewReaderSize(in, 64<<10)
		for {
			line, err := readLine(r, limit)
			if len(line) > 0 && !send(input{text: line}) {
				return
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					send(input{err: err})
				}
				return
			}
		}
	}()
	return lines
}

func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > limit+1 {
			return nil, fmt.Errorf("the client sent a message of over %d bytes", limit)
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// lineWriter writes messages, one a line.
type lineWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *lineWriter) write(raw []byte) error {
	line := append(append(make([]byte, 0, len(raw)+1), oneLine(raw)...), '\n')
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.out.Write(line)
	return err
}
