package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// endGrace is how long a process may take to end by itself.
const endGrace = 3 * time.Second

// stdioConn is a server that runs as a process of the client, as most do.
type stdioConn struct {
	process *process
	in      io.WriteCloser
	lines   *bufio.Scanner
	lastID  int
}

// startStdio starts a server. It ends with ctx, whatever it does.
func startStdio(ctx context.Context, dir string, command []string) (*stdioConn, error) {
	p := newProcess(ctx, dir, command)
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxMessage)
	return &stdioConn{process: p, in: in, lines: lines}, nil
}

func (c *stdioConn) call(_ context.Context, method string, params any) (json.RawMessage, error) {
	c.lastID++
	if err := c.write(request{JSONRPC: "2.0", ID: c.lastID, Method: method, Params: params}); err != nil {
		return nil, err
	}
	for c.lines.Scan() {
		var r response
		// What is no JSON, or no answer to this request, is passed over.
		if json.Unmarshal(c.lines.Bytes(), &r) == nil && r.answers(c.lastID) {
			return r.outcome()
		}
	}
	return nil, c.ended(c.lines.Err())
}

func (c *stdioConn) notify(_ context.Context, method string) error {
	return c.write(request{JSONRPC: "2.0", Method: method})
}

func (c *stdioConn) write(r request) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		return c.ended(err)
	}
	return nil
}

// ended explains a connection that broke, with the last words of the process.
func (c *stdioConn) ended(err error) error {
	c.close()
	if err == nil {
		err = errors.New("the process ended")
	}
	return c.process.explain(err)
}

// close ends the process as the specification of the stdio transport has it:
// "First, closing the input stream to the child process (the server)", and by
// force when that is not enough.
func (c *stdioConn) close() {
	c.in.Close()
	c.process.end()
}

// process is a program that never outlives the demo, nor do its children.
type process struct {
	cmd    *exec.Cmd
	stop   context.CancelFunc
	stderr tail
	waited bool
}

func newProcess(ctx context.Context, dir string, command []string) *process {
	ctx, stop := context.WithCancel(ctx)
	p := &process{cmd: exec.CommandContext(ctx, command[0], command[1:]...), stop: stop}
	p.cmd.Dir = dir
	p.cmd.Stderr = &p.stderr
	p.cmd.Cancel = func() error { return endGroup(p.cmd) }
	p.cmd.WaitDelay = endGrace // for pipes that a grandchild holds open
	ownGroup(p.cmd)
	return p
}

// end waits for the process and ends it by force when it takes too long.
func (p *process) end() {
	if p.waited {
		return
	}
	p.waited = true
	force := time.AfterFunc(endGrace, p.stop)
	defer force.Stop()
	defer p.stop()
	_ = p.cmd.Wait()    // how it ends is of no interest
	_ = endGroup(p.cmd) // as a rule nobody is left
}

// explain adds what the process said last to an error. The process has ended.
func (p *process) explain(err error) error {
	if words := p.stderr.String(); words != "" {
		return fmt.Errorf("%w; it said: %s", err, words)
	}
	return err
}

// tail keeps the end of what is written to it. It belongs to the process until
// that has ended.
type tail struct{ kept []byte }

// maxTail is what a person wants to read of a program that did not start.
const maxTail = 600

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	t.kept = t.kept[max(0, len(t.kept)-maxTail):]
	return len(p), nil
}

func (t *tail) String() string {
	return strings.Join(strings.Fields(string(bytes.ToValidUTF8(t.kept, nil))), " ")
}
