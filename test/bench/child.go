package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a process of this run. It ends with the context it was started with.
type child struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr *tail
	ended  chan struct{}
	stop   context.CancelFunc
}

// stopGrace is how long a process may take to end by itself.
const stopGrace = 5 * time.Second

// start starts a process. With line it waits for the first line the process
// writes and returns it.
func start(ctx context.Context, line bool, name string, args ...string) (*child, string, error) {
	ctx, stop := context.WithCancel(ctx)
	c := &child{name: name, cmd: exec.CommandContext(ctx, args[0], args[1:]...), stderr: &tail{}, ended: make(chan struct{}), stop: stop}
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = stopGrace
	c.cmd.Stderr = c.stderr
	endWithParent(c.cmd)
	var out io.ReadCloser
	var err error
	if line {
		if out, err = c.cmd.StdoutPipe(); err != nil {
			stop()
			return nil, "", err
		}
	}
	// The helpers of this program end when their stdin does, also where the system
	// does not end children with their parents.
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		stop()
		return nil, "", err
	}
	if err := c.cmd.Start(); err != nil {
		stop()
		return nil, "", fmt.Errorf("starting %s: %w", name, err)
	}
	said := ""
	if line {
		if said, err = bufio.NewReader(out).ReadString('\n'); err != nil {
			err = fmt.Errorf("%s said nothing: %w", name, err)
		}
	}
	go func() {
		_ = c.cmd.Wait() // how it ended is of interest only if a measurement went wrong, and then stderr says why
		close(c.ended)
	}()
	if err != nil {
		c.close()
		return nil, "", fmt.Errorf("%w: %s", err, c.stderr)
	}
	return c, strings.TrimSpace(said), nil
}

// close ends the process and returns when it is gone.
func (c *child) close() {
	c.stop()
	<-c.ended
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// tail keeps the end of what a process writes.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(b []byte) (int, error) {
	const most = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	t.kept = t.kept[max(0, len(t.kept)-most):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.kept))
}

// freeAddress is an address of this machine that nobody listens on now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// helper runs this program in another part.
func helper(ctx context.Context, part ...string) (*child, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	return start(ctx, true, part[0], append([]string{self}, part...)...)
}
