//go:build unix

package integration

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// wrapped is `gatehouse run` with a reader of its standard output that the test
// holds.
type wrapped struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *os.File
}

func wrap(t *testing.T, server ...string) *wrapped {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	w := &wrapped{out: read}
	w.command = exec.Command(gatehouse, append([]string{"run", "--state", filepath.Join(t.TempDir(), "state"), "--"}, server...)...)
	w.command.Stdout = write
	if w.in, err = w.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := w.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.command.Process.Kill()
		_ = read.Close()
	})
	w.send(t, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`)
	if n, err := read.Read(make([]byte, 64<<10)); n == 0 || err != nil {
		t.Fatalf("initialize was not answered: %v", err)
	}
	w.send(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return w
}

func (w *wrapped) send(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(w.in, line+"\n"); err != nil {
		t.Error(err)
	}
}

// ends waits for the program and checks that the server, whose id stands in the
// file, is gone with it.
func (w *wrapped) ends(t *testing.T, record string, within time.Duration) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- w.command.Wait() }()
	select {
	case <-ended:
	case <-time.After(within):
		t.Errorf("it runs on after %s", within)
	}
	if w.command.ProcessState != nil && w.command.ProcessState.ExitCode() == -1 {
		t.Errorf("it was killed by a signal: %v", w.command.ProcessState)
	}
	for _, line := range lines(t, record) {
		var pid int
		if _, err := fmt.Sscan(line, &pid); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the server to end", func() bool { return !alive(pid) })
	}
}

func TestPipes_a_client_that_is_gone_ends_the_server_too(t *testing.T) {
	t.Parallel()
	record := filepath.Join(t.TempDir(), "record")
	w := wrap(t, hostile(t, "-mode", "ignore-term", "-record", record)...)
	w.out.Close()
	for id := 2; id < 6; id++ {
		w.send(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/list"}`, id))
	}
	w.in.Close()
	w.ends(t, record, 2*shutdown)
	if len(lines(t, record)) == 0 {
		t.Error("no server was started")
	}
}

func TestPipes_a_client_that_does_not_read_cannot_keep_it_alive(t *testing.T) {
	t.Parallel()
	w := wrap(t, hostile(t, "-mode", "flood")...)
	w.send(t, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"},"_meta":{"progressToken":1}}}`)
	filled := time.Now()
	eventually(t, "the pipe to fill", func() bool { return time.Since(filled) > time.Second })
	if err := w.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.ends(t, filepath.Join(t.TempDir(), "none"), 2*shutdown)
}
