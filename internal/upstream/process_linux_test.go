package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// grandchild stays until it is killed, or for a minute if nobody does.
func grandchild() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	os.NewFile(3, "ready").Close()
	time.Sleep(time.Minute)
}

// spawn starts a grandchild, as the traits say, and answers its process id when
// it is ready.
func spawn(traits []string) any {
	if slices.Contains(traits, "twice") { // by a parent that ends at once
		parent := exec.Command(os.Args[0])
		parent.Env = []string{serverMode + "=parent"}
		pid, err := parent.Output()
		if err != nil {
			return err.Error()
		}
		return json.Number(pid)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{serverMode + "=grandchild"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: slices.Contains(traits, "setsid")}
	if slices.Contains(traits, "stdout") {
		cmd.Stdout = os.Stdout
	}
	if slices.Contains(traits, "stderr") {
		cmd.Stderr = os.Stderr
	}
	if slices.Contains(traits, "stay") {
		signal.Ignore(syscall.SIGTERM)
	}
	ready, told, err := os.Pipe()
	if err != nil {
		return err.Error()
	}
	cmd.ExtraFiles = []*os.File{told}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	told.Close()
	_, _ = ready.Read(make([]byte, 1)) // ends when the grandchild closes its end
	if slices.Contains(traits, "die") {
		fmt.Fprintf(os.Stdout, `{"jsonrpc":"2.0","method":"pid","params":{"pid":%d}}`+"\n", cmd.Process.Pid)
		exit(0)
	}
	return cmd.Process.Pid
}

func notifyTerm() <-chan os.Signal {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	return told
}

func spawned(t *testing.T, p *Process, traits ...string) kin {
	t.Helper()
	var answer struct{ Result struct{ Value int } }
	if err := json.Unmarshal([]byte(call(t, p, "1", "spawn", lines(t, traits...))), &answer); err != nil {
		t.Fatal(err)
	}
	return known(t, answer.Result.Value)
}

func known(t *testing.T, pid int) kin {
	t.Helper()
	k := kin{pid, stat(pid).began}
	if k.began == "" {
		t.Fatalf("process %d is not there", pid)
	}
	t.Cleanup(func() { // only if the test fails
		if k.alive() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return k
}

// A zombie is still listed by the kernel, so alive finds it too.
func Test_close_ends_the_whole_family(t *testing.T) {
	for _, traits := range [][]string{
		{},
		{"stdout"},
		{"stdout", "stderr"},
		{"setsid"},
		{"setsid", "stdout", "stderr"},
		{"stay"},
		{"stay", "setsid", "stdout", "stderr"},
	} {
		t.Run(strings.Join(append([]string{"ignores SIGTERM"}, traits...), " "), func(t *testing.T) {
			t.Parallel()
			p := start(t, testLimits, nil)
			grand := spawned(t, p, traits...)
			server := known(t, p.Pid())
			began := time.Now()
			p.Close()
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("Close took %s", took)
			}
			if server.alive() {
				t.Error("the server is left, or its zombie")
			}
			if grand.alive() {
				t.Error("the grandchild is left, or its zombie")
			}
		})
	}
}

func Test_a_server_that_ends_on_its_own_is_no_reason_to_wait(t *testing.T) {
	p := start(t, testLimits, nil)
	call(t, p, "1", "ping", `{}`)
	began := time.Now()
	p.Close()
	if took := time.Since(began); took > stdinGrace+termGrace/2 {
		t.Errorf("Close of a server that ends with its stdin took %s", took)
	}
	if state := p.cmd.ProcessState; state == nil || !state.Success() {
		t.Errorf("it was not left to end by itself: %v", state)
	}
}

func Test_what_is_started_while_it_is_ended_is_ended_too(t *testing.T) {
	var box inbox
	p := start(t, testLimits, box.inbound)
	call(t, p, "1", "spawn-late", `{}`)
	p.Close()
	if s := stat(pidIn(t, &box)); s.began != "" {
		t.Errorf("the grandchild is left: %+v", s)
	}
}

// pidIn is the process id that the server told in its only notification.
func pidIn(t *testing.T, box *inbox) int {
	t.Helper()
	var m struct{ Params struct{ Pid int } }
	if got := box.all(); len(got) != 1 || json.Unmarshal([]byte(got[0].Raw), &m) != nil || m.Params.Pid == 0 {
		t.Fatalf("got %+v", got)
	}
	return m.Params.Pid
}

// The reading ends although somebody still holds the other end of stdout.
func Test_death_with_stdout_held_open(t *testing.T) {
	var box inbox
	p := start(t, testLimits, box.inbound)
	began := time.Now()
	if _, err := p.try(request(t, "1", "spawn", lines(t, "die", "stdout", "stderr"))); err == nil {
		t.Error("the call succeeded")
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the call failed after %s", took)
	}
	waitFor(t, "Done", func() bool { return ended(p) })
	if s := stat(pidIn(t, &box)); s.began != "" {
		t.Errorf("the grandchild is left: %+v", s)
	}
}

func Test_no_descriptors_are_left(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	p := start(t, testLimits, nil)
	p.Close()
	before := count()
	for range 5 {
		p := start(t, testLimits, nil)
		call(t, p, "1", "ping", `{}`)
		p.Close()
		p = start(t, testLimits, nil)
		_, _ = p.try(request(t, "1", "die", `{}`))
		waitFor(t, "Done", func() bool { return ended(p) })
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// A process whose parent died before its server did is nobody's any more; it is
// ended with the program.
func Test_what_escaped_is_ended_with_the_program(t *testing.T) {
	p := start(t, testLimits, nil)
	escaped := spawned(t, p, "twice")
	p.Close()
	if !escaped.alive() {
		t.Fatal("it did not escape, so this shows nothing")
	}
	EndAdopted()
	if escaped.alive() {
		t.Error("it is left")
	}
}

// box is a confinement that notes what happens to it, and can fail.
type box struct {
	steps             []string
	configure, starts error
}

func (b *box) Configure(*exec.Cmd) error { b.steps = append(b.steps, "configure"); return b.configure }
func (b *box) Started(int) error         { b.steps = append(b.steps, "started"); return b.starts }
func (b *box) Ended()                    { b.steps = append(b.steps, "ended") }

func Test_a_confinement_that_fails_leaves_nothing_running(t *testing.T) {
	wrong := errors.New("it does not hold")
	for name, test := range map[string]struct {
		box  box
		want []string
	}{
		"it holds":         {box{}, []string{"configure", "started", "ended"}},
		"before the start": {box{configure: wrong}, []string{"configure", "ended"}},
		"after the start":  {box{starts: wrong}, []string{"configure", "started", "ended"}},
	} {
		t.Run(name, func(t *testing.T) {
			mark := filepath.Join(t.TempDir(), "mark")
			p, err := Start(Command{Args: []string{"/bin/sh", "-c", "read line; echo > " + mark}, Confine: &test.box}, Limits{MessageBytes: 1 << 10, WriteTimeout: time.Second}, slog.New(slog.DiscardHandler), nil)
			if fails := test.box.configure != nil || test.box.starts != nil; fails != (err != nil) || fails && !errors.Is(err, ErrUnavailable) {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				if p.Confinement() != &test.box {
					t.Error("it is not known how the process is confined")
				}
				p.Close()
			} else if _, there := os.Stat(mark); there == nil {
				t.Error("the server ran")
			}
			if !slices.Equal(test.box.steps, test.want) {
				t.Errorf("steps %v, want %v", test.box.steps, test.want)
			}
		})
	}
}
