//go:build amd64 || arm64

package sandbox

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/profile"
)

func TestMain(m *testing.M) {
	Inside(nil)
	os.Exit(m.Run())
}

// ran is what came of a program in a sandbox.
type ran struct {
	out, err string
	code     int
	report   Report
}

// run starts a program in a sandbox and waits for its end.
func run(t *testing.T, p profile.Profile, c Command, stdin string) (ran, error) {
	t.Helper()
	s, err := New(p, c)
	if err != nil {
		return ran{}, err
	}
	defer s.Ended()
	var out, errs bytes.Buffer
	cmd := exec.Command("/proc/self/exe")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := s.Configure(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	err = s.Started(cmd.Process.Pid)
	if err != nil {
		_ = cmd.Process.Kill()
	}
	_ = cmd.Wait()
	return ran{out.String(), errs.String(), cmd.ProcessState.ExitCode(), s.Report()}, err
}

func empty() profile.Profile { return profile.Profile{Limits: profile.DefaultLimits()} }

func command(args ...string) Command {
	return Command{Args: args, Dir: "/", Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"}}
}

func Test_a_program_runs_inside(t *testing.T) {
	got, err := run(t, empty(), command("/bin/cat"), "hello\n")
	if err != nil {
		t.Fatal(err)
	}
	if got.out != "hello\n" || got.code != 0 {
		t.Errorf("%+v", got)
	}
	if missing := got.report.Missing(); len(missing) > 0 {
		t.Errorf("not enforced: %v", missing)
	}
}
