package cli

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/internal/egress/inside"
	"gatehouse/internal/sandbox"
)

// TestMain lets the scripts run the program in a process of its own.
func TestMain(m *testing.M) {
	sandbox.Inside(inside.Setup)
	testscript.Main(m, map[string]func(){
		"gatehouse": func() {
			os.Exit(Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: func(env *testscript.Env) error {
		env.Vars = append(env.Vars, "XDG_STATE_HOME="+env.WorkDir)
		return nil
	}, Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "record": record, "approved": approved}})
}

// exits runs a program and checks its exit code: exits CODE PROGRAM ARGUMENT…
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENT…")
	}
	code := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		code = err.Error()
	}
	if want := "exit status " + args[0]; code != want && !(args[0] == "0" && code == "0") {
		ts.Fatalf("%v ends with %s, want %s", args[1:], code, want)
	}
}
