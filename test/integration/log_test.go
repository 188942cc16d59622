//go:build unix

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// command starts the program and returns what it printed and its exit code.
func command(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	program := exec.Command(gatehouse, args...)
	raw, err := program.CombinedOutput()
	if err != nil && program.ProcessState == nil {
		t.Fatal(err)
	}
	return string(raw), program.ProcessState.ExitCode()
}

func TestLog_verify_and_query(t *testing.T) {
	t.Parallel()
	g := serve(t, object{"files": object{"command": hostile(t)}})
	c := g.legacy("")
	c.echo("files__")
	c.call("files__nothing", object{})
	verify := func(dir string) (string, int) { return command(t, "log", "verify", "--dir", dir) }
	if output, code := verify(g.audit); code != 0 {
		t.Errorf("while it is written, verify ended with %d:\n%s", code, output)
	}
	g.stop()
	if output, code := verify(g.audit); code != 0 {
		t.Errorf("verify ended with %d:\n%s", code, output)
	}
	for args, want := range map[string]string{
		"--reason not-found": "nothing", "--decision deny": "nothing", "--tool files__echo": "echo", "--server files": "files",
	} {
		output, code := command(t, append([]string{"log", "query", "--dir", g.audit}, strings.Fields(args)...)...)
		if code != 0 || !strings.Contains(output, want) {
			t.Errorf("query %s ended with %d and lacks %q:\n%s", args, code, want, output)
		}
	}

	segment := filepath.Join(g.audit, "00000000000000000001.jsonl")
	whole, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	step := len(whole) / 10
	for at := step / 2; at < len(whole); at += step {
		changed := append([]byte(nil), whole...)
		changed[at] ^= 1
		writeFile(t, segment, string(changed))
		if output, code := verify(g.audit); code != 1 {
			t.Errorf("with byte %d changed, verify ended with %d:\n%s", at, code, output)
		}
		writeFile(t, segment, string(whole[:at]))
		if output, code := verify(g.audit); code != 1 {
			t.Errorf("cut at byte %d, verify ended with %d:\n%s", at, code, output)
		}
	}
	writeFile(t, segment, string(whole)) // for the look that follows every test
}
