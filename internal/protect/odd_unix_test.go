//go:build unix

package protect

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe, a loop of links and a file without end are named, not waited for.
func Test_odd_files_are_problems(t *testing.T) {
	home, files := cursor(t, "{}")
	path := filepath.Join(home, ".cursor", "mcp.json")
	for name, make := range map[string]func() error{
		"pipe":   func() error { return syscall.Mkfifo(path, 0o600) },
		"loop":   func() error { return os.Symlink(path, path) },
		"large":  func() error { return os.Truncate(must(os.Create(path)).Name(), maxFile+1) },
		"device": func() error { return os.Symlink("/dev/zero", path) },
		"broken": func() error { return os.WriteFile(path, []byte(`{"mcpServers": {`), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := make(); err != nil {
				t.Fatal(err)
			}
			j, o, _ := setup(t, home)
			plan := New(files(), o)
			if len(plan.Files) != 1 || plan.Files[0].Problem == "" || plan.Changes() != 0 {
				t.Errorf("%+v", plan)
			}
			if out, err := j.Apply(plan, "memory"); err != nil || len(out) > 0 {
				t.Errorf("%+v, %v", out, err)
			}
		})
	}
}

func must(f *os.File, err error) *os.File {
	if err != nil {
		panic(err)
	}
	f.Close()
	return f
}
