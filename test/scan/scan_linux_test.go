package scan

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/egress/inside"
	"gatehouse/internal/report"
	"gatehouse/internal/rule"
	"gatehouse/internal/sandbox"
	"gatehouse/test/program"
)

func TestMain(m *testing.M) {
	sandbox.Inside(inside.Setup) // a part of a sandbox is this program too
	os.Exit(m.Run())
}

var update = flag.Bool("update", false, "write docs/scan-noise.md anew")

const page = "../../docs/scan-noise.md"

// outcome is what a scan said of one setup.
type outcome struct {
	setup
	findings []report.Finding
}

// Test_what_a_scan_says_of_real_packages holds each finding against what a person judged.
// A finding that nobody judged fails, and so does one of high or critical severity that
// was judged wrong.
func Test_what_a_scan_says_of_real_packages(t *testing.T) {
	if _, err := sandbox.Available(); err != nil {
		program.Missing(t, "no server is started here: %v", err)
	}
	gatehouse, err := program.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	all := true
	var outcomes []outcome
	for _, s := range setups {
		t.Run(s.title, func(t *testing.T) {
			dir, whole := machine(t, s)
			o := scan(t, gatehouse, dir, s)
			judge(t, o, whole)
			outcomes, all = append(outcomes, o), all && whole
		})
	}
	if t.Failed() {
		return
	}
	if !all {
		t.Skip("not every package is installed; `make tools` and `make test-wide` install them")
	}
	got := markdown(outcomes)
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the page is of another scan; `make test-wide` writes it anew: %s", diff)
	}
}

// attempts are for a machine that is so busy that a server does not answer in time.
const attempts = 3

// scan runs the built program as a person does, in a home of its own.
func scan(t *testing.T, gatehouse, dir string, s setup) outcome {
	t.Helper()
	for range attempts {
		r, said := run(t, gatehouse, dir, s.connect)
		if strings.Contains(said, "did not answer within") {
			continue
		}
		if r.Summary.Servers != len(s.servers) || r.Summary.Incomplete != 0 {
			t.Errorf("%+v, want %d servers", r.Summary, len(s.servers))
		}
		if s.connect {
			s.answered(t, said)
		}
		for i := range r.Findings {
			if r.Findings[i].Server == "" {
				r.Findings[i].Name = together
			}
		}
		return outcome{s, r.Findings}
	}
	t.Fatalf("%d times a server did not answer in time", attempts)
	return outcome{}
}

func run(t *testing.T, gatehouse, dir string, connect bool) (r report.Report, said string) {
	t.Helper()
	command := exec.Command(gatehouse, "scan", "--json", "--fail-on", "never", filepath.Join(dir, "notes"))
	if connect {
		command.Args = append(command.Args, "--connect=yes")
	}
	command.Dir = dir
	command.Env = []string{"HOME=" + dir, "PATH=" + filepath.Dir(program.Node(t)) + string(filepath.ListSeparator) + os.Getenv("PATH")}
	var out, errors bytes.Buffer
	command.Stdout, command.Stderr = &out, &errors
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &errors)
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r, errors.String()
}

var progress = regexp.MustCompile(`(?m)^\d+/\d+  (\S+): (.*)$`)

// answered checks which servers said what they have: what is not read is not judged, and
// raises no alarm. A package that is not installed says nothing.
func (s setup) answered(t *testing.T, said string) {
	t.Helper()
	results := map[string]string{}
	for _, m := range progress.FindAllStringSubmatch(said, -1) {
		results[m[1]] = m[2]
	}
	for _, one := range s.servers {
		result := results[one.name]
		if strings.HasPrefix(result, "it was not started: it is not installed") {
			continue
		}
		if (result == "read") != (one.unread == "") {
			t.Errorf("%s: %q, and the list says %q", one.name, result, one.unread)
		}
	}
}

// judge holds findings against judgements. Where something is not installed, what it
// would have shown is missing.
func judge(t *testing.T, o outcome, whole bool) {
	t.Helper()
	found := map[key]bool{}
	for _, f := range o.findings {
		k := key{o.title, f.Name, f.Check}
		found[k] = true
		j, judged := judgements[k]
		switch {
		case !judged:
			t.Errorf("nobody judged this: %s %s %s: %s", f.Severity, f.Check, f.Name, f.Why)
		case f.Severity >= rule.High && (!j.right || o.title == careful):
			t.Errorf("a false alarm: %s %s %s: %s", f.Severity, f.Check, f.Name, f.Why)
		}
		if missed[k] != "" {
			t.Errorf("%s of %s is found, and the list says that it is missed", f.Check, f.Name)
		}
	}
	for k := range judgements {
		if whole && k.setup == o.title && !found[k] {
			t.Errorf("%s of %s is not found any more", k.check, k.server)
		}
	}
}

// Test_enough_servers_are_set_up_with_care counts: the reference servers, and ten others
// that many people use.
func Test_enough_servers_are_set_up_with_care(t *testing.T) {
	reference := 0
	for _, s := range withCare {
		if s.reference {
			reference++
		}
	}
	if others := len(withCare) - reference; reference < 7 || others < 10 {
		t.Errorf("%d reference servers and %d others", reference, others)
	}
}

// The page is of these servers and judgements, also where not all of them are installed.
func Test_the_page_says_what_was_judged(t *testing.T) {
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, s := range setups {
		for _, one := range s.servers {
			if row := fmt.Sprintf("| %s | `%s` |", one.name, one); !strings.Contains(text, row) {
				t.Errorf("missing: %s", row)
			}
		}
	}
	for k, j := range judgements {
		if row := j.cells(k); !strings.Contains(text, row) {
			t.Errorf("missing: %s", row)
		}
	}
	for k, why := range missed {
		if row := cells(k, "**missed**", why); !strings.Contains(text, row) {
			t.Errorf("missing: %s", row)
		}
	}
}

// Every judgement and everything that is missed is about a server that is there.
func Test_the_lists_are_about_servers_that_are_there(t *testing.T) {
	there := map[[2]string]bool{}
	for _, s := range setups {
		there[[2]string{s.title, together}] = true
		for _, one := range s.servers {
			there[[2]string{s.title, one.name}] = true
		}
	}
	for k := range judgements {
		if !there[[2]string{k.setup, k.server}] {
			t.Errorf("%+v", k)
		}
	}
	for k := range missed {
		if !there[[2]string{k.setup, k.server}] {
			t.Errorf("%+v", k)
		}
	}
}
