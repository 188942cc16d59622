package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// stdio is the only peer of a process: every exchange writes to the same pipe.
type stdio struct {
	mu  sync.Mutex
	out io.Writer
}

func (p *stdio) message(raw []byte) error {
	return p.last(func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
}

func (p *stdio) last(fill func(io.Writer) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := fill(p.out); err != nil {
		return err
	}
	_, err := io.WriteString(p.out, "\n")
	return err
}

// serveStdio reads one message a line until the input ends.
func serveStdio(ctx context.Context, s *server, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	p := &stdio{out: out}
	s.listen(&listener{peer: p})

	// A client that goes away must not leave us waiting for it, but what was
	// asked before it went is still answered.
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 1 {
			var e envelope
			if problem := json.Unmarshal(line, &e); problem != nil {
				fmt.Fprintln(os.Stderr, "hostile: not a message:", problem)
			} else {
				running.Go(func() { s.handle(ctx, e, p) })
			}
		}
		if err == io.EOF {
			time.Sleep(s.linger)
			return nil
		}
		if err != nil {
			return err
		}
	}
}
