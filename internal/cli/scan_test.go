package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"gatehouse/internal/report"
)

// machineOf unpacks a machine of testdata/machine, and makes it the one that is scanned.
func machineOf(tb testing.TB, name string) {
	tb.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "machine", name))
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	for _, file := range archive.Files {
		path := filepath.Join(dir, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, file.Data, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	project := filepath.Join(dir, "project")
	if err := os.MkdirAll(project, 0o700); err != nil {
		tb.Fatal(err)
	}
	tb.Setenv("HOME", filepath.Join(dir, "home"))
	tb.Setenv("XDG_CONFIG_HOME", "")
	tb.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	tb.Chdir(project)
}

func scanJSON(tb testing.TB) report.Report {
	tb.Helper()
	var out, errors bytes.Buffer
	if code := Run(context.Background(), []string{"scan", "--json", "--fail-on", "never"}, nil, &out, &errors); code != 0 {
		tb.Fatalf("exit code %d: %s", code, &errors)
	}
	var r report.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		tb.Fatal(err)
	}
	return r
}

func Test_a_machine_with_twenty_servers(t *testing.T) {
	if os.PathSeparator != '/' {
		t.Skip("the files lie where Linux has them")
	}
	machineOf(t, "twenty.txtar")
	r := scanJSON(t)
	if s := r.Summary; s.Servers != 20 || s.Clients != 6 || s.Found != 6 || s.Parsed != 6 || !s.Complete || s.Findings.Total() == 0 {
		t.Errorf("%+v", s)
	}
}

// Fingerprints, also those of secrets, are the same in every run, so that runs can be
// compared.
func Test_two_scans_of_the_same_are_the_same(t *testing.T) {
	if os.PathSeparator != '/' {
		t.Skip("the files lie where Linux has them")
	}
	machineOf(t, "twenty.txtar")
	a, b := scanJSON(t), scanJSON(t)
	a.Time = b.Time
	one, _ := json.Marshal(a)
	other, _ := json.Marshal(b)
	if !bytes.Equal(one, other) {
		t.Errorf("%s\n%s", one, other)
	}
}

func BenchmarkScan(b *testing.B) {
	machineOf(b, "twenty.txtar")
	b.ReportAllocs()
	for b.Loop() {
		scanJSON(b)
	}
}
