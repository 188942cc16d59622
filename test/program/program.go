// Package program finds, builds and starts the programs that tests stand in front of:
// Gatehouse, as a user builds and starts it, and what `make tools` installs.
package program

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	// The import makes the test cache notice when the program changes.
	_ "gatehouse/internal/cli"
)

// Build builds Gatehouse into a folder and returns the path of the program.
func Build(folder string) (string, error) {
	path := filepath.Join(folder, "gatehouse")
	build := exec.Command("go", "build", "-o", path, "gatehouse/cmd/gatehouse")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the gateway: %w\n%s", err, output)
	}
	return path, nil
}

// Output collects what a program prints, on both of its streams.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

var address = regexp.MustCompile(`(https?://[0-9.:]+)/mcp\n`)

// URL is where `gatehouse serve` says that it listens, without a path; empty before it
// does.
func (o *Output) URL() string {
	if found := address.FindStringSubmatch(o.String()); found != nil {
		return found[1]
	}
	return ""
}

// AwaitURL is URL as soon as there is one.
func (o *Output) AwaitURL(patience time.Duration) (string, error) {
	late := time.After(patience)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if url := o.URL(); url != "" {
			return url, nil
		}
		select {
		case <-again.C:
		case <-late:
			return "", fmt.Errorf("the gateway says no address within %v:\n%s", patience, o)
		}
	}
}

// Start starts a command that prints to the output.
func Start(command *exec.Cmd, printed *Output) error {
	command.Stdout, command.Stderr = printed, printed
	return command.Start()
}

// End asks a program to end, waits for it, and kills it when it takes longer than the
// grace. It returns how long that took.
func End(command *exec.Cmd, grace time.Duration) time.Duration {
	began := time.Now()
	command.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	kill := time.AfterFunc(grace, func() { command.Process.Kill() })
	defer kill.Stop()
	command.Wait() // how it ended is for its output to say
	return time.Since(began)
}
