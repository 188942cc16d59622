package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Command is how a process is started. The environment holds exactly Env.
type Command struct {
	Args []string
	Dir  string
	Env  []string // NAME=value
	// Confine starts the process in a sandbox; nil starts it as it is.
	Confine Confinement
}

// Confinement is a way to start a process with fewer rights. Its methods are
// called in this order, Ended in any case.
type Confinement interface {
	// Configure changes the command before it is started.
	Configure(*exec.Cmd) error
	// Started returns when the server itself begins. After an error the process is
	// killed.
	Started(pid int) error
	// Ended is called when the process is gone, or was never started.
	Ended()
}

// unconfined starts a process as it is.
type unconfined struct{}

func (unconfined) Configure(*exec.Cmd) error { return nil }
func (unconfined) Started(int) error         { return nil }
func (unconfined) Ended()                    {}

const (
	// maxStrayLines bounds lines that are no messages between two messages. Real
	// servers print a banner or a warning; more is a flood.
	maxStrayLines = 1000
	// keptStderr is how much of the end of stderr is kept to explain a failure.
	keptStderr = 4 << 10
	// The steps of ending a process: stdin is closed first, as the specification
	// asks ("close the input stream to the child process"), then SIGTERM, then
	// SIGKILL. Together they stay under the five seconds a shutdown may take.
	stdinGrace = 500 * time.Millisecond
	termGrace  = 1500 * time.Millisecond
)

// Process is a server started as a child process.
type Process struct {
	calls
	cmd     *exec.Cmd
	confine Confinement
	stdin   *os.File
	inbound Inbound
	log     *slog.Logger
	exited  chan struct{} // closed when the process has been reaped
	done    chan struct{} // closed when, besides, nothing of it is left
	closing sync.Once
	reaping sync.Once

	writing sync.Mutex // one line at a time

	// mu of calls guards what follows
	exit    error // what reaping said
	errTail []byte
	family  []kin // descendants that were seen when the process was about to end
}

// kin is a descendant of a server. Process ids are used again, so the time at
// which it began belongs to it.
type kin struct {
	pid   int
	began string
}

// Start starts a server. Inbound is called from one goroutine.
func Start(c Command, limits Limits, log *slog.Logger, inbound Inbound) (*Process, error) {
	// The pipes are made here and not by exec, because writing needs a deadline:
	// a server that does not read must not hold up the gateway.
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a pipe: %w", err), inRead.Close(), inWrite.Close())
	}
	p := &Process{
		calls: newCalls(limits), stdin: inWrite, inbound: inbound, log: log,
		exited: make(chan struct{}), done: make(chan struct{}),
	}
	p.cmd = exec.Command(c.Args[0], c.Args[1:]...)
	p.cmd.Dir, p.cmd.Env = c.Dir, c.Env
	if p.cmd.Env == nil {
		p.cmd.Env = []string{} // nil would mean the gateway's own environment
	}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = inRead, outWrite, (*stderrTail)(p)
	// Descendants may keep stderr open after the server is gone.
	p.cmd.WaitDelay = termGrace
	ownGroup(p.cmd)
	if p.confine = c.Confine; p.confine == nil {
		p.confine = unconfined{}
	}
	if err = p.confine.Configure(p.cmd); err == nil {
		err = p.cmd.Start()
	}
	inRead.Close()
	outWrite.Close()
	if err != nil {
		inWrite.Close()
		outRead.Close()
		p.confine.Ended()
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	ours.Store(p.cmd.Process.Pid, true)
	if err := p.confine.Started(p.cmd.Process.Pid); err != nil {
		_ = p.cmd.Process.Kill()
		p.wait(outRead)
		inWrite.Close()
		outRead.Close()
		return nil, p.Explain(fmt.Errorf("%w: %w", ErrUnavailable, err))
	}
	go p.wait(outRead)
	go p.read(outRead)
	return p, nil
}

// ours are the processes that Start started and that wait reaps.
var ours sync.Map // process id → true

func isOurs(pid int) bool {
	_, found := ours.Load(pid)
	return found
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Confinement is what Command.Confine was; something that confines nothing if it
// was nil.
func (p *Process) Confinement() Confinement { return p.confine }

// Done is closed when the process is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Call sends one request.
func (p *Process) Call(ctx context.Context, r Request) (Answer, error) {
	return p.call(ctx, r, p.Send)
}

// Send writes a notification or a response.
func (p *Process) Send(_ context.Context, raw []byte) error { return p.write(raw) }

// write sends one line. "Messages are delimited by newlines, and MUST NOT contain
// embedded newlines"; in strict JSON a raw line break can only be white space.
// Nothing may stand between the message and the newline either: the official Go
// SDK ends over it.
func (p *Process) write(raw []byte) error {
	raw = bytes.TrimSpace(raw)
	line := make([]byte, 0, len(raw)+1)
	for _, c := range raw {
		if c == '\n' || c == '\r' {
			c = ' '
		}
		line = append(line, c)
	}
	line = append(line, '\n')
	p.writing.Lock()
	defer p.writing.Unlock()
	_ = p.stdin.SetWriteDeadline(time.Now().Add(p.limits.WriteTimeout))
	if _, err := p.stdin.Write(line); err != nil {
		// Half a line may have been written, so the stream is of no more use.
		p.end(fmt.Errorf("%w: writing to it: %w", ErrEnded, err))
		go p.Close()
		return p.reason()
	}
	return nil
}

// wait reaps the process. A descendant may keep stdout open after the server is
// gone; what the server still wrote is read, then reading ends.
func (p *Process) wait(stdout *os.File) {
	err := p.cmd.Wait()
	ours.Delete(p.cmd.Process.Pid)
	p.confine.Ended()
	p.mu.Lock()
	p.exit = err
	p.mu.Unlock()
	close(p.exited)
	_ = stdout.SetReadDeadline(time.Now().Add(stdinGrace))
}

// read takes lines from stdout until it ends or is given up, then sees to it that
// nothing of the process is left.
func (p *Process) read(stdout *os.File) {
	err := p.lines(bufio.NewReaderSize(stdout, 64<<10))
	stdout.Close()
	p.end(err)
	p.stdin.Close()
	p.kill()
	close(p.done)
}

func (p *Process) lines(r *bufio.Reader) error {
	stray := 0
	for {
		line, err := readLine(r, p.limits.MessageBytes)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
				return ErrEnded
			}
			return err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if !likeMessage(line) {
			// Servers print banners and debug text where only messages may stand.
			// Refusing them helps nobody; counting them bounds it.
			if stray++; stray > maxStrayLines {
				return fmt.Errorf("%w: over %d lines that are no messages", ErrFlood, maxStrayLines)
			}
			p.countStray()
			continue
		}
		stray = 0
		if err := p.message(line); err != nil {
			return err
		}
	}
}

// likeMessage tells a line that means to be a message, or a batch of them, from
// what servers print beside them: "[INFO] ready".
func likeMessage(line []byte) bool {
	if line[0] == '[' {
		line = bytes.TrimSpace(line[1:])
	}
	return len(line) > 0 && line[0] == '{'
}

// readLine is the next line without its end. The result is the caller's own.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > limit+1 {
			return nil, fmt.Errorf("%w of %d bytes", ErrTooLarge, limit)
		}
		line = append(line, part...)
		if err == nil {
			return line[:len(line)-1], nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if len(line) > 0 && errors.Is(err, io.EOF) {
				return line, nil
			}
			return nil, err
		}
	}
}

func (p *Process) message(line []byte) error {
	m, tag, err := p.take(line)
	if m != nil {
		p.inbound(m, tag)
	}
	return err
}

// Close ends the process and everything it started.
func (p *Process) Close() {
	p.end(ErrEnded)
	p.closing.Do(func() {
		p.noteFamily()
		p.stdin.Close()
		select {
		case <-p.exited:
		case <-time.After(stdinGrace):
		}
		p.kill()
	})
	// The process is gone. What it still sent may be stuck with a client that does
	// not read, and must not hold up the end.
	select {
	case <-p.done:
	case <-time.After(termGrace):
	}
}

// Explain adds the exit status and what the server last wrote to stderr to an
// error about it. The text is the server's: it is for logs, never for a model.
func (p *Process) Explain(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exit != nil {
		err = fmt.Errorf("%w (%w)", err, p.exit)
	}
	if p.stray > 0 {
		err = fmt.Errorf("%w; %d lines on stdout were of no use", err, p.stray)
	}
	if tail := bytes.TrimSpace(p.errTail); len(tail) > 0 {
		err = fmt.Errorf("%w; stderr ended with %q", err, tail)
	}
	return err
}

// stderrTail keeps the end of what a server writes to stderr. "The server MAY
// write UTF-8 strings to its standard error"; it is no sign of an error.
type stderrTail Process

func (t *stderrTail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errTail = append(t.errTail, b[max(0, len(b)-keptStderr):]...)
	if extra := len(t.errTail) - keptStderr; extra > 0 {
		t.errTail = append(t.errTail[:0], t.errTail[extra:]...)
	}
	return len(b), nil
}
