//go:build unix

package program

import (
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func Test_the_address_is_read_when_the_line_is_whole(t *testing.T) {
	var printed Output
	io.WriteString(&printed, "Warning: x\nlistening on http://127.0.0.1:8848/mc")
	if got := printed.URL(); got != "" {
		t.Errorf("got %q of half a line", got)
	}
	if _, err := printed.AwaitURL(0); err == nil || !strings.Contains(err.Error(), "Warning: x") {
		t.Errorf("got %v, want an error that says what was printed", err)
	}
	io.WriteString(&printed, "p\n")
	if got, err := printed.AwaitURL(time.Minute); got != "http://127.0.0.1:8848" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func Test_who_does_not_end_is_killed(t *testing.T) {
	var printed Output
	command := exec.Command("sh", "-c", `trap "" TERM; echo http://127.0.0.1:1/mcp; while :; do sleep 0.05; done`)
	if err := Start(command, &printed); err != nil {
		t.Fatal(err)
	}
	if _, err := printed.AwaitURL(time.Minute); err != nil { // the trap is set
		t.Fatal(err)
	}
	const grace = 100 * time.Millisecond
	if took := End(command, grace); took < grace || command.ProcessState.ExitCode() != -1 {
		t.Errorf("it took %v and ended with %v", took, command.ProcessState)
	}
}
