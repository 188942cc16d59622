//go:build unix

package wide

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/finding"
	"gatehouse/internal/rule"
)

var update = flag.Bool("update", false, "write docs/NOISE.md anew")

const page = "../../docs/NOISE.md"

// fewest is how many servers a run must have.
const fewest = 12

// seen is what one server showed and what the rules said of it.
type seen struct {
	server
	tools, prompts, resources int
	definitions               int // bytes
	results                   int // how many
	bytes                     int // of results
	findings                  map[string]int
}

// Test_servers_of_others_raise_no_noise lists everything that published servers have,
// calls some of it, and reads in the log what the rules said.
func Test_servers_of_others_raise_no_noise(t *testing.T) {
	if os.Getenv("GATEHOUSE_WIDE") == "" {
		t.Skip("`make test-wide` installs the servers and runs this")
	}
	home := t.TempDir()
	all := servers(t, home)
	if len(all) < fewest {
		t.Fatalf("%d servers, want at least %d", len(all), fewest)
	}
	repositoryIn(t, home)
	g := serve(t, all)
	var list []*seen
	for _, s := range all {
		one := &seen{server: s, findings: map[string]int{}}
		list = append(list, one)
		t.Run(s.id, func(t *testing.T) { one.visit(t, g) })
	}
	g.stop()
	judge(t, g, list)
	t.Logf("\n%s", table(list))
	if *update && !t.Failed() {
		if err := os.WriteFile(page, []byte(markdown(list)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// mostResources are read of one server.
const mostResources = 5

func (s *seen) visit(t *testing.T, g *gateway) {
	c := g.client(t, s.id)
	tools, size := c.list("tools/list", "tools")
	s.tools, s.definitions = len(tools), size
	if s.tools == 0 {
		t.Error("no tool is listed")
	}
	prompts, size := c.list("prompts/list", "prompts")
	s.prompts, s.definitions = len(prompts), s.definitions+size
	resources, size := c.list("resources/list", "resources")
	s.resources, s.definitions = len(resources), s.definitions+size
	for _, call := range s.calls {
		if c.result("tools/call", object{"name": call.tool, "arguments": call.arguments}) == nil {
			t.Errorf("%s has no result", call.tool)
		}
		s.results++
	}
	for _, p := range prompts {
		if arguments, _ := p["arguments"].([]any); len(arguments) == 0 {
			if c.result("prompts/get", object{"name": p["name"]}) == nil {
				t.Errorf("the prompt %v has no result", p["name"])
			}
			s.results++
		}
	}
	for _, r := range resources[:min(len(resources), mostResources)] {
		c.result("resources/read", object{"uri": r["uri"]})
		s.results++
	}
	s.bytes = c.bytes
}

// judge reads the log: nothing may be refused or kept back because of a rule, and no
// finding may act.
func judge(t *testing.T, g *gateway, list []*seen) {
	byID := map[string]*seen{}
	for _, s := range list {
		byID[s.id] = s
	}
	admitted := 0
	err := audit.Read(g.audit, audit.Filter{}, func(r *audit.Record) error {
		if r.Kind == audit.Admitted {
			admitted++
		}
		if r.Rule != "" || r.Kind == audit.Quarantined || r.Kind == audit.Drifted || r.Decision == audit.Deny {
			t.Errorf("%s: %s %s %s %s: %s %s %s", r.Server, r.Kind, r.Method, r.Target, r.Decision, r.Reason, r.Rule, r.Detail)
		}
		s := byID[r.Server]
		for _, f := range r.Findings {
			if s == nil {
				t.Errorf("a finding about no server: %+v", f)
				continue
			}
			s.findings[column(f)]++
			if acts(f) || f.Effect != "reported" {
				t.Errorf("%s %s %s: %s %v %.2f, %s: %s %q", r.Server, r.Method, f.Name, f.Rule, f.Severity, f.Confidence, f.Effect, f.Detail, f.Excerpt)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if admitted != len(list) {
		t.Errorf("%d of %d servers were admitted", admitted, len(list))
	}
}

func acts(f finding.Finding) bool {
	return f.Severity >= rule.High && (f.Confidence == 0 || f.Confidence >= rule.Hard)
}

// columns are the kinds of findings, the worst first.
var columns = []string{"high", "high, unsure", "medium", "low"}

func column(f finding.Finding) string {
	switch {
	case acts(f):
		return columns[0]
	case f.Severity >= rule.High:
		return columns[1]
	case f.Severity == rule.Medium:
		return columns[2]
	}
	return columns[3]
}

func markdown(list []*seen) string {
	var results, definitions, bytes int
	for _, s := range list {
		results, definitions, bytes = results+s.results, definitions+s.definitions, bytes+s.bytes
	}
	return fmt.Sprintf(`# Noise

What the rules say of servers that are in use everywhere and attack nobody: %d of them,
behind one gateway, with %d KB of definitions and %d results of %d KB. The results hold
the documents of some hundred packages. `+"`make test-wide`"+` installs the servers, calls them and
writes this page; it fails where anything is refused, redacted or kept in quarantine
because of a rule.

"High" is what acts by itself: a finding of high or critical severity and a confidence of
at least %.1f. The others are in the log and change nothing
([how a match becomes an action](detection.md)). Servers without results would ask somebody
on the network.

%s`, len(list), kilobytes(definitions), results, kilobytes(bytes), rule.Hard, table(list))
}

func table(list []*seen) string {
	var out strings.Builder
	out.WriteString("| server | version | tools | prompts | resources | definitions, KB | results | results, KB | " + strings.Join(columns, " | ") + " |\n")
	out.WriteString("|---|---|" + strings.Repeat("--:|", 6+len(columns)) + "\n")
	for _, s := range list {
		fmt.Fprintf(&out, "| %s | %s | %d | %d | %d | %d | %d | %d |", s.name, s.version, s.tools, s.prompts, s.resources, kilobytes(s.definitions), s.results, kilobytes(s.bytes))
		for _, name := range columns {
			fmt.Fprintf(&out, " %d |", s.findings[name])
		}
		out.WriteString("\n")
	}
	return out.String()
}

// kilobytes rounds up.
func kilobytes(bytes int) int { return (bytes + 999) / 1000 }

// The page is of the servers that are installed now.
func Test_the_page_has_every_server(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	pins, err := os.ReadFile("requirements.in")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| server") {
			rows++
		}
	}
	if rows < fewest {
		t.Errorf("%d servers, want at least %d", rows, fewest)
	}
	raw, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct{ Dependencies map[string]string }
	if err := json.Unmarshal(raw, &manifest); err != nil {
		t.Fatal(err)
	}
	installed := manifest.Dependencies
	for pin := range strings.FieldsSeq(string(pins)) {
		name, version, _ := strings.Cut(pin, "==")
		installed[name] = version
	}
	for name, version := range installed {
		if !strings.Contains(string(text), "| "+name+" | "+version+" |") {
			t.Errorf("%s %s is not on the page", name, version)
		}
	}
}
